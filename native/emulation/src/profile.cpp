// SPDX-License-Identifier: Apache-2.0
#include "profile.hpp"

#include <cstdlib>

namespace gatefuse::emulation {
namespace {

constexpr size_t operator""_KB(unsigned long long n) { return n << 10; }
constexpr size_t operator""_MB(unsigned long long n) { return n << 20; }

constexpr Profile kProfiles[] = {
    {"sm_70", 70, 80, 2048, 32, 96_KB, 96_KB, 6_MB},
    {"sm_75", 75, 40, 1024, 16, 64_KB, 64_KB, 4_MB},
    {"sm_80", 80, 108, 2048, 32, 164_KB, 163_KB, 40_MB},
    {"sm_86", 86, 84, 1536, 16, 100_KB, 99_KB, 6_MB},
    {"sm_90", 90, 132, 2048, 32, 228_KB, 227_KB, 50_MB},
    {"sm_100", 100, 148, 2048, 32, 228_KB, 227_KB, 126_MB},
};
constexpr int kDefault = 4;

const Profile* find(const std::string& name) {
  for (const Profile& candidate : kProfiles) {
    if (name == candidate.name) return &candidate;
  }
  return nullptr;
}

struct Choice {
  Profile device = kProfiles[kDefault];
  int own_multiprocessors = kProfiles[kDefault].multiprocessors;

  Choice() {
    const char* name = std::getenv("GATEFUSE_EMULATED_DEVICE");
    if (name != nullptr) take(name);
    const char* count = std::getenv("GATEFUSE_EMULATED_MULTIPROCESSORS");
    if (count != nullptr) shrink(std::atoi(count));
  }
  bool take(const std::string& name) {
    const Profile* found = find(name);
    if (found == nullptr) return false;
    device = *found;
    own_multiprocessors = device.multiprocessors;
    capability = device.capability;
    return true;
  }
  void shrink(int count) { device.multiprocessors = count > 0 ? count : own_multiprocessors; }
};

Choice& choice() {
  static Choice the_choice;
  return the_choice;
}

}  // namespace

int device_capability() { return capability; }
const Profile& profile() { return choice().device; }
bool choose_profile(const std::string& name) { return choice().take(name); }
void choose_multiprocessors(int count) { choice().shrink(count); }

}  // namespace gatefuse::emulation
