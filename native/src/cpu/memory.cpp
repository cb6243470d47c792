// SPDX-License-Identifier: Apache-2.0
#include "cpu/memory.hpp"

#include <sys/mman.h>

#include <cstring>

#include "cpu/machine.hpp"

namespace gatefuse::cpu {

void* Arena::block(const char* what, int64_t size) {
  constexpr int64_t kHuge = 2 << 20;
  const int64_t alignment = size >= kHuge ? kHuge : 64;
  const int64_t rounded = (size + alignment - 1) / alignment * alignment;
  if (measuring_) {
    bytes_ += rounded;
    return reinterpret_cast<void*>(alignment);
  }
  blocks_.push_back(nullptr);
  void* memory = nullptr;
  // More than there is may well be promised by the system, which then ends the process at first
  // use.
  static const int64_t most = usable_memory();
  if (rounded > most - bytes_ ||
      posix_memalign(&memory, static_cast<size_t>(alignment), static_cast<size_t>(rounded)) != 0) {
    throw Error(GF_OUT_OF_MEMORY, "%s: %lld bytes of host memory could not be had", what,
                static_cast<long long>(size));
  }
  // Large pages spare the reader of a large weight matrix most of its address translations.
  if (alignment == kHuge) madvise(memory, static_cast<size_t>(rounded), MADV_HUGEPAGE);
  std::memset(memory, 0, static_cast<size_t>(rounded));
  blocks_.back() = memory;
  bytes_ += rounded;
  return memory;
}

}  // namespace gatefuse::cpu
