// SPDX-License-Identifier: Apache-2.0
//
// Sigmoid, its complement and tanh of every instruction set against double precision, over all
// floats. Where one of the functions still moves (2^-17 <= |x| < 128) every float is looked at;
// outside, where the truth is a constant or two terms of a series, every 61st.
//
// GATEFUSE_MATH_STRIDE (environment): 1 is each float there is, n > 1 is every n-th where the
// functions move and every 61 n-th elsewhere.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "cpu/model.hpp"
#include "support.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

constexpr int kBlock = 4096;
constexpr uint32_t kSign = 0x80000000u;
constexpr uint32_t kInfinity = 0x7f800000u;
constexpr uint32_t kMostUlp = 4;

struct Block {
  float value[kBlock], complement[kBlock], tanh[kBlock];
};

// What was worst, and how often a rule was broken.
struct Worst {
  uint32_t value = 0, complement = 0, tanh = 0;
  int64_t asymmetric = 0, outside = 0;

  void join(const Worst& other) {
    value = std::max(value, other.value);
    complement = std::max(complement, other.complement);
    tanh = std::max(tanh, other.tanh);
    asymmetric += other.asymmetric;
    outside += other.outside;
  }
};

// The truth for x >= 0. In the tails the next term of the series is beyond double's digits, and
// past the top e^-x is less than half of the smallest float.
void truth(const float* x, Block& out) {
  if (x[kBlock - 1] < 0x1p-17f) {
    for (int i = 0; i < kBlock; ++i) {
      const double v = x[i];
      out.value[i] = static_cast<float>(0.5 + v / 4);
      out.complement[i] = static_cast<float>(0.5 - v / 4);
      out.tanh[i] = static_cast<float>(v - v * v * v / 3);
    }
  } else if (x[0] >= 128) {
    std::fill_n(out.value, kBlock, 1.0f);
    std::fill_n(out.complement, kBlock, 0.0f);
    std::fill_n(out.tanh, kBlock, 1.0f);
  } else {
    for (int i = 0; i < kBlock; ++i) {
      const double e = std::exp(-static_cast<double>(x[i]));
      out.value[i] = static_cast<float>(1 / (1 + e));
      out.complement[i] = static_cast<float>(e / (1 + e));
      out.tanh[i] = x[i] >= 20 ? 1.0f : static_cast<float>(std::tanh(static_cast<double>(x[i])));
    }
  }
}

// Distance in units of the last place; both are not negative. A NaN or a minus sign is far away.
uint32_t worst_ulp(const float* actual, const float* expected) {
  uint32_t worst = 0;
  for (int i = 0; i < kBlock; ++i) {
    const uint32_t apart =
        std::bit_cast<uint32_t>(actual[i]) - std::bit_cast<uint32_t>(expected[i]);
    worst = std::max(worst, std::min(apart, 0u - apart));
  }
  return worst;
}

int64_t different_bits(const float* a, const float* b, uint32_t flip) {
  int64_t count = 0;
  for (int i = 0; i < kBlock; ++i) {
    count += std::bit_cast<uint32_t>(a[i]) != (std::bit_cast<uint32_t>(b[i]) ^ flip);
  }
  return count;
}

int64_t above_one(const float* a) {
  int64_t count = 0;
  for (int i = 0; i < kBlock; ++i) count += !(a[i] <= 1.0f);
  return count;
}

void compute(const cpu::Kernels& kernels, const float* x, Block& out) {
  kernels.sigmoid(x, out.value, out.complement, kBlock);
  kernels.tanh(x, out.tanh, kBlock);
}

// The patterns first, first + stride, ... and their negatives.
void walk_block(const std::vector<const cpu::Kernels*>& sets, uint32_t first, uint32_t stride,
                uint32_t last, std::vector<Worst>& worst) {
  static thread_local float x[kBlock];
  static thread_local float negative[kBlock];
  static thread_local Block expected, positive, mirrored;
  for (int i = 0; i < kBlock; ++i) {
    const uint64_t pattern = std::min<uint64_t>(first + uint64_t{stride} * i, last);
    x[i] = std::bit_cast<float>(static_cast<uint32_t>(pattern));
    negative[i] = std::bit_cast<float>(static_cast<uint32_t>(pattern) ^ kSign);
  }
  truth(x, expected);
  for (size_t s = 0; s < sets.size(); ++s) {
    Worst& one = worst[s];
    compute(*sets[s], x, positive);
    compute(*sets[s], negative, mirrored);
    one.value = std::max(one.value, worst_ulp(positive.value, expected.value));
    one.complement = std::max(one.complement, worst_ulp(positive.complement, expected.complement));
    one.tanh = std::max(one.tanh, worst_ulp(positive.tanh, expected.tanh));
    one.asymmetric += different_bits(mirrored.value, positive.complement, 0) +
                      different_bits(mirrored.complement, positive.value, 0) +
                      different_bits(mirrored.tanh, positive.tanh, kSign);
    one.outside +=
        above_one(positive.value) + above_one(positive.complement) + above_one(positive.tanh);
  }
}

struct Piece {
  uint32_t begin, end, stride;
};

// Patterns of 0 .. infinity, in pieces that begin and end where truth() changes.
std::vector<Piece> pieces(uint32_t stride) {
  const uint32_t moves = std::bit_cast<uint32_t>(0x1p-17f);
  const uint32_t stands = std::bit_cast<uint32_t>(128.0f);
  const uint32_t sparse = stride == 1 ? 1 : stride == 0 ? 61 : 61 * stride;
  const uint32_t dense = std::max(stride, 1u);
  return {{0, moves, sparse}, {moves, stands, dense}, {stands, kInfinity + 1, sparse}};
}

std::vector<Worst> walk(const std::vector<const cpu::Kernels*>& sets, uint32_t stride) {
  struct Unit {
    uint32_t first, stride, last;
  };
  std::vector<Unit> units;
  for (const Piece& piece : pieces(stride)) {
    for (uint64_t first = piece.begin; first < piece.end;
         first += uint64_t{piece.stride} * kBlock) {
      units.push_back({static_cast<uint32_t>(first), piece.stride, piece.end - 1});
    }
  }
  const unsigned threads = std::max(1u, std::min(8u, std::thread::hardware_concurrency()));
  std::vector<std::vector<Worst>> worst(threads, std::vector<Worst>(sets.size()));
  std::atomic<size_t> next{0};
  std::vector<std::thread> workers;
  for (unsigned w = 0; w < threads; ++w) {
    workers.emplace_back([&, w] {
      for (size_t i = next++; i < units.size(); i = next++) {
        walk_block(sets, units[i].first, units[i].stride, units[i].last, worst[w]);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  for (unsigned w = 1; w < threads; ++w) {
    for (size_t s = 0; s < sets.size(); ++s) worst[0][s].join(worst[w][s]);
  }
  return worst[0];
}

void check_special(const cpu::Kernels& kernels) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> x(64, nan);
  x[0] = infinity;
  x[1] = -infinity;
  x[2] = 0.0f;
  x[3] = -0.0f;
  x[4] = std::bit_cast<float>(0x7f800001u);  // signalling
  x[5] = std::bit_cast<float>(0xffffffffu);
  std::vector<float> value(64), complement(64), tanh(64);
  kernels.sigmoid(x.data(), value.data(), complement.data(), 64);
  kernels.tanh(x.data(), tanh.data(), 64);
  CHECK_EQ(value[0], 1.0f);
  CHECK_EQ(complement[0], 0.0f);
  CHECK_EQ(value[1], 0.0f);
  CHECK_EQ(complement[1], 1.0f);
  CHECK_EQ(tanh[0], 1.0f);
  CHECK_EQ(tanh[1], -1.0f);
  for (const int zero : {2, 3}) {
    CHECK_EQ(value[zero], 0.5f);
    CHECK_EQ(complement[zero], 0.5f);
    CHECK_EQ(std::bit_cast<uint32_t>(tanh[zero]), std::bit_cast<uint32_t>(x[zero]));
  }
  for (int i = 4; i < 64; ++i) {
    CHECK(std::isnan(value[i]) && std::isnan(complement[i]) && std::isnan(tanh[i]));
  }
}

uint32_t wanted_stride() {
  const char* text = std::getenv("GATEFUSE_MATH_STRIDE");
  if (text != nullptr) return static_cast<uint32_t>(std::max(1, std::atoi(text)));
  return kSanitized ? 199 : 0;
}

}  // namespace

int main() {
  if (test::instruction_sets().empty()) return kSkipped;
  std::vector<const cpu::Kernels*> sets;
  for (const int32_t set : test::instruction_sets()) sets.push_back(&cpu::find_kernels(set));
  const std::vector<Worst> worst = walk(sets, wanted_stride());
  for (size_t s = 0; s < sets.size(); ++s) {
    std::printf("%s: sigmoid %u ulp, its complement %u ulp, tanh %u ulp\n", sets[s]->name,
                worst[s].value, worst[s].complement, worst[s].tanh);
    CHECK(worst[s].value <= kMostUlp);
    CHECK(worst[s].complement <= kMostUlp);
    CHECK(worst[s].tanh <= kMostUlp);
    CHECK_EQ(worst[s].asymmetric, 0);
    CHECK_EQ(worst[s].outside, 0);
    check_special(*sets[s]);
  }
  return result();
}
