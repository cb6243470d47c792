// SPDX-License-Identifier: Apache-2.0
//
// Products of words by tile registers. Part of kernels.cpp, which alone includes it.
//
// A group of weights is N tiles beside each other, one for each vector of its outputs, and 16 words
// of k high: packed words lie in memory as a tile has them. A tile of sums is 16 rows of the batch
// by one vector. What is left of k at its end has two registers of that shape.

struct Bfloat16ByTiles {
  static constexpr int kFirstWord = 0;  // of a row's operands
  static void read(const float* in, int64_t k, uint32_t* out) { Bfloat16ByPairs::read(in, k, out); }
  static const void* begin(const Pack& pack, int64_t at) { return pack.bias + at; }
  template <int kSums, int kA, int kB>
  static GF_INLINE void add() {
    add_bfloat16_tiles<kSums, kA, kB>();
  }
  static void finish(const Pack&, int64_t, const uint32_t*, float*) {}
};

struct Int8ByTiles {
  static constexpr int kFirstWord = 1;
  static void read(const float* in, int64_t k, uint32_t* out) { Int8ByBytes::read(in, k, out); }
  static const void* begin(const Pack& pack, int64_t at) { return pack.offset + at; }
  template <int kSums, int kA, int kB>
  static GF_INLINE void add() {
    add_int8_tiles<kSums, kA, kB>();
  }
  static void finish(const Pack& pack, int64_t at, const uint32_t* row, float* sums) {
    store(sums, Int8ByBytes::finish(load_words(sums), pack, at, row));
  }
};

// Which register holds what.
constexpr int kMostSumTiles = 4;
constexpr int kRowsTile = 4;
constexpr int kWeightsTile = 5;
constexpr int kLastRowsTile = 6;
constexpr int kLastWeightsTile = 7;

GF_INLINE TileShapes shapes_of(int rows, int64_t words) {
  TileShapes shapes;
  for (int i = 0; i < kMostSumTiles; ++i) shapes.set(i, rows, W);
  shapes.set(kRowsTile, rows, kTileWords);
  shapes.set(kWeightsTile, kTileWords, W);
  const int rest = static_cast<int>(words % kTileWords);
  shapes.set(kLastRowsTile, rest == 0 ? 0 : rows, rest);
  shapes.set(kLastWeightsTile, rest, rest == 0 ? 0 : W);
  return shapes;
}

// Calls f(Int<0>) ... f(Int<N - 1>).
template <int N, class F>
GF_INLINE void for_each_of(F f) {
  if constexpr (N > 1) for_each_of<N - 1>(f);
  f(Int<N - 1>());
}

template <class Format, int N, int kA, int kB>
GF_INLINE void add_tiles(const uint32_t* operands, int64_t stride, const uint32_t* weights,
                         int64_t step) {
  load_tile<kA>(operands, stride * 4);
  for_each_of<N>([&](auto n) {
    constexpr int kN = decltype(n)::value;
    load_tile<kB>(weights + kN * W, step * 4);
    Format::template add<kN, kA, kB>();
  });
}

// One group by as many rows as the registers are configured for; sums lie as in a Tile.
template <class Format, int N>
GF_INLINE void tile_group(const Pack& pack, int64_t group, int rows, const uint32_t* in,
                          int64_t stride, float* sums) {
  const int64_t at = group * N * W;
  for_each_of<N>([&](auto n) {
    constexpr int kN = decltype(n)::value;
    load_tile<kN>(Format::begin(pack, at + kN * W), 0);
  });
  const int64_t words = pack.words_of_column();
  const int64_t step = N * W + pack.gap;
  const uint32_t* weights = pack.words + group * words * step;
  const uint32_t* operands = in + Format::kFirstWord;
  int64_t word = 0;
  for (; word + kTileWords <= words; word += kTileWords) {
    add_tiles<Format, N, kRowsTile, kWeightsTile>(operands + word, stride, weights + word * step,
                                                  step);
  }
  if (word < words) {
    add_tiles<Format, N, kLastRowsTile, kLastWeightsTile>(operands + word, stride,
                                                          weights + word * step, step);
  }
  for_each_of<N>([&](auto n) {
    constexpr int kN = decltype(n)::value;
    store_tile<kN>(sums + kN * W, N * W * 4);
  });
  for (int m = 0; m < rows; ++m) {
    for (int n = 0; n < N; ++n) {
      Format::finish(pack, at + n * W, in + m * stride, sums + (m * N + n) * W);
    }
  }
}

// All tiles of sums have one height, so that the registers are configured once: the last one may
// begin before the end of the one before it, and makes some rows again.
template <class Format, int N>
void tile_product(const Pack& pack, const Rows& rows, const Scratch& scratch, int64_t begin,
                  int64_t end, bool downwards, Finish finish) {
  static_assert(N <= kMostSumTiles && W == kTileWords);
  const int64_t stride = cpu::words_of_row(pack.k);
  for (int r = 0; r < rows.count; ++r) Format::read(rows[r], pack.k, scratch.words + r * stride);
  const int height = rows.count < kTileRows ? rows.count : kTileRows;
  configure_tiles(shapes_of(height, pack.words_of_column()));
  sweep(begin, end, downwards, [&](int64_t group, int64_t) {
    for (int r = 0; r < rows.count; r += height) {
      const int first = r + height <= rows.count ? r : rows.count - height;
      tile_group<Format, N>(pack, group, height, scratch.words + first * stride, stride,
                            scratch.sums + int64_t{first} * N * W);
    }
    finish.call(finish.context, {group, 1, rows.count, scratch.sums});
  });
  release_tiles();
}
