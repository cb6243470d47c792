// SPDX-License-Identifier: Apache-2.0
//
// exercises_test [NAME...]: the exercises, or those named, give the right answers in every mode of
// the scheduler. Where the environment says mode or seed, only with those.
#include "exercises.cuh"

#include <cstdlib>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "device.hpp"
#include "emulation.hpp"

namespace gatefuse::exercises {
namespace {

using test::DeviceArray;
using test::run;
using test::Shape;

constexpr uint64_t kTimeout = 1'000'000'000;

void exchange_in_grid() {
  constexpr int kBlocks = 6, kSteps = 5, n = kBlocks * kThreads;
  std::vector<float> values(2 * n);
  for (int i = 0; i < n; ++i) values[i] = static_cast<float>(i % 17);
  DeviceArray<float> device(values);
  DeviceArray<unsigned> counter(std::vector<unsigned>{0});
  DeviceArray<int> status(std::vector<int>{0});
  Shape shape = {kBlocks, kThreads};
  shape.cooperative = true;
  run(shape, grid_exchange, device.get(), counter.get(), status.get(), kSteps);
  for (int step = 0; step < kSteps; ++step) {
    const float* from = &values[(step & 1) * n];
    float* to = &values[((step + 1) & 1) * n];
    for (int i = 0; i < n; ++i) to[i] = from[(i + kThreads) % n] + from[(i + 2 * kThreads) % n];
  }
  CHECK(device.values() == values);
  CHECK_EQ(status.values()[0], 0);
}

// A grid that is one block short: the others must give up.
void give_up() {
  DeviceArray<float> values(std::vector<float>(2 * 2 * kThreads, 0.0f));
  DeviceArray<unsigned> counter(std::vector<unsigned>{0xfffffff0u});
  DeviceArray<int> status(std::vector<int>{0});
  Shape shape = {2, kThreads};
  shape.cooperative = true;
  run(shape, wait_in_vain, counter.get(), status.get(), kTimeout);
  CHECK_EQ(status.values()[0], 1);
}

void hand_on_rows() {
  constexpr unsigned kBlocks = 9;
  constexpr int n = 100;
  std::vector<unsigned> marks(kBlocks + 1, 0), row(n, 1), expected(n, 1);
  marks[0] = 1;
  for (unsigned block = 0; block < kBlocks; ++block) {
    for (unsigned& value : expected) value = 3 * value + block;
  }
  DeviceArray<unsigned> device_marks(marks), device_row(row);
  Shape shape = {kBlocks, kThreads};
  shape.cooperative = true;
  run(shape, hand_on, device_marks.get(), device_row.get(), n);
  CHECK(device_row.values() == expected);
}

void centre() {
  constexpr int kTiles = 5, kTile = 4 * kThreads;
  std::vector<float> in(kTiles * kTile), expected(in.size());
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i * i % 31);
  for (int tile = 0; tile < kTiles; ++tile) {
    float sum = 0.0f;
    for (int i = 0; i < kTile; ++i) sum += in[tile * kTile + i];
    for (int i = 0; i < kTile; ++i) {
      expected[tile * kTile + i] = in[tile * kTile + i] - sum / kTile;
    }
  }
  DeviceArray<float> given(in), out(in.size());
  run({1, kThreads, 2 * ptx::shared_bytes(kTile * sizeof(float))}, centre_tiles, given.get(),
      out.get(), kTiles);
  CHECK(out.values() == expected);
}

void sum() {
  constexpr int kRows = 4, n = 150;
  std::vector<float> in(kRows * n), expected;
  float total = 0.0f;
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i % 13);
  for (int row = 0; row < kRows; ++row) {
    for (int i = 0; i < n; ++i) total += in[row * n + i];
    expected.push_back(total);
  }
  DeviceArray<float> given(in), sums(kRows);
  run({1, 128}, sum_rows, given.get(), sums.get(), kRows, n);
  CHECK(sums.values() == expected);
}

void multiply_matrices() {
  std::vector<uint16_t> a(16 * kDepth), b(8 * kDepth);
  for (size_t i = 0; i < a.size(); ++i) a[i] = ptx::to_bf16(static_cast<float>(i * 7 % 15) - 7.0f);
  for (size_t i = 0; i < b.size(); ++i) b[i] = ptx::to_bf16(static_cast<float>(i * 5 % 11) - 5.0f);
  std::vector<float> expected(16 * 8, 0.0f);
  for (int i = 0; i < 16 * 8 * kDepth; ++i) {
    const int row = i / (8 * kDepth), column = i / kDepth % 8, k = i % kDepth;
    expected[row * 8 + column] +=
        ptx::from_bf16(a[row * kDepth + k]) * ptx::from_bf16(b[column * kDepth + k]);
  }
  DeviceArray<uint16_t> device_a(a), device_b(b);
  DeviceArray<float> d(16 * 8);
  const size_t shared = ptx::shared_bytes(16 * kPitch * sizeof(uint16_t)) +
                        ptx::shared_bytes(2 * 16 * 8 * sizeof(float));
  run({1, kThreads, shared}, multiply, device_a.get(), device_b.get(), d.get());
  CHECK(d.values() == expected);
}

void turn() {
  constexpr unsigned kWarps = kThreads / 32;
  std::vector<uint32_t> in(kWarps * 256), expected(in.size());
  for (uint32_t i = 0; i < in.size(); ++i) {
    in[i] = i;
    const uint32_t warp = i / 256, row = i / 32 % 8, column = i % 32;
    expected[warp * 256 + column * 8 + row] = i;
  }
  DeviceArray<uint32_t> given(in), out(in.size());
  run({1, kThreads}, turn_tiles, given.get(), out.get());
  CHECK(out.values() == expected);
}

void add_around() {
  constexpr unsigned kCluster = 4, kBlocks = 8, n = kCluster * kThreads;
  constexpr int kSteps = 5;
  std::vector<uint32_t> values(kBlocks * kThreads);
  for (uint32_t i = 0; i < values.size(); ++i) values[i] = i * i + 1;
  DeviceArray<uint32_t> device(values);
  run({kBlocks, kThreads, 2 * ptx::shared_bytes(4 * kThreads), kCluster}, add_ring, device.get(),
      kSteps);
  for (int step = 0; step < kSteps; ++step) {
    const std::vector<uint32_t> last = values;
    for (uint32_t i = 0; i < values.size(); ++i) {
      values[i] = last[i] + last[i / n * n + (i % n + n - 1) % n];
    }
  }
  CHECK(device.values() == values);
}

void mix(unsigned cluster, unsigned clusters) {
  const unsigned n = cluster * kThreads;
  constexpr int kSteps = 6;
  std::vector<uint32_t> values(clusters * n);
  for (uint32_t i = 0; i < values.size(); ++i) values[i] = 11 * i + 3;
  DeviceArray<uint32_t> device(values);
  run({clusters * cluster, kThreads, 2 * ptx::shared_bytes(4 * n) + ptx::shared_bytes(16), cluster},
      mix_all, device.get(), kSteps);
  for (int step = 0; step < kSteps; ++step) {
    const std::vector<uint32_t> last = values;
    for (uint32_t i = 0; i < values.size(); ++i) {
      const uint32_t first = i / n * n, place = i % n;
      values[i] = 3 * last[first + (5 * place + 1) % n] + last[first + (place + n / 2) % n] + 1;
    }
  }
  CHECK(device.values() == values);
}

void mix_in_clusters() {
  mix(2, 2);
  mix(4, 2);
  mix(8, 1);
}

struct Exercise {
  const char* name;
  void (*check)();
};
// First one block and then several: what later launches need more of must not look like a race.
constexpr Exercise kExercises[] = {
    {"sum_rows", sum},
    {"grid_exchange", exchange_in_grid},
    {"wait_in_vain", give_up},
    {"hand_on", hand_on_rows},
    {"centre_tiles", centre},
    {"multiply", multiply_matrices},
    {"turn_tiles", turn},
    {"add_ring", add_around},
    {"mix_all", mix_in_clusters},
};

bool named(const char* name, int count, char** names) {
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(name, names[i]) == 0) return true;
  }
  return count == 1;
}

void run_exercises(int count, char** names) {
  for (const Exercise& exercise : kExercises) {
    if (!named(exercise.name, count, names)) continue;
    const int failures = test::failures;
    exercise.check();
    CHECK_EQ(test::take_device_error(), "");
    if (test::failures > failures) std::fprintf(stderr, "%s FAILED\n", exercise.name);
    emulation::reset();
  }
}

}  // namespace
}  // namespace gatefuse::exercises

int main(int count, char** names) {
  using namespace gatefuse;
  if (std::getenv("GATEFUSE_EMULATION_MODE") || std::getenv("GATEFUSE_EMULATION_SEED")) {
    exercises::run_exercises(count, names);
    return test::result();
  }
  for (int mode = 0; mode < emulation::kModes; ++mode) {
    emulation::set_mode(static_cast<emulation::Mode>(mode));
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      emulation::set_seed(seed);
      exercises::run_exercises(count, names);
    }
  }
  CHECK(emulation::live().none());
  return test::result();
}
