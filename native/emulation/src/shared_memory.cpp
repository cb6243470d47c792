// SPDX-License-Identifier: Apache-2.0
#include "shared_memory.hpp"

#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <vector>

#include "cuda/ptx.cuh"
#include "profile.hpp"
#include "scheduler.hpp"

namespace gatefuse::emulation {
namespace {

constexpr size_t kArena = 512 << 10;
constexpr size_t kRedZone = 128;
constexpr unsigned kMostArrays = 64;  // as many bits as Block::arrays has
constexpr int kNan = 0xff;            // every byte: NaN in all formats
constexpr unsigned char kZone = 0xa5;

struct Array {
  bool dynamic;
  size_t key;  // the offset of a dynamic one, the address of a static one's name
  size_t bytes;
  size_t place;                                                                // in the arena
  size_t zone() const { return ptx::shared_bytes(bytes) - bytes + kRedZone; }  // behind it
};

struct Layout {
  size_t dynamic_bytes = 0, static_bytes = 0;
  size_t end = kRedZone;
  unsigned count = 0;
  Array arrays[kMostArrays];
};
Layout layout;

struct Arena {
  char* memory = nullptr;
  Order order;  // of one block after another that has it
};
std::vector<std::unique_ptr<Arena>> free_arenas;

const Array* find(bool dynamic, size_t key) {
  for (unsigned i = 0; i < layout.count; ++i) {
    if (layout.arrays[i].key == key && layout.arrays[i].dynamic == dynamic) {
      return &layout.arrays[i];
    }
  }
  return nullptr;
}

const Array& add(bool dynamic, size_t key, size_t bytes, const Where& where) {
  if (dynamic && key + bytes > layout.dynamic_bytes) {
    fail(where, "dynamic shared memory: arrays of %zu bytes, the launch has %zu", key + bytes,
         layout.dynamic_bytes);
  }
  if (!dynamic) layout.static_bytes += bytes;
  if (layout.static_bytes > kStaticShared ||
      layout.static_bytes + layout.dynamic_bytes > profile().shared_per_block) {
    fail(where, "shared memory: %zu bytes of static arrays and %zu dynamic ones are too much",
         layout.static_bytes, layout.dynamic_bytes);
  }
  if (layout.count == kMostArrays || layout.end + bytes + 2 * kRedZone > kArena) {
    fail(where, "shared memory: more arrays than the emulation holds (%u)", layout.count);
  }
  Array& array = layout.arrays[layout.count++];
  array = {dynamic, key, bytes, layout.end};
  layout.end += bytes + array.zone();
  return array;
}

// The block's own copy of the array, made at the first use.
void* in_block(Block& block, const Array& array) {
  char* memory = block.arena + array.place;
  const uint64_t bit = uint64_t{1} << (&array - layout.arrays);
  if ((block.arrays & bit) == 0) {
    Unwatched unwatched;
    block.arrays |= bit;
    allow(memory, array.bytes);
    std::memset(memory, kNan, array.bytes);
#if !GF_EMULATION_ASAN
    std::memset(memory - kRedZone, kZone, kRedZone);
    std::memset(memory + array.bytes, kZone, array.zone());
#endif
  }
  return memory;
}

void* take(bool dynamic, size_t key, size_t bytes, const Where& where) {
  const Array* array = find(dynamic, key);
  if (array == nullptr) array = &add(dynamic, key, bytes, where);
  if (array->bytes != bytes) {
    fail(where, "shared memory: threads take arrays of %zu and %zu bytes at the same place",
         array->bytes, bytes);
  }
  return in_block(*scheduler.current().block, *array);
}

// The array that holds these bytes of an arena.
const Array* at(size_t place, size_t bytes) {
  for (unsigned i = 0; i < layout.count; ++i) {
    const Array& array = layout.arrays[i];
    if (place >= array.place && place + bytes <= array.place + array.bytes) return &array;
  }
  return nullptr;
}

size_t place_in(const Block& block, const void* address) {
  return static_cast<size_t>(static_cast<const char*>(address) - block.arena);
}

// Where an address of this block is in another block of the cluster.
Block& peer(const void* shared, unsigned rank, const char* what, const Array** array,
            const Where& where) {
  require(90, what, where);
  Block& mine = *scheduler.current().block;
  Cluster& cluster = *mine.cluster;
  if (rank >= cluster.size) {
    fail(where, "%s: rank %u in a cluster of %u blocks", what, rank, cluster.size);
  }
  *array = at(place_in(mine, shared), 1);
  if (*array == nullptr) fail(where, "%s: not in a shared array of this block", what);
  return *cluster.blocks[rank];
}

constexpr uint32_t kRemoteBit = 1u << 31;
constexpr unsigned kRankShift = 20;

#if !GF_EMULATION_ASAN
bool is_zone(const char* memory, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    if (static_cast<unsigned char>(memory[i]) != kZone) return false;
  }
  return true;
}

void check_zones(const Block& block) {
  for (unsigned i = 0; i < layout.count; ++i) {
    const Array& array = layout.arrays[i];
    if ((block.arrays >> i & 1) == 0) continue;
    const char* memory = block.arena + array.place;
    if (!is_zone(memory + array.bytes, array.zone()) || !is_zone(memory - kRedZone, kRedZone)) {
      fail(scheduler.current().where,
           "a shared array of %zu bytes was written outside its bounds (seen as the block ended)",
           array.bytes);
    }
  }
}
#endif

}  // namespace

void begin_shared_memory(size_t dynamic_bytes) {
  layout.dynamic_bytes = dynamic_bytes;
  layout.static_bytes = 0;
  layout.end = kRedZone;
  layout.count = 0;
}

bool give_arena(Block& block) {
  if (free_arenas.empty()) {
    auto arena = std::make_unique<Arena>();
    void* memory = mmap(nullptr, kArena, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    arena->memory = static_cast<char*>(memory);
    forbid(arena->memory, kArena);
    free_arenas.push_back(std::move(arena));
  }
  Arena* arena = free_arenas.back().release();
  free_arenas.pop_back();
  block.arena = arena->memory;
  block.arena_owner = arena;
  block.arena_order = &arena->order;
  block.arrays = 0;
  return true;
}

void take_arena(Block& block) {
  if (block.arena == nullptr) return;
  forbid(block.arena, kArena);
  free_arenas.emplace_back(static_cast<Arena*>(block.arena_owner));
  block.arena = nullptr;
}

void end_shared_memory(Block& block) {
#if !GF_EMULATION_ASAN
  check_zones(block);
#endif
  Unwatched unwatched;
  for (unsigned i = 0; i < layout.count; ++i) {
    if ((block.arrays >> i & 1) == 0) continue;
    std::memset(block.arena + layout.arrays[i].place, kNan, layout.arrays[i].bytes);
  }
  forbid(block.arena, kArena);
}

void* dynamic_shared(size_t offset, size_t bytes, Where where) {
  return take(true, offset, bytes, where);
}

void* static_shared(const void* key, size_t bytes, size_t, Where where) {
  return take(false, reinterpret_cast<size_t>(key), bytes, where);
}

bool in_own_shared_memory(const void* address, size_t bytes) {
  const Block& block = *scheduler.current().block;
  return at(place_in(block, address), bytes) != nullptr;
}

void* cluster_map(const void* shared, unsigned rank, Where where) {
  const Array* array = nullptr;
  Block& block = peer(shared, rank, "mapa", &array, where);
  Block& mine = *scheduler.current().block;
  if (&block != &mine && mine.cluster->barrier.generation == 0) {
    fail(where, "mapa before the first cluster barrier: the other block may not have started");
  }
  if (block.alive == 0) fail(where, "mapa: block %u of the cluster has exited", rank);
  return static_cast<char*>(in_block(block, *array)) + (place_in(mine, shared) - array->place);
}

uint32_t remote_address(const void* shared, unsigned rank, Where where) {
  const Array* array = nullptr;
  peer(shared, rank, "mapa", &array, where);
  const size_t place = place_in(*scheduler.current().block, shared);
  return kRemoteBit | rank << kRankShift | static_cast<uint32_t>(place);
}

Block* find_remote(uint32_t address, size_t bytes, void** place) {
  const Cluster& cluster = *scheduler.current().block->cluster;
  const unsigned rank = (address & ~kRemoteBit) >> kRankShift;
  const size_t offset = address & ((1u << kRankShift) - 1);
  if ((address & kRemoteBit) == 0 || rank >= cluster.size) return nullptr;
  const Array* array = at(offset, bytes);
  if (array == nullptr) return nullptr;
  Block& block = *cluster.blocks[rank];
  if (block.alive > 0) in_block(block, *array);
  *place = block.arena + offset;
  return &block;
}

}  // namespace gatefuse::emulation
