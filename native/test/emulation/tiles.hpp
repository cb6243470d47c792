// SPDX-License-Identifier: Apache-2.0
//
// The tile registers of AMX in plain C++, with what the real instructions refuse, in the order in
// which they add. Part of immintrin.h.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace gatefuse::emulation {
namespace {

struct TileRegisters {
  static constexpr int kCount = 8;
  bool configured;
  int rows[kCount];
  int bytes[kCount];
  unsigned char data[kCount][16][64];
};

inline thread_local TileRegisters tiles = {};

[[noreturn]] inline void refuse(const char* what) {
  std::fprintf(stderr, "tiles: %s\n", what);
  std::abort();
}

inline void configure_tiles(const void* shapes) {
  unsigned char bytes[64];
  std::memcpy(bytes, shapes, sizeof bytes);
  if (bytes[0] != 1) refuse("expected palette 1");
  tiles = {};
  tiles.configured = true;
  for (int i = 0; i < TileRegisters::kCount; ++i) {
    uint16_t row_bytes;
    std::memcpy(&row_bytes, bytes + 16 + 2 * i, sizeof row_bytes);
    tiles.bytes[i] = row_bytes;
    tiles.rows[i] = bytes[48 + i];
    if (row_bytes > 64 || tiles.rows[i] > 16) refuse("a shape is too large");
    if ((row_bytes == 0) != (tiles.rows[i] == 0)) refuse("a shape has rows or columns only");
  }
}
inline void release_tiles() { tiles = {}; }

inline void check_tile(int tile) {
  if (!tiles.configured || tiles.rows[tile] == 0) refuse("a register is used without a shape");
}
inline void load_tile(int tile, const void* from, int64_t stride) {
  check_tile(tile);
  std::memset(tiles.data[tile], 0, sizeof tiles.data[tile]);
  for (int r = 0; r < tiles.rows[tile]; ++r) {
    std::memcpy(tiles.data[tile][r], static_cast<const char*>(from) + r * stride,
                tiles.bytes[tile]);
  }
}
inline void store_tile(int tile, void* to, int64_t stride) {
  check_tile(tile);
  for (int r = 0; r < tiles.rows[tile]; ++r) {
    std::memcpy(static_cast<char*>(to) + r * stride, tiles.data[tile][r], tiles.bytes[tile]);
  }
}

// sums = f(sum, words of k, row of a, column, b), once it is known that the shapes fit.
template <class Sum, class F>
inline void multiply_tiles(int sums, int a, int b, F f) {
  check_tile(sums);
  check_tile(a);
  check_tile(b);
  if (tiles.rows[sums] != tiles.rows[a] || tiles.bytes[sums] != tiles.bytes[b] ||
      tiles.bytes[a] != 4 * tiles.rows[b]) {
    refuse("the shapes of a product do not fit");
  }
  for (int m = 0; m < tiles.rows[sums]; ++m) {
    for (int n = 0; n < tiles.bytes[sums] / 4; ++n) {
      Sum sum;
      std::memcpy(&sum, &tiles.data[sums][m][4 * n], sizeof sum);
      sum = f(sum, tiles.rows[b], tiles.data[a][m], n, b);
      std::memcpy(&tiles.data[sums][m][4 * n], &sum, sizeof sum);
    }
  }
}

inline float bfloat16_at(const unsigned char* bytes) {
  const uint32_t bits = static_cast<uint32_t>(bytes[0]) << 16 | static_cast<uint32_t>(bytes[1])
                                                                    << 24;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Sums of the first and of the second of each pair, over all of k, and then those two.
inline void add_bfloat16_tiles(int sums, int a, int b) {
  multiply_tiles<float>(
      sums, a, b, [](float sum, int words, const unsigned char* row, int n, int weights) {
        float parts[2] = {};
        for (int k = 0; k < words; ++k) {
          for (int i = 0; i < 2; ++i) {
            const unsigned char* weight = &tiles.data[weights][k][4 * n + 2 * i];
            parts[i] =
                __builtin_fmaf(bfloat16_at(row + 4 * k + 2 * i), bfloat16_at(weight), parts[i]);
          }
        }
        return sum + (parts[0] + parts[1]);
      });
}

inline void add_int8_tiles(int sums, int a, int b) {
  multiply_tiles<int32_t>(
      sums, a, b, [](int32_t sum, int words, const unsigned char* row, int n, int weights) {
        uint32_t total = static_cast<uint32_t>(sum);
        for (int k = 0; k < words; ++k) {
          for (int i = 0; i < 4; ++i) {
            const int weight = static_cast<int8_t>(tiles.data[weights][k][4 * n + i]);
            total += static_cast<uint32_t>(row[4 * k + i] * weight);
          }
        }
        return static_cast<int32_t>(total);
      });
}

}  // namespace
}  // namespace gatefuse::emulation
