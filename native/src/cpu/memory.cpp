// SPDX-License-Identifier: Apache-2.0
#include "cpu/memory.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "cpu/machine.hpp"

namespace gatefuse::cpu {
namespace {

constexpr int64_t kHuge = 2 << 20;

// Of all arenas of the process.
std::atomic<int64_t> held{0};

}  // namespace

// More than there is may well be promised by the system, which then ends the process at first use.
void* allocate_zeros(int64_t alignment, int64_t size) {
  static const int64_t most = usable_memory();
  void* memory = nullptr;
  if (size > most - held.load() ||
      posix_memalign(&memory, static_cast<size_t>(alignment), static_cast<size_t>(size)) != 0) {
    return nullptr;
  }
  // Large pages spare the reader of a large weight matrix most of its address translations.
  if (alignment == kHuge) madvise(memory, static_cast<size_t>(size), MADV_HUGEPAGE);
  return std::memset(memory, 0, static_cast<size_t>(size));
}

Arena::~Arena() {
  for (void* block : blocks_) std::free(block);
  if (!measuring_) held -= bytes_;
}

void* Arena::block(const char* what, int64_t size) {
  const int64_t alignment = size >= kHuge ? kHuge : 64;
  const int64_t rounded = (size + alignment - 1) / alignment * alignment;
  if (measuring_) {
    bytes_ += rounded;
    return reinterpret_cast<void*>(alignment);
  }
  blocks_.push_back(nullptr);
  void* memory = allocate_zeros(alignment, rounded);
  if (memory == nullptr) {
    throw Error(GF_OUT_OF_MEMORY, "%s: %lld bytes of host memory could not be had", what,
                static_cast<long long>(size));
  }
  blocks_.back() = memory;
  bytes_ += rounded;
  held += rounded;
  return memory;
}

}  // namespace gatefuse::cpu
