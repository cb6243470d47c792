// SPDX-License-Identifier: Apache-2.0
//
// ptx_units [--dump FILE] [--compare FILE]: runs the unit kernels and checks each against a scalar
// expectation. Built for a GPU and for the emulation; what the one dumps the other compares: bit
// for bit, but for products of fractions, since tensor cores round sums their own way.
#include "unit_kernels.cuh"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "check.hpp"
#include "device.hpp"

namespace gatefuse::units {
namespace {

using test::DeviceArray;
using test::run;
using test::Shape;

struct Result {
  std::string name;
  bool exact;
  std::vector<uint32_t> words;
};

// What came of each unit, for the comparison.
std::vector<Result> results;

template <class T>
void keep(const char* name, const std::vector<T>& values, bool exact = true) {
  Result result = {name, exact, {}};
  for (const T value : values) {
    uint32_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    result.words.push_back(word);
  }
  results.push_back(result);
}

template <class T>
void check_all(const char* name, const std::vector<T>& got, const std::vector<T>& expected) {
  size_t wrong = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (got[i] == expected[i]) continue;
    if (wrong++ < 3) {
      std::cerr << name << "[" << i << "]: expected " << expected[i] << ", got " << got[i] << "\n";
    }
  }
  if (wrong > 0) std::cerr << name << ": " << wrong << " of " << expected.size() << " wrong\n";
  CHECK(wrong == 0 && got.size() == expected.size());
  keep(name, got);
}

uint32_t random_bits() {
  static uint64_t state = 12345;
  state = state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<uint32_t>(state >> 32);
}

float fraction() { return static_cast<float>(random_bits() >> 8) * 0x1p-23f - 1.0f; }
float small_integer() { return static_cast<float>(static_cast<int>(random_bits() % 17) - 8); }

float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// The nearest number with so many significant bits and no place below 2^least, the slow way.
double rounded(double value, int bits, int least, bool ties_to_even) {
  if (!std::isfinite(value) || value == 0) return value;
  int exponent;
  std::frexp(value, &exponent);
  const double unit = std::ldexp(1.0, std::max(exponent - bits, least));
  const double places = value / unit;
  return unit * (ties_to_even ? std::nearbyint(places) : std::round(places));
}

void check_formats() {
  std::vector<float> in;
  for (const uint32_t bits :
       {0x00000000u, 0x80000000u, 0x7f800000u, 0xff800000u, 0x7fc00000u, 0x7f800001u,
        0x3f808000u, 0x3f818000u, 0x3f801000u, 0x3f803000u, 0x7f7fffffu, 0x00000001u,
        0x00008000u, 0x477fe000u, 0x477fefffu, 0x477ff000u, 0x33000000u, 0x33000001u,
        0x33c00000u, 0x38800000u, 0x387fffffu, 0x387ff000u, 0xb8801000u}) {
    in.push_back(float_of(bits));
  }
  for (int i = 0; i < 3000; ++i) in.push_back(float_of(random_bits()));
  for (int i = 0; i < 3000; ++i)
    in.push_back(std::ldexp(fraction(), static_cast<int>(i % 50) - 30));
  const int n = static_cast<int>(in.size());
  DeviceArray<float> given(in);
  DeviceArray<uint32_t> out(5 * in.size());
  run({(static_cast<unsigned>(n) + 127) / 128, 128}, convert, given.get(), out.get(), n);
  std::vector<uint32_t> got = out.values();

  size_t wrong = 0;
  for (int i = 0; i < n; ++i) {
    const double value = in[i];
    double bf16 = rounded(value, 8, -133, true), tf32 = rounded(value, 11, -136, false);
    double f16 = rounded(value, 11, -24, true);
    if (std::abs(f16) > 65504) f16 = std::copysign(INFINITY, f16);
    const float as_tf32 = float_of(got[2 * n + i]), as_bf16 = float_of(got[3 * n + i]);
    const float as_f16 = float_of(got[4 * n + i]);
    const bool same_bf16 = bits_of(as_bf16) == got[i] << 16;
    if (std::isnan(value)) {
      if (!std::isnan(as_bf16) || !std::isnan(as_f16) || !std::isnan(as_tf32)) ++wrong;
      for (int format = 0; format < 5; ++format)
        got[format * n + i] = 0x7fffffff;  // any NaN will do
      continue;
    }
    const auto same = [](float a, double b) {
      return bits_of(a) == bits_of(static_cast<float>(b));
    };
    if (same(as_bf16, bf16) && same(as_f16, f16) && same(as_tf32, tf32) && same_bf16) continue;
    if (wrong++ < 5)
      std::fprintf(stderr, "%a: bf16 %a, f16 %a, tf32 %a\n", value, as_bf16, as_f16, as_tf32);
  }
  CHECK_EQ(wrong, size_t{0});
  keep("formats", got);
}

// d + a b by the same products in double.
std::vector<double> multiplied(const std::vector<float>& a, const std::vector<float>& b,
                               const std::vector<float>& d, int depth) {
  std::vector<double> result(16 * 8);
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      double sum = d[row * 8 + column];
      for (int k = 0; k < depth; ++k) {
        sum += double{a[row * depth + k]} * double{b[k * 8 + column]};
      }
      result[row * 8 + column] = sum;
    }
  }
  return result;
}

struct Operands {
  std::vector<float> a, b, d;
};

// Exact sums, or fractions that the format holds.
Operands operands(int depth, bool integers, float (*format)(float)) {
  Operands made = {std::vector<float>(16 * depth), std::vector<float>(depth * 8),
                   std::vector<float>(16 * 8)};
  for (auto* values : {&made.a, &made.b}) {
    for (float& value : *values) value = integers ? small_integer() : format(fraction());
  }
  for (float& value : made.d) value = integers ? small_integer() : fraction();
  return made;
}

void check_product(const std::string& name, const Operands& given, int depth, bool integers,
                   const std::vector<float>& got) {
  const std::vector<double> expected = multiplied(given.a, given.b, given.d, depth);
  const double tolerance = integers ? 0 : 16 * 0x1p-23;
  for (size_t i = 0; i < got.size(); ++i) CHECK_CLOSE(got[i], expected[i], tolerance);
  keep((name + (integers ? "" : "_fractions")).c_str(), got, integers);
}

using Encode = uint16_t (*)(float);

void check_halves(const char* name, Encode encode, float (*format)(float), int depth,
                  void (*kernel)(const uint16_t*, const uint16_t*, float*)) {
  for (const bool integers : {true, false}) {
    const Operands given = operands(depth, integers, format);
    std::vector<uint16_t> a, b;
    for (const float value : given.a) a.push_back(encode(value));
    for (const float value : given.b) b.push_back(encode(value));
    DeviceArray<uint16_t> device_a(a), device_b(b);
    DeviceArray<float> d(given.d);
    run({}, kernel, device_a.get(), device_b.get(), d.get());
    check_product(name, given, depth, integers, d.values());
  }
}

float as_bf16(float value) { return ptx::from_bf16(ptx::to_bf16(value)); }
float as_f16(float value) { return ptx::from_f16(ptx::to_f16(value)); }
float as_tf32(float value) { return float_of(ptx::to_tf32(value)); }
uint16_t encode_bf16(float value) { return ptx::to_bf16(value); }
uint16_t encode_f16(float value) { return ptx::to_f16(value); }

void check_bf16() { check_halves("mma_bf16", encode_bf16, as_bf16, 16, product_k16<true>); }
void check_f16() { check_halves("mma_f16", encode_f16, as_f16, 16, product_k16<false>); }
void check_f16_k8() { check_halves("mma_f16_k8", encode_f16, as_f16, 8, product_f16_k8); }

void check_tf32() {
  for (const bool integers : {true, false}) {
    const Operands given = operands(8, integers, as_tf32);
    DeviceArray<float> a(given.a), b(given.b), d(given.d);
    run({}, product_tf32, a.get(), b.get(), d.get());
    check_product("mma_tf32", given, 8, integers, d.values());
  }
}

void check_tiles() {
  std::vector<uint16_t> in(256);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint16_t>(i);
  DeviceArray<uint16_t> given(in);
  DeviceArray<uint32_t> out(2 * 4 * 32);
  run({1, 32, ptx::shared_bytes(16 * kPitch * sizeof(uint16_t))}, load_tiles, given.get(),
      out.get());
  std::vector<uint32_t> expected;
  for (const bool transposed : {false, true}) {
    for (int tile = 0; tile < 4; ++tile) {
      for (int lane = 0; lane < 32; ++lane) {
        uint32_t word = 0;
        for (int half = 0; half < 2; ++half) {
          int row = lane / 4, column = 2 * (lane % 4) + half;
          if (transposed) std::swap(row, column);
          word |= static_cast<uint32_t>((row + 8 * (tile % 2)) * 16 + column + 8 * (tile / 2))
                  << 16 * half;
        }
        expected.push_back(word);
      }
    }
  }
  check_all("ldmatrix", out.values(), expected);
}

void check_movmatrix() {
  std::vector<uint32_t> in(32), expected(32);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    const uint32_t row = lane / 4, column = 2 * (lane % 4);
    in[lane] = (8 * row + column) | (8 * row + column + 1) << 16;
    expected[lane] = (8 * column + row) | (8 * (column + 1) + row) << 16;
  }
  DeviceArray<uint32_t> given(in), out(32);
  run({}, transpose_tile, given.get(), out.get());
  check_all("movmatrix", out.values(), expected);
}

void check_copies() {
  constexpr int kGroups = 5, kThreads = 64, kGroup = 4 * kThreads;
  std::vector<float> in(kGroups * kGroup), expected(in.size());
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i);
  for (int i = 0; i < kGroups * kGroup; ++i) {
    expected[i] = static_cast<float>(i / kGroup * kGroup + kGroup - 1 - i % kGroup);
  }
  DeviceArray<float> given(in), out(in.size());
  run({1, kThreads, 2 * ptx::shared_bytes(kGroup * sizeof(float))}, copy_async, given.get(),
      out.get(), kGroups);
  check_all("cp_async", out.values(), expected);
}

void check_shared_arrays() {
  DeviceArray<uint32_t> out(4);
  run({1, 32, ptx::shared_bytes(6) + ptx::shared_bytes(33 * 4)}, shared_arrays, out.get());
  check_all("shared_arrays", out.values(), {1, 102, 31, 7 * 31 + 5});
}

void check_shuffles() {
  std::vector<uint32_t> expected(8 * 32);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    expected[lane] = 105;
    expected[32 + lane] = 100 + lane / 8 * 8 + 3;
    expected[64 + lane] = 100 + (lane < 2 ? lane : lane - 2);
    expected[96 + lane] = 100 + (lane % 16 + 3 > 15 ? lane : lane + 3);
    expected[128 + lane] = 100 + (lane ^ 9);
    expected[160 + lane] = 0x49249249;
    expected[192 + lane] = 1;
    expected[224 + lane] = 100 + (lane ^ 1);
  }
  DeviceArray<uint32_t> out(8 * 32);
  run({}, shuffles, out.get());
  check_all("shuffles", out.values(), expected);
}

void check_block_votes() {
  constexpr int kThreads = 96;
  std::vector<int> expected(3 * kThreads, 1);
  for (int i = 0; i < kThreads; ++i) {
    expected[i] = 20;
    expected[2 * kThreads + i] = 0;
  }
  DeviceArray<int> out(3 * kThreads);
  run({1, kThreads}, block_votes, out.get());
  check_all("block_votes", out.values(), expected);
}

void check_between_blocks() {
  constexpr unsigned kBlocks = 7;
  std::vector<unsigned> marks(kBlocks + 1, 0);
  marks[0] = 1;
  std::vector<float> values(kBlocks + 1, 0), expected;
  for (unsigned i = 0; i <= kBlocks; ++i) expected.push_back(static_cast<float>(i));
  DeviceArray<unsigned> device_marks(marks);
  DeviceArray<float> device_values(values);
  Shape shape = {kBlocks, 32};
  shape.cooperative = true;
  run(shape, pass_on, device_marks.get(), device_values.get());
  check_all("release_acquire", device_values.values(), expected);
}

void check_clock() {
  DeviceArray<uint32_t> words(std::vector<uint32_t>{1, 20, 300, 4000}), out(2);
  run({1, 1}, clock_and_load, words.get(), out.get());
  check_all("clock_and_load", out.values(), {1, 4321});
}

void check_cluster() {
  constexpr unsigned kCluster = 4, kBlocks = 8;
  std::vector<uint32_t> expected;
  for (uint32_t block = 0; block < kBlocks; ++block) {
    const uint32_t first = block / kCluster * kCluster, rank = block % kCluster;
    expected.push_back(rank);
    expected.push_back(kCluster);
    expected.push_back(10 * (first + (rank + 1) % kCluster));
    expected.push_back(1000 + first + (rank + kCluster - 1) % kCluster);
  }
  DeviceArray<uint32_t> out(4 * kBlocks);
  run({kBlocks, 64, ptx::shared_bytes(8), kCluster}, cluster_neighbours, out.get());
  check_all("cluster", out.values(), expected);
}

void check_st_async() {
  constexpr unsigned kCluster = 4, kBlocks = 8;
  constexpr int kRounds = 4;
  std::vector<uint32_t> expected;
  for (int round = 0; round < kRounds; ++round) {
    for (uint32_t block = 0; block < kBlocks; ++block) {
      for (uint32_t i = 0; i < 7; ++i) {
        expected.push_back(100 * ((block + kCluster - 1) % kCluster) +
                           static_cast<uint32_t>(round) + i);
      }
    }
  }
  DeviceArray<uint32_t> out(expected.size());
  run({kBlocks, 64, ptx::shared_bytes(32) + ptx::shared_bytes(8), kCluster}, send_around, out.get(),
      kRounds);
  check_all("st_async", out.values(), expected);
}

void check_mbarrier() {
  constexpr unsigned kThreads = 96;
  constexpr int kRounds = 5;
  std::vector<uint32_t> expected;
  for (uint32_t thread = 0; thread < kThreads; ++thread) {
    expected.push_back((thread + 1) % kThreads * (kRounds * (kRounds + 1) / 2));
  }
  DeviceArray<uint32_t> out(kThreads);
  run({1, kThreads, 2 * ptx::shared_bytes(4 * kThreads) + ptx::shared_bytes(8)}, arrive_locally,
      out.get(), kRounds);
  check_all("mbarrier", out.values(), expected);
}

struct Unit {
  const char* name;
  int capability;  // from which it can run
  void (*check)();
};
constexpr Unit kUnits[] = {
    {"formats", 75, check_formats},
    {"mma_bf16", 80, check_bf16},
    {"mma_f16", 75, check_f16},
    {"mma_f16_k8", 75, check_f16_k8},
    {"mma_tf32", 80, check_tf32},
    {"ldmatrix", 75, check_tiles},
    {"movmatrix", 75, check_movmatrix},
    {"cp_async", 75, check_copies},
    {"shared_arrays", 75, check_shared_arrays},
    {"shuffles", 75, check_shuffles},
    {"block_votes", 75, check_block_votes},
    {"release_acquire", 75, check_between_blocks},
    {"clock_and_load", 75, check_clock},
    {"cluster", 90, check_cluster},
    {"st_async", 90, check_st_async},
    {"mbarrier", 90, check_mbarrier},
};

int device_capability() {
  cudaDeviceProp properties;
  if (!test::good(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties")) return 0;
  return 10 * properties.major + properties.minor;
}

bool dump(const char* path) {
  std::ofstream file(path);
  for (const Result& result : results) {
    file << result.name << (result.exact ? " exact" : " close") << std::hex;
    for (const uint32_t word : result.words) file << ' ' << word;
    file << std::dec << '\n';
  }
  return static_cast<bool>(file);
}

const Result* find(const std::string& name) {
  for (const Result& result : results) {
    if (result.name == name) return &result;
  }
  return nullptr;
}

// Sums of at most 17 terms below 1 that were rounded in different ways.
bool close(uint32_t a, uint32_t b) { return std::abs(float_of(a) - float_of(b)) <= 32 * 0x1p-23f; }

void compare_line(const std::string& line) {
  std::istringstream words(line);
  std::string name, kind;
  words >> name >> kind >> std::hex;
  const Result* result = find(name);
  if (result == nullptr) return;  // this device lacks the instruction
  size_t place = 0, different = 0;
  for (uint32_t word; words >> word; ++place) {
    if (place >= result->words.size()) break;
    const uint32_t mine = result->words[place];
    if (mine != word && (result->exact || !close(mine, word))) ++different;
  }
  if (different > 0) std::cerr << name << ": " << different << " words differ\n";
  CHECK_EQ(different, size_t{0});
  CHECK_EQ(place, result->words.size());
}

bool compare(const char* path) {
  std::ifstream file(path);
  size_t lines = 0;
  for (std::string line; std::getline(file, line); ++lines) compare_line(line);
  return lines > 0;
}

}  // namespace

// Runs all units that the device can run; false where one failed.
bool run_unit_kernels() {
  const int capability = device_capability();
  for (const Unit& unit : kUnits) {
    if (capability < unit.capability) {
      std::printf("%s: needs sm_%d, skipped\n", unit.name, unit.capability);
      continue;
    }
    const int failures = test::failures;
    unit.check();
    CHECK_EQ(test::take_device_error(), "");
    std::printf("%s: %s\n", unit.name, test::failures == failures ? "good" : "FAILED");
  }
  return test::failures == 0;
}

}  // namespace gatefuse::units

int main(int count, char** arguments) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: no CUDA device\n");
    return 77;
  }
  gatefuse::units::run_unit_kernels();
  for (int i = 1; i + 1 < count; i += 2) {
    const bool dumping = std::strcmp(arguments[i], "--dump") == 0;
    const char* path = arguments[i + 1];
    CHECK(dumping ? gatefuse::units::dump(path) : gatefuse::units::compare(path));
  }
  return gatefuse::test::result();
}
