// SPDX-License-Identifier: Apache-2.0
//
// Memory of the device for callers without a runtime of their own: gf_device_allocate,
// gf_device_copy.
#include "cuda_support.hpp"
#include "errors.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

float* allocate(int64_t count) {
  void* memory = nullptr;
  CHECK_EQ(gf_device_allocate(GF_BACKEND_CUDA, 0, 4 * count, &memory), GF_OK);
  CHECK_EQ(reinterpret_cast<uintptr_t>(memory) % 256, 0u);
  return static_cast<float*>(memory);
}

gf_copy make_copy(float* to, const float* from, int64_t values) {
  return {sizeof(gf_copy), 0, to, from, values, 1, 1, 0, 0, 0, 0, nullptr, GF_ON_RETURN, 0};
}

void copy(float* to, const float* from, int64_t values) {
  const gf_copy all = make_copy(to, from, values);
  CHECK_EQ(gf_device_copy(GF_BACKEND_CUDA, &all), GF_OK);
}

// Pieces that lie apart, also backwards and one over and over, from and to every kind of memory.
void check_pieces(Place place) {
  constexpr int64_t kCount = 60;
  std::vector<float> values(kCount);
  for (int64_t i = 0; i < kCount; ++i) values[i] = static_cast<float>(i);
  const Buffer<float> there(place, values);
  float* device = allocate(kCount);
  std::vector<float> all(kCount, -1);
  copy(all.data(), device, kCount);
  CHECK(all == std::vector<float>(kCount, 0));

  gf_copy pieces = make_copy(device + 20, there.get(), 3);
  pieces.inner = 4;
  pieces.outer = 2;
  pieces.to_inner = -5;
  pieces.to_outer = 25;
  pieces.from_inner = 0;
  pieces.from_outer = 30;
  std::vector<float> expected(kCount, 0);
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 4; ++j) {
      for (int64_t v = 0; v < 3; ++v) expected[20 + 25 * i - 5 * j + v] = values[30 * i + v];
    }
  }
  const CallersStream stream;
  pieces.stream = stream.get();
  if (place != Place::kPageable) pieces.completion = GF_ON_STREAM;
  CHECK_EQ(gf_device_copy(GF_BACKEND_CUDA, &pieces), GF_OK);
  stream.wait();
  copy(all.data(), device, kCount);
  CHECK(all == expected);

  // And back.
  copy(there.get(), device, kCount);
  CHECK(there.values() == expected);
  gf_device_free(GF_BACKEND_CUDA, device);
}

void check_errors() {
  void* memory = nullptr;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_device_allocate(GF_BACKEND_CUDA, 0, 0, &memory),
               "bytes: expected at least 1, got 0");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_device_allocate(GF_BACKEND_CUDA, 0, 4, nullptr), "out",
               "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_device_allocate(GF_BACKEND_CUDA, 99, 4, &memory),
               "device: expected 0 .. ", "got 99");
  EXPECT_ERROR(GF_OUT_OF_MEMORY, gf_device_allocate(GF_BACKEND_CUDA, 0, int64_t{1} << 50, &memory),
               "could not be had");
  float* device = allocate(4);
  float host[4] = {};
  const auto refused = [&](auto gf_copy::*field, auto value, const char* part, int line) {
    gf_copy bad = make_copy(device, host, 4);
    bad.*field = value;
    expect_error(gf_device_copy(GF_BACKEND_CUDA, &bad), GF_INVALID_ARGUMENT, "gf_device_copy",
                 __FILE__, line, {part});
  };
  refused(&gf_copy::to, nullptr, "to: expected a pointer, got null", __LINE__);
  refused(&gf_copy::from, nullptr, "from: expected a pointer, got null", __LINE__);
  refused(&gf_copy::values, 0, "values: expected at least 1, got 0", __LINE__);
  refused(&gf_copy::inner, -1, "inner: expected at least 1, got -1", __LINE__);
  refused(&gf_copy::outer, 0, "outer: expected at least 1, got 0", __LINE__);
  refused(&gf_copy::outer, int64_t{1} << 40, "outer x inner x values: expected at most ", __LINE__);
  refused(&gf_copy::reserved, 5, "reserved: expected 0 .. 0, got 5", __LINE__);
  refused(&gf_copy::device, -1, "device: expected 0 .. ", __LINE__);
  refused(&gf_copy::completion, 2, "completion: expected 0 .. 1, got 2", __LINE__);
  refused(&gf_copy::completion, GF_ON_STREAM,
          "memory: expected page-locked host memory for a copy that completes on its stream, got "
          "pageable memory",
          __LINE__);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_device_copy(GF_BACKEND_CUDA, nullptr), "copy", "null");
  gf_device_free(GF_BACKEND_CUDA, device);
  gf_device_free(GF_BACKEND_CUDA, nullptr);
}

}  // namespace

int main() {
  if (!load_backend()) return 1;
  for (const Place place : kPlaces) check_pieces(place);
  check_errors();
  if (is_emulated()) CHECK(emulation::live().none());
  return result();
}
