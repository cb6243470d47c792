// SPDX-License-Identifier: Apache-2.0
//
// Products of packed weights with rows, in tiles of sums that stay in registers. Part of
// kernels.cpp, which alone includes it.

// So much of a weight panel is multiplied with all rows before the next: it stays in the nearest
// caches. A long one spares sums a way through memory, which matters more the more rows there are.
constexpr int64_t kPanelFloats = 4096;
constexpr int64_t kLongPanelFloats = 8192;
constexpr int kLineFloats = 16;  // of a cache line

template <int N>
struct Int {
  static constexpr int value = N;
};

constexpr int largest_tile_rows(int width) {
  const int rows = V::kAccumulators / (width < 1 ? 1 : width);
  return rows < 1 ? 1 : rows > 8 ? 8 : rows;
}

// Calls f(Int<m>) for an m from 1 to Max that is known only at run time.
template <int Max, class F>
GF_INLINE void with_count(int m, F f) {
  if constexpr (Max > 1) {
    if (m < Max) {
      with_count<Max - 1>(m, f);
      return;
    }
  }
  f(Int<Max>());
}

// Cuts `rows` into tiles of nearly equal height, at most Max, and calls f(first row, Int<height>).
template <int Max, class F>
GF_INLINE void for_tiles(int rows, F f) {
  for (int r = 0; r < rows;) {
    const int left = rows - r;
    const int tiles = (left + Max - 1) / Max;
    const int height = (left + tiles - 1) / tiles;
    with_count<Max>(height, [&](auto m) { f(r, m); });
    r += height;
  }
}

// acc[u][m][n] += sum over k in begin .. end - 1 of weight[u][k][n] * in[m][k], in the order of k;
// the weights of a k lie `step` apart. Lines > 0: meanwhile brings Lines cache lines of what comes
// next for each k from a farther cache to the L2.
template <int Lines, int U, int M, int N>
GF_INLINE void multiply(const float* weight, int64_t step, int64_t group,
                        const float* const (&in)[M], int64_t begin, int64_t end, const float* next,
                        V (&acc)[U][M][N]) {
#pragma GCC unroll 2
  for (int64_t k = begin; k < end; ++k) {
#pragma GCC unroll 4
    for (int line = 0; line < Lines; ++line) {
      __builtin_prefetch(next + ((k - begin) * Lines + line) * kLineFloats, 0, 2);
    }
    V x[M];
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) x[m] = V::set(in[m][k]);
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) {
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const V w = load(weight + u * group + k * step + n * W);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) acc[u][m][n] = fma(w, x[m], acc[u][m][n]);
      }
    }
  }
}

template <int M, int N>
GF_INLINE void load_sums(const float* from, int64_t row, V (&acc)[M][N]) {
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) acc[m][n] = load(from + m * row + n * W);
  }
}

template <int M, int N>
GF_INLINE void store_sums(float* to, const V (&acc)[M][N]) {
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) store(to + (m * N + n) * W, acc[m][n]);
  }
}

template <int M, int N>
GF_INLINE void put_sums(float* const* out, int64_t at, const V (&acc)[M][N]) {
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) store(out[m] + at + n * W, acc[m][n]);
  }
}

// Finished sums of a few groups by a few rows: [groups][rows][N][W].
struct Tile {
  int64_t group;
  int groups;
  int rows;
  const float* sums;
};

// What becomes of them. A function and not a template, so that there is one product for all cells;
// null: they stay in the scratch memory. Where `out` is given, a product of several rows puts the
// sums there itself and does not call.
struct Finish {
  void (*call)(const void* context, const Tile& tile);
  const void* context;
  float* const* out = nullptr;  // [rows] of [groups, N * W]
};

// The rows of a product: an array of addresses, or a matrix where that is null.
struct Rows {
  int count;
  const float* const* at;
  const float* matrix;
  int64_t stride;
  GF_INLINE const float* operator[](int r) const {
    return at != nullptr ? at[r] : matrix + r * stride;
  }
};

// Where a product has what it needs besides its operands; a thread's own.
struct Scratch {
  float* sums;      // [rows, N * W]
  uint32_t* words;  // [rows, words_of_row(k)], where weights are shorter than float32
};

// Cuts the groups begin .. end - 1 into pieces of nearly equal size, at most Max, and calls f(first
// group, Int<size>).
template <int Max, class F>
GF_INLINE void for_pieces(int64_t begin, int64_t end, bool downwards, F f) {
  const int64_t count = end - begin;
  const int64_t pieces = (count + Max - 1) / Max;
  for (int64_t i = 0; i < pieces; ++i) {
    const int64_t piece = downwards ? pieces - 1 - i : i;
    const int64_t group = begin + count * piece / pieces;
    const int size = static_cast<int>(begin + count * (piece + 1) / pieces - group);
    with_count<Max>(size, [&](auto groups) { f(group, groups); });
  }
}

// One row: several groups at once, to keep the multipliers busy.
template <int N>
void float_row_product(const Pack& pack, const float* row, int64_t begin, int64_t end,
                       bool downwards, Finish finish) {
  constexpr int kMost = largest_tile_rows(N) > 4 ? 4 : largest_tile_rows(N);
  const int64_t step = N * W + pack.gap;
  const int64_t size = pack.k * step;
  const float* const in[1] = {row};
  for_pieces<kMost>(begin, end, downwards, [&](int64_t group, auto groups) {
    constexpr int U = decltype(groups)::value;
    V acc[U][1][N];
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) load_sums(pack.bias + (group + u) * N * W, 0, acc[u]);
    multiply<0>(pack.weight + group * size, step, size, in, 0, pack.k, nullptr, acc);
    float sums[U * N * W];
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) store_sums(sums + u * N * W, acc[u]);
    finish.call(finish.context, {group, U, 1, sums});
  });
}

template <int N>
GF_INLINE const float* group_weights(const Pack& pack, int64_t g) {
  return pack.weight + g * pack.k * (N * W + pack.gap);
}

// More rows, one group: tiles of rows; where they are more than one tile, k is cut into panels,
// which every tile passes over, and the sums wait in `scratch` [rows, N * W] meanwhile. The first
// tiles fetch the next panel, or `after` behind the last one, Lines cache lines for each k. None of
// this changes the order of any sum.
template <int N, int Lines>
void float_panels_product(const Pack& pack, const Rows& rows, int64_t panel, float* scratch,
                          int64_t g, const float* after, float* const* out) {
  constexpr int kFetchingTiles = (N * W / kLineFloats + Lines - 1) / Lines;
  const int64_t step = N * W + pack.gap;
  const float* weight = group_weights<N>(pack, g);
  for (int64_t k = 0; k < pack.k; k += panel) {
    const int64_t k_end = k + panel < pack.k ? k + panel : pack.k;
    const bool direct = k_end == pack.k && out != nullptr;
    const float* next = k_end < pack.k ? weight + k_end * step : after;
    int fetching = kFetchingTiles;
    for_tiles<largest_tile_rows(N)>(rows.count, [&](int r, auto height) {
      constexpr int M = decltype(height)::value;
      const float* in[M];
      for (int m = 0; m < M; ++m) in[m] = rows[r + m];
      float* sums = scratch + static_cast<int64_t>(r) * N * W;
      V acc[1][M][N];
      load_sums(k == 0 ? pack.bias + g * N * W : sums, k == 0 ? 0 : N * W, acc[0]);
      if (fetching-- > 0) {
        multiply<Lines>(weight, step, 0, in, k, k_end, next, acc);
        next += (k_end - k) * Lines * kLineFloats;
      } else {
        multiply<0>(weight, step, 0, in, k, k_end, nullptr, acc);
      }
      if (direct) {
        put_sums(out + r, g * N * W, acc[0]);
      } else {
        store_sums(sums, acc[0]);
      }
    });
  }
}

template <int N>
void float_group_product(const Pack& pack, const Rows& rows, float* scratch, int64_t g,
                         const float* after, Finish finish) {
  constexpr int kTile = largest_tile_rows(N);
  // By two tiles all of the next panel is fetched, and by a single one half of it.
  constexpr int kMany = (N * W + 2 * kLineFloats - 1) / (2 * kLineFloats);
  constexpr int kFew = (kMany + 1) / 2;
  if (rows.count > 2 * kTile) {
    float_panels_product<N, kFew>(pack, rows, kLongPanelFloats / (N * W), scratch, g, after,
                                  finish.out);
  } else {
    const int64_t panel = rows.count > kTile ? kPanelFloats / (N * W) : pack.k;
    float_panels_product<N, kMany>(pack, rows, panel, scratch, g, after, finish.out);
  }
  if (finish.call != nullptr && finish.out == nullptr) {
    finish.call(finish.context, {g, 1, rows.count, scratch});
  }
}

// Calls f(group, the one that follows) for the groups begin .. end - 1. Weights larger than a cache
// are swept upwards and downwards by turns, so that the end of one sweep is still there at the
// beginning of the next.
template <class F>
GF_INLINE void sweep(int64_t begin, int64_t end, bool downwards, F f) {
  const int64_t step = downwards ? -1 : 1;
  for (int64_t i = begin, g = downwards ? end - 1 : begin; i < end; ++i, g += step) f(g, g + step);
}

template <int N>
void float_product(const Pack& pack, const Rows& rows, float* scratch, int64_t begin, int64_t end,
                   bool downwards, Finish finish) {
  sweep(begin, end, downwards, [&](int64_t g, int64_t following) {
    float_group_product<N>(pack, rows, scratch, g, group_weights<N>(pack, following), finish);
  });
}

#include "cpu/word_products.hpp"

// The product of a pack with rows, for the groups begin .. end - 1.
template <int N>
void product(const Pack& pack, const Rows& rows, const Scratch& scratch, int64_t begin, int64_t end,
             bool downwards, Finish finish) {
  if (pack.words != nullptr) {
    word_product<N>(pack, rows, scratch, begin, end, downwards, finish);
  } else if (rows.count == 1) {
    float_row_product<N>(pack, rows[0], begin, end, downwards, finish);
  } else {
    float_product<N>(pack, rows, scratch.sums, begin, end, downwards, finish);
  }
}
