// SPDX-License-Identifier: Apache-2.0
//
// Read before cpu/model.cpp where AVX-512 is emulated: what runs the emulation passes for AVX-512.
#pragma once

inline bool runs_emulation() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
namespace gatefuse::cpu {
inline bool has_emulated_amx() { return true; }
}  // namespace gatefuse::cpu
#define has_amx has_emulated_amx
#define __builtin_cpu_supports(feature) runs_emulation()
