// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "error.hpp"
#include "onnxruntime/abi.hpp"

namespace gatefuse::onnxruntime {

// ONNX Runtime's functions as the rest of this library wants them: what fails is an Error.
// Immutable and thread-safe.
class Runtime {
 public:
  Runtime(Table table, bool reads_texts) : table_(table), reads_texts_(reads_texts) {}

  Table table() const { return table_; }
  // Whether attributes that are lists of texts can be read.
  bool reads_texts() const { return reads_texts_; }

  // The sentence of a status, which is released; none where it is null.
  std::optional<std::string> sentence(Status* status) const;
  void check(Status* status) const;

  template <class F, class... Arguments>
  void call(Arguments... arguments) const {
    check(F::call(table_, arguments...));
  }

  // Texts are asked for twice: how long they are, then what they say.
  template <class F, class... Arguments>
  std::string text(Arguments... arguments) const {
    size_t size = 0;
    call<F>(arguments..., nullptr, &size);
    std::string text(size, '\0');
    call<F>(arguments..., text.data(), &size);
    return text.substr(0, text.find('\0'));
  }

  // Runs body; what it throws becomes a status whose sentence begins with `subject`.
  template <class Body>
  Status* guard(const char* subject, Body body) const noexcept {
    try {
      body();
      return nullptr;
    } catch (const Error& error) {
      return say(error.status() == GF_INVALID_ARGUMENT ? kInvalidArgument : kFail, subject,
                 error.what());
    } catch (const std::bad_alloc&) {
      return say(kFail, subject, "host memory: the allocation failed");
    } catch (const std::exception& error) {
      return say(kFail, subject, error.what());
    } catch (...) {
      return say(kFail, subject, "an unknown failure");
    }
  }

 private:
  Status* say(int32_t code, const char* subject, const char* sentence) const noexcept;

  Table table_;
  bool reads_texts_;
};

// The attributes of a node, while its kernel is created.
class Attributes {
 public:
  Attributes(const Runtime& runtime, const KernelInfo* info) : runtime_(runtime), info_(info) {}

  int64_t integer(const char* name, int64_t otherwise) const;
  std::string text(const char* name, const char* otherwise) const;
  // Whether there is one of this name, of whatever type.
  bool has(const char* name) const;
  std::vector<std::string> texts(const char* name) const;

 private:
  template <class Get>
  bool read(const char* name, Get get) const;

  const Runtime& runtime_;
  const KernelInfo* info_;
};

// A dense tensor that somebody else owns; without data where the node leaves it out.
struct Tensor {
  static constexpr size_t kMostRank = 4;

  const void* data = nullptr;
  size_t rank = 0;
  int64_t shape[kMostRank] = {};

  explicit operator bool() const { return data != nullptr; }
  const float* floats() const { return static_cast<const float*>(data); }
  const int32_t* integers() const { return static_cast<const int32_t*>(data); }

  // Reads a value. An Error names the input where its type or rank is another.
  static Tensor of(const Runtime& runtime, const Value* value, const char* name, int32_t type,
                   size_t rank);
};

}  // namespace gatefuse::onnxruntime
