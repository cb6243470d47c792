// SPDX-License-Identifier: Apache-2.0
//
// What ONNX Runtime calls: the registration of our operators, and their tables of functions.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "onnxruntime/kernel.hpp"

namespace gatefuse::onnxruntime {
namespace {

// Entries of the session options, read at registration.
constexpr char kThreads[] = "gatefuse.threads";
constexpr char kOverride[] = "gatefuse.override_standard_operators";
constexpr char kCudaLibrary[] = "gatefuse.cuda.library";
constexpr char kCudaDevice[] = "gatefuse.cuda.device";
// Left there by it.
constexpr char kRegistered[] = "gatefuse.registered";

constexpr unsigned kOldest = 20;      // of 1.x: older ones have not been tried
constexpr unsigned kReadsTexts = 26;  // the one that added GetTextsAttribute

struct Operator : CustomOp {
  const Kind* kind;
  Runtime runtime;
  Device device;
  int32_t threads;

  static const Operator& of(const CustomOp* op) { return *static_cast<const Operator*>(op); }

  Operator(const Kind& of_kind, const Runtime& with, const Device& on, int32_t most_threads)
      : CustomOp{}, kind(&of_kind), runtime(with), device(on), threads(most_threads) {
    version = 16;
    CustomOp::name = [](const CustomOp* op) { return of(op).kind->name; };
    provider = [](const CustomOp* op) -> const char* {
      return of(op).device ? "CUDAExecutionProvider" : nullptr;  // null: the CPU's
    };
    input_type = [](const CustomOp*, size_t index) -> int32_t {
      return index == kLengths ? kInt32 : kFloat;
    };
    input_count = [](const CustomOp* op) { return of(op).kind->inputs(); };
    output_type = [](const CustomOp*, size_t) -> int32_t { return kFloat; };
    output_count = [](const CustomOp* op) { return of(op).kind->outputs(); };
    destroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
    input_presence = [](const CustomOp*, size_t index) -> int32_t {
      return index <= kR ? kRequired : kOptional;
    };
    output_presence = [](const CustomOp*, size_t) -> int32_t { return kOptional; };
    // On a device weights are packed by the host, and lengths are read by it.
    input_memory = [](const CustomOp* op, size_t index) -> int32_t {
      const bool read_by_host = index == kW || index == kR || index == kB || index == kLengths;
      return of(op).device && read_by_host ? kOnHost : kOfProvider;
    };
    variadic_input_least = variadic_input_alike = [](const CustomOp*) { return 1; };
    variadic_output_least = variadic_output_alike = [](const CustomOp*) { return 1; };
    create_or_say = [](const CustomOp* op, Table, const KernelInfo* info, void** kernel) {
      return of(op).create_kernel(info, kernel);
    };
    compute_or_say = [](void* handle, KernelContext* context) {
      Kernel* kernel = static_cast<Kernel*>(handle);
      return kernel->runtime().guard(kernel->subject(), [&] { kernel->run(context); });
    };
  }

  Status* create_kernel(const KernelInfo* info, void** kernel) const noexcept {
    char subject[256];
    std::snprintf(subject, sizeof subject, "GateFuse %s", kind->name);
    return runtime.guard(subject, [&] {
      const std::string node = runtime.text<GetNodeName>(info);
      std::snprintf(subject, sizeof subject, "GateFuse %s, node \"%.200s\"", kind->name,
                    node.c_str());
      *kernel = new Kernel(runtime, *kind, info, device, threads, subject);
    });
  }
};

// What session options ask for.
struct Wishes {
  int32_t threads;
  bool override_standard;
  Device device;  // none: no operators for the CUDA provider

  auto operator<=>(const Wishes&) const = default;
};

// The domains of one way to register. ONNX Runtime keeps their addresses for as long as there are
// sessions, so they are made once and stay.
struct Domains {
  std::vector<Operator> operators;
  Domain* own = nullptr;
  Domain* standard = nullptr;

  Domains(const Runtime& runtime, const Wishes& wishes) {
    operators.reserve(2 * std::size(kKinds));
    for (const Kind& kind : kKinds) {
      operators.emplace_back(kind, runtime, std::nullopt, wishes.threads);
      if (wishes.device) operators.emplace_back(kind, runtime, wishes.device, wishes.threads);
    }
    runtime.call<CreateDomain>(static_cast<const char*>(kDomain), &own);
    if (wishes.override_standard) runtime.call<CreateDomain>("", &standard);
    for (const Operator& op : operators) {
      const bool is_standard = op.kind->cell == GF_LSTM || op.kind->cell == GF_GRU;
      runtime.call<AddOperator>(own, static_cast<const CustomOp*>(&op));
      if (standard != nullptr && is_standard) {
        runtime.call<AddOperator>(standard, static_cast<const CustomOp*>(&op));
      }
    }
  }
};

const Domains& domains(const Runtime& runtime, const Wishes& wishes) {
  static std::mutex& mutex = *new std::mutex;
  static auto& all = *new std::map<std::pair<Table, Wishes>, Domains>;
  const std::lock_guard<std::mutex> lock(mutex);
  return all.try_emplace({runtime.table(), wishes}, runtime, wishes).first->second;
}

std::optional<std::string> entry(const Runtime& runtime, const SessionOptions* options,
                                 const char* key) {
  int has = 0;
  runtime.call<HasEntry>(options, key, &has);
  if (has == 0) return std::nullopt;
  return runtime.text<GetEntry>(options, key);
}

int32_t whole_number(const char* key, const std::string& text, int32_t most) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value < 0 || value > most) {
    throw Error(GF_INVALID_ARGUMENT, "session options: %s: expected 0 .. %d, got \"%.100s\"", key,
                most, text.c_str());
  }
  return static_cast<int32_t>(value);
}

// The CUDA backend is there where the options name its library, or the process has loaded it.
Device wished_device(const Runtime& runtime, const SessionOptions* options) {
  const auto library = entry(runtime, options, kCudaLibrary);
  if (library) check(gf_backend_load(library->c_str()));
  int32_t devices = 0;
  check(gf_device_count(GF_BACKEND_CUDA, &devices));
  const auto device = entry(runtime, options, kCudaDevice);
  if (devices > 0) return whole_number(kCudaDevice, device.value_or("0"), devices - 1);
  if (!library && !device) return std::nullopt;
  char text[2048] = "";
  check(gf_backend_describe(GF_BACKEND_CUDA, text, sizeof text));
  std::string reason = text;
  reason.erase(0, std::min(reason.size(), reason.find("reason=") + std::strlen("reason=")));
  throw Error(GF_BACKEND_UNAVAILABLE,
              "session options: %s: expected a CUDA backend that runs, got %s",
              library ? kCudaLibrary : kCudaDevice, reason.substr(0, reason.find('\n')).c_str());
}

void add_operators(const Runtime& runtime, SessionOptions* options) {
  if (gf_version() / 1000 != GF_VERSION_MAJOR ||
      gf_version() < 1000 * GF_VERSION_MAJOR + GF_VERSION_MINOR) {
    throw Error(GF_BACKEND_UNAVAILABLE,
                "libgatefuse.so has interface version %d.%d, expected %d.%d or a later %d.x: use "
                "libraries of one version",
                gf_version() / 1000, gf_version() % 1000, GF_VERSION_MAJOR, GF_VERSION_MINOR,
                GF_VERSION_MAJOR);
  }
  if (entry(runtime, options, kRegistered)) {
    throw Error(GF_INVALID_STATE,
                "expected session options without our operators, got some that have them: register "
                "this library once for each SessionOptions");
  }
  const std::string threads = entry(runtime, options, kThreads).value_or("0");
  const std::string standard = entry(runtime, options, kOverride).value_or("0");
  const Wishes wishes = {whole_number(kThreads, threads, INT32_MAX),
                         whole_number(kOverride, standard, 1) == 1,
                         wished_device(runtime, options)};
  const Domains& ours = domains(runtime, wishes);
  runtime.call<AddEntry>(options, static_cast<const char*>(kRegistered), "1");
  runtime.call<AddDomain>(options, ours.own);
  if (ours.standard != nullptr) runtime.call<AddDomain>(options, ours.standard);
}

}  // namespace
}  // namespace gatefuse::onnxruntime

// Found by its name. base: of the ONNX Runtime that asks.
extern "C" __attribute__((visibility("default"))) gatefuse::onnxruntime::Status* RegisterCustomOps(
    gatefuse::onnxruntime::SessionOptions* options, const gatefuse::onnxruntime::ApiBase* base) {
  using namespace gatefuse::onnxruntime;
  unsigned major = 0;
  unsigned minor = 0;
  const char* version = base->version();
  const bool readable = std::sscanf(version, "%u.%u", &major, &minor) == 2;
  const bool fits = readable && major == 1 && minor >= kOldest;
  // Any version has the table of the first one, and with it the means to say what is wrong.
  const Runtime runtime(base->table(!fits                 ? 1
                                    : minor < kReadsTexts ? kOldest
                                                          : kReadsTexts),
                        minor >= kReadsTexts);
  if (runtime.table() == nullptr) return nullptr;  // nothing can be said, and nothing is registered
  return runtime.guard("GateFuse", [&] {
    if (!fits) {
      throw gatefuse::Error(GF_BACKEND_UNAVAILABLE,
                            "expected ONNX Runtime 1.%u or a later 1.x, got %s", kOldest, version);
    }
    add_operators(runtime, options);
  });
}
