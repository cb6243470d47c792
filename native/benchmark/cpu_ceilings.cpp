// SPDX-License-Identifier: Apache-2.0
//
// cpu_ceilings THREADS L2 L3: what this many threads of the processor reach, for the roofline of
// scripts/bench-cpu, from the sizes of its caches in bytes: a guest may be told its host's by the
// processor itself. A line for each ceiling: its name, the bytes that a thread reads again and
// again, and operations or bytes per second of all threads together, the best of some tries.
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int TRIES = 5;
constexpr double SECONDS = 0.06;

// Enough to hide the latency of two multipliers, and few enough for 16 registers.
constexpr int CHAINS = 12;

// Each gives operations done, from arguments that the compiler does not know.
__attribute__((target("avx512f"))) double fma_avx512(int rounds, float* values) {
  __m512 sums[CHAINS];
  for (auto& sum : sums) sum = _mm512_set1_ps(values[0]);
  const __m512 factor = _mm512_set1_ps(values[1]);
  for (int i = 0; i < rounds; i++) {
    for (auto& sum : sums) sum = _mm512_fmadd_ps(sum, factor, factor);
  }
  for (auto& sum : sums) values[2] += _mm512_cvtss_f32(sum);
  return 2.0 * 16 * CHAINS * rounds;
}

__attribute__((target("avx2,fma"))) double fma_avx2(int rounds, float* values) {
  __m256 sums[CHAINS];
  for (auto& sum : sums) sum = _mm256_set1_ps(values[0]);
  const __m256 factor = _mm256_set1_ps(values[1]);
  for (int i = 0; i < rounds; i++) {
    for (auto& sum : sums) sum = _mm256_fmadd_ps(sum, factor, factor);
  }
  for (auto& sum : sums) values[2] += _mm256_cvtss_f32(sum);
  return 2.0 * 8 * CHAINS * rounds;
}

double multiply_add_sse(int rounds, float* values) {
  __m128 sums[CHAINS];
  for (auto& sum : sums) sum = _mm_set1_ps(values[0]);
  const __m128 factor = _mm_set1_ps(values[1]);
  for (int i = 0; i < rounds; i++) {
    for (auto& sum : sums) sum = _mm_add_ps(_mm_mul_ps(sum, factor), factor);
  }
  for (auto& sum : sums) values[2] += _mm_cvtss_f32(sum);
  return 2.0 * 4 * CHAINS * rounds;
}

__attribute__((target("avx512f"))) void read_avx512(const float* values, size_t count, float* sum) {
  __m512 sums[8];
  for (auto& s : sums) s = _mm512_setzero_ps();
  for (size_t i = 0; i < count; i += 8 * 16) {
    for (int k = 0; k < 8; k++)
      sums[k] = _mm512_add_ps(sums[k], _mm512_load_ps(values + i + 16 * k));
  }
  for (auto& s : sums) *sum += _mm512_cvtss_f32(s);
}

__attribute__((target("avx2"))) void read_avx2(const float* values, size_t count, float* sum) {
  __m256 sums[8];
  for (auto& s : sums) s = _mm256_setzero_ps();
  for (size_t i = 0; i < count; i += 8 * 8) {
    for (int k = 0; k < 8; k++)
      sums[k] = _mm256_add_ps(sums[k], _mm256_load_ps(values + i + 8 * k));
  }
  for (auto& s : sums) *sum += _mm256_cvtss_f32(s);
}

void read_sse(const float* values, size_t count, float* sum) {
  __m128 sums[8];
  for (auto& s : sums) s = _mm_setzero_ps();
  for (size_t i = 0; i < count; i += 8 * 4) {
    for (int k = 0; k < 8; k++) sums[k] = _mm_add_ps(sums[k], _mm_load_ps(values + i + 4 * k));
  }
  for (auto& s : sums) *sum += _mm_cvtss_f32(s);
}

// Keeps the results of loops that nobody else looks at.
std::atomic<float> sink;

double multiply(int rounds) {
  float values[3] = {0.5f, 0.25f, 0};
  double operations;
  if (__builtin_cpu_supports("avx512f")) {
    operations = fma_avx512(rounds, values);
  } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    operations = fma_avx2(rounds, values);
  } else {
    operations = multiply_add_sse(rounds, values);
  }
  sink = values[2];
  return operations;
}

double read(const float* values, size_t count) {
  float sum = 0;
  if (__builtin_cpu_supports("avx512f")) {
    read_avx512(values, count, &sum);
  } else if (__builtin_cpu_supports("avx2")) {
    read_avx2(values, count, &sum);
  } else {
    read_sse(values, count, &sum);
  }
  sink = sum;
  return static_cast<double>(count) * sizeof(float);
}

// Work per second of a piece that is done again and again.
template <typename Piece>
double rate(Piece piece) {
  double work = 0;
  const auto begun = Clock::now();
  double seconds;
  do {
    work += piece();
    seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  } while (seconds < SECONDS);
  return work / seconds;
}

// The sum over threads that begin together, each with a piece of its own.
template <typename MakePiece>
double together(int threads, MakePiece make_piece) {
  std::vector<double> best(TRIES, 0);
  std::atomic<int> arrived{0};
  std::vector<std::vector<double>> rates(threads, std::vector<double>(TRIES));
  std::vector<std::thread> team;
  for (int member = 0; member < threads; member++) {
    team.emplace_back([&, member] {
      auto piece = make_piece();
      piece();
      for (int i = 0; i < TRIES; i++) {
        arrived++;
        while (arrived < threads * (i + 1)) std::this_thread::yield();
        rates[member][i] = rate(piece);
      }
    });
  }
  for (auto& member : team) member.join();
  for (int i = 0; i < TRIES; i++) {
    for (const auto& member : rates) best[i] += member[i];
  }
  return *std::max_element(best.begin(), best.end());
}

// The buffer lives as long as the piece.
auto reader(size_t bytes) {
  struct Free {
    void operator()(float* values) const { std::free(values); }
  };
  const size_t count = bytes / sizeof(float);
  std::shared_ptr<float> values(static_cast<float*>(std::aligned_alloc(4096, bytes)), Free());
  std::fill(values.get(), values.get() + count, 1.0f);
  return [values, count] { return read(values.get(), count); };
}

void print(const char* name, size_t bytes, double value) {
  std::printf("%s\t%zu\t%.6g\n", name, bytes, value);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc == 4 ? std::atoi(argv[1]) : 0;
  const size_t l2 = argc == 4 ? std::strtoull(argv[2], nullptr, 10) : 0;
  const size_t l3 = argc == 4 ? std::strtoull(argv[3], nullptr, 10) : 0;
  if (threads < 1 || l2 == 0 || l3 == 0) {
    std::fprintf(stderr, "usage: cpu_ceilings THREADS L2 L3, sizes in bytes\n");
    return 2;
  }
  print("FMA", 0, together(threads, [] { return [] { return multiply(100000); }; }));
  // Half of the L2; in the L3, well beyond the L2s and within a thread's share; far beyond the L3.
  const struct {
    const char* name;
    size_t bytes;
  } levels[] = {{"L2", l2 / 2}, {"L3", std::max(2 * l2, l3 / (4 * threads))}, {"DRAM", 4 * l3}};
  for (const auto& level : levels) {
    const size_t bytes = (level.bytes + 4095) / 4096 * 4096;
    print(level.name, bytes, together(threads, [bytes] { return reader(bytes); }));
  }
  return 0;
}
