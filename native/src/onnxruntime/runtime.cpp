// SPDX-License-Identifier: Apache-2.0
#include "onnxruntime/runtime.hpp"

#include <memory>

namespace gatefuse::onnxruntime {
namespace {

// A name that no node has an attribute of.
constexpr char kNobody[] = "no.node.has.this.attribute";

}  // namespace

std::optional<std::string> Runtime::sentence(Status* status) const {
  if (status == nullptr) return std::nullopt;
  std::string text = GetMessage::call(table_, status);
  ReleaseStatus::call(table_, status);
  return text;
}

void Runtime::check(Status* status) const {
  if (const auto text = sentence(status)) {
    throw Error(GF_BACKEND_FAILED, "ONNX Runtime: %s", text->c_str());
  }
}

Status* Runtime::say(int32_t code, const char* subject, const char* sentence) const noexcept {
  char text[1024];
  std::snprintf(text, sizeof text, "%s: %s", subject, sentence);
  return CreateStatus::call(table_, code, text);
}

// An attribute that is not there and one of another type both fail, and only the sentences tell
// them apart: an attribute that nobody has shows how this version says that there is none.
template <class Get>
bool Attributes::read(const char* name, Get get) const {
  const auto failure = runtime_.sentence(get(name));
  if (!failure) return true;
  std::string absent = runtime_.sentence(get(kNobody)).value_or("");
  for (size_t at; (at = absent.find(kNobody)) != std::string::npos;) {
    absent.replace(at, sizeof kNobody - 1, name);
  }
  if (*failure == absent) return false;
  throw Error(GF_INVALID_ARGUMENT, "attribute %s: %s", name, failure->c_str());
}

int64_t Attributes::integer(const char* name, int64_t otherwise) const {
  int64_t value = 0;
  const bool there = read(name, [&](const char* asked) {
    return GetIntegerAttribute::call(runtime_.table(), info_, asked, &value);
  });
  return there ? value : otherwise;
}

std::string Attributes::text(const char* name, const char* otherwise) const {
  size_t size = 0;
  const bool there = read(name, [&](const char* asked) {
    return GetTextAttribute::call(runtime_.table(), info_, asked, nullptr, &size);
  });
  return there ? runtime_.text<GetTextAttribute>(info_, name) : otherwise;
}

bool Attributes::has(const char* name) const {
  float value = 0;
  try {
    return read(name, [&](const char* asked) {
      return GetFloatAttribute::call(runtime_.table(), info_, asked, &value);
    });
  } catch (const Error&) {
    return true;  // it is of another type
  }
}

std::vector<std::string> Attributes::texts(const char* name) const {
  Allocator* allocator = nullptr;
  char** array = nullptr;
  size_t count = 0;
  runtime_.call<GetDefaultAllocator>(&allocator);
  read(name, [&](const char* asked) {
    return GetTextsAttribute::call(runtime_.table(), info_, asked, allocator, &array, &count);
  });
  std::vector<std::string> texts(array, array + count);
  for (size_t i = 0; i < count; ++i) runtime_.call<Free>(allocator, static_cast<void*>(array[i]));
  if (array != nullptr) runtime_.call<Free>(allocator, static_cast<void*>(array));
  return texts;
}

Tensor Tensor::of(const Runtime& runtime, const Value* value, const char* name, int32_t type,
                  size_t rank) {
  Tensor tensor;
  if (value == nullptr) return tensor;
  TensorInfo* taken = nullptr;
  runtime.call<GetTensorInfo>(value, &taken);
  const auto release = [&](const TensorInfo*) { ReleaseTensorInfo::call(runtime.table(), taken); };
  const std::unique_ptr<const TensorInfo, decltype(release)> info(taken, release);
  int32_t got = 0;
  runtime.call<GetElementType>(info.get(), &got);
  runtime.call<GetRank>(info.get(), &tensor.rank);
  if (tensor.rank == rank) runtime.call<GetShape>(info.get(), tensor.shape, rank);
  if (tensor.rank != rank) {
    throw Error(GF_INVALID_ARGUMENT, "%s: expected %zu dimensions, got %zu", name, rank,
                tensor.rank);
  }
  if (got != type) {
    throw Error(GF_INVALID_ARGUMENT, "%s: expected %s, got elements of type %d", name,
                type == kFloat ? "float32" : "int32", got);
  }
  void* data = nullptr;
  runtime.call<GetData>(const_cast<Value*>(value), &data);
  // An empty tensor may have no memory, but it is there.
  static constexpr char kEmpty = 0;
  tensor.data = data == nullptr ? &kEmpty : data;
  return tensor;
}

}  // namespace gatefuse::onnxruntime
