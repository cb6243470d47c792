// SPDX-License-Identifier: Apache-2.0
#include "cuda/tiers.hpp"

#include <algorithm>

#include "cuda/launch.hpp"
#include "cuda/operands.cuh"

namespace gatefuse::cuda {
namespace {

int32_t divide_up(int64_t a, int64_t b) { return static_cast<int32_t>((a + b - 1) / b); }

// ---- Shapes -------------------------------------------------------------------------------------

// What a precision's instruction asks of a shape.
struct OperandFacts {
  int32_t bytes = 0;
  int32_t step = 0;
  int32_t (*tile_stride)(int32_t units) = nullptr;

  static OperandFacts of(int32_t precision) {
    OperandFacts facts;
    with_precision(precision, [&](auto p) {
      using P = decltype(p);
      facts.bytes = sizeof(typename P::Storage);
      facts.step = Operands<P>::kStep;
      facts.tile_stride = [](int32_t units) -> int32_t { return Operands<P>::tile_stride(units); };
    });
    return facts;
  }
};

// Of a group of units: two blocks each.
int32_t fragments_of(const Spec& spec) {
  return (static_cast<int32_t>(spec.cell->blocks.size()) + 1) / 2;
}

// What st.async sends goes through memory of the sender.
size_t outgoing_bytes(const PersistentShape& shape, size_t value_bytes) {
  return ptx::shared_bytes(size_t{kSliceRows} * shape.units() * value_bytes);
}

size_t weight_bytes(const PersistentShape& shape, int32_t fragments) {
  const size_t weights = size_t{32} * shape.warps * shape.shared_steps * fragments + 1;
  return ptx::shared_bytes(weights * sizeof(Fragment));
}

// As the kernel takes them: see PersistentLayer, ExchangeOf and SlotsOf.
int32_t shared_bytes_of(const PersistentShape& shape, const Spec& spec, Exchange exchange,
                        int32_t fragments, int32_t operand_bytes) {
  size_t bytes = 2 * ptx::shared_bytes(size_t{kSliceRows} * shape.tile_stride * operand_bytes);
  if (exchange == Exchange::kCluster) {
    bytes += ptx::shared_bytes(2 * sizeof(uint64_t));
    bytes += outgoing_bytes(shape, static_cast<size_t>(operand_bytes));
  }
  const size_t sums = shape.chunks == 1 ? 1 : size_t{32} * 4 * fragments * shape.tasks();
  bytes += ptx::shared_bytes(sums * sizeof(float));
  bytes += weight_bytes(shape, fragments);
  if (const size_t scan_rows = static_cast<size_t>(spec.cell->scans()) * kSliceRows) {
    const int32_t slots = whole_groups(static_cast<int32_t>(spec.hidden / spec.chunk));
    bytes += ptx::shared_bytes(scan_rows * slots * sizeof(float));
    bytes += ptx::shared_bytes(scan_rows * 2 * shape.units() * sizeof(float));
    if (exchange == Exchange::kCluster) {
      bytes += ptx::shared_bytes(sizeof(uint64_t)) + outgoing_bytes(shape, sizeof(float));
    }
  }
  return static_cast<int32_t>(std::min<size_t>(bytes, INT32_MAX));
}

// The chunk that spreads the work of a cluster of 16 blocks most evenly over their warps. Not of
// the blocks that there are: the bits shall not depend on them.
int32_t chunk_steps_of(int64_t hidden, int32_t k_steps) {
  constexpr int kBlocks = 16;
  constexpr int kLeastChunkSteps = 10;
  const int32_t groups = divide_up(divide_up(hidden, kGroupUnits), kBlocks);
  const int32_t warps = limits_of(Exchange::kCluster, GF_FLOAT32, 0, 0).most_warps;
  int32_t best = kMostChunkSteps;
  int32_t best_steps = INT32_MAX;
  if (k_steps <= kMostChunkSteps) return best;
  for (int32_t chunk = kMostChunkSteps; chunk >= kLeastChunkSteps; --chunk) {
    const int32_t steps = divide_up(groups * divide_up(k_steps, chunk), warps) * chunk;
    if (steps < best_steps) best = chunk;
    best_steps = std::min(best_steps, steps);
  }
  return best;
}

// Gives a block's warps their tasks; false where it cannot hold its groups.
bool share_tasks(const InstanceLimits& limits, PersistentShape* shape) {
  const int32_t most = limits.most_warps;
  if (shape->groups > most) return false;
  shape->warp_tasks = divide_up(shape->tasks(), most);
  shape->warps = std::max(divide_up(shape->tasks(), shape->warp_tasks), shape->groups);
  const int32_t tasks_in_registers = std::min(limits.register_tasks, shape->warp_tasks);
  const int32_t in_registers =
      std::min(limits.register_steps, shape->chunk_steps * tasks_in_registers);
  shape->shared_steps = shape->warp_tasks * shape->chunk_steps - in_registers;
  return true;
}

// The shape of a slice over so many blocks; warps = 0 where a block cannot hold its groups.
PersistentShape shape_of(const Spec& spec, int32_t precision, Exchange exchange, int32_t blocks) {
  const OperandFacts operands = OperandFacts::of(precision);
  const int32_t fragments = fragments_of(spec);
  PersistentShape shape;
  shape.blocks = blocks;
  shape.groups = divide_up(divide_up(spec.hidden, kGroupUnits), blocks);
  shape.sets = shape.groups;
  shape.k_steps = divide_up(spec.hidden, operands.step);
  shape.chunk_steps = std::min(shape.k_steps, chunk_steps_of(spec.hidden, shape.k_steps));
  shape.chunks = divide_up(shape.k_steps, shape.chunk_steps);
  const InstanceLimits limits =
      limits_of(exchange, precision, spec.cell->plain_blocks(), spec.cell->scans());
  if (!share_tasks(limits, &shape)) return shape;
  const int64_t units = int64_t{blocks} * shape.groups * kGroupUnits;
  shape.tile_stride = operands.tile_stride(
      static_cast<int32_t>(std::max(units, int64_t{shape.k_steps} * operands.step)));
  shape.shared_bytes = shared_bytes_of(shape, spec, exchange, fragments, operands.bytes);
  return shape;
}

// ---- Shapes of the way back ---------------------------------------------------------------------

// As the kernel takes them: see PersistentBackwardLayer and PartsOf.
int32_t backward_shared_bytes_of(const PersistentShape& shape, const Spec& spec, Exchange exchange,
                                 int32_t operand_bytes) {
  const size_t buffers = exchange == Exchange::kCluster ? 2 : 1;
  const size_t rows = buffers * kSliceRows;
  size_t bytes = weight_bytes(shape, kBackwardFragments);
  bytes += ptx::shared_bytes(rows * shape.tile_stride * operand_bytes);
  const int32_t parts = exchange == Exchange::kGrid ? shape.heaps() : shape.parts;
  bytes += ptx::shared_bytes(rows * parts * shape.units() * sizeof(float));
  if (exchange == Exchange::kCluster) bytes += ptx::shared_bytes(2 * sizeof(uint64_t));
  if (const size_t scan_rows = static_cast<size_t>(spec.cell->scans()) * kSliceRows) {
    const int32_t units = whole_groups(static_cast<int32_t>(spec.hidden));
    bytes += ptx::shared_bytes(scan_rows * units * sizeof(float));
    bytes += ptx::shared_bytes(scan_rows * (spec.hidden / spec.chunk) * sizeof(float));
    bytes += ptx::shared_bytes(scan_rows * sizeof(double));
    if (exchange == Exchange::kCluster) {
      bytes += ptx::shared_bytes(sizeof(uint64_t)) + outgoing_bytes(shape, sizeof(float));
    }
  }
  return static_cast<int32_t>(std::min<size_t>(bytes, INT32_MAX));
}

// ---- What a step costs --------------------------------------------------------------------------

constexpr double kPointwise = 200;
constexpr double kSharedBytesPerCycle = 128;
constexpr double kClusterBytesPerCycle = 32;  // that a block receives
constexpr double kGridBytesPerCycle = 32;     // that a block writes to the L2 cache or reads there

// The products of a step and, at the same time, the weights that they read from shared memory.
double product_cycles(const PersistentShape& shape, int32_t fragments, int32_t precision) {
  // A multiprocessor has four schedulers with a matrix unit each.
  const double instruction = precision == GF_FLOAT32 ? 40 : precision == GF_TF32 ? 16 : 8;
  const double steps = double{1} * shape.warp_tasks * shape.chunk_steps;
  const double product = divide_up(shape.warps, 4) * steps * fragments * instruction;
  const double shared =
      double{512} * shape.warps * shape.shared_steps * fragments / kSharedBytesPerCycle;
  return std::max(product, shared);
}

// With scans there are two in a step.
double cluster_exchange_cycles(const PersistentShape& shape, const Spec& spec) {
  return (spec.cell->scans() > 0 ? 2 : 1) *
         (kClusterExchange + kClusterExchangePerBlock * shape.blocks);
}

// The scans themselves take as long in a block as in a cluster, and no other tier has them.
double step_cycles(const PersistentShape& shape, Exchange exchange, const Spec& spec,
                   int32_t precision) {
  const double cycles = kPointwise + product_cycles(shape, fragments_of(spec), precision);
  switch (exchange) {
    case Exchange::kBlock:
      return cycles + kBlockExchange;
    case Exchange::kCluster:
      return cycles + cluster_exchange_cycles(shape, spec);
    default:
      return cycles + kGridExchange;
  }
}

// A block gets its parts of all blocks' results, and reads them.
double backward_step_cycles(const PersistentShape& shape, Exchange exchange, const Spec& spec,
                            int32_t precision) {
  const double cycles = kPointwise + product_cycles(shape, kBackwardFragments, precision);
  const double bytes = double{kSliceRows} * sizeof(float) * shape.parts * shape.units();
  const double reading = bytes / kSharedBytesPerCycle;
  switch (exchange) {
    case Exchange::kBlock:
      return cycles + kBlockExchange + 2 * reading;
    case Exchange::kCluster:
      return cycles + cluster_exchange_cycles(shape, spec) + reading +
             bytes / kClusterBytesPerCycle;
    default:
      return cycles + kGridExchange + 2 * bytes / kGridBytesPerCycle;
  }
}

// ---- Candidates ---------------------------------------------------------------------------------

// What differs between the ways: the kernels, the shapes that may fit, and what they cost.
struct WayThere {
  using TierOf = Tier;
  static PersistentKernel kernel(Exchange exchange, int32_t cell, int32_t precision) {
    return exchange == Exchange::kBlock     ? block_kernel(cell, precision)
           : exchange == Exchange::kCluster ? cluster_kernel(cell, precision)
                                            : grid_kernel(cell, precision);
  }
  template <class F>
  static void for_shapes(const Spec& spec, int32_t precision, Exchange exchange, int32_t blocks,
                         F f) {
    f(shape_of(spec, precision, exchange, blocks));
  }
  static double cycles(const PersistentShape& shape, Exchange exchange, const Spec& spec,
                       int32_t precision) {
    return step_cycles(shape, exchange, spec, precision);
  }
};

struct WayBack {
  using TierOf = BackwardTier;
  static PersistentBackwardKernel kernel(Exchange exchange, int32_t cell, int32_t precision) {
    return exchange == Exchange::kBlock     ? block_backward_kernel(cell, precision)
           : exchange == Exchange::kCluster ? cluster_backward_kernel(cell, precision)
                                            : grid_backward_kernel(cell, precision);
  }
  template <class F>
  static void for_shapes(const Spec& spec, int32_t precision, Exchange exchange, int32_t blocks,
                         F f) {
    for (int32_t chunks = 1; chunks <= kMostChunks; ++chunks) {
      const PersistentShape shape = backward_shape_of(spec, precision, exchange, blocks, chunks);
      if (shape.chunks == chunks) f(shape);
    }
  }
  static double cycles(const PersistentShape& shape, Exchange exchange, const Spec& spec,
                       int32_t precision) {
    return backward_step_cycles(shape, exchange, spec, precision);
  }

 private:
  static constexpr int32_t kMostChunks = 16;
};

template <class Way>
struct Candidate {
  typename Way::TierOf tier;
  double cycles = 0;  // of a step, over all slices; 0: does not fit
  bool fits() const { return cycles > 0; }
};

template <class Way>
class Chooser {
 public:
  Chooser(const Spec& spec, int32_t precision, const DeviceFacts& device, int64_t max_batch)
      : spec_(spec),
        precision_(precision),
        device_(device),
        slices_(divide_up(max_batch, kSliceRows)) {}

  // The best of one kind, or the reason why there is none.
  Candidate<Way> slice(std::string* reason) const {
    Candidate<Way> best = make(GF_TIER_SLICE, Exchange::kBlock, reason);
    if (best.tier.kernel == nullptr) return best;
    if (!try_blocks(1, &best)) {
      *reason = misfit("one multiprocessor");
    }
    return best;
  }

  Candidate<Way> cluster(std::string* reason) const {
    if (device_.kernels < 90) {
      *reason = "compute capability 9.0 or later is needed for clusters, " + device_.has_text();
      return {};
    }
    Candidate<Way> best = make(GF_TIER_CLUSTER, Exchange::kCluster, reason);
    if (best.tier.kernel == nullptr) return best;
    for (const int32_t blocks : {2, 4, 8, 16}) try_blocks(blocks, &best);
    if (!best.fits()) {
      *reason = misfit("a cluster of 16 multiprocessors");
    }
    return best;
  }

  Candidate<Way> grid(std::string* reason) const {
    Candidate<Way> best = make(GF_TIER_GRID, Exchange::kGrid, reason);
    if (best.tier.kernel == nullptr) return best;
    const int32_t groups = divide_up(spec_.hidden, kGroupUnits);
    for (int32_t each = 1; each <= limits_of(Exchange::kGrid, precision_, 0, 0).most_warps;
         ++each) {
      try_blocks(divide_up(groups, each), &best);
    }
    if (!best.fits()) {
      *reason = misfit("the device");
    }
    return best;
  }

 private:
  Candidate<Way> make(int32_t id, Exchange exchange, std::string* reason) const {
    Candidate<Way> candidate;
    candidate.tier.id = id;
    candidate.tier.exchange = exchange;
    candidate.tier.kernel = Way::kernel(exchange, spec_.cell_id, precision_);
    if (candidate.tier.kernel == nullptr) {
      *reason =
          spec_.cell->reset_before
              ? "a cell that resets before its product needs a second product in each step"
              : "a cell with cumulative softmax gates needs a scan over all units in each step";
    }
    return candidate;
  }

  std::string precision_name() const {
    std::string name;
    with_precision(precision_, [&](auto p) { name = decltype(p)::kName; });
    return name;
  }

  std::string misfit(const char* place) const {
    return std::string(spec_.cell->scans() > 0 ? "the weights and scans" : "the weights") +
           " of H = " + std::to_string(spec_.hidden) + " in " + precision_name() + " do not fit " +
           place;
  }

  // Takes over a shape with so many blocks where it fits and is the fastest so far.
  bool try_blocks(int32_t blocks, Candidate<Way>* best) const {
    bool fits = false;
    Way::for_shapes(spec_, precision_, best->tier.exchange, blocks,
                    [&](const PersistentShape& shape) { fits |= try_shape(shape, best); });
    return fits;
  }
  bool try_shape(const PersistentShape& shape, Candidate<Way>* best) const {
    const Exchange exchange = best->tier.exchange;
    if (shape.warps == 0 || shape.shared_bytes > device_.shared_per_block) return false;
    const int32_t slices =
        resident_slices(reinterpret_cast<const void*>(best->tier.kernel), exchange, shape);
    if (slices == 0) return false;
    const double cycles =
        divide_up(slices_, slices) * Way::cycles(shape, exchange, spec_, precision_);
    if (best->fits() && best->cycles <= cycles) return true;
    best->cycles = cycles;
    best->tier.shape = shape;
    best->tier.slices_at_once = exchange == Exchange::kGrid ? slices : 0;
    return true;
  }

  // How many slices the device works on at a time.
  int32_t resident_slices(const void* function, Exchange exchange,
                          const PersistentShape& shape) const {
    // As much as there is, once and for all: sessions of other shapes share the kernel.
    check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(device_.shared_per_block)),
          "shared memory of a kernel");
    int resident = 0;
    if (exchange == Exchange::kCluster) {
      if (shape.blocks > 8) {
        check(cudaFuncSetAttribute(function, cudaFuncAttributeNonPortableClusterSizeAllowed, 1),
              "cluster of 16 blocks");
      }
      const PersistentLaunch launch(exchange, shape, 1, nullptr);
      if (cudaOccupancyMaxActiveClusters(&resident, function, launch.config()) != cudaSuccess) {
        cudaGetLastError();  // a cluster of this size does not exist here
        return 0;
      }
      return resident;
    }
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, function, shape.threads(),
                                                        shape.shared_bytes),
          "occupancy of a kernel");
    return resident * device_.multiprocessors / shape.blocks;
  }

  const Spec& spec_;
  int32_t precision_;
  const DeviceFacts& device_;
  int32_t slices_;
};

void append(std::string* reasons, const char* tier, const std::string& reason) {
  if (reason.empty()) return;
  *reasons += (reasons->empty() ? "" : "; ") + std::string(tier) + ": " + reason;
}

}  // namespace

PersistentShape backward_shape_of(const Spec& spec, int32_t precision, Exchange exchange,
                                  int32_t blocks, int32_t chunks) {
  const OperandFacts operands = OperandFacts::of(precision);
  const int32_t groups = divide_up(spec.hidden, kGroupUnits);
  PersistentShape shape;
  shape.blocks = blocks;
  shape.groups = divide_up(groups, blocks);
  shape.sets = divide_up(spec.hidden, kBackwardUnits);
  const int32_t of_unit = spec.cell->plain_blocks() + spec.cell->scans();
  shape.k_steps = divide_up(int64_t{shape.units()} * of_unit, operands.step);
  shape.chunk_steps = std::min(divide_up(shape.k_steps, chunks), kMostChunkSteps);
  shape.chunks = divide_up(shape.k_steps, shape.chunk_steps);
  shape.parts = divide_up(groups, shape.groups) * shape.chunks;
  const InstanceLimits limits =
      backward_limits_of(exchange, precision, spec.cell->plain_blocks(), spec.cell->scans());
  if (!share_tasks(limits, &shape)) return shape;
  shape.tile_stride = operands.tile_stride(shape.k_steps * operands.step);
  shape.shared_bytes = backward_shared_bytes_of(shape, spec, exchange, operands.bytes);
  return shape;
}

const char* tier_name(int32_t id) {
  switch (id) {
    case GF_TIER_SLICE:
      return "slice";
    case GF_TIER_CLUSTER:
      return "cluster";
    case GF_TIER_GRID:
      return "grid";
    default:
      return "alternating";
  }
}

Tier choose_tier(const Spec& spec, int32_t precision, const DeviceFacts& device, int32_t requested,
                 int64_t max_batch) {
  if (requested == GF_TIER_ALTERNATING) {
    return Tier{GF_TIER_ALTERNATING, {}, nullptr, {}, 0, "tier forced"};
  }
  const Chooser<WayThere> chooser(spec, precision, device, max_batch);
  Candidate<WayThere> best;
  std::string reasons;
  const auto consider = [&](int32_t id, const char* name, auto find) {
    if (requested != GF_TIER_AUTO && requested != id) return;
    std::string reason;
    const auto candidate = find(&reason);
    if (candidate.fits()) {
      if (!best.fits() || candidate.cycles < best.cycles) best = candidate;
    } else {
      append(&reasons, name, reason);
    }
  };
  consider(GF_TIER_SLICE, "slice", [&](auto* reason) { return chooser.slice(reason); });
  consider(GF_TIER_CLUSTER, "cluster", [&](auto* reason) { return chooser.cluster(reason); });
  consider(GF_TIER_GRID, "grid", [&](auto* reason) { return chooser.grid(reason); });
  if (!best.fits() && requested != GF_TIER_AUTO) {
    throw Error(GF_INVALID_ARGUMENT, "tier: expected one that fits this network and device, got %s",
                reasons.c_str());
  }
  best.tier.reason = requested != GF_TIER_AUTO ? "tier forced" : reasons;
  if (!best.fits()) best.tier = Tier{GF_TIER_ALTERNATING, {}, nullptr, {}, 0, reasons};
  return best.tier;
}

BackwardTier choose_backward_tier(const Spec& spec, int32_t precision, const DeviceFacts& device,
                                  int32_t requested, int64_t max_batch) {
  const Chooser<WayBack> chooser(spec, precision, device, max_batch);
  Candidate<WayBack> best;
  std::string reasons;
  const auto consider = [&](int32_t id, auto find) {
    if (requested != GF_TIER_AUTO && requested != id) return;
    std::string reason;
    const auto candidate = find(&reason);
    if (candidate.fits() && (!best.fits() || candidate.cycles < best.cycles)) best = candidate;
    append(&reasons, tier_name(id), reason);
  };
  consider(GF_TIER_SLICE, [&](auto* reason) { return chooser.slice(reason); });
  consider(GF_TIER_CLUSTER, [&](auto* reason) { return chooser.cluster(reason); });
  consider(GF_TIER_GRID, [&](auto* reason) { return chooser.grid(reason); });
  if (!best.fits()) best.tier = BackwardTier();
  const bool forced =
      requested == GF_TIER_ALTERNATING || (requested != GF_TIER_AUTO && best.fits());
  best.tier.reason = forced ? "tier forced" : reasons;
  return best.tier;
}

}  // namespace gatefuse::cuda
