// SPDX-License-Identifier: Apache-2.0
//
// Streams, events and graphs. Work is queued, and run by the thread that waits for it, or earlier
// by a throw of the seeded dice: whoever forgets to wait, or reuses memory too early, finds out.
#pragma once

#include <functional>
#include <string>

#include "cuda_runtime.h"
#include "emulation.hpp"

namespace gatefuse::emulation {

// A piece of work; a sentence where it failed.
using Work = std::function<std::string()>;

// Queues it, or adds it to the graph where the stream is being captured.
cudaError_t enqueue(cudaStream_t stream, Work work);
// Queues it and runs the stream up to it.
cudaError_t run_now(cudaStream_t stream, Work work);
bool is_capturing(cudaStream_t stream);
// For functions that no capture may contain: breaks those under way.
cudaError_t forbid_while_capturing();

void run_some_of_the_queues();
void run_all_queues();
void forget_queues();
void count_streams(Live& live);

}  // namespace gatefuse::emulation
