// SPDX-License-Identifier: Apache-2.0
//
// Products by cuBLASLt: where it is found and where not, what a session says of it, that it gives
// what our own products give, and its failures. In the emulation it is a stand-in
// (fake_cublaslt.cpp), on a GPU NVIDIA's, where it is found. The other tests of the backend run
// with the stand-in too (CMakeLists.txt).
#include <string>

#include "cuda_support.hpp"
#include "errors.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

constexpr const char* kVariable = "GATEFUSE_CUBLASLT";

gf_session_options vendor_options(int max_steps = 4, int max_batch = 5, int tier = GF_TIER_AUTO) {
  return session_options(max_steps, max_batch, 1, tier, GF_BACKWARD_NONE, GF_PRODUCTS_CUBLASLT);
}

gf_spec language_spec(int cell = GF_LSTM_REFINE) {
  gf_spec spec = make_spec(cell, 7, 12, 2, 2);
  spec.vocabulary = 11;
  spec.outputs = 5;
  return spec;
}

// ---- The library --------------------------------------------------------------------------------

void expect_no_session(const Network& network, std::initializer_list<std::string> parts, int line) {
  const gf_session_options options = vendor_options();
  gf_session* session = untouched<gf_session>();
  expect_error(gf_session_create(network.model, &options, &session), GF_BACKEND_UNAVAILABLE,
               "gf_session_create", __FILE__, line, parts);
  CHECK(session == untouched<gf_session>());
}

void check_missing(const Network& network) {
  unsetenv(kVariable);
  if (dlopen("libcublasLt.so.13", RTLD_LAZY) == nullptr &&
      dlopen("libcublasLt.so.12", RTLD_LAZY) == nullptr) {
    expect_no_session(
        network,
        {"products: expected libcublasLt.so.13 or libcublasLt.so.12 where the dynamic "
         "linker looks (LD_LIBRARY_PATH), or its path in GATEFUSE_CUBLASLT; ",
         "libcublasLt.so.13: cannot open", "libcublasLt.so.12: cannot open"},
        __LINE__);
  }
  setenv(kVariable, "/nowhere/libcublasLt.so.13", 1);
  expect_no_session(network,
                    {"products: expected cuBLASLt at /nowhere/libcublasLt.so.13, which "
                     "GATEFUSE_CUBLASLT names: /nowhere/libcublasLt.so.13: cannot open"},
                    __LINE__);
  setenv(kVariable, FAKE_CUBLASLT_PART, 1);
  expect_no_session(
      network,
      {"products: expected a cuBLASLt of version 12 or 13, got one without cublasLtMatmul: "},
      __LINE__);
  // Who does not ask for it does not need it.
  const Runner own(network, 2, 2);
  CHECK(path_of(own).find("products=") == std::string::npos);
}

// ---- Results ------------------------------------------------------------------------------------

class VendorSession {
 public:
  VendorSession(const Network& network, const gf_session_options& options) {
    const gf_status status = gf_session_create(network.model, &options, &session);
    report(status == GF_OK, __FILE__, __LINE__, status == GF_OK ? "" : gf_last_error());
  }
  VendorSession(const VendorSession&) = delete;
  VendorSession& operator=(const VendorSession&) = delete;
  ~VendorSession() { gf_session_destroy(session); }

  Result forward(const Network& network, const Call& call) const {
    Result result = make_result(network.spec, call.steps, call.batch);
    const gf_io io = make_io(call, result);
    const gf_status status = gf_forward(session, &io);
    report(status == GF_OK, __FILE__, __LINE__, status == GF_OK ? "" : gf_last_error());
    return result;
  }

  gf_session* session = nullptr;
};

float difference(const std::vector<float>& a, const std::vector<float>& b) {
  float most = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const float one = std::abs(a[i] - b[i]) / (1 + std::abs(b[i]));
    most = one <= most ? most : std::isnan(one) ? HUGE_VALF : one;
  }
  return most;
}

// Sums in another order; an operand that then rounds the other way is a unit off.
void check_same(const gf_spec& spec, int precision, bool ragged) {
  constexpr float kUnits[] = {1e-6f, 0x1p-10f, 0x1p-7f, 0x1p-10f};
  const Network network(spec, 5, cuda_options(precision));
  const Runner own(network, 4, 5);
  const VendorSession vendor(network, vendor_options());
  for (const int steps : {1, 3, 4}) {
    for (const int layout : {GF_TIME_MAJOR, GF_BATCH_MAJOR}) {
      Call call = random_call(spec, steps, steps == 3 ? 2 : 5, ragged, true, 6);
      call.layout = layout;
      const Result expected = forward(own, call);
      const Result actual = vendor.forward(network, call);
      const float most =
          std::max({difference(actual.y, expected.y), difference(actual.hn, expected.hn),
                    difference(actual.logits, expected.logits),
                    difference(actual.log_probs, expected.log_probs)});
      report(most <= 8 * kUnits[precision], __FILE__, __LINE__,
             std::string(precision_name(precision)) + ": off by " + std::to_string(most));
    }
  }
}

void check_results() {
  for (const int precision : kPrecisions) {
    for (const bool ragged : {false, true}) {
      check_same(language_spec(), precision, ragged);
      check_same(make_spec(GF_GRU, 33, 9, 1, 2), precision, ragged);
    }
  }
}

void check_path(const Network& network) {
  const VendorSession vendor(network, vendor_options());
  char text[1024] = "";
  CHECK_EQ(gf_session_path(vendor.session, text, sizeof text), GF_OK);
  const std::string path = text;
  CHECK(path.find(is_emulated() ? "\nproducts=cublasLt 13.2\n" : "\nproducts=cublasLt 1") !=
        std::string::npos);
  CHECK(path.find("\nbits=may depend on the rest of the batch and on how a sequence is cut\n") !=
        std::string::npos);
}

// ---- Failures -----------------------------------------------------------------------------------

// The stand-in's controls.
struct Fake {
  int (*live)();
  void (*fail)(int n, int status);
  int (*failures_to_come)();
  void (*lack_algorithms)(int lacks);

  Fake() {
    void* library = dlopen(FAKE_CUBLASLT, RTLD_NOW);
    const auto find = [library](auto& function, const char* name) {
      function =
          reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      CHECK(function != nullptr);
    };
    find(live, "fake_cublaslt_live");
    find(fail, "fake_cublaslt_fail");
    find(failures_to_come, "fake_cublaslt_failures_to_come");
    find(lack_algorithms, "fake_cublaslt_lack_algorithms");
  }
};

// Each call of the library that a session makes in turn fails; nothing is left behind.
void check_failing_creation(const Fake& fake, const Network& network) {
  const gf_session_options options = vendor_options(2, 2);
  const int before = fake.live();
  for (const int status : {3, 13}) {
    int n = 1;
    for (;; ++n) {
      gf_session* session = nullptr;
      fake.fail(n, status);
      const gf_status got = gf_session_create(network.model, &options, &session);
      if (fake.failures_to_come() > 0) {
        fake.fail(0, 0);
        CHECK_EQ(got, GF_OK);
        gf_session_destroy(session);
        break;
      }
      expect_error(got, status == 3 ? GF_OUT_OF_MEMORY : GF_BACKEND_FAILED, "gf_session_create",
                   __FILE__, __LINE__,
                   {"products: cublasLt 13.2 says " +
                    std::string(status == 3 ? "CUBLAS_STATUS_ALLOC_FAILED (3)"
                                            : "CUBLAS_STATUS_OF_THE_FAKE (13)") +
                    " of its "});
      CHECK(session == nullptr);
      CHECK_EQ(fake.live(), before);
    }
    CHECK(n > 20);
  }
  CHECK_EQ(fake.live(), before);
  fake.lack_algorithms(1);
  gf_session* session = nullptr;
  EXPECT_ERROR(GF_BACKEND_FAILED, gf_session_create(network.model, &options, &session),
               "products: cublasLt 13.2 has no algorithm for 4 rows of 7 by 48");
  fake.lack_algorithms(0);
}

void check_failing_allocations(const Fake& fake, const Network& network) {
  const gf_session_options options = vendor_options(2, 2);
  const int before = fake.live();
  for (int n = 1;; ++n) {
    gf_session* session = nullptr;
    emulation::fail_allocation(n);
    const gf_status status = gf_session_create(network.model, &options, &session);
    emulation::fail_allocation(0);
    if (status == GF_OK) {
      gf_session_destroy(session);
      break;
    }
    CHECK_EQ(status, GF_OUT_OF_MEMORY);
    CHECK_EQ(fake.live(), before);
  }
}

// A call that fails is told, and leaves the session as it was.
void check_failing_call(const Fake& fake, const Network& network) {
  const VendorSession vendor(network, vendor_options());
  const Call call = random_call(network.spec, 4, 5, true, true, 6);
  const Result expected = vendor.forward(network, call);
  Result result = make_result(network.spec, call.steps, call.batch);
  const gf_io io = make_io(call, result);
  for (int n = 1; n <= 5; ++n) {  // four layers and directions, and the head
    fake.fail(n, 14);
    EXPECT_ERROR(GF_BACKEND_FAILED, gf_forward(vendor.session, &io),
                 "products: cublasLt 13.2 says CUBLAS_STATUS_OF_THE_FAKE (14) of its product");
    CHECK_EQ(fake.failures_to_come(), 0);
    CHECK(same_bits(vendor.forward(network, call), expected));
  }
}

void check_emulated() {
  {
    const Network network(language_spec(), 5, cuda_options(GF_BFLOAT16));
    check_missing(network);
    setenv(kVariable, FAKE_CUBLASLT, 1);
    const Fake fake;
    check_path(network);
    check_results();
    check_failing_creation(fake, network);
    check_failing_allocations(fake, network);
    check_failing_call(fake, network);
    CHECK_EQ(fake.live(), 0);
  }
  CHECK(emulation::live().none());
}

}  // namespace

int main() {
  if (!load_backend()) return 1;
  if (is_emulated()) {
    check_emulated();
    return result();
  }
  const Network network(language_spec(), 5, cuda_options(GF_BFLOAT16));
  const gf_session_options options = vendor_options();
  gf_session* session = nullptr;
  if (gf_session_create(network.model, &options, &session) == GF_BACKEND_UNAVAILABLE) {
    std::printf("%s\n", gf_last_error());
    return kSkipped;
  }
  gf_session_destroy(session);
  check_path(network);
  check_results();
  return result();
}
