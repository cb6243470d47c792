// SPDX-License-Identifier: Apache-2.0
#include "onnxruntime/kernel.hpp"

#include <algorithm>
#include <initializer_list>

namespace gatefuse::onnxruntime {
namespace {

constexpr int64_t kAny = -1;

void check(gf_status status) {
  if (status != GF_OK) throw Error(status, "%s", gf_last_error());
}

std::string list(const int64_t* sizes, size_t count) {
  std::string text = "[";
  for (size_t i = 0; i < count; ++i) {
    text += (i == 0 ? "" : ", ") + (sizes[i] == kAny ? "any" : std::to_string(sizes[i]));
  }
  return text + "]";
}

// letters: what the sizes are called.
void check_shape(const char* name, const Tensor& tensor, const char* letters,
                 std::initializer_list<int64_t> sizes) {
  bool fits = tensor.rank == sizes.size();
  for (size_t i = 0; fits && i < tensor.rank; ++i) {
    const int64_t size = sizes.begin()[i];
    fits = size == kAny || size == tensor.shape[i];
  }
  if (!fits) {
    throw Error(GF_INVALID_ARGUMENT, "%s: expected %s = %s, got %s", name, letters,
                list(sizes.begin(), sizes.size()).c_str(), list(tensor.shape, tensor.rank).c_str());
  }
}

void check_size(const char* name, int64_t size) {
  if (size > INT32_MAX) {
    throw Error(GF_INVALID_ARGUMENT, "%s: expected at most %d, got %lld", name, INT32_MAX,
                static_cast<long long>(size));
  }
}

int64_t power_of_two(int64_t least) {
  int64_t power = 1;
  while (power < least) power *= 2;
  return std::min<int64_t>(power, INT32_MAX);
}

// [a, b, width] to [b, a, width].
void swap_axes(const float* from, int64_t a, int64_t b, int64_t width, float* to) {
  for (int64_t i = 0; i < a; ++i) {
    for (int64_t j = 0; j < b; ++j) {
      std::copy_n(from + (i * b + j) * width, width, to + (j * a + i) * width);
    }
  }
}

}  // namespace

// What one run reads and writes. Null and empty: left out.
struct Kernel::Call {
  Weights weights;  // where they are not constant
  Tensor x, lengths, h0, c0;
  float* y;
  float* hn;
  float* cn;
  int64_t steps, batch, input;

  int32_t length(int64_t row) const {
    return lengths ? lengths.integers()[row] : static_cast<int32_t>(steps);
  }
};

// A workspace for the length of a run.
class Kernel::Lease {
 public:
  explicit Lease(Kernel* kernel) : kernel_(kernel) {
    const std::lock_guard<std::mutex> lock(kernel_->mutex_);
    // So that giving back allocates nothing, and cannot fail.
    kernel_->free_.reserve(kernel_->free_.size() + kernel_->leases_ + 1);
    if (kernel_->free_.empty()) {
      workspace_ = std::make_unique<Workspace>();
    } else {
      workspace_ = std::move(kernel_->free_.back());
      kernel_->free_.pop_back();
    }
    ++kernel_->leases_;
  }
  ~Lease() {
    const std::lock_guard<std::mutex> lock(kernel_->mutex_);
    --kernel_->leases_;
    kernel_->free_.push_back(std::move(workspace_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Workspace* workspace() const { return workspace_.get(); }

 private:
  Kernel* kernel_;
  std::unique_ptr<Workspace> workspace_;
};

// ---- Creation ---------------------------------------------------------------------------------

Kernel::Kernel(const Runtime& runtime, const Kind& kind, const KernelInfo* info, int32_t threads,
               std::string subject)
    : runtime_(runtime),
      kind_(kind),
      settings_(Settings::of(kind, runtime, info)),
      threads_(threads),
      subject_(std::move(subject)) {
  Weights weights;
  if (!read_constants(info, &weights)) return;
  model_ = pack(weights);
  input_ = weights.w.shape[2];
}

// Whether all weights of the node are constants of the model.
bool Kernel::read_constants(const KernelInfo* info, Weights* weights) const {
  size_t inputs = 0;
  runtime_.call<GetInfoInputCount>(info, &inputs);
  const auto read = [&](size_t index, const char* name, size_t rank, Tensor* tensor) {
    if (index >= inputs || runtime_.text<GetInfoInputName>(info, index).empty()) return true;
    int constant = 0;
    const Value* value = nullptr;
    runtime_.call<GetConstantInput>(info, index, &constant, &value);
    if (constant == 0) return false;
    *tensor = Tensor::of(runtime_, value, name, kFloat, rank);
    return true;
  };
  const bool constant = read(kW, "W", 3, &weights->w) && read(kR, "R", 3, &weights->r) &&
                        read(kB, "B", 2, &weights->b);
  return constant && weights->w && weights->r;
}

Model Kernel::pack(const Weights& weights) const {
  const int64_t directions = settings_.directions;
  const int64_t hidden = settings_.hidden;
  const int64_t rows = kind_.blocks * hidden;
  check_shape("W", weights.w, "[directions, rows, I]", {directions, rows, kAny});
  check_shape("R", weights.r, "[directions, rows, H]", {directions, rows, hidden});
  if (weights.b) check_shape("B", weights.b, "[directions, 2 rows]", {directions, 2 * rows});
  const int64_t input = weights.w.shape[2];
  check_size("W: I", input);

  gf_spec spec = {};
  spec.struct_size = sizeof spec;
  spec.cell = settings_.cell;
  spec.input_size = static_cast<int32_t>(input);
  spec.hidden_size = static_cast<int32_t>(hidden);
  spec.layers = 1;
  spec.directions = static_cast<int32_t>(directions);
  spec.chunk = 1;
  gf_model* created = nullptr;
  check(gf_model_create(&spec, nullptr, &created));
  Model model(created);
  std::vector<float> ours;
  const auto set = [&](int64_t index, const float* theirs, int64_t columns) {
    const int64_t block = hidden * columns;
    ours.resize(kind_.blocks * block);
    for (int i = 0; i < kind_.blocks; ++i) {
      std::copy_n(theirs + kind_.order[i] * block, block, ours.data() + i * block);
    }
    check(gf_model_set_tensor(created, static_cast<int32_t>(index), ours.data(),
                              static_cast<int64_t>(ours.size())));
  };
  for (int64_t d = 0; d < directions; ++d) {
    set(4 * d, weights.w.floats() + d * rows * input, input);
    set(4 * d + 1, weights.r.floats() + d * rows * hidden, hidden);
    if (!weights.b) continue;
    set(4 * d + 2, weights.b.floats() + 2 * d * rows, 1);
    set(4 * d + 3, weights.b.floats() + (2 * d + 1) * rows, 1);
  }
  return model;
}

// ---- A run ------------------------------------------------------------------------------------

void Kernel::run(KernelContext* context) {
  const Call call = read(context);
  if (call.steps == 0) {
    for (int64_t row = 0; row < call.batch; ++row) clear(call, row);
  } else if (call.batch == 0) {
    return;  // all outputs are empty
  } else if (model_ != nullptr) {
    const Lease lease(this);
    reserve(lease.workspace(), model_.get(), call.steps, call.batch);
    forward(call, lease.workspace());
  } else {
    const Model model = pack(call.weights);
    Workspace workspace;
    reserve(&workspace, model.get(), call.steps, call.batch);
    forward(call, &workspace);
  }
}

Kernel::Call Kernel::read(KernelContext* context) const {
  const auto input = [&](size_t index, const char* name, int32_t type, size_t rank) {
    const Value* value = nullptr;
    runtime_.call<GetInput>(static_cast<const KernelContext*>(context), index, &value);
    return Tensor::of(runtime_, value, name, type, rank);
  };
  const int64_t directions = settings_.directions;
  const int64_t hidden = settings_.hidden;
  const bool batch_major = settings_.batch_major;
  Call call = {};
  call.x = input(kX, "X", kFloat, 3);
  if (model_ == nullptr) {
    call.weights = {input(kW, "W", kFloat, 3), input(kR, "R", kFloat, 3),
                    input(kB, "B", kFloat, 2)};
  }
  call.lengths = input(kLengths, "sequence_lens", kInt32, 1);
  call.h0 = input(kInitialH, "initial_h", kFloat, 3);
  if (kind_.is_lstm()) call.c0 = input(kInitialC, "initial_c", kFloat, 3);

  call.input = model_ == nullptr ? call.weights.w.shape[2] : input_;
  check_shape("X", call.x, batch_major ? "[B, T, I]" : "[T, B, I]", {kAny, kAny, call.input});
  call.steps = call.x.shape[batch_major ? 1 : 0];
  call.batch = call.x.shape[batch_major ? 0 : 1];
  check_size("X: T", call.steps);
  check_size("X: B", call.batch);
  if (call.lengths) check_shape("sequence_lens", call.lengths, "[B]", {call.batch});
  for (int64_t row = 0; call.lengths && row < call.batch; ++row) {
    if (call.length(row) < 0 || call.length(row) > call.steps) {
      throw Error(GF_INVALID_ARGUMENT, "sequence_lens[%lld]: expected 0 .. T=%lld, got %d",
                  static_cast<long long>(row), static_cast<long long>(call.steps),
                  call.length(row));
    }
  }
  const int64_t first = batch_major ? call.batch : directions;
  const int64_t second = batch_major ? directions : call.batch;
  const char* letters = batch_major ? "[B, directions, H]" : "[directions, B, H]";
  if (call.h0) check_shape("initial_h", call.h0, letters, {first, second, hidden});
  if (call.c0) check_shape("initial_c", call.c0, letters, {first, second, hidden});

  const auto output = [&](size_t index, std::initializer_list<int64_t> shape) {
    Value* value = nullptr;
    void* data = nullptr;
    runtime_.call<GetOutput>(context, index, shape.begin(), shape.size(), &value);
    if (value != nullptr) runtime_.call<GetData>(value, &data);
    return static_cast<float*>(data);
  };
  if (batch_major) {
    call.y = output(kY, {call.batch, call.steps, directions, hidden});
  } else {
    call.y = output(kY, {call.steps, directions, call.batch, hidden});
  }
  call.hn = output(kYh, {first, second, hidden});
  if (kind_.is_lstm()) call.cn = output(kYc, {first, second, hidden});
  return call;
}

// Makes the session large enough. Steps cost it next to nothing, so they are rounded up.
void Kernel::reserve(Workspace* workspace, gf_model* model, int64_t steps, int64_t batch) const {
  if (workspace->session != nullptr && steps <= workspace->steps && batch <= workspace->batch) {
    return;
  }
  workspace->session.reset();
  workspace->steps = std::max(workspace->steps, power_of_two(steps));
  workspace->batch = std::max(workspace->batch, batch);
  gf_session_options options = {};
  options.struct_size = sizeof options;
  options.max_steps = static_cast<int32_t>(workspace->steps);
  options.max_batch = static_cast<int32_t>(workspace->batch);
  options.threads = threads_;
  gf_session* session = nullptr;
  check(gf_session_create(model, &options, &session));
  workspace->session.reset(session);
}

void Kernel::forward(const Call& call, Workspace* workspace) const {
  gf_io io = {};
  io.struct_size = sizeof io;
  io.layout = settings_.batch_major ? GF_BATCH_MAJOR : GF_TIME_MAJOR;
  io.steps = static_cast<int32_t>(call.steps);
  io.batch = static_cast<int32_t>(call.batch);
  arrange(call, workspace, &io);
  check(gf_forward(workspace->session.get(), &io));
  give(call, workspace);
}

// Where the two interfaces agree on a tensor it is used in place. Where they do not: our one
// direction goes forward; our y is [T, B, directions, H]; our states are [directions, B, H]; our
// lengths are at least 1.
void Kernel::arrange(const Call& call, Workspace* workspace, gf_io* io) const {
  const int64_t states = settings_.directions * call.batch * settings_.hidden;
  io->x = call.x.floats();
  io->y = call.y;
  io->hn = call.hn;
  io->cn = call.cn;
  io->h0 = call.h0.floats();
  io->c0 = call.c0.floats();
  io->lengths = call.lengths.integers();
  if (settings_.reverse) {
    workspace->x.resize(call.steps * call.batch * call.input);
    for (int64_t row = 0; row < call.batch; ++row) {
      for (int64_t t = 0; t < call.length(row); ++t) {
        std::copy_n(io->x + place(call, t, row) * call.input, call.input,
                    workspace->x.data() + place(call, call.length(row) - 1 - t, row) * call.input);
      }
    }
    io->x = workspace->x.data();
  }
  if (call.y != nullptr && directions_apart(call)) {
    workspace->y.resize(call.steps * states);
    io->y = workspace->y.data();
  }
  if (states_apart()) {
    const auto arranged = [&](const float* from, std::vector<float>* to) -> const float* {
      if (from == nullptr) return nullptr;
      to->resize(states);
      swap_axes(from, call.batch, settings_.directions, settings_.hidden, to->data());
      return to->data();
    };
    const auto room = [&](const float* out, std::vector<float>* to) -> float* {
      if (out == nullptr) return nullptr;
      to->resize(states);
      return to->data();
    };
    io->h0 = arranged(io->h0, &workspace->h0);
    io->c0 = arranged(io->c0, &workspace->c0);
    io->hn = room(call.hn, &workspace->hn);
    io->cn = room(call.cn, &workspace->cn);
  }
  if (call.lengths) {
    workspace->lengths.assign(io->lengths, io->lengths + call.batch);
    for (int32_t& length : workspace->lengths) length = std::max(length, 1);
    io->lengths = workspace->lengths.data();
  }
}

// The way back from what arrange made.
void Kernel::give(const Call& call, Workspace* workspace) const {
  const int64_t hidden = settings_.hidden;
  const int64_t directions = settings_.directions;
  if (call.y != nullptr && directions_apart(call)) {
    for (int64_t t = 0; t < call.steps; ++t) {
      const int64_t at = t * call.batch * directions * hidden;
      swap_axes(workspace->y.data() + at, call.batch, directions, hidden, call.y + at);
    }
  }
  if (states_apart()) {
    if (call.hn != nullptr) {
      swap_axes(workspace->hn.data(), directions, call.batch, hidden, call.hn);
    }
    if (call.cn != nullptr) {
      swap_axes(workspace->cn.data(), directions, call.batch, hidden, call.cn);
    }
  }
  for (int64_t row = 0; row < call.batch; ++row) {
    const int64_t length = call.length(row);
    if (length == 0) clear(call, row);
    if (!settings_.reverse || call.y == nullptr) continue;
    for (int64_t t = 0; t < length / 2; ++t) {
      float* early = call.y + place(call, t, row) * hidden;
      std::swap_ranges(early, early + hidden, call.y + place(call, length - 1 - t, row) * hidden);
    }
  }
}

// The outputs of a sequence without steps: zeros, as ONNX Runtime's own operators have it.
void Kernel::clear(const Call& call, int64_t row) const {
  const int64_t hidden = settings_.hidden;
  const int64_t directions = settings_.directions;
  for (int64_t d = 0; d < directions; ++d) {
    for (int64_t t = 0; t < call.steps && call.y != nullptr; ++t) {
      const int64_t at = settings_.batch_major ? (row * call.steps + t) * directions + d
                                               : (t * directions + d) * call.batch + row;
      std::fill_n(call.y + at * hidden, hidden, 0.0f);
    }
    const int64_t at = settings_.batch_major ? row * directions + d : d * call.batch + row;
    if (call.hn != nullptr) std::fill_n(call.hn + at * hidden, hidden, 0.0f);
    if (call.cn != nullptr) std::fill_n(call.cn + at * hidden, hidden, 0.0f);
  }
}

// Of (t, row) among the places of X, and of Y in one direction.
int64_t Kernel::place(const Call& call, int64_t t, int64_t row) const {
  return settings_.batch_major ? row * call.steps + t : t * call.batch + row;
}

bool Kernel::directions_apart(const Call& call) const {
  return settings_.directions == 2 && !settings_.batch_major && call.batch > 1;
}

bool Kernel::states_apart() const { return settings_.directions == 2 && settings_.batch_major; }

}  // namespace gatefuse::onnxruntime
