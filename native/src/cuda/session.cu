// SPDX-License-Identifier: Apache-2.0
#include "cuda/session.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cuda/alternating.hpp"
#include "cuda/copies.hpp"
#include "cuda/launch.hpp"
#include "cuda/products.hpp"

namespace gatefuse::cuda {
namespace {

// Memory for input projections of many steps: enough rows for a product to fill the device.
constexpr int64_t kProjectedBytes = int64_t{256} << 20;
constexpr int64_t kMostProjectedRows = 16384;
constexpr int64_t kHeadRows = 4096;
constexpr unsigned long long kNothingWrong = ~0ull;
// The place of a wrong token, of a wrong target, and a step that was waited for in vain.
enum { kWrongToken, kWrongTarget, kTimedOut, kReports };

// How many nanoseconds blocks wait for one another. A step takes microseconds; something else may
// hold the device for a while, but not ten seconds. GATEFUSE_CUDA_PATIENCE_NS (environment) is for
// tests.
uint64_t patience() {
  const char* text = std::getenv("GATEFUSE_CUDA_PATIENCE_NS");
  return text == nullptr ? 10'000'000'000 : std::strtoull(text, nullptr, 10);
}

int32_t checked_tier(int32_t tier) {
  in_range("tier", tier, GF_TIER_AUTO, GF_TIER_GRID);
  return tier;
}

const gf_session_options& checked(const gf_session_options& options) {
  in_range("max_steps", options.max_steps, 1, INT32_MAX);
  in_range("max_batch", options.max_batch, 1, INT32_MAX);
  in_range("backward", options.backward, GF_BACKWARD_NONE, GF_BACKWARD_RECOMPUTE);
  return options;
}

std::unique_ptr<VendorProducts> vendor_products(const Model& model, int32_t products) {
  in_range("products", products, GF_PRODUCTS_OWN, GF_PRODUCTS_CUBLASLT);
  if (products == GF_PRODUCTS_OWN) return nullptr;
  return std::make_unique<VendorProducts>(model.precision());
}

bool states_on_device(const gf_io& io) {
  return io.memory == GF_MEMORY_DEVICE || io.state_memory == GF_MEMORY_DEVICE;
}

// Whether kernels read and write the caller's states, and not the session's copies of them.
bool states_in_place(const gf_io& io) { return states_on_device(io) || io.state_rows != nullptr; }

// Whether states are picked out of memory that kernels do not see.
bool picks_pageable_states(const gf_io& io) {
  if (io.state_rows == nullptr || states_on_device(io)) return false;
  const auto pageable = [](const float* memory) {
    return memory != nullptr && seen_by_kernels(memory) == nullptr;
  };
  return pageable(io.h0) || pageable(io.c0) || pageable(io.hn) || pageable(io.cn);
}

}  // namespace

Report::Report() {
  check(cudaMallocHost(&values_, kReports * sizeof *values_), "page-locked host memory");
  std::fill_n(values_, kReports, kNothingWrong);
}

Report::~Report() { cudaFreeHost(values_); }

Session::Session(Model& model, const gf_session_options& options, Memory memory)
    : model_(model),
      spec_(model.spec()),
      draws_(spec_, options),
      tier_(choose_tier(spec_, model.precision(), model.device(), checked_tier(options.tier),
                        std::max(1, options.max_batch))),
      patience_(patience()),
      arena_(memory == kMeasured),
      tape_(model, arena_, own_stream_, checked(options)),
      vendor_(vendor_products(model, options.products)) {
  const bool backward = options.backward != GF_BACKWARD_NONE;
  // Whoever only asks for sizes shall not allocate.
  model_.finish(backward && memory == kTaken);
  max_steps_ = options.max_steps;
  max_batch_ = options.max_batch;
  const int64_t places = max_steps_ * max_batch_;
  const int64_t width = spec_.directions * spec_.hidden;
  const int64_t rows = spec_.rows();
  // cuBLASLt's operands are memory of the session too.
  const int64_t widest = vendor_ == nullptr ? 0 : std::max(spec_.layer_input(0), width);
  const int64_t most = std::min(kMostProjectedRows, kProjectedBytes / 4 / std::max(rows, widest));
  chunk_rows_ = std::max(max_batch_, std::min(places, most));
  const auto take = [&](const char* what, int64_t a, int64_t b = 1, int64_t c = 1) {
    return arena_.take<float>(own_stream_, what, a, b, c);
  };
  const auto take_integers = [&](const char* what, int64_t a, int64_t b) {
    return arena_.take<int32_t>(own_stream_, what, a, b);
  };

  copies_.h0 = copies_.hn = take("session state", spec_.slots(), max_batch_, spec_.hidden);
  h_ = take("session state", spec_.slots(), max_batch_, spec_.hidden);
  if (spec_.cell->cell_state) {
    copies_.c0 = copies_.cn = take("session state", spec_.slots(), max_batch_, spec_.hidden);
    c_ = take("session state", spec_.slots(), max_batch_, spec_.hidden);
  }
  if (spec_.vocabulary > 0) {
    copies_.tokens = take_integers("session tokens", max_steps_, max_batch_);
  } else {
    copies_.x = take("session input", max_steps_, max_batch_, spec_.input);
  }
  copies_.y = take("session output", max_steps_, max_batch_, width);
  if (!tape_.keeps_pre_activations()) {
    projected_ = take("session projections", chunk_rows_, rows);
  }
  if (draws_.rates().in_steps() && (tier_.persistent() || backward)) {
    masks_ = arena_.take<uint8_t>(own_stream_, "session masks", chunk_rows_, spec_.hidden);
  }
  if (tier_.exchange == Exchange::kGrid) {
    const int64_t slices = (max_batch_ + kSliceRows - 1) / kSliceRows;
    const int64_t tile = int64_t{kSliceRows} * tier_.shape.tile_stride * sizeof(float);
    exchange_ = arena_.take<char>(own_stream_, "session exchange", slices, 2, tile);
    arrived_ = arena_.take<unsigned>(own_stream_, "session exchange", slices);
  } else if (!tier_.persistent()) {
    recurrent_ = take("session products", max_batch_, rows);
  }
  if (const int scans = tier_.persistent() ? 0 : spec_.cell->scans()) {
    gates_ = take("session scan", max_batch_, 2 * scans, spec_.hidden);
  }
  if (spec_.cell->reset_before) {
    candidate_ = take("session reset", max_batch_, spec_.hidden);
    reset_ = take("session reset", max_batch_, spec_.hidden);
  }
  if (spec_.outputs > 0) {
    head_ = take("session logits", std::min(kHeadRows, places), spec_.outputs);
    copies_.targets = take_integers("session targets", max_steps_, max_batch_);
    copies_.target_log_probs = take("session scores", max_steps_, max_batch_);
    copies_.logits = take("session logits", max_steps_, max_batch_, spec_.outputs);
    copies_.log_probs = take("session logits", max_steps_, max_batch_, spec_.outputs);
  }
  order_ = take_integers("session order", 3, max_batch_);
  wrong_ = arena_.take<unsigned long long>(own_stream_, "session reports", kReports);
  if (backward) {
    backward_ = std::make_unique<Backward>(model_, tape_, batch_, draws_, arena_, own_stream_,
                                           options, Waits{patience_, wrong_ + kTimedOut},
                                           Backward::Shared{projected_, masks_, chunk_rows_});
    make_gradient_copies();
  } else {
    state_rows_ = take_integers("session state rows", 1, max_batch_);
  }
  if (vendor_ != nullptr) prepare_products();
  if (memory == kTaken) {
    if (vendor_ != nullptr) vendor_->try_all(own_stream_);
    forget_failures();
  }
  rows_.resize(3 * max_batch_ + (backward ? 0 : StateRows::size(max_batch_)));
  batch_.use(rows_.data(), rows_.data() + max_batch_, rows_.data() + 2 * max_batch_);
  if (!backward) states_.use(rows_.data() + 3 * max_batch_, max_batch_);
  if (!backward && memory == kTaken)
    pageable_ = std::make_unique<PageableStates>(spec_, max_batch_);
  check(cudaStreamSynchronize(own_stream_), "session");
}

void Session::make_gradient_copies() {
  const auto take = [&](int64_t a, int64_t b, int64_t c) {
    return arena_.take<float>(own_stream_, "session gradients", a, b, c);
  };
  dy_ = take(max_steps_, max_batch_, spec_.directions * spec_.hidden);
  for (int i = 0; i < (spec_.cell->cell_state ? 2 : 1); ++i) {
    dstates_[i] = take(spec_.slots(), max_batch_, spec_.hidden);
  }
  if (spec_.outputs > 0) dlogits_ = take(max_steps_, max_batch_, spec_.outputs);
  if (spec_.vocabulary == 0) dx_ = take(max_steps_, max_batch_, spec_.input);
  parameters_ = take(1, 1, spec_.parameters());
}

// The head's logits may be more than the projections: each is tried out where it goes.
void Session::prepare_products() {
  for (int64_t slot = 0; slot < spec_.slots(); ++slot) {
    vendor_->prepare(model_.layer(slot).input, projected(slot, 0), chunk_rows_);
  }
  if (spec_.outputs > 0) {
    vendor_->prepare(model_.head(), head_, std::min(kHeadRows, max_steps_ * max_batch_));
  }
  vendor_->finish(arena_, own_stream_);
}

// Nothing of the session may go before the work that uses it.
Session::~Session() {
  cudaEventSynchronize(done_);
  cudaGetLastError();
}

void Session::path(char* text, int64_t capacity) const {
  const char* precision = "";
  with_precision(model_.precision(), [&](auto p) { precision = decltype(p)::kName; });
  std::string lines = "backend=cuda\ndevice=" + model_.device().name + "\nprecision=" + precision +
                      "\nthreads=1\nreason=" + tier_.reason + "\ntier=" + tier_.name() +
                      "\ncompute_capability=" + capability_text(model_.device().capability) + "\n";
  if (tier_.persistent()) {
    const PersistentShape& shape = tier_.shape;
    lines += "blocks=" + std::to_string(shape.blocks) + "\n";
    if (tier_.exchange == Exchange::kCluster) {
      lines += "cluster_size=" + std::to_string(shape.blocks) + "\n";
    }
    lines += std::string("weights=") +
             (shape.shared_steps == 0 ? "registers" : "registers and shared memory") +
             "\nshared_bytes=" + std::to_string(shape.shared_bytes) + "\n";
  } else {
    lines += "weights=device memory\n";
  }
  if (backward_ != nullptr) {
    const BackwardTier& back = backward_->tier();
    lines += std::string("backward_tier=") + back.name() + "\n";
    if (back.persistent()) {
      lines += "backward_blocks=" + std::to_string(back.shape.blocks) +
               "\nbackward_shared_bytes=" + std::to_string(back.shape.shared_bytes) + "\n";
    }
    if (!back.reason.empty()) lines += "backward_reason=" + back.reason + "\n";
  }
  if (vendor_ != nullptr) {
    lines += "products=" + vendor_->name() +
             "\nbits=may depend on the rest of the batch and on how a sequence is cut\n";
  }
  lines += draws_.rates().lines();
  std::snprintf(text, static_cast<size_t>(capacity), "%s", lines.c_str());
}

// ---- Checks -------------------------------------------------------------------------------------

void Session::check_pointer(const char* name, const void* pointer, const Where& where) const {
  if (pointer == nullptr) return;
  cudaPointerAttributes attributes = {};
  check(cudaPointerGetAttributes(&attributes, pointer), name);
  const bool on_device = attributes.type == cudaMemoryTypeDevice;
  const bool managed = attributes.type == cudaMemoryTypeManaged;
  const auto is_other = [&](const char* expected, const char* got) {
    throw Error(GF_INVALID_ARGUMENT, "%s: expected %s memory, as `%s` says, got %s memory", name,
                expected, where.field, got);
  };
  if (where.memory == GF_MEMORY_DEVICE && !on_device && !managed) is_other("device", "host");
  if (where.memory == GF_MEMORY_DEVICE && on_device && attributes.device != model_.device().index) {
    throw Error(GF_INVALID_ARGUMENT, "%s: expected memory of device %d, got memory of device %d",
                name, model_.device().index, attributes.device);
  }
  if (where.memory == GF_MEMORY_HOST && on_device) is_other("host", "device");
  if (where.memory == GF_MEMORY_HOST && where.completion == GF_ON_STREAM &&
      attributes.type == cudaMemoryTypeUnregistered) {
    wrong(name, "page-locked host memory for a call that completes on its stream",
          "pageable memory");
  }
}

void Session::check_memory(const gf_io& io) const {
  const Where where = {"memory", io.memory, io.completion};
  const bool states_elsewhere = io.memory == GF_MEMORY_HOST && states_on_device(io);
  const Where of_states =
      states_elsewhere ? Where{"state_memory", GF_MEMORY_DEVICE, io.completion} : where;
  check_pointer("x", io.x, where);
  check_pointer("tokens", io.tokens, where);
  check_pointer("targets", io.targets, where);
  check_pointer("h0", io.h0, of_states);
  check_pointer("c0", io.c0, of_states);
  check_pointer("y", io.y, where);
  check_pointer("hn", io.hn, of_states);
  check_pointer("cn", io.cn, of_states);
  check_pointer("logits", io.logits, where);
  check_pointer("log_probs", io.log_probs, where);
  check_pointer("target_log_probs", io.target_log_probs, where);
}

void Session::check_memory(const gf_gradients& gradients) const {
  const Where where = {"memory", io_.memory, io_.completion};
  check_pointer("dy", gradients.dy, where);
  check_pointer("dhn", gradients.dhn, where);
  check_pointer("dcn", gradients.dcn, where);
  check_pointer("dlogits", gradients.dlogits, where);
  check_pointer("dx", gradients.dx, where);
  check_pointer("dh0", gradients.dh0, where);
  check_pointer("dc0", gradients.dc0, where);
  check_pointer("parameters", gradients.parameters, where);
}

// ---- A call -------------------------------------------------------------------------------------

void Session::forward(const gf_io& io) {
  last_forward_.forget();
  check_call(spec_, io, max_steps_, max_batch_);
  check_state_rows(io, backward_ != nullptr);
  check_memory(io);
  batch_.take(io);
  if (backward_ == nullptr) states_.take(io);
  draws_.take(io);
  if (io.memory == GF_MEMORY_HOST) {
    if (io.tokens != nullptr) batch_.check_values("tokens", io.tokens, spec_.vocabulary);
    if (io.target_log_probs != nullptr) {
      batch_.check_values("targets", io.targets, spec_.outputs);
    }
  }
  if (picks_pageable_states(io)) {
    synchronize();  // an earlier call may write what the host is about to read
    const gf_io own = pageable_->gather(io, states_);
    run(own, [&] { issue(own); });
    pageable_->scatter(io, states_);
  } else {
    run(io, [&] { issue(io); });
  }
  io_ = io;
  last_forward_.remember(model_.updates());
}

void Session::backward(const gf_gradients& gradients) {
  if (backward_ == nullptr) no_way_back();
  last_forward_.check(model_.updates());
  check_gradients(spec_, gradients);
  io_.completion = gradients.completion;
  check_memory(gradients);
  run(io_, [&] { issue(gradients); });
}

// Puts a call's work on its stream and waits for it if asked.
template <class Issue>
void Session::run(const gf_io& io, Issue issue) {
  begin(io);
  try {
    issue();
    copy("reports", report_.get(), wrong_, kReports, cudaMemcpyDeviceToHost);
    // An event that was recorded in a capture cannot be waited for outside.
    if (!capturing_) check(cudaEventRecord(done_, stream_), "stream");
  } catch (...) {
    // Of a call that fails nothing is left on its way: the caller may take its buffers away.
    if (!capturing_) cudaStreamSynchronize(stream_);
    cudaGetLastError();
    throw;
  }
  if (io.completion == GF_ON_RETURN) {
    check(cudaStreamSynchronize(stream_), "call");
    tell_failure();
  }
}

void Session::issue(const gf_gradients& gradients) {
  backward_->propagate(copy_in(gradients), stream_);
  copy_out(gradients);
}

void Session::issue(const gf_io& io) {
  order_rows();
  copy_in(io);
  tape_.begin({sequences_, tensors_.x, tensors_.tokens});
  check_integers(io);
  clear_tails();
  load_states(io);
  run_layers();
  if (spec_.outputs > 0) run_head();
  store_states(io);
  copy_out(io);
}

void Session::synchronize() {
  check(cudaEventSynchronize(done_), "forward");
  tell_failure();
}

void Session::begin(const gf_io& io) {
  stream_ = io.stream == nullptr ? static_cast<cudaStream_t>(own_stream_)
                                 : static_cast<cudaStream_t>(io.stream);
  capturing_ = is_capturing(stream_);
  if (capturing_ && io.completion == GF_ON_RETURN) {
    wrong("completion", "GF_ON_STREAM while the stream is being captured", "GF_ON_RETURN");
  }
  // Calls of a session follow one another. Within a graph that is the graph's to see to.
  if (!capturing_) {
    if (has_failure()) synchronize();
    // Also where the handle is that of the last call: it may belong to another stream by now.
    check(cudaStreamWaitEvent(stream_, done_, 0), "stream");
  }
  sequences_ = {io.steps, io.batch, io.layout == GF_BATCH_MAJOR, nullptr, nullptr, nullptr};
  if (batch_.ragged()) {
    sequences_.order = order_;
    sequences_.lengths = order_ + max_batch_;
    sequences_.given = order_ + 2 * max_batch_;
  }
}

void Session::order_rows() {
  if (!batch_.ragged()) return;
  write_order(batch_, order_, order_ + max_batch_, order_ + 2 * max_batch_, stream_);
}

template <class T>
void Session::copy(const char* what, T* to, const T* from, int64_t count, cudaMemcpyKind kind) {
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(count) * sizeof(T), kind, stream_), what);
}

void Session::copy_in(const gf_io& io) {
  if (io.memory == GF_MEMORY_DEVICE) {
    tensors_ = {io.x,      io.tokens,    io.targets,         io.h0, io.c0, io.y, io.hn, io.cn,
                io.logits, io.log_probs, io.target_log_probs};
    return;
  }
  const int64_t places = int64_t{io.steps} * io.batch;
  const auto in = [&](const char* what, auto* from, auto* copies, int64_t count) {
    if (from == nullptr) return decltype(copies)(nullptr);
    using T = std::remove_const_t<std::remove_pointer_t<decltype(copies)>>;
    copy(what, const_cast<T*>(copies), from, count, cudaMemcpyHostToDevice);
    return copies;
  };
  const auto out = [](auto* to, auto* copies) { return to == nullptr ? nullptr : copies; };
  tensors_.x = in("x", io.x, copies_.x, places * spec_.input);
  tensors_.tokens = in("tokens", io.tokens, copies_.tokens, places);
  tensors_.targets =
      in("targets", io.target_log_probs == nullptr ? nullptr : io.targets, copies_.targets, places);
  tensors_.y = out(io.y, copies_.y);
  tensors_.logits = out(io.logits, copies_.logits);
  tensors_.log_probs = out(io.log_probs, copies_.log_probs);
  tensors_.target_log_probs = out(io.target_log_probs, copies_.target_log_probs);
  copy_states_in(io);
}

// Those of a call whose other buffers are in host memory.
void Session::copy_states_in(const gf_io& io) {
  if (states_in_place(io)) {
    tensors_.h0 = seen_by_kernels(io.h0);
    tensors_.c0 = seen_by_kernels(io.c0);
    tensors_.hn = seen_by_kernels(io.hn);
    tensors_.cn = seen_by_kernels(io.cn);
    return;
  }
  const auto in = [&](const char* what, const float* from, float* copies) {
    const int64_t count = spec_.slots() * io.batch * spec_.hidden;
    if (from != nullptr) copy(what, copies, from, count, cudaMemcpyHostToDevice);
    return from == nullptr ? nullptr : copies;
  };
  tensors_.h0 = in("h0", io.h0, copies_.hn);
  tensors_.c0 = in("c0", io.c0, copies_.cn);
  tensors_.hn = io.hn == nullptr ? nullptr : copies_.hn;
  tensors_.cn = io.cn == nullptr ? nullptr : copies_.cn;
}

void Session::copy_out(const gf_io& io) {
  if (io.memory == GF_MEMORY_DEVICE) return;
  const int64_t places = int64_t{io.steps} * io.batch;
  const int64_t states = spec_.slots() * io.batch * spec_.hidden;
  const auto out = [&](const char* what, float* to, const float* from, int64_t count) {
    if (to != nullptr) copy(what, to, from, count, cudaMemcpyDeviceToHost);
  };
  out("y", io.y, tensors_.y, places * spec_.directions * spec_.hidden);
  if (!states_in_place(io)) {
    out("hn", io.hn, tensors_.hn, states);
    out("cn", io.cn, tensors_.cn, states);
  }
  out("logits", io.logits, tensors_.logits, places * spec_.outputs);
  out("log_probs", io.log_probs, tensors_.log_probs, places * spec_.outputs);
  out("target_log_probs", io.target_log_probs, tensors_.target_log_probs, places);
}

gf_gradients Session::copy_in(const gf_gradients& gradients) {
  if (io_.memory == GF_MEMORY_DEVICE) return gradients;
  const int64_t places = int64_t{io_.steps} * io_.batch;
  const int64_t states = spec_.slots() * io_.batch * spec_.hidden;
  const auto in = [&](const char* what, const float* from, float* to, int64_t count) {
    if (from != nullptr) copy(what, to, from, count, cudaMemcpyHostToDevice);
    return from == nullptr ? nullptr : to;
  };
  const auto out = [](const float* to, float* copies) { return to == nullptr ? nullptr : copies; };
  gf_gradients copies = gradients;
  copies.dy = in("dy", gradients.dy, dy_, places * spec_.directions * spec_.hidden);
  copies.dhn = in("dhn", gradients.dhn, dstates_[0], states);
  copies.dcn = in("dcn", gradients.dcn, dstates_[1], states);
  copies.dlogits = in("dlogits", gradients.dlogits, dlogits_, places * spec_.outputs);
  copies.dx = out(gradients.dx, dx_);
  copies.dh0 = out(gradients.dh0, dstates_[0]);
  copies.dc0 = out(gradients.dc0, dstates_[1]);
  copies.parameters = out(gradients.parameters, parameters_);
  if (gradients.accumulate != 0) {
    in("parameters", gradients.parameters, parameters_, spec_.parameters());
  }
  return copies;
}

void Session::copy_out(const gf_gradients& gradients) {
  if (io_.memory == GF_MEMORY_DEVICE) return;
  const int64_t states = spec_.slots() * io_.batch * spec_.hidden;
  const auto out = [&](const char* what, float* to, const float* from, int64_t count) {
    if (to != nullptr) copy(what, to, from, count, cudaMemcpyDeviceToHost);
  };
  out("dx", gradients.dx, dx_, int64_t{io_.steps} * io_.batch * spec_.input);
  out("dh0", gradients.dh0, dstates_[0], states);
  out("dc0", gradients.dc0, dstates_[1], states);
  out("parameters", gradients.parameters, parameters_, spec_.parameters());
}

// What no step writes is 0. The head's outputs are written at every place.
void Session::clear_tails() {
  if (!batch_.ragged() || tensors_.y == nullptr) return;
  const int64_t count = int64_t{sequences_.steps} * sequences_.batch;
  check(cudaMemsetAsync(
            tensors_.y, 0,
            static_cast<size_t>(count * spec_.directions * spec_.hidden) * sizeof(float), stream_),
        "y");
}

// Those in device memory; what is wrong with them is told once the call is complete.
void Session::check_integers(const gf_io& io) {
  if (io.memory == GF_MEMORY_HOST) return;
  if (io.tokens != nullptr) {
    check_range(sequences_, io.tokens, static_cast<int32_t>(spec_.vocabulary), wrong_ + kWrongToken,
                stream_);
  }
  if (io.target_log_probs != nullptr) {
    check_range(sequences_, io.targets, static_cast<int32_t>(spec_.outputs), wrong_ + kWrongTarget,
                stream_);
  }
}

StateArguments Session::states_of(const gf_io& io) const {
  StateArguments state = {sequences_, spec_.slots(), static_cast<int32_t>(spec_.hidden)};
  if (io.state_rows != nullptr) {
    state.capacity = io.state_capacity;
    state.rows = state_rows_;
  }
  return state;
}

void Session::load_states(const gf_io& io) {
  if (io.state_rows != nullptr) write_state_rows(states_.rows(), io.batch, state_rows_, stream_);
  load_state(states_of(io), tensors_.h0, h_, stream_);
  if (c_ != nullptr) load_state(states_of(io), tensors_.c0, c_, stream_);
}

void Session::store_states(const gf_io& io) {
  if (tensors_.hn != nullptr) store_state(states_of(io), h_, tensors_.hn, stream_);
  if (tensors_.cn != nullptr) store_state(states_of(io), c_, tensors_.cn, stream_);
}

// ---- Failures -----------------------------------------------------------------------------------
//
// What goes wrong on the device stays in wrong_, which every call copies to report_ at its end,
// until it has been told: so nothing is lost, however many calls follow before anyone looks.

// Whether a call that is complete has reported a failure. Others may be on their way.
bool Session::has_failure() const {
  for (int i = 0; i < kReports; ++i) {
    const std::atomic_ref<unsigned long long> report(report_[i]);
    if (report.load(std::memory_order_relaxed) != kNothingWrong) return true;
  }
  return false;
}

void Session::forget_failures() {
  std::fill_n(report_.get(), kReports, kNothingWrong);
  check(cudaMemsetAsync(wrong_, 0xff, kReports * sizeof *wrong_, own_stream_), "reports");
  check(cudaStreamSynchronize(own_stream_), "reports");
}

// Tells it once, when all calls are complete. There is no way back over what has failed.
void Session::tell_failure() {
  if (!has_failure()) return;
  unsigned long long values[kReports];
  std::copy_n(report_.get(), kReports, values);
  forget_failures();
  last_forward_.forget();
  if (values[kTimedOut] != kNothingWrong) {
    throw Error(GF_BACKEND_FAILED,
                "blocks waited more than %g s for one another at step %llu; the outputs are "
                "not valid",
                1e-9 * static_cast<double>(patience_), values[kTimedOut]);
  }
  const auto tell = [](const char* name, int64_t count, unsigned long long place) {
    if (place == kNothingWrong) return;
    throw Error(GF_INVALID_ARGUMENT, "%s: expected 0 .. %lld, got another value at place %llu",
                name, static_cast<long long>(count - 1), place);
  };
  tell("tokens", spec_.vocabulary, values[kWrongToken]);
  tell("targets", spec_.outputs, values[kWrongTarget]);
}

// ---- Layers -------------------------------------------------------------------------------------

float* Session::hidden(int64_t slot) const { return h_ + slot * sequences_.batch * spec_.hidden; }

float* Session::cell(int64_t slot) const {
  return c_ == nullptr ? nullptr : c_ + slot * sequences_.batch * spec_.hidden;
}

// Null: nobody reads it.
float* Session::layer_output(int64_t layer) const {
  if (layer < spec_.layers - 1) return tape_.between(layer);
  if (tensors_.y != nullptr) return tensors_.y;
  return spec_.outputs > 0 ? copies_.y : nullptr;
}

void Session::run_layers() {
  for (int64_t layer = 0; layer < spec_.layers; ++layer) {
    for (int64_t direction = 0; direction < spec_.directions; ++direction) {
      run_pass(layer, direction);
    }
  }
}

void Session::run_pass(int64_t layer, int64_t direction) {
  const int64_t slot = layer * spec_.directions + direction;
  const int64_t state = int64_t{batch_.size()} * spec_.hidden;
  const auto keep = [&](float* to, const float* from) {
    if (to != nullptr) copy("session states", to, from, state, cudaMemcpyDeviceToDevice);
  };
  keep(tape_.hidden(slot, 0), hidden(slot));
  keep(tape_.cell(slot, 0), cell(slot));
  const int32_t chunk = static_cast<int32_t>(std::max<int64_t>(1, chunk_rows_ / batch_.size()));
  for (int32_t first = 0; first < batch_.longest(); first += chunk) {
    run_chunk(layer, direction, first, std::min(chunk, batch_.longest() - first));
  }
  if (draws_.drops(layer)) {
    drop({sequences_, static_cast<int32_t>(spec_.hidden), output_of(layer, direction),
          spec_.directions * spec_.hidden, draws_.of_results(slot)},
         stream_);
  }
}

// Where the projections of steps from `first` on go.
float* Session::projected(int64_t slot, int64_t first) const {
  return projected_ != nullptr ? projected_ : tape_.pre_activations(slot, first);
}

float* Session::output_of(int64_t layer, int64_t direction) const {
  float* output = layer_output(layer);
  return output == nullptr ? nullptr : output + direction * spec_.hidden;
}

// A product over many steps: what a vendor's library may do.
void Session::multiply_many(const Product& product) {
  if (vendor_ != nullptr) {
    vendor_->multiply(product, stream_);
  } else {
    multiply(model_.precision(), product, stream_);
  }
}

// The input's projections of all steps at once, then the steps.
void Session::run_chunk(int64_t layer, int64_t direction, int32_t first, int32_t steps) {
  const Pass pass = {sequences_, first, steps, direction == 1};
  const Matrix& input = model_.layer(layer * spec_.directions + direction).input;
  float* projections = projected(layer * spec_.directions + direction, first);
  multiply_many({input, tape_.input_rows(layer, pass), projections, input.outputs});
  if (tier_.persistent()) {
    run_persistent(layer, direction, pass);
  } else {
    run_steps(layer, direction, pass);
  }
}

// Tier A: a product and the pointwise mathematics, step by step.
void Session::run_steps(int64_t layer, int64_t direction, const Pass& pass) {
  const int64_t slot = layer * spec_.directions + direction;
  const LayerWeights& weights = model_.layer(slot);
  StepArguments step = {};
  step.pass = pass;
  step.hidden = static_cast<int32_t>(spec_.hidden);
  step.slots = static_cast<int32_t>(spec_.hidden / spec_.chunk);
  step.chunk = static_cast<int32_t>(spec_.chunk);
  step.x_stride = weights.input.outputs;
  step.recurrent = recurrent_;
  step.recurrent_stride = weights.recurrent.outputs;
  step.candidate = candidate_;
  step.reset = reset_;
  step.gates = gates_;
  step.h = hidden(slot);
  step.c = cell(slot);
  step.y = output_of(layer, direction);
  step.y_stride = spec_.directions * spec_.hidden;
  step.keep = tape_.keeps_pre_activations();
  step.masks = draws_.of_steps(slot);
  const auto rows_of = [&](const float* matrix) {
    Rows rows = {};
    rows.kind = Rows::kMatrix;
    rows.count = step.rows;
    rows.base = matrix;
    rows.stride = spec_.hidden;
    return rows;
  };

  step.rows = batch_.size();
  for (int32_t s = pass.first; s < pass.first + pass.steps; ++s) {
    step.s = s;
    step.rows = batch_.active(s, step.rows);
    step.x = projected(slot, pass.first) + int64_t{s - pass.first} * batch_.size() * step.x_stride;
    step.kept_h = tape_.hidden(slot, s + 1);
    step.kept_c = tape_.cell(slot, s + 1);
    step.kept_candidate = tape_.candidate(slot, s);
    multiply(model_.precision(),
             {weights.recurrent, rows_of(step.h), recurrent_, step.recurrent_stride}, stream_);
    if (spec_.cell->reset_before) {
      run_reset(spec_.cell_id, step, stream_);
      multiply(model_.precision(), {weights.candidate, rows_of(reset_), candidate_, spec_.hidden},
               stream_);
    }
    if (gates_ != nullptr) run_scan(spec_.cell_id, step, stream_);
    run_pointwise(spec_.cell_id, step, stream_);
  }
}

// Tiers S, C and G: all steps in one launch, or in as many as it takes for the slices of a launch
// to be on the device together.
void Session::run_persistent(int64_t layer, int64_t direction, const Pass& pass) {
  const int64_t slot = layer * spec_.directions + direction;
  const LayerWeights& weights = model_.layer(slot);
  PersistentArguments arguments = {};
  arguments.pass = pass;
  arguments.shape = tier_.shape;
  arguments.recurrent = weights.recurrent;
  arguments.hidden = static_cast<int32_t>(spec_.hidden);
  arguments.rows = batch_.active(pass.first, batch_.size());
  arguments.slots = static_cast<int32_t>(spec_.hidden / spec_.chunk);
  arguments.chunk = static_cast<int32_t>(spec_.chunk);
  arguments.x = projected(slot, pass.first);
  arguments.x_stride = weights.input.outputs;
  arguments.h = hidden(slot);
  arguments.c = cell(slot);
  arguments.y = output_of(layer, direction);
  arguments.y_stride = spec_.directions * spec_.hidden;
  arguments.keep = tape_.keeps_pre_activations();
  arguments.kept_h = tape_.hidden(slot, pass.first + 1);
  arguments.kept_c = tape_.cell(slot, pass.first + 1);
  arguments.kept_candidate = tape_.candidate(slot, pass.first);
  arguments.masks = store_masks(draws_.of_steps(slot), pass, arguments.hidden, masks_, stream_);
  arguments.exchange = exchange_;
  arguments.arrived = arrived_;
  arguments.timed_out = wrong_ + kTimedOut;
  arguments.patience = patience_;
  launch_slices("layer", tier_, arguments, stream_);
}

// ---- The head -----------------------------------------------------------------------------------

void Session::run_head() {
  if (tensors_.logits == nullptr && tensors_.log_probs == nullptr &&
      tensors_.target_log_probs == nullptr) {
    return;
  }
  const int64_t places = int64_t{sequences_.steps} * sequences_.batch;
  for (int64_t first = 0; first < places; first += kHeadRows) {
    head_chunk(first, static_cast<int32_t>(std::min(kHeadRows, places - first)));
  }
}

void Session::head_chunk(int64_t first, int32_t count) {
  Rows rows = {};
  rows.kind = Rows::kPlaces;
  rows.count = count;
  rows.base = layer_output(spec_.layers - 1);
  rows.stride = spec_.directions * spec_.hidden;
  rows.pass.sequences = sequences_;
  rows.offset = first;
  multiply_many({model_.head(), rows, head_, spec_.outputs});
  run_softmax({sequences_, first, count, static_cast<int32_t>(spec_.outputs), head_,
               tensors_.targets, tensors_.logits, tensors_.log_probs, tensors_.target_log_probs},
              stream_);
}

}  // namespace gatefuse::cuda
