// SPDX-License-Identifier: Apache-2.0
#include "memory.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "profile.hpp"
#include "sanitizers.hpp"

namespace gatefuse::emulation {
namespace {

constexpr size_t kAlignment = 256;
// AddressSanitizer has its own red zones.
constexpr size_t kRedZone = GF_EMULATION_ASAN ? 0 : kAlignment;
constexpr int kNan = 0xff;
constexpr unsigned char kZone = 0xa5;

struct Allocation {
  size_t bytes;
  cudaMemoryType type;
};
std::map<const char*, Allocation> allocations;
size_t in_use[2] = {};  // bytes: device, host

size_t& used(cudaMemoryType type) { return in_use[type == cudaMemoryTypeDevice ? 0 : 1]; }

// The allocation that a pointer lies in. Kernels ask for the same ones again and again.
const std::pair<const char* const, Allocation>* last_found = nullptr;

const std::pair<const char* const, Allocation>* find(const void* pointer) {
  const char* place = static_cast<const char*>(pointer);
  const auto inside = [place](const auto& entry) {
    return place >= entry.first && place < entry.first + entry.second.bytes;
  };
  if (last_found != nullptr && inside(*last_found)) return last_found;
  auto next = allocations.upper_bound(place);
  if (next == allocations.begin()) return nullptr;
  --next;
  if (!inside(*next)) return nullptr;
  last_found = &*next;
  return last_found;
}

bool is_zone(const char* memory) {
  for (size_t i = 0; i < kRedZone; ++i) {
    if (static_cast<unsigned char>(memory[i]) != kZone) return false;
  }
  return true;
}

bool intact(const char* memory, size_t bytes) {
  return is_zone(memory - kRedZone) && is_zone(memory + bytes);
}

}  // namespace

void* allocate(cudaMemoryType type, size_t bytes) {
  if (type == cudaMemoryTypeDevice && bytes > kDeviceMemory - used(type)) return nullptr;
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, bytes + 2 * kRedZone) != 0) return nullptr;
  char* inner = static_cast<char*>(memory) + kRedZone;
  std::memset(memory, kZone, kRedZone);
  std::memset(inner + bytes, kZone, kRedZone);
  std::memset(inner, kNan, bytes);
  allocations[inner] = {bytes, type};
  used(type) += bytes;
  return inner;
}

bool release(cudaMemoryType type, void* pointer) {
  const auto found = allocations.find(static_cast<const char*>(pointer));
  if (found == allocations.end() || found->second.type != type) return false;
  used(type) -= found->second.bytes;
  last_found = nullptr;
  allocations.erase(found);
  std::free(static_cast<char*>(pointer) - kRedZone);
  return true;
}

cudaMemoryType type_of(const void* pointer) {
  const auto* found = find(pointer);
  return found == nullptr ? cudaMemoryTypeUnregistered : found->second.type;
}

bool holds(cudaMemoryType type, const void* pointer, size_t bytes) {
  const auto* found = find(pointer);
  if (found == nullptr || found->second.type != type) return false;
  const size_t before = static_cast<size_t>(static_cast<const char*>(pointer) - found->first);
  return bytes <= found->second.bytes - before;
}

bool on_device(const void* pointer, size_t bytes) {
  return holds(cudaMemoryTypeDevice, pointer, bytes) || holds(cudaMemoryTypeHost, pointer, bytes);
}

size_t device_bytes_in_use() { return used(cudaMemoryTypeDevice); }

void count_memory(Live& live) {
  live.device_bytes = static_cast<int64_t>(device_bytes_in_use());
  for (const auto& [memory, allocation] : allocations) {
    ++(allocation.type == cudaMemoryTypeDevice ? live.device_allocations : live.host_allocations);
  }
}

const char* check_memory() {
  static char sentence[128];
  for (const auto& [memory, allocation] : allocations) {
    if (intact(memory, allocation.bytes)) continue;
    std::snprintf(sentence, sizeof sentence,
                  "an allocation of %zu bytes was written outside its bounds", allocation.bytes);
    return sentence;
  }
  return nullptr;
}

}  // namespace gatefuse::emulation
