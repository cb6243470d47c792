// SPDX-License-Identifier: Apache-2.0
//
// The tile registers of AMX: eight, each of up to 16 rows of up to 64 bytes. Who calls has asked
// the processor and the system (has_amx()): in assembly the instructions can be written without
// telling the compiler that it may use them anywhere. Where there are none, nobody calls.
//
// A thread's registers keep their shapes and contents from configure_tiles to release_tiles.
#pragma once

#include <cstdint>

#include "cpu/simd.hpp"

namespace gatefuse {
namespace {

constexpr int kTileRows = 16;
constexpr int kTileWords = 16;  // of 32 bits, in a row

// As the instruction reads it.
struct TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  void set(int tile, int rows_of_it, int words) {
    rows[tile] = static_cast<uint8_t>(rows_of_it);
    row_bytes[tile] = static_cast<uint16_t>(4 * words);
  }
};
static_assert(sizeof(TileShapes) == 64);

#if GF_ISA_IS_AVX512 && defined(GF_EMULATED_AVX512)

#define GF_TILES 1
GF_INLINE void configure_tiles(const TileShapes& shapes) { emulation::configure_tiles(&shapes); }
GF_INLINE void release_tiles() { emulation::release_tiles(); }
template <int kTile>
GF_INLINE void load_tile(const void* from, int64_t stride) {
  emulation::load_tile(kTile, from, stride);
}
template <int kTile>
GF_INLINE void store_tile(void* to, int64_t stride) {
  emulation::store_tile(kTile, to, stride);
}
template <int kSums, int kA, int kB>
GF_INLINE void add_bfloat16_tiles() {
  emulation::add_bfloat16_tiles(kSums, kA, kB);
}
template <int kSums, int kA, int kB>
GF_INLINE void add_int8_tiles() {
  emulation::add_int8_tiles(kSums, kA, kB);
}

#elif GF_ISA_IS_AVX512

#define GF_TILES 1
GF_INLINE void configure_tiles(const TileShapes& shapes) {
  asm volatile("ldtilecfg %0" : : "m"(shapes));
}
GF_INLINE void release_tiles() { asm volatile("tilerelease"); }

// Rows are `stride` bytes apart; 0 gives the same to all.
template <int kTile>
GF_INLINE void load_tile(const void* from, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
GF_INLINE void store_tile(void* to, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(kTile) : "memory");
}

// sums[m][n] += the products of both bfloat16 of a[m][k] and b[k][n], over k. Subnormal operands
// and results count as zero.
template <int kSums, int kA, int kB>
GF_INLINE void add_bfloat16_tiles() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kA), "i"(kB));
}
// The same of the four bytes, a without a sign and b with one, in whole numbers.
template <int kSums, int kA, int kB>
GF_INLINE void add_int8_tiles() {
  asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kA), "i"(kB));
}

#endif

#ifdef GF_TILES
constexpr bool kMultipliesTiles = true;
#else
constexpr bool kMultipliesTiles = false;
#endif

}  // namespace
}  // namespace gatefuse
