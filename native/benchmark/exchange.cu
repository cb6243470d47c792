// SPDX-License-Identifier: Apache-2.0
#include "exchange.hpp"

#include <algorithm>

#include "cuda/exchange.cuh"

namespace gatefuse::benchmark {
namespace {

using cuda::Exchange;
using cuda::ExchangeOf;
using cuda::PersistentArguments;
using Precision = cuda::Bfloat16;
using Storage = Precision::Storage;

constexpr int kWarmUp = 16;  // rounds before the clock is read
constexpr int kMostThreads = 512;

// Emulated, nothing takes cycles.
GF_DEVICE uint64_t cycles() {
#if defined(__CUDACC__)
  return static_cast<uint64_t>(clock64());
#else
  return ptx::global_nanoseconds();
#endif
}

// What thread 0 of a block read off.
struct Reading {
  uint64_t cycles;
  uint64_t nanoseconds;
};

class Clock {
 public:
  GF_DEVICE void start() {
    nanoseconds_ = ptx::global_nanoseconds();
    cycles_ = cycles();
  }
  GF_DEVICE Reading read() const {
    return {cycles() - cycles_, ptx::global_nanoseconds() - nanoseconds_};
  }

 private:
  uint64_t cycles_ = 0, nanoseconds_ = 0;
};

// Rounds of an exchange, each of which sends something of what it received.
template <Exchange kExchange>
__global__ void __launch_bounds__(kMostThreads, 1)
    exchange_kernel(const __grid_constant__ PersistentArguments a, int rounds, Reading* readings) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  if constexpr (kExchange == Exchange::kCluster) return;  // never launched there
#endif
  ptx::SharedMemory shared;
  ExchangeOf<Precision, kExchange> exchange(a, shared, 0,
                                            ExchangeOf<Precision, kExchange>::rank(a.shape));
  exchange.begin();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  float h[2] = {};
  Clock clock;
  for (int i = 0; i < rounds; ++i) {
    const Storage* tile = exchange.await(i);
    if (i == kWarmUp) clock.start();
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      h[j] = 0.5f * ptx::from_bf16(tile[(2 * (lane % 4) + j) * a.shape.tile_stride + lane / 4]);
    }
    if (i + 1 < rounds) exchange.publish(i, true, h);
  }
  const Reading reading = clock.read();
  exchange.end();
  if (threadIdx.x == 0) readings[blockIdx.x] = reading;
}

// Two blocks answer each other through a counter in global memory.
__global__ void ping_pong_kernel(unsigned* counters, int rounds, Reading* readings) {
  unsigned* mine = counters + 64 * blockIdx.x;
  const unsigned* other = counters + 64 * (1 - blockIdx.x);
  Clock clock;
  for (int i = 0; i < rounds; ++i) {
    if (i == kWarmUp) clock.start();
    if (blockIdx.x == 0) ptx::red_add_release(mine, 1);
    while (ptx::ld_acquire(other) < static_cast<unsigned>(i + 1)) {
    }
    if (blockIdx.x == 1) ptx::red_add_release(mine, 1);
  }
  readings[blockIdx.x] = clock.read();
}

// A launch with a cluster or a cooperative one; the attribute lives as long as the configuration.
struct Launch {
  cudaLaunchConfig_t config = {};
  cudaLaunchAttribute attribute = {};

  Launch(Exchange exchange, int blocks, int threads, size_t shared) {
    config.gridDim = dim3(static_cast<unsigned>(blocks));
    config.blockDim = dim3(static_cast<unsigned>(threads));
    config.dynamicSmemBytes = shared;
    config.attrs = &attribute;
    config.numAttrs = exchange == Exchange::kBlock ? 0 : 1;
    if (exchange == Exchange::kCluster) {
      attribute.id = cudaLaunchAttributeClusterDimension;
      attribute.val.clusterDim.x = static_cast<unsigned>(blocks);
      attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    } else {
      attribute.id = cudaLaunchAttributeCooperative;
      attribute.val.cooperative = 1;
    }
  }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;
};

// The median over the blocks, per step.
double median(const Memory& readings, int blocks, int steps, double* gigahertz) {
  std::vector<Reading> all(static_cast<size_t>(blocks));
  check(cudaMemcpy(all.data(), readings.as<void>(), all.size() * sizeof(Reading),
                   cudaMemcpyDeviceToHost),
        "readings");
  std::sort(all.begin(), all.end(),
            [](const Reading& a, const Reading& b) { return a.cycles < b.cycles; });
  const Reading& middle = all[all.size() / 2];
  if (gigahertz != nullptr && middle.nanoseconds > 0) {
    *gigahertz = static_cast<double>(middle.cycles) / static_cast<double>(middle.nanoseconds);
  }
  return static_cast<double>(middle.cycles) / steps;
}

cuda::PersistentShape shape_of(Exchange exchange, int blocks, int groups) {
  cuda::PersistentShape shape;
  const int units = blocks * groups * cuda::kGroupUnits;
  shape.blocks = blocks;
  shape.groups = shape.warps = groups;
  shape.tile_stride = cuda::Operands<Precision>::tile_stride(units);
  size_t bytes = 2 * ptx::shared_bytes(sizeof(Storage) * cuda::kSliceRows * shape.tile_stride);
  if (exchange == Exchange::kCluster) {
    bytes += ptx::shared_bytes(2 * sizeof(uint64_t));
    bytes += ptx::shared_bytes(sizeof(Storage) * cuda::kSliceRows * cuda::kGroupUnits * groups);
  }
  shape.shared_bytes = static_cast<int32_t>(bytes);
  return shape;
}

class Bench {
 public:
  explicit Bench(int rounds) : rounds_(rounds + kWarmUp + 1) {
    cudaDeviceProp properties = {};
    check(cudaGetDeviceProperties(&properties, 0), "device properties");
    clusters_ = properties.major >= 9;
    multiprocessors_ = properties.multiProcessorCount;
    most_shared_ = static_cast<int>(properties.sharedMemPerBlockOptin);
    allow(exchange_kernel<Exchange::kBlock>);
    allow(exchange_kernel<Exchange::kCluster>);
    allow(exchange_kernel<Exchange::kGrid>);
    if (clusters_) {
      const cudaError_t error =
          cudaFuncSetAttribute(function(exchange_kernel<Exchange::kCluster>),
                               cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
      if (error != cudaSuccess) cudaGetLastError();
    }
  }

  Exchanges run() {
    ping_pong();
    for (const int groups : {4, 16}) add<Exchange::kBlock>("block: shared memory", 1, groups);
    if (clusters_) {
      for (const int groups : {4, 8}) {
        for (const int blocks : {2, 4, 8, 16}) {
          add<Exchange::kCluster>("cluster: st.async, " + std::to_string(groups) + " groups",
                                  blocks, groups);
          if (groups == 8 && result_.costs.back().error.empty())
            fitted_.push_back(result_.costs.back());
        }
      }
      for (const int size : {2, 4, 8, 16}) result_.clusters.push_back(resident(size));
      fit();
    }
    for (const int part : {4, 2, 1}) {
      add<Exchange::kGrid>("grid: red.release, ld.acquire, cp.async", multiprocessors_ / part, 1);
    }
    return result_;
  }

 private:
  template <class... P>
  static const void* function(void (*kernel)(P...)) {
    return reinterpret_cast<const void*>(kernel);
  }
  template <class... P>
  void allow(void (*kernel)(P...)) const {
    check(cudaFuncSetAttribute(function(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                               most_shared_),
          "shared memory");
  }

  void ping_pong() {
    ExchangeCost cost = {"flag through L2, one way", 2, 0, 0, ""};
    attempt(&cost, [&] {
      const Memory counters(2 * 64 * sizeof(unsigned));
      const Memory readings(2 * sizeof(Reading));
      const Launch launch(Exchange::kGrid, 2, 1, 0);
      check(cudaLaunchKernelEx(&launch.config, ping_pong_kernel, counters.as<unsigned>(), rounds_,
                               readings.as<Reading>()),
            "exchange");
      check(cudaStreamSynchronize(nullptr), "exchange");
      cost.cycles = median(readings, 2, rounds_ - kWarmUp, &result_.gigahertz) / 2;
    });
  }

  template <Exchange kExchange>
  void add(const std::string& what, int blocks, int groups) {
    ExchangeCost cost = {what, blocks, blocks * groups * cuda::kGroupUnits, 0, ""};
    attempt(&cost, [&] {
      PersistentArguments a = {};
      a.shape = shape_of(kExchange, blocks, groups);
      a.hidden = cost.units;
      a.rows = cuda::kSliceRows;
      a.patience = 1'000'000'000;
      const Memory h(int64_t{a.rows} * a.hidden * 4);
      const Memory exchange(int64_t{2} * cuda::kSliceRows * a.shape.tile_stride * 4);
      const Memory arrived(sizeof(unsigned));
      const Memory timed_out(sizeof(unsigned long long));
      const Memory readings(static_cast<int64_t>(sizeof(Reading)) * blocks);
      check(cudaMemsetAsync(timed_out.as<void>(), 0xff, sizeof(unsigned long long)), "exchange");
      a.h = h.as<float>();
      a.exchange = exchange.as<void>();
      a.arrived = arrived.as<unsigned>();
      a.timed_out = timed_out.as<unsigned long long>();
      const Launch launch(kExchange, blocks, a.shape.threads(),
                          static_cast<size_t>(a.shape.shared_bytes));
      check(cudaLaunchKernelEx(&launch.config, exchange_kernel<kExchange>, a, rounds_,
                               readings.as<Reading>()),
            "exchange");
      check(cudaStreamSynchronize(nullptr), "exchange");
      unsigned long long waited = 0;
      check(cudaMemcpy(&waited, timed_out.as<void>(), sizeof waited, cudaMemcpyDeviceToHost),
            "exchange");
      if (waited != ~0ull) throw Failure("blocks waited for one another in vain");
      cost.cycles = median(readings, blocks, rounds_ - 1 - kWarmUp, nullptr);
    });
  }

  template <class F>
  void attempt(ExchangeCost* cost, F f) {
    try {
      f();
    } catch (const Failure& e) {
      cost->error = e.what();
    }
    result_.costs.push_back(*cost);
  }

  ResidentClusters resident(int size) const {
    ResidentClusters clusters;
    clusters.size = size;
    const auto count = [&](size_t shared) {
      int most = 0;
      const Launch launch(Exchange::kCluster, size, 256, shared);
      if (cudaOccupancyMaxActiveClusters(&most, function(exchange_kernel<Exchange::kCluster>),
                                         &launch.config) == cudaSuccess) {
        return most;
      }
      cudaGetLastError();  // clusters of this size do not exist here
      return 0;
    };
    clusters.small = count(8 << 10);
    clusters.full = count(static_cast<size_t>(most_shared_));
    return clusters;
  }

  // Least squares.
  void fit() {
    const double n = static_cast<double>(fitted_.size());
    if (n < 2) return;
    double x = 0, y = 0, xx = 0, xy = 0;
    for (const ExchangeCost& cost : fitted_) {
      x += cost.blocks;
      y += cost.cycles;
      xx += double{1} * cost.blocks * cost.blocks;
      xy += cost.blocks * cost.cycles;
    }
    result_.cluster_per_block = (n * xy - x * y) / (n * xx - x * x);
    result_.cluster_base = (y - result_.cluster_per_block * x) / n;
  }

  int rounds_;
  bool clusters_ = false;
  int multiprocessors_ = 0;
  int most_shared_ = 0;
  std::vector<ExchangeCost> fitted_;
  Exchanges result_;
};

}  // namespace

Exchanges measure_exchanges(int rounds) { return Bench(rounds).run(); }

}  // namespace gatefuse::benchmark
