// SPDX-License-Identifier: Apache-2.0
//
// What the operands of products are stored as, by precision. `of` rounds a float32 operand; it is
// the one place where a precision rounds. Devices below kLeastCapability have no instruction for
// its products: kernels that make some are empty there, and the host refuses the precision.
#pragma once

#include "cuda/ptx.cuh"
#include "gatefuse.h"

namespace gatefuse::cuda {

struct Float32 {
  static constexpr int kId = GF_FLOAT32;
  static constexpr int kLeastCapability = 75;
  static constexpr const char* kName = "float32";
  using Storage = float;
  static GF_HOST_DEVICE Storage of(float x) { return x; }
};

struct Tf32 {
  static constexpr int kId = GF_TF32;
  static constexpr int kLeastCapability = 80;
  static constexpr const char* kName = "tf32";
  using Storage = uint32_t;
  static GF_HOST_DEVICE Storage of(float x) { return ptx::to_tf32(x); }
};

struct Bfloat16 {
  static constexpr int kId = GF_BFLOAT16;
  static constexpr int kLeastCapability = 80;
  static constexpr const char* kName = "bfloat16";
  using Storage = uint16_t;
  static GF_HOST_DEVICE Storage of(float x) { return ptx::to_bf16(x); }
};

struct Float16 {
  static constexpr int kId = GF_FLOAT16;
  static constexpr int kLeastCapability = 75;
  static constexpr const char* kName = "float16";
  using Storage = uint16_t;
  static GF_HOST_DEVICE Storage of(float x) { return ptx::to_f16(x); }
};

// Whether the device that this is compiled for makes products of the precision.
template <class P>
constexpr bool kHasProducts = ptx::kCapability >= P::kLeastCapability;

// Calls f(P()) for the precision of that number, which has been checked.
template <class F>
void with_precision(int precision, F f) {
  switch (precision) {
    case GF_TF32:
      f(Tf32());
      break;
    case GF_BFLOAT16:
      f(Bfloat16());
      break;
    case GF_FLOAT16:
      f(Float16());
      break;
    default:
      f(Float32());
  }
}

}  // namespace gatefuse::cuda
