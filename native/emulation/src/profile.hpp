// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "emulation/device.hpp"

namespace gatefuse::emulation {

// A kind of device, as far as programs can ask for it.
struct Profile {
  const char* name;
  int capability;  // 10 major + minor
  int multiprocessors;
  int threads_per_multiprocessor;
  int blocks_per_multiprocessor;
  size_t shared_per_multiprocessor;
  size_t shared_per_block;  // at most, with the attribute
  size_t l2_bytes;
};

constexpr size_t kSharedWithoutAttribute = 48 << 10;
constexpr size_t kStaticShared = 48 << 10;
constexpr size_t kReservedShared = 1 << 10;  // of each block, from sm_80 on
constexpr size_t kDeviceMemory = size_t{4} << 30;
constexpr int kRegistersPerMultiprocessor = 65536;
constexpr int kThreadsPerBlock = 1024;
constexpr unsigned kPortableCluster = 8, kLargestCluster = 16;

// The device of this process, with the number of its multiprocessors.
const Profile& profile();
bool choose_profile(const std::string& name);
void choose_multiprocessors(int count);

inline int capability = 90;
// Ends the launch where the device lacks the instruction.
inline void require(int least, const char* instruction, const Where& where) {
  if (capability < least) {
    fail(where, "%s does not exist on sm_%d, only from sm_%d on", instruction, capability, least);
  }
}

}  // namespace gatefuse::emulation
