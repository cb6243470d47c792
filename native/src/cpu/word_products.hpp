// SPDX-License-Identifier: Apache-2.0
//
// Products of operands shorter than float32, of which a word of weights holds several neighbours in
// k. Part of kernels.cpp, which alone includes it.
//
// A format says what a row is read as, and how words are multiplied: in Parts steps, each with a
// part of a word's weights. Sums have the order of k, as in float32.

// Rows stay float32 numbers, rounded.
struct Bfloat16ByFloats {
  using Sum = V;
  using Operand = V;
  static constexpr int kParts = 2;

  static void read(const float* in, int64_t k, uint32_t* out) {
    for (int64_t i = 0; i < k; ++i) out[i] = round_to_bfloat16(in[i]);
    if (k % 2 != 0) out[k] = 0;
  }
  static GF_INLINE Operand operand(const uint32_t* row, int64_t word, int part) {
    return V::set(float_of(row[word * 2 + part]));
  }
  static GF_INLINE Operand weights(const Packed& words, int part) {
    return part == 0 ? low_bfloat16(words) : high_bfloat16(words);
  }
  static GF_INLINE Sum begin(const Pack& pack, int64_t at) { return load(pack.bias + at); }
  static GF_INLINE Sum add(const Sum& sum, const Operand& w, const Operand& x) {
    return fma(w, x, sum);
  }
  static GF_INLINE V finish(const Sum& sum, const Pack&, int64_t, const uint32_t*) { return sum; }
};

// Rows have pairs of bfloat16 too, and an instruction multiplies pairs.
struct Bfloat16ByPairs {
  using Sum = V;
  using Operand = Packed;
  static constexpr int kParts = 1;

  static void read(const float* in, int64_t k, uint32_t* out) {
    for (int64_t i = 0; i < k / 2; ++i) {
      out[i] = round_to_bfloat16(in[2 * i]) >> 16 | round_to_bfloat16(in[2 * i + 1]);
    }
    if (k % 2 != 0) out[k / 2] = round_to_bfloat16(in[k - 1]) >> 16;
  }
  static GF_INLINE Operand operand(const uint32_t* row, int64_t word, int) {
    return Packed::set(row[word]);
  }
  static GF_INLINE Operand weights(const Packed& words, int) { return words; }
  static GF_INLINE Sum begin(const Pack& pack, int64_t at) { return load(pack.bias + at); }
  static GF_INLINE Sum add(const Sum& sum, const Operand& w, const Operand& x) {
    return add_bfloat16_products(sum, x, w);
  }
  static GF_INLINE V finish(const Sum& sum, const Pack&, int64_t, const uint32_t*) { return sum; }
};

template <class Format>
struct Int8 {
  using Sum = Packed;
  using Operand = Packed;

  static void read(const float* in, int64_t k, uint32_t* out) {
    const Quantized quantized = Quantized::of(in, k);
    out[0] = bits_of(quantized.scale);
    Format::write(in, k, quantized.inverse, out + 1);
  }
  static GF_INLINE V finish(const Sum& sum, const Pack& pack, int64_t at, const uint32_t* row) {
    const V scale = load(pack.scale + at) * V::set(float_of(row[0]));
    return fma(to_float(sum), scale, load(pack.bias + at));
  }
};

// Rows have int16: of each four numbers the pairs 0, 2 and 1, 3.
struct Int8ByHalves : Int8<Int8ByHalves> {
  static constexpr int kParts = 2;

  static void write(const float* in, int64_t k, float inverse, uint32_t* out) {
    for (int64_t i = 0; i < k; i += 4) {
      uint32_t numbers[4] = {};
      for (int64_t j = 0; j < 4 && i + j < k; ++j) {
        numbers[j] = Quantized::number(in[i + j], inverse, 0) & 0xffff;
      }
      out[i / 2] = numbers[0] | numbers[2] << 16;
      out[i / 2 + 1] = numbers[1] | numbers[3] << 16;
    }
  }
  static GF_INLINE Operand operand(const uint32_t* row, int64_t word, int part) {
    return Packed::set(row[1 + word * 2 + part]);
  }
  static GF_INLINE Operand weights(const Packed& words, int part) {
    return part == 0 ? even_bytes(words) : odd_bytes(words);
  }
  static GF_INLINE Sum begin(const Pack&, int64_t) { return Packed::set(0); }
  static GF_INLINE Sum add(const Sum& sum, const Operand& w, const Operand& x) {
    return sum + multiply_halves(w, x);
  }
};

// Rows have bytes, without a sign as the instruction wants them: 128 is added to each number, and
// Pack::offset takes away what that adds to a sum.
struct Int8ByBytes : Int8<Int8ByBytes> {
  static constexpr int kParts = 1;

  static void write(const float* in, int64_t k, float inverse, uint32_t* out) {
    uint8_t* bytes = reinterpret_cast<uint8_t*>(out);
    for (int64_t i = 0; i < k; ++i) {
      bytes[i] = static_cast<uint8_t>(Quantized::number(in[i], inverse, 128));
    }
    for (int64_t i = k; i % 4 != 0; ++i) bytes[i] = 0;
  }
  static GF_INLINE Operand operand(const uint32_t* row, int64_t word, int) {
    return Packed::set(row[1 + word]);
  }
  static GF_INLINE Operand weights(const Packed& words, int) { return words; }
  static GF_INLINE Sum begin(const Pack& pack, int64_t at) { return load_words(pack.offset + at); }
  static GF_INLINE Sum add(const Sum& sum, const Operand& w, const Operand& x) {
    return add_int8_products(sum, x, w);
  }
};

// sum[u][m][n] of whole columns of words, which lie Step apart.
template <class Format, int Step, int U, int M, int N>
GF_INLINE void multiply_words(const uint32_t* words, int64_t group, int64_t count,
                              const uint32_t* const (&rows)[M],
                              typename Format::Sum (&sum)[U][M][N]) {
#pragma GCC unroll 2
  for (int64_t word = 0; word < count; ++word) {
#pragma GCC unroll 2
    for (int part = 0; part < Format::kParts; ++part) {
      typename Format::Operand x[M];
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) x[m] = Format::operand(rows[m], word, part);
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) {
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) {
          const auto w = Format::weights(load_words(words + u * group + word * Step + n * W), part);
#pragma GCC unroll 8
          for (int m = 0; m < M; ++m) sum[u][m][n] = Format::add(sum[u][m][n], w, x[m]);
        }
      }
    }
  }
}

// U groups by M rows, the first of them `group`; their sums lie as in a Tile.
template <class Format, int Gap, int U, int M, int N>
GF_INLINE void word_tile(const Pack& pack, int64_t group, const uint32_t* const (&rows)[M],
                         float* to) {
  const int64_t row = N * W;
  typename Format::Sum sum[U][M][N];
#pragma GCC unroll 4
  for (int u = 0; u < U; ++u) {
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) sum[u][m][n] = Format::begin(pack, (group + u) * row + n * W);
    }
  }
  constexpr int kStep = N * W + Gap;
  const int64_t size = pack.words_of_column() * kStep;
  multiply_words<Format, kStep>(pack.words + group * size, size, pack.words_of_column(), rows, sum);
#pragma GCC unroll 4
  for (int u = 0; u < U; ++u) {
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        store(to + ((u * M + m) * N + n) * W,
              Format::finish(sum[u][m][n], pack, (group + u) * row + n * W, rows[m]));
      }
    }
  }
}

template <class Format, int Gap, int N>
void word_row_product(const Pack& pack, const uint32_t* row, int64_t begin, int64_t end,
                      bool downwards, Finish finish) {
  constexpr int kMost = largest_tile_rows(N) > 4 ? 4 : largest_tile_rows(N);
  const uint32_t* const rows[1] = {row};
  for_pieces<kMost>(begin, end, downwards, [&](int64_t group, auto groups) {
    constexpr int U = decltype(groups)::value;
    float sums[U * N * W];
    word_tile<Format, Gap, U, 1, N>(pack, group, rows, sums);
    finish.call(finish.context, {group, U, 1, sums});
  });
}

template <class Format, int Gap, int N>
void spaced_product(const Pack& pack, const Rows& rows, const Scratch& scratch, int64_t begin,
                    int64_t end, bool downwards, Finish finish) {
  const int64_t stride = cpu::words_of_row(pack.k);
  for (int r = 0; r < rows.count; ++r) Format::read(rows[r], pack.k, scratch.words + r * stride);
  if (rows.count == 1) {
    word_row_product<Format, Gap, N>(pack, scratch.words, begin, end, downwards, finish);
    return;
  }
  for (int64_t i = begin; i < end; ++i) {
    const int64_t group = downwards ? end - 1 - (i - begin) : i;
    for_tiles<largest_tile_rows(N)>(rows.count, [&](int r, auto height) {
      constexpr int M = decltype(height)::value;
      const uint32_t* some[M];
      for (int m = 0; m < M; ++m) some[m] = scratch.words + (r + m) * stride;
      word_tile<Format, Gap, 1, M, N>(pack, group, some, scratch.sums + int64_t{r} * N * W);
    });
    finish.call(finish.context, {group, 1, rows.count, scratch.sums});
  }
}

// A gap known to the compiler: one that is not takes up to a fiftieth of the speed.
template <class Format, int N>
void formatted_product(const Pack& pack, const Rows& rows, const Scratch& scratch, int64_t begin,
                       int64_t end, bool downwards, Finish finish) {
  auto run = spaced_product<Format, 0, N>;
  if constexpr (cpu::may_have_gap(N, W)) {
    if (pack.gap != 0) run = spaced_product<Format, cpu::kGap, N>;
  }
  run(pack, rows, scratch, begin, end, downwards, finish);
}

#ifdef GF_TILES
#include "cpu/tile_products.hpp"
#endif

template <int N>
void word_product(const Pack& pack, const Rows& rows, const Scratch& scratch, int64_t begin,
                  int64_t end, bool downwards, Finish finish) {
  if (begin == end) return;
  const bool int8 = pack.precision == GF_INT8;
  auto run = int8 ? formatted_product<Int8ByHalves, N> : formatted_product<Bfloat16ByFloats, N>;
  if (pack.multiplier == cpu::Multiplier::kWords) {
    run = int8 ? formatted_product<Int8ByBytes, N> : formatted_product<Bfloat16ByPairs, N>;
  }
#ifdef GF_TILES
  if (pack.multiplier == cpu::Multiplier::kTiles) {
    run = int8 ? tile_product<Int8ByTiles, N> : tile_product<Bfloat16ByTiles, N>;
  }
#endif
  run(pack, rows, scratch, begin, end, downwards, finish);
}
