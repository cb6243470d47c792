// SPDX-License-Identifier: Apache-2.0
#include "cpu/machine.hpp"

#include <sched.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace gatefuse::cpu {
namespace {

// CPUs that the container's quota amounts to, or 0 without one. A process sees its own control
// group at the root of the mount, in a container as well as under a version 1 hierarchy.
int container_limit() {
  double quota = 0;
  double period = 0;
  char first[64] = "";
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    if (std::fscanf(file, "%63s %lf", first, &period) == 2 && std::strcmp(first, "max") != 0) {
      quota = std::strtod(first, nullptr);
    }
    std::fclose(file);
  } else {
    const auto read = [](const char* path) {
      double value = 0;
      if (std::FILE* one = std::fopen(path, "r")) {
        if (std::fscanf(one, "%lf", &value) != 1) value = 0;
        std::fclose(one);
      }
      return value;
    };
    quota = read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    period = read("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  }
  return quota > 0 && period > 0 ? static_cast<int>(std::ceil(quota / period)) : 0;
}

int affinity_count() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

int usable_processors() {
  const int mask = affinity_count();
  const int quota = container_limit();
  const int both = quota > 0 && quota < mask ? quota : mask;
  return both < 1 ? 1 : both;
}

int64_t l2_cache_bytes() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  return std::max<int64_t>(sysconf(_SC_LEVEL2_CACHE_SIZE), 0);
#else
  return 0;
#endif
}

bool foresees_regions() {
#if defined(__x86_64__)
  constexpr unsigned kZen5 = 26;
  unsigned signature = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &signature, &b, &c, &d) == 0) return false;
  const unsigned family = (signature >> 8 & 0xf) + (signature >> 20 & 0xff);
  return family == kZen5 && __builtin_cpu_is("amd");
#else
  return false;
#endif
}

bool has_avx_vnni() {
#if defined(__x86_64__)
  constexpr unsigned kExtended = 7;
  constexpr unsigned kAvxVnni = 1u << 4;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(kExtended, 1, &a, &b, &c, &d) != 0 && (a & kAvxVnni) != 0;
#else
  return false;
#endif
}

#if defined(__x86_64__) && defined(__linux__)

namespace {

// The state that the system keeps for each thread: XCR0 tells whether it does so for tiles.
bool keeps_tiles() {
  constexpr unsigned kOsxsave = 1u << 27;
  constexpr unsigned kTiles = 3u << 17;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kOsxsave) == 0) return false;
  asm("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return (a & kTiles) == kTiles;
}

bool multiplies_tiles() {
  constexpr unsigned kExtended = 7;
  constexpr unsigned kAmx = 1u << 22 | 1u << 24 | 1u << 25;  // bfloat16, tiles, int8
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(kExtended, 0, &a, &b, &c, &d) != 0 && (d & kAmx) == kAmx;
}

// Their state is large: a process has to ask for it.
bool may_use_tiles() {
  constexpr int kRequestPermission = 0x1023;
  constexpr int kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool has_amx() {
  static const bool has = multiplies_tiles() && keeps_tiles() && may_use_tiles();
  return has;
}

#else

bool has_amx() { return false; }

#endif

int64_t usable_memory() {
  int64_t most = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    long long limit = 0;
    if (std::FILE* file = std::fopen(path, "r")) {
      if (std::fscanf(file, "%lld", &limit) == 1 && limit > 0)
        most = std::min<int64_t>(most, limit);
      std::fclose(file);
    }
  }
  return most;
}

void device_name(char* name, size_t capacity) {
  std::snprintf(name, capacity, "CPU");
  std::FILE* file = std::fopen("/proc/cpuinfo", "r");
  if (file == nullptr) return;
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    const char* colon = std::strchr(line, ':');
    if (std::strncmp(line, "model name", 10) == 0 && colon != nullptr) {
      std::snprintf(name, capacity, "%s", colon + 2);
      name[std::strcspn(name, "\n")] = '\0';
      break;
    }
  }
  std::fclose(file);
}

}  // namespace gatefuse::cpu
