// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "cuda/device.hpp"
#include "cuda/persistent.hpp"
#include "cuda/persistent_backward.hpp"
#include "spec.hpp"

namespace gatefuse::cuda {

// What it costs to get h of one step to the next, in cycles, from published latencies; a benchmark
// on a device measures them (native/benchmark). What counts is only the order of the candidates.
constexpr double kBlockExchange = 100;
constexpr double kClusterExchange = 700;
constexpr double kClusterExchangePerBlock = 10;
constexpr double kGridExchange = 2200;

const char* tier_name(int32_t id);

// How a session runs its steps.
struct Tier {
  int32_t id = GF_TIER_ALTERNATING;
  // Of the persistent tiers:
  Exchange exchange = Exchange::kBlock;
  PersistentKernel kernel = nullptr;
  PersistentShape shape;
  int32_t slices_at_once = 0;  // how many slices one launch may have; 0: any number

  // Why other tiers were not chosen; empty where all were possible.
  std::string reason;

  const char* name() const { return tier_name(id); }
  bool persistent() const { return kernel != nullptr; }
};

// How a session runs the steps of the way back.
struct BackwardTier {
  int32_t id = GF_TIER_ALTERNATING;
  // Of the persistent tiers:
  Exchange exchange = Exchange::kBlock;
  PersistentBackwardKernel kernel = nullptr;
  PersistentShape shape;
  int32_t slices_at_once = 0;  // as above

  // Why none of the faster tiers was chosen; empty for the fastest.
  std::string reason;

  const char* name() const { return tier_name(id); }
  bool persistent() const { return kernel != nullptr; }
};

// A shape of a slice on the way back, over so many blocks and with their own k cut into so many
// chunks if it can be; warps = 0 where a block cannot hold its groups.
PersistentShape backward_shape_of(const Spec& spec, int32_t precision, Exchange exchange,
                                  int32_t blocks, int32_t chunks);

// Chooses the tier for batches of up to max_batch rows, or checks the one that was asked for: an
// Error says why it does not fit. The device is the calling thread's current one.
Tier choose_tier(const Spec& spec, int32_t precision, const DeviceFacts& device, int32_t requested,
                 int64_t max_batch);

// The same for the way back. One that was asked for and does not fit becomes the alternating one,
// and the reason says why: the way there may have a tier that gradients have not.
BackwardTier choose_backward_tier(const Spec& spec, int32_t precision, const DeviceFacts& device,
                                  int32_t requested, int64_t max_batch);

}  // namespace gatefuse::cuda
