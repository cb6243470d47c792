// SPDX-License-Identifier: Apache-2.0
//
// The random words that dropout and zoneout are drawn from: Philox 4x32-10 of Salmon, Moraes, Dror
// and Shaw (Parallel random numbers: as easy as 1, 2, 3; SC 2011). It has no state. A word is a
// function of its counter and key, so that threads, vectors, the order of rows and what is computed
// twice all see the same ones. The Java reference has its twin, Philox.java.
#pragma once

#include <cstdint>

#ifndef GF_INLINE
#define GF_INLINE inline __attribute__((always_inline))
#endif

namespace gatefuse {

struct Words {
  uint32_t word[4];
};

struct Key {
  uint32_t word[2];
};

// What masks are for. Part of what a word is a function of: see gf_session_options.
enum MaskKind { kDropoutMask = 0, kZoneoutHMask = 1, kZoneoutCMask = 2, kRecurrentDropoutMask = 3 };

namespace {

GF_INLINE Words philox_round(Words counter, Key key) {
  const uint64_t a = uint64_t{0xD2511F53u} * counter.word[0];
  const uint64_t b = uint64_t{0xCD9E8D57u} * counter.word[2];
  return {{static_cast<uint32_t>(b >> 32) ^ counter.word[1] ^ key.word[0], static_cast<uint32_t>(b),
           static_cast<uint32_t>(a >> 32) ^ counter.word[3] ^ key.word[1],
           static_cast<uint32_t>(a)}};
}

GF_INLINE Words philox(Words counter, Key key) {
  for (int round = 0; round < 10; ++round) {
    counter = philox_round(counter, key);
    key = {{key.word[0] + 0x9E3779B9u, key.word[1] + 0xBB67AE85u}};
  }
  return counter;
}

// The key of all words of one kind, in one draw, for one layer and direction.
GF_INLINE Key mask_key(uint64_t seed, uint64_t draw, MaskKind kind, int64_t slot) {
  const Words words = philox({{static_cast<uint32_t>(draw), static_cast<uint32_t>(draw >> 32),
                               static_cast<uint32_t>(kind), static_cast<uint32_t>(slot)}},
                             {{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)}});
  return {{words.word[0], words.word[1]}};
}

constexpr int kUnitsOfWords = 4;

// The words of the units 4 * block .. 4 * block + 3, at a time of the call, of a caller's row.
GF_INLINE Words mask_words(Key key, uint32_t block, uint32_t time, uint32_t row) {
  return philox({{block, time, row, 0}}, key);
}

// An element is dropped, or zoned out, where its word is below this.
GF_INLINE uint32_t mask_threshold(double rate) { return static_cast<uint32_t>(rate * 0x1p32); }

}  // namespace
}  // namespace gatefuse
