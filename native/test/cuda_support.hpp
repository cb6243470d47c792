// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the CUDA backend share: the device behind the backend library, and calls whose
// buffers lie where a caller may have them.
//
// The library is the emulated one, or that which GATEFUSE_CUDA_LIBRARY (environment) names. The
// tests' own memory, streams and graphs come from the emulation's runtime or from NVIDIA's driver.
#pragma once

#include <string>

#include "cuda_driver.hpp"
#include "emulation.hpp"
#include "support.hpp"

namespace gatefuse::test {

// ---- The device ---------------------------------------------------------------------------------

inline bool is_emulated() { return std::getenv("GATEFUSE_CUDA_LIBRARY") == nullptr; }

inline const Driver& driver() {
  static const Driver the_driver = is_emulated() ? emulated_driver() : nvidia_driver();
  return the_driver;
}

// Loads the backend; false, and said why, where it does not run here.
inline bool load_backend() {
  const char* library = std::getenv("GATEFUSE_CUDA_LIBRARY");
  if (gf_backend_load(library == nullptr ? CUDA_LIBRARY : library) == GF_OK) return true;
  std::printf("%s\n", gf_last_error());
  return false;
}

// A stream of the caller's, which does not wait for the legacy stream.
class CallersStream {
 public:
  CallersStream() { CHECK_EQ(driver().cuStreamCreate(&stream_, 1), 0); }
  CallersStream(const CallersStream&) = delete;
  CallersStream& operator=(const CallersStream&) = delete;
  ~CallersStream() { driver().cuStreamDestroy_v2(stream_); }

  void* get() const { return stream_; }
  void wait() const { CHECK_EQ(driver().cuStreamSynchronize(stream_), 0); }

 private:
  void* stream_ = nullptr;
};

// What `issue` puts on a stream, as a graph.
class CallersGraph {
 public:
  template <class Issue>
  CallersGraph(const CallersStream& stream, Issue issue) {
    void* graph = nullptr;
    constexpr int kThreadLocal = 1;
    CHECK_EQ(driver().cuStreamBeginCapture_v2(stream.get(), kThreadLocal), 0);
    issue();
    CHECK_EQ(driver().cuStreamEndCapture(stream.get(), &graph), 0);
    CHECK_EQ(driver().cuGraphInstantiateWithFlags(&executable_, graph, 0), 0);
    CHECK_EQ(driver().cuGraphDestroy(graph), 0);
  }
  CallersGraph(const CallersGraph&) = delete;
  CallersGraph& operator=(const CallersGraph&) = delete;
  ~CallersGraph() { driver().cuGraphExecDestroy(executable_); }

  void launch(const CallersStream& stream) const {
    CHECK_EQ(driver().cuGraphLaunch(executable_, stream.get()), 0);
  }

 private:
  void* executable_ = nullptr;
};

// ---- Calls --------------------------------------------------------------------------------------

// Where a caller has its buffers.
enum class Place { kPageable, kPinned, kDevice };
constexpr Place kPlaces[] = {Place::kPageable, Place::kPinned, Place::kDevice};

// One array of a call. Its memory ends where its values end, so that what goes beyond is found.
template <class T>
class Buffer {
 public:
  Buffer(Place place, const std::vector<T>& values) : place_(place), count_(values.size()) {
    if (count_ == 0) return;
    void* memory = nullptr;
    if (place_ == Place::kDevice) {
      CHECK_EQ(driver().cuMemAlloc_v2(&memory, bytes()), 0);
    } else if (place_ == Place::kPinned) {
      CHECK_EQ(gf_host_allocate(GF_BACKEND_CUDA, static_cast<int64_t>(bytes()), &memory), GF_OK);
    } else {
      memory = ::operator new(bytes());
    }
    data_ = static_cast<T*>(memory);
    set(values);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_ == nullptr) return;
    if (place_ == Place::kDevice) {
      driver().cuMemFree_v2(data_);
    } else if (place_ == Place::kPinned) {
      gf_host_free(GF_BACKEND_CUDA, data_);
    } else {
      ::operator delete(data_);
    }
  }

  T* get() const { return data_; }
  void set(const std::vector<T>& values) {
    CHECK_EQ(values.size(), count_);
    if (count_ == 0) return;
    if (place_ == Place::kDevice) {
      CHECK_EQ(driver().cuMemcpyHtoD_v2(data_, values.data(), bytes()), 0);
    } else {
      std::memcpy(data_, values.data(), bytes());
    }
  }
  std::vector<T> values() const {
    std::vector<T> all(count_);
    if (count_ == 0) return all;
    if (place_ == Place::kDevice) {
      CHECK_EQ(driver().cuMemcpyDtoH_v2(all.data(), data_, bytes()), 0);
    } else {
      std::memcpy(all.data(), data_, bytes());
    }
    return all;
  }

 private:
  size_t bytes() const { return count_ * sizeof(T); }

  Place place_;
  size_t count_;
  T* data_ = nullptr;
};

// A call with all its buffers in one kind of place, and its outputs NaN until they are written.
class PlacedCall {
 public:
  PlacedCall(const gf_spec& spec, const Call& call, Place place)
      : PlacedCall(call, place, make_result(spec, call.steps, call.batch)) {}

  gf_io io = {};

  // Other inputs in the same places; sizes and lengths stay.
  void set(const Call& call) {
    x_.set(call.x);
    tokens_.set(call.tokens);
    targets_.set(call.targets);
    h0_.set(call.h0);
    c0_.set(call.c0);
  }
  std::vector<float> h0() const { return h0_.values(); }
  Result result() const {
    return {y_.values(),      hn_.values(),        cn_.values(),
            logits_.values(), log_probs_.values(), target_log_probs_.values()};
  }

 private:
  PlacedCall(const Call& call, Place place, const Result& none)
      : lengths_(call.lengths),
        x_(place, call.x),
        tokens_(place, call.tokens),
        targets_(place, call.targets),
        h0_(place, call.h0),
        c0_(place, call.c0),
        y_(place, none.y),
        hn_(place, none.hn),
        cn_(place, none.cn),
        logits_(place, none.logits),
        log_probs_(place, none.log_probs),
        target_log_probs_(place, none.target_log_probs) {
    io.struct_size = sizeof io;
    io.layout = call.layout;
    io.steps = call.steps;
    io.batch = call.batch;
    io.x = x_.get();
    io.tokens = tokens_.get();
    io.lengths = pointer(lengths_);
    io.h0 = h0_.get();
    io.c0 = c0_.get();
    io.y = y_.get();
    io.hn = hn_.get();
    io.cn = cn_.get();
    io.targets = targets_.get();
    io.logits = logits_.get();
    io.log_probs = log_probs_.get();
    io.target_log_probs = target_log_probs_.get();
    io.training = call.training;
    io.draw = call.draw;
    io.memory = place == Place::kDevice ? GF_MEMORY_DEVICE : GF_MEMORY_HOST;
  }

  std::vector<int32_t> lengths_;
  Buffer<float> x_;
  Buffer<int32_t> tokens_, targets_;
  Buffer<float> h0_, c0_, y_, hn_, cn_, logits_, log_probs_, target_log_probs_;
};

// ---- Tiers and precisions -----------------------------------------------------------------------

constexpr int kTiers[] = {GF_TIER_ALTERNATING, GF_TIER_SLICE, GF_TIER_CLUSTER, GF_TIER_GRID};
constexpr int kPrecisions[] = {GF_FLOAT32, GF_TF32, GF_BFLOAT16, GF_FLOAT16};

inline const char* tier_name(int tier) {
  constexpr const char* kNames[] = {"auto", "alternating", "slice", "cluster", "grid"};
  return kNames[tier];
}
inline const char* precision_name(int precision) {
  constexpr const char* kNames[] = {"float32", "tf32", "bfloat16", "float16"};
  return kNames[precision];
}

// In parts of the largest gradient of a tensor: sums of float32, or what operands lose that are
// rounded on the way there and on the way back.
inline double gradient_bound(int precision) {
  constexpr double kBounds[] = {2e-5, 4e-3, 3e-2, 4e-3};
  return kBounds[precision];
}

inline gf_model_options cuda_options(int precision) {
  return {sizeof(gf_model_options), GF_BACKEND_CUDA, 0, precision, 0};
}

// Whether a session of this tier exists for the network; the sentence is left in gf_last_error.
inline bool tier_fits(const Network& network, int tier, int max_batch = 1) {
  const gf_session_options options = session_options(1, max_batch, 1, tier);
  gf_session* session = nullptr;
  if (gf_session_create(network.model, &options, &session) != GF_OK) return false;
  gf_session_destroy(session);
  return true;
}

inline std::string path_of(const Runner& runner) {
  char text[1024] = "";
  CHECK_EQ(gf_session_path(runner.session, text, sizeof text), GF_OK);
  return text;
}

}  // namespace gatefuse::test
