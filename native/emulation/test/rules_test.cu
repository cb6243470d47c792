// SPDX-License-Identifier: Apache-2.0
//
// What a kernel must not do is found, in every mode of the scheduler, and said in a sentence that
// names the place; and the process goes on.
#include "cuda/ptx.cuh"

#include <cmath>
#include <string>
#include <vector>

#include "check.hpp"
#include "device.hpp"
#include "emulation.hpp"

namespace gatefuse {
namespace {

using ptx::SharedMemory;
using test::DeviceArray;
using test::Shape;

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr size_t kShared = 4096;
constexpr int kLater = 20;  // so many polls take a thread past what others do

struct Rule {
  const char* sentence;  // a part of it
  Shape shape;
  void (*kernel)(unsigned* memory);  // 1024 words of 0
  const char* device = "sm_90";
};

void meet_cluster() {
  ptx::cluster_arrive();
  ptx::cluster_wait();
}

// A mapped, initialised and announced barrier, as st.async wants it.
struct Mailbox {
  uint32_t* data;
  uint64_t* barrier;
};
Mailbox open_mailbox(SharedMemory& memory, bool fence = true, bool meet = true) {
  const Mailbox box = {memory.take<uint32_t>(8), memory.take<uint64_t>(1)};
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(box.barrier, 1);
    if (fence) ptx::fence_mbarrier_init();
  }
  if (meet) meet_cluster();
  return box;
}
void send(const Mailbox& box, unsigned to) {
  ptx::st_async_b32(ptx::remote_address(box.data, to), 7, ptx::remote_address(box.barrier, to));
}

const Rule kWarpRules[] = {
    {"diverged warp: shuffle",
     {},
     [](unsigned* memory) {
       const unsigned lane = threadIdx.x;
       if (lane < 16) {
         memory[lane] = __shfl_sync(kAllLanes, lane, 0);
       } else {
         memory[lane] = __shfl_xor_sync(kAllLanes, lane, 1);
       }
     }},
    {"diverged warp: __syncwarp",
     {},
     [](unsigned*) { __syncwarp(threadIdx.x < 16 ? kAllLanes : 0xffff0000u); }},
    {"the lane is not in its mask",
     {},
     [](unsigned* memory) { memory[threadIdx.x] = __ballot_sync(0x0000ffffu, 1); }},
    {"names lanes that have exited",
     {},
     [](unsigned* memory) {
       if (threadIdx.x < 4) return;
       __syncwarp(0xfffffff0u);
       memory[threadIdx.x] = __shfl_sync(kAllLanes, 1u, 31);
     }},
    {"names lanes that have exited or do not exist",
     {1, 16},
     [](unsigned*) { __syncwarp(kAllLanes); }},
    {"exits while others wait for it",
     {},
     [](unsigned* memory) {
       if (threadIdx.x == 31) {
         for (int i = 0; i < kLater; ++i) ptx::ld_acquire(memory);
         return;
       }
       __syncwarp(kAllLanes);
     }},
    {"width 12", {}, [](unsigned* memory) { memory[0] = __shfl_sync(kAllLanes, 1u, 0, 12); }},
    {"ldmatrix: misaligned row",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       const char* bytes = memory.take<char>(1024);
       uint32_t r[4];
       ptx::ldmatrix_x4(r, bytes + 16 * threadIdx.x + 8);
     }},
    {"ldmatrix: not in a shared array",
     {1, 32, kShared},
     [](unsigned* memory) {
       uint32_t r[4];
       ptx::ldmatrix_x4(r, memory);
     }},
    {"ldmatrix: not in a shared array",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       const char* bytes = memory.take<char>(512 - 16);
       uint32_t r[4];
       ptx::ldmatrix_x4_trans(r, bytes + 16 * threadIdx.x);
     }},
};

const Rule kBlockRules[] = {
    {"reached from two places",
     {1, 64},
     [](unsigned*) {
       if (threadIdx.x < 32) {
         __syncthreads();
       } else {
         __syncthreads();
       }
     }},
    {"__syncthreads",  // one or the other sentence, by who comes first
     {1, 64},
     [](unsigned*) {
       if (threadIdx.x == 63) return;
       __syncthreads();
     }},
    {"__trap",
     {1, 64},
     [](unsigned*) {
       if (threadIdx.x == 40) __trap();
     }},
    {"before its cp.async is done",
     {1, 32, kShared},
     [](unsigned* global) {
       SharedMemory memory;
       unsigned* shared = memory.take<unsigned>(256);
       for (int i = 0; i < 2; ++i)
         ptx::cp_async16(shared + 4 * threadIdx.x, global + 4 * threadIdx.x);
       ptx::cp_async_commit();
       ptx::cp_async_wait<1>();
     }},
    {"cp.async: misaligned shared",
     {1, 32, kShared},
     [](unsigned* global) {
       SharedMemory memory;
       ptx::cp_async16(memory.take<unsigned>(256) + 1, global);
     }},
    {"cp.async: misaligned global",
     {1, 32, kShared},
     [](unsigned* global) {
       SharedMemory memory;
       ptx::cp_async16(memory.take<unsigned>(256), global + 2);
     }},
    {"the source is not in device memory",
     {1, 32, kShared},
     [](unsigned* global) {
       SharedMemory memory;
       ptx::cp_async16(memory.take<unsigned>(256), global + 1024);
     }},
    {"cp.async: not in a shared array",
     {1, 32, kShared},
     [](unsigned* global) {
       SharedMemory memory;
       ptx::cp_async16(memory.take<unsigned>(256) + 256, global);
     }},
    {"arrays of 4160 bytes, the launch has 4096",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       memory.take<char>(kShared - 64);
       memory.take<char>(64);
     }},
    {"threads take arrays of",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       memory.take<char>(threadIdx.x == 5 ? 64 : 128);
     }},
    {"static arrays and",
     {1, 32, kShared},
     [](unsigned*) {
       GF_SHARED(char, large, [50000]);
       large[0] = 0;
     }},
};

const Rule kGridRules[] = {
    {"livelock",
     {2, 32},
     [](unsigned* memory) {
       if (threadIdx.x == 0) {
         while (ptx::ld_acquire(memory) == 0) ptx::nanosleep(10);
       }
     }},
    {"acquire: not in device memory",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       ptx::ld_acquire(memory.take<unsigned>(1));
     }},
    {"release: misaligned address",
     {},
     [](unsigned* memory) {
       ptx::st_release(reinterpret_cast<unsigned*>(reinterpret_cast<char*>(memory) + 2), 1);
     }},
};

const Rule kClusterRules[] = {
    {"arrive twice",
     {2, 32, 0, 2},
     [](unsigned*) {
       ptx::cluster_arrive();
       ptx::cluster_arrive();
     }},
    {"without an arrival", {2, 32, 0, 2}, [](unsigned*) { ptx::cluster_wait(); }},
    {"between barrier.cluster.arrive and .wait",
     {2, 32, 0, 2},
     [](unsigned*) { ptx::cluster_arrive(); }},
    {"rank 2 in a cluster of 2 blocks",
     {2, 32, kShared, 2},
     [](unsigned*) {
       SharedMemory memory;
       int* array = memory.take<int>(1);
       meet_cluster();
       ptx::cluster_map(array, 2);
     }},
    {"mapa before the first cluster barrier",
     {2, 32, kShared, 2},
     [](unsigned*) {
       SharedMemory memory;
       ptx::cluster_map(memory.take<int>(1), ptx::cluster_rank() ^ 1);
       meet_cluster();
     }},
    {"mapa: not in a shared array",
     {2, 32, kShared, 2},
     [](unsigned* global) {
       meet_cluster();
       ptx::cluster_map(global, 1);
     }},
    {"mapa: block 1 of the cluster has exited",
     {2, 32, kShared, 2},
     [](unsigned* global) {
       SharedMemory memory;
       int* array = memory.take<int>(1);
       meet_cluster();
       if (ptx::cluster_rank() == 1) return;
       for (int i = 0; i < kLater; ++i) ptx::ld_acquire(global);
       ptx::cluster_map(array, 1);
     }},
    {"barrier.cluster does not exist on sm_80",
     {},
     [](unsigned*) { ptx::cluster_arrive(); },
     "sm_80"},
    {"mma of bfloat16 does not exist on sm_75",
     {},
     [](unsigned*) {
       float d[4] = {};
       const uint32_t a[4] = {}, b[2] = {};
       ptx::mma_bf16(d, a, b);
     },
     "sm_75"},
    {"mbarrier does not exist on sm_86",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       ptx::mbarrier_init(memory.take<uint64_t>(1), 1);
     },
     "sm_86"},
};

const Rule kMailRules[] = {
    {"mbarrier: misaligned",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       ptx::mbarrier_init(reinterpret_cast<uint64_t*>(memory.take<unsigned>(4) + 1), 1);
     }},
    {"mbarrier.init: not in a shared array",
     {1, 32, kShared},
     [](unsigned* global) { ptx::mbarrier_init(reinterpret_cast<uint64_t*>(global), 1); }},
    {"mbarrier.init with a count of 0",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       ptx::mbarrier_init(memory.take<uint64_t>(1), 0);
     }},
    {"more arrivals than the phase expects",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       uint64_t* barrier = memory.take<uint64_t>(1);
       if (threadIdx.x == 0) ptx::mbarrier_init(barrier, 1);
       __syncthreads();
       ptx::mbarrier_arrive_expect_tx(barrier, 64);
     }},
    {"not initialised, or was overwritten",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       ptx::mbarrier_arrive(memory.take<uint64_t>(1));
     }},
    {"parity 2",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       uint64_t* barrier = memory.take<uint64_t>(1);
       if (threadIdx.x == 0) ptx::mbarrier_init(barrier, 1);
       __syncthreads();
       ptx::mbarrier_try_wait(barrier, 2);
     }},
    {"no thread can run (deadlock)",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       uint64_t* barrier = memory.take<uint64_t>(1);
       if (threadIdx.x == 0) ptx::mbarrier_init(barrier, 2);
       __syncthreads();
       if (threadIdx.x == 0) ptx::mbarrier_arrive(barrier);
       while (!ptx::mbarrier_try_wait(barrier, 0)) {
       }
     }},
    {"still expects 16 bytes",
     {1, 32, kShared},
     [](unsigned*) {
       SharedMemory memory;
       uint64_t* barrier = memory.take<uint64_t>(1);
       if (threadIdx.x > 0) return;
       ptx::mbarrier_init(barrier, 1);
       ptx::mbarrier_arrive_expect_tx(barrier, 16);
     }},
    {"st.async before the first cluster barrier",
     {2, 1, kShared, 2},
     [](unsigned*) {
       SharedMemory memory;
       send(open_mailbox(memory, true, false), 0);
     }},
    {"no fence.mbarrier_init has followed",
     {2, 1, kShared, 2},
     [](unsigned*) {
       SharedMemory memory;
       send(open_mailbox(memory, false), 0);
     }},
    {"no cluster barrier since the mbarrier's initialisation",
     {2, 1, kShared, 2},
     [](unsigned*) {
       SharedMemory memory;
       meet_cluster();
       send(open_mailbox(memory, true, false), ptx::cluster_rank());
     }},
    {"the data and the mbarrier are in different blocks",
     {2, 1, kShared, 2},
     [](unsigned*) {
       SharedMemory memory;
       const Mailbox box = open_mailbox(memory);
       ptx::st_async_b32(ptx::remote_address(box.data, 0), 7, ptx::remote_address(box.barrier, 1));
     }},
    {"st.async: misaligned destination",
     {2, 1, kShared, 2},
     [](unsigned*) {
       SharedMemory memory;
       const Mailbox box = open_mailbox(memory);
       ptx::st_async_b64(ptx::remote_address(box.data + 1, 0), 7,
                         ptx::remote_address(box.barrier, 0));
     }},
    {"st.async: not in a shared array of the cluster",
     {2, 1, kShared, 2},
     [](unsigned*) {
       SharedMemory memory;
       const Mailbox box = open_mailbox(memory);
       const uint32_t four[4] = {};
       ptx::RemoteAddress past = ptx::remote_address(box.data + 7, 0);
       past.value += 4;
       ptx::st_async_v4(past, four, ptx::remote_address(box.barrier, 0));
     }},
    {"exited",  // as it is sent or as it lands
     {2, 1, kShared, 2},
     [](unsigned* global) {
       SharedMemory memory;
       const Mailbox box = open_mailbox(memory);
       if (ptx::cluster_rank() == 1) return;
       for (int i = 0; i < kLater; ++i) ptx::ld_acquire(global);
       send(box, 1);
     }},
};

// Runs a kernel that breaks a rule, and then one that does not.
void check_rule(const Rule& rule) {
  emulation::set_device(rule.device);
  DeviceArray<unsigned> memory(std::vector<unsigned>(1024, 0));
  test::launch(rule.shape, rule.kernel, memory.get());
  CHECK_EQ(cudaStreamSynchronize(nullptr), cudaErrorLaunchFailure);
  const std::string sentence = emulation::failure();
  const bool found = sentence.find(rule.sentence) != std::string::npos;
  if (!found) {
    std::fprintf(stderr, "expected: %s\ngot: %s\n", rule.sentence, sentence.c_str());
  }
  CHECK(found);
  const bool placed = sentence.find("rules_test.cu:") != std::string::npos;
  if (!placed) std::fprintf(stderr, "no place: %s\n", sentence.c_str());
  CHECK(placed);
  // As on a GPU nothing goes any more, until the emulation is told to forget.
  void* more = nullptr;
  CHECK_EQ(cudaMalloc(&more, 4), cudaErrorLaunchFailure);
  CHECK_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  CHECK(std::string(cudaGetErrorString(cudaErrorLaunchFailure)).find(sentence) !=
        std::string::npos);
  emulation::reset();
  const auto harmless = +[](unsigned* words) {
    __syncthreads();
    words[blockIdx.x * blockDim.x + threadIdx.x] = __shfl_xor_sync(kAllLanes, threadIdx.x, 1);
  };
  CHECK(test::run({2, 64}, harmless, memory.get()));
  CHECK_EQ(memory.values()[5], 4u);
}

template <size_t N>
void check_rules(const Rule (&rules)[N]) {
  for (const Rule& rule : rules) check_rule(rule);
}

// Memory that nobody has written is NaN, in every format.
void check_unwritten() {
  DeviceArray<float> out(64);
  const auto kernel = +[](float* words) {
    SharedMemory memory;
    const float* dynamic = memory.take<float>(32);
    GF_SHARED(uint16_t, fixed, [32]);
    if (threadIdx.x < 16) words[threadIdx.x] = dynamic[threadIdx.x];
    if (threadIdx.x >= 16) words[threadIdx.x] = ptx::from_bf16(fixed[threadIdx.x]);
  };
  CHECK(test::run({1, 32, kShared}, kernel, out.get()));
  for (const float value : out.values()) CHECK(std::isnan(value));
}

#if !defined(__SANITIZE_ADDRESS__)
// AddressSanitizer ends the process where these are seen; without it they are seen at the end.
void check_bounds() {
  const Rule shared = {"a shared array of 128 bytes was written outside its bounds",
                       {1, 32, kShared},
                       [](unsigned*) {
                         SharedMemory memory;
                         unsigned* array = memory.take<unsigned>(32);
                         array[threadIdx.x + 1] = 1;
                         __syncwarp(kAllLanes);
                       }};
  check_rule(shared);
  DeviceArray<unsigned> memory(std::vector<unsigned>(100, 0));
  const auto kernel = +[](unsigned* words) { words[100] = 1; };
  CHECK(!test::run({1, 1}, kernel, memory.get()));
  CHECK(emulation::failure().find("an allocation of 400 bytes was written outside its bounds") !=
        std::string::npos);
  test::take_device_error();
  emulation::reset();
}
#endif

// A failure says how to have it again, and then it is the same.
void check_replay() {
  const auto kernel = +[](unsigned* words) {
    if (threadIdx.x == 0) ptx::red_add_release(words, 1);
    if (ptx::ld_acquire(words) >= 5) __trap();
  };
  std::string first;
  for (int run = 0; run < 2; ++run) {
    emulation::set_seed(77);
    DeviceArray<unsigned> memory(std::vector<unsigned>(4, 0));
    CHECK(!test::run({16, 64}, kernel, memory.get()));
    test::take_device_error();
    const std::string sentence = emulation::failure();
    CHECK(sentence.find("seed 77, launch 1]") != std::string::npos);
    if (run == 0) first = sentence;
    CHECK_EQ(sentence, first);
    emulation::reset();
  }
}

}  // namespace
}  // namespace gatefuse

int main() {
  using namespace gatefuse;
  for (int mode = 0; mode < emulation::kModes; ++mode) {
    emulation::set_mode(static_cast<emulation::Mode>(mode));
    emulation::set_seed(static_cast<uint64_t>(mode) + 1);
    check_rules(kWarpRules);
    check_rules(kBlockRules);
    check_rules(kGridRules);
    check_rules(kClusterRules);
    check_rules(kMailRules);
    check_unwritten();
#if !defined(__SANITIZE_ADDRESS__)
    check_bounds();
#endif
    check_replay();
  }
  CHECK(emulation::live().none());
  return test::result();
}
