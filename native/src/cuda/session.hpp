// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "batch.hpp"
#include "cuda/around.hpp"
#include "cuda/backward.hpp"
#include "cuda/device.hpp"
#include "cuda/draws.hpp"
#include "cuda/model.hpp"
#include "cuda/pageable_states.hpp"
#include "cuda/product.cuh"
#include "cuda/tape.hpp"
#include "cuda/tiers.hpp"
#include "cuda/vendor_products.hpp"
#include "gatefuse.h"

namespace gatefuse::cuda {

// Page-locked host memory that the device writes reports into.
class Report {
 public:
  Report();
  ~Report();
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;
  unsigned long long* operator->() const { return values_; }
  unsigned long long& operator[](int i) const { return values_[i]; }
  unsigned long long* get() const { return values_; }

 private:
  unsigned long long* values_ = nullptr;
};

// Runs a model's sequences on its device. The model's device is the calling thread's current one in
// every function.
//
// All work of a call goes on one stream. For host buffers the device has its own copy of each, from
// the session's start; with device buffers the kernels read and write the caller's.
class Session {
 public:
  enum Memory { kTaken, kMeasured };
  // kMeasured: for bytes() alone.
  Session(Model& model, const gf_session_options& options, Memory memory = kTaken);
  ~Session();

  void forward(const gf_io& io);
  // Of the last forward pass, on its stream.
  void backward(const gf_gradients& gradients);
  void synchronize();
  void path(char* text, int64_t capacity) const;
  int64_t bytes() const { return arena_.bytes(); }

 private:
  // A call's tensors as the kernels see them: the caller's, or the session's copies.
  struct Tensors {
    const float* x;
    const int32_t* tokens;
    const int32_t* targets;
    const float* h0;
    const float* c0;
    float* y;
    float* hn;
    float* cn;
    float* logits;
    float* log_probs;
    float* target_log_probs;
  };

  void check_memory(const gf_io& io) const;
  void check_memory(const gf_gradients& gradients) const;
  // Where a buffer of a call is to lie, and by which field of it.
  struct Where {
    const char* field;
    int32_t memory;
    int32_t completion;
  };
  void check_pointer(const char* name, const void* pointer, const Where& where) const;
  void begin(const gf_io& io);
  template <class Issue>
  void run(const gf_io& io, Issue issue);
  void issue(const gf_io& io);
  void issue(const gf_gradients& gradients);
  void make_gradient_copies();
  void order_rows();
  void copy_in(const gf_io& io);
  void copy_states_in(const gf_io& io);
  void copy_out(const gf_io& io);
  gf_gradients copy_in(const gf_gradients& gradients);
  void copy_out(const gf_gradients& gradients);
  void clear_tails();
  void check_integers(const gf_io& io);
  StateArguments states_of(const gf_io& io) const;
  void load_states(const gf_io& io);
  void store_states(const gf_io& io);
  void run_layers();
  void run_pass(int64_t layer, int64_t direction);
  void prepare_products();
  void multiply_many(const Product& product);
  void run_chunk(int64_t layer, int64_t direction, int32_t first, int32_t steps);
  void run_steps(int64_t layer, int64_t direction, const Pass& pass);
  void run_persistent(int64_t layer, int64_t direction, const Pass& pass);
  void run_head();
  void head_chunk(int64_t first, int32_t count);
  bool has_failure() const;
  void forget_failures();
  void tell_failure();

  float* projected(int64_t slot, int64_t first) const;
  float* layer_output(int64_t layer) const;
  float* output_of(int64_t layer, int64_t direction) const;
  float* hidden(int64_t slot) const;
  float* cell(int64_t slot) const;
  template <class T>
  void copy(const char* what, T* to, const T* from, int64_t count, cudaMemcpyKind kind);

  Model& model_;
  const Spec& spec_;
  Draws draws_;
  Tier tier_;
  uint64_t patience_;
  int64_t max_steps_, max_batch_;
  int64_t chunk_rows_;
  Stream own_stream_;
  Event done_;
  Report report_;
  DeviceArena arena_;
  Tape tape_;
  std::unique_ptr<VendorProducts> vendor_;  // null: products are our own
  std::vector<int32_t> rows_;               // of batch_ and states_
  Batch batch_;
  StateRows states_;
  std::unique_ptr<PageableStates> pageable_;  // null: no call picks its states by row

  Tensors copies_ = {};                  // of host buffers, as large as the largest call
  float* h_ = nullptr;                   // [slots, B, H] by place
  float* c_ = nullptr;                   // the same
  float* projected_ = nullptr;           // [chunk rows, rows of LayerWeights::input]
  float* recurrent_ = nullptr;           // [B, rows of LayerWeights::recurrent]
  float* candidate_ = nullptr;           // [B, H]
  float* reset_ = nullptr;               // [B, H]
  float* gates_ = nullptr;               // [B, scans, 2, H]
  float* head_ = nullptr;                // [head rows, O]
  int32_t* order_ = nullptr;             // [3, B]
  int32_t* state_rows_ = nullptr;        // [B]
  uint8_t* masks_ = nullptr;             // [chunk rows, H], of persistent tiers: see store_masks
  char* exchange_ = nullptr;             // tier G: see PersistentArguments
  unsigned* arrived_ = nullptr;          // tier G
  unsigned long long* wrong_ = nullptr;  // what the kernels report: see session.cu

  std::unique_ptr<Backward> backward_;  // null: there is no way back
  LastForward last_forward_;
  gf_io io_ = {};  // of the last forward pass, with the completion of the last call
  // Copies of host buffers of the way back.
  float* dy_ = nullptr;
  float* dstates_[2] = {};  // by hn and h0, by cn and c0
  float* dlogits_ = nullptr;
  float* dx_ = nullptr;
  float* parameters_ = nullptr;

  // Of the call that is being put on its stream.
  cudaStream_t stream_ = nullptr;
  bool capturing_ = false;
  Tensors tensors_ = {};
  Sequences sequences_ = {};
};

}  // namespace gatefuse::cuda
