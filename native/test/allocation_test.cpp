// SPDX-License-Identifier: Apache-2.0
//
// gf_forward allocates nothing and frees nothing, in the caller's thread and in the team's. The C
// library's allocator is replaced by one that counts; operator new is built on it. Sanitizers have
// allocators of their own: under them, and without glibc, the test is skipped.
#include <cerrno>
#include <cstdlib>
#include <atomic>
#include <memory>

#include "cpu/team.hpp"
#include "support.hpp"

#if !defined(__GLIBC__) || GATEFUSE_SANITIZED

int main() { return gatefuse::test::kSkipped; }

#else

namespace {
std::atomic<long> allocations{0};
std::atomic<long> frees{0};
}  // namespace

#define GF_VISIBLE __attribute__((visibility("default")))

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

GF_VISIBLE void* malloc(size_t size) noexcept {
  ++allocations;
  return __libc_malloc(size);
}
GF_VISIBLE void* calloc(size_t count, size_t size) noexcept {
  ++allocations;
  return __libc_calloc(count, size);
}
GF_VISIBLE void* realloc(void* block, size_t size) noexcept {
  ++allocations;
  return __libc_realloc(block, size);
}
GF_VISIBLE void* memalign(size_t alignment, size_t size) noexcept {
  ++allocations;
  return __libc_memalign(alignment, size);
}
GF_VISIBLE void* aligned_alloc(size_t alignment, size_t size) noexcept {
  ++allocations;
  return __libc_memalign(alignment, size);
}
GF_VISIBLE int posix_memalign(void** block, size_t alignment, size_t size) noexcept {
  ++allocations;
  *block = __libc_memalign(alignment, size);
  return *block == nullptr ? ENOMEM : 0;
}
GF_VISIBLE void free(void* block) noexcept {
  frees += block != nullptr;
  __libc_free(block);
}
}

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

// The counters count: what follows proves something.
void check_counters() {
  const auto counted = [](auto allocate) {
    const long before = allocations;
    void* volatile block = allocate();
    return block != nullptr && allocations == before + 1;
  };
  static std::unique_ptr<int> one;
  static std::unique_ptr<std::vector<char> > many;
  CHECK(counted([] { return one = std::make_unique<int>(1), one.get(); }));
  CHECK(counted([] { return many = std::make_unique<std::vector<char> >(), many.get(); }));
  CHECK(counted([] { return many->resize(1000), many->data(); }));
  const long before = frees;
  one.reset();
  CHECK_EQ(frees.load(), before + 1);
  // As the session allocates: through the arena.
  const Network network(make_spec(GF_LSTM, 3, 8), 1);
  const long before_session = allocations;
  const Runner runner(network, 4, 4);
  CHECK(allocations > before_session + 5);
}

void check_calls(const Network& network, int threads) {
  constexpr int kSteps = 18, kBatch = 13;
  const Runner runner(network, kSteps, 200, threads);  // 200: several segments
  for (const bool ragged : {false, true}) {
    Call call = random_call(network.spec, kSteps, kBatch, ragged, true, 3);
    call.layout = ragged ? GF_BATCH_MAJOR : GF_TIME_MAJOR;
    Result result = make_result(network.spec, kSteps, kBatch);
    const gf_io io = make_io(call, result);
    const long allocated = allocations, freed = frees;
    gf_status status = GF_OK;  // the very first call of the session is among them
    for (int i = 0; i < 2 && status == GF_OK; ++i) status = gf_forward(runner.session, &io);
    const long more = allocations - allocated, less = frees - freed;
    CHECK_EQ(status, GF_OK);
    CHECK_EQ(more, 0);
    CHECK_EQ(less, 0);
  }
}

}  // namespace

int main() {
  cpu::team::set_limit_for_tests(2);
  check_counters();
  for (const int32_t set : test::instruction_sets()) {
    for (int cell = 0; cell < kCells; ++cell) {
      for (const int directions : {1, 2}) {
        for (const bool language : {false, true}) {
          gf_spec spec = make_spec(cell, 8, 64, 2, directions);
          if (has_scans(cell)) spec.chunk = 4;
          spec.vocabulary = language ? 11 : 0;
          spec.outputs = language ? 19 : 0;
          const Network network(spec, 5, set);
          for (const int threads : {1, 2}) check_calls(network, threads);
        }
      }
    }
  }
  return result();
}

#endif
