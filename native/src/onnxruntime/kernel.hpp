// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "onnxruntime/copier.hpp"
#include "onnxruntime/operator.hpp"

namespace gatefuse::onnxruntime {

struct CloseModel {
  void operator()(gf_model* model) const { gf_model_destroy(model); }
};
using Model = std::unique_ptr<gf_model, CloseModel>;

struct CloseSession {
  void operator()(gf_session* session) const { gf_session_destroy(session); }
};

// What one run needs and the next one may use again: a session of gatefuse.h that is large enough,
// and room for what has to be moved on its way in or out. One run at a time.
struct Workspace {
  std::unique_ptr<gf_session, CloseSession> session;
  int64_t steps = 0;  // at most, of the session
  int64_t batch = 0;
  std::vector<int32_t> lengths;
  Scratch x, y, h0, c0, hn, cn;

  explicit Workspace(const Device& device)
      : x(device), y(device), h0(device), c0(device), hn(device), cn(device) {}
};

// A node of a session of ONNX Runtime, with its weights packed. Runs at the same time are allowed:
// each takes a workspace of its own, and there are as many as there ever were runs at once.
//
// On a device X, the states and the outputs are in its memory, all else is in the host's, and a run
// puts its work on ONNX Runtime's stream. Where it has to rearrange tensors it waits for it, so
// that the next run may use their room.
class Kernel {
 public:
  // threads: as in gf_session_options.
  Kernel(const Runtime& runtime, const Kind& kind, const KernelInfo* info, const Device& device,
         int32_t threads, std::string subject);

  const Runtime& runtime() const { return runtime_; }
  // What sentences about this node begin with.
  const char* subject() const { return subject_.c_str(); }

  void run(KernelContext* context);

 private:
  struct Weights {
    Tensor w, r, b;
  };
  struct Call;
  class Lease;

  bool read_constants(const KernelInfo* info, Weights* weights) const;
  Model pack(const Weights& weights) const;
  void reserve(Workspace* workspace, gf_model* model, int64_t steps, int64_t batch) const;
  Call read(KernelContext* context) const;
  void forward(const Call& call, Workspace* workspace) const;
  void arrange(const Call& call, const Copier& copier, Workspace* workspace, gf_io* io) const;
  void give(const Call& call, const Copier& copier, const gf_io& io) const;
  void turn(const Call& call, const Copier& copier, const float* from, int64_t width, float* to,
            int32_t completion) const;
  const float* zeros() const;
  void clear(const Call& call, const Copier& copier, int64_t row) const;
  bool directions_apart(const Call& call) const;
  bool states_apart() const;
  bool rearranges(const Call& call) const;

  Runtime runtime_;
  const Kind& kind_;
  Settings settings_;
  Device device_;
  int32_t threads_;
  std::string subject_;
  int64_t input_ = 0;        // I, where the weights are constant
  Model model_;              // null where they are not
  mutable Scratch nothing_;  // H zeros, once they are needed
  mutable std::mutex mutex_;
  size_t leases_ = 0;
  std::vector<std::unique_ptr<Workspace>> free_;
};

}  // namespace gatefuse::onnxruntime
