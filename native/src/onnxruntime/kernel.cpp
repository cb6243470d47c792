// SPDX-License-Identifier: Apache-2.0
#include "onnxruntime/kernel.hpp"

#include <algorithm>
#include <exception>
#include <initializer_list>

namespace gatefuse::onnxruntime {
namespace {

constexpr int64_t kAny = -1;

// CUDA's default stream by the handle of its own (cudaStreamLegacy): null would be a session's.
void* const kDefaultStream = reinterpret_cast<void*>(1);

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

}  // namespace

// What one run reads and writes. Null and empty: left out.
struct Kernel::Call {
  Weights weights;  // where they are not constant
  Tensor x, lengths, h0, c0;
  float* y;
  float* hn;
  float* cn;
  int64_t steps, batch, input;
  void* stream;  // of the device

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
      workspace_ = std::make_unique<Workspace>(kernel_->device_);
    } else {
      workspace_ = std::move(kernel_->free_.back());
      kernel_->free_.pop_back();
    }
    ++kernel_->leases_;
  }
  // What a failed run leaves behind may still be written, and is given up: that waits for it.
  ~Lease() {
    const std::lock_guard<std::mutex> lock(kernel_->mutex_);
    --kernel_->leases_;
    if (std::uncaught_exceptions() == exceptions_) {
      kernel_->free_.push_back(std::move(workspace_));
    }
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Workspace* workspace() const { return workspace_.get(); }

 private:
  Kernel* kernel_;
  std::unique_ptr<Workspace> workspace_;
  int exceptions_ = std::uncaught_exceptions();
};

// ---- Creation ---------------------------------------------------------------------------------

Kernel::Kernel(const Runtime& runtime, const Kind& kind, const KernelInfo* info,
               const Device& device, int32_t threads, std::string subject)
    : runtime_(runtime),
      kind_(kind),
      settings_(Settings::of(kind, runtime, info)),
      device_(device),
      threads_(threads),
      subject_(std::move(subject)),
      nothing_(device) {
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
  gf_model_options options = {};
  options.struct_size = sizeof options;
  options.backend = device_ ? GF_BACKEND_CUDA : GF_BACKEND_CPU;
  options.device = device_.value_or(0);
  gf_model* created = nullptr;
  check(gf_model_create(&spec, &options, &created));
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
    const Copier copier(device_, call.stream);
    for (int64_t row = 0; row < call.batch; ++row) clear(call, copier, row);
  } else if (call.batch == 0) {
    return;  // all outputs are empty
  } else if (model_ != nullptr) {
    const Lease lease(this);
    reserve(lease.workspace(), model_.get(), call.steps, call.batch);
    forward(call, lease.workspace());
  } else {
    const Model model = pack(call.weights);
    Workspace workspace(device_);
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
  if (device_) {
    runtime_.call<GetComputeStream>(static_cast<const KernelContext*>(context), &call.stream);
    if (call.stream == nullptr) call.stream = kDefaultStream;
  }
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
  const Copier copier(device_, call.stream);
  gf_io io = {};
  io.struct_size = sizeof io;
  io.layout = settings_.batch_major ? GF_BATCH_MAJOR : GF_TIME_MAJOR;
  io.steps = static_cast<int32_t>(call.steps);
  io.batch = static_cast<int32_t>(call.batch);
  io.stream = call.stream;
  io.memory = device_ ? GF_MEMORY_DEVICE : GF_MEMORY_HOST;
  io.completion = device_ && !rearranges(call) ? GF_ON_STREAM : GF_ON_RETURN;
  arrange(call, copier, workspace, &io);
  check(gf_forward(workspace->session.get(), &io));
  give(call, copier, io);
}

// Where the two interfaces agree on a tensor it is used in place. Where they do not: our one
// direction goes forward; our y is [T, B, directions, H]; our states are [directions, B, H]; our
// lengths are at least 1.
void Kernel::arrange(const Call& call, const Copier& copier, Workspace* workspace,
                     gf_io* io) const {
  const int64_t hidden = settings_.hidden;
  const int64_t states = settings_.directions * call.batch * hidden;
  io->x = call.x.floats();
  io->y = call.y;
  io->hn = call.hn;
  io->cn = call.cn;
  io->h0 = call.h0.floats();
  io->c0 = call.c0.floats();
  io->lengths = call.lengths.integers();
  if (settings_.reverse) {
    float* turned = workspace->x.take(call.steps * call.batch * call.input);
    turn(call, copier, io->x, call.input, turned, GF_ON_STREAM);
    io->x = turned;
  }
  if (call.y != nullptr && (directions_apart(call) || settings_.reverse)) {
    io->y = workspace->y.take(call.steps * states);
  }
  if (states_apart()) {
    const auto arranged = [&](const float* from, Scratch* room) -> const float* {
      if (from == nullptr) return nullptr;
      float* to = room->take(states);
      copier.copy(to, from,
                  {hidden, call.batch, 2, hidden, call.batch * hidden, 2 * hidden, hidden});
      return to;
    };
    io->h0 = arranged(io->h0, &workspace->h0);
    io->c0 = arranged(io->c0, &workspace->c0);
    if (call.hn != nullptr) io->hn = workspace->hn.take(states);
    if (call.cn != nullptr) io->cn = workspace->cn.take(states);
  }
  if (call.lengths) {
    workspace->lengths.assign(io->lengths, io->lengths + call.batch);
    for (int32_t& length : workspace->lengths) length = std::max(length, 1);
    io->lengths = workspace->lengths.data();
  }
}

// The way back from what arrange made.
void Kernel::give(const Call& call, const Copier& copier, const gf_io& io) const {
  const int64_t hidden = settings_.hidden;
  const int64_t row = call.batch * hidden;
  if (call.y != nullptr && settings_.reverse) {
    turn(call, copier, io.y, hidden, call.y, GF_ON_RETURN);
  } else if (call.y != nullptr && directions_apart(call)) {
    for (int64_t d = 0; d < 2; ++d) {
      copier.copy(call.y + d * row, io.y + d * hidden,
                  {hidden, call.batch, call.steps, hidden, 2 * row, 2 * hidden, 2 * row},
                  GF_ON_RETURN);
    }
  }
  if (states_apart()) {
    const auto back = [&](const float* from, float* to) {
      if (to == nullptr) return;
      copier.copy(to, from, {hidden, call.batch, 2, 2 * hidden, hidden, hidden, row}, GF_ON_RETURN);
    };
    back(io.hn, call.hn);
    back(io.cn, call.cn);
  }
  for (int64_t b = 0; call.lengths && b < call.batch; ++b) {
    if (call.length(b) == 0) clear(call, copier, b);
  }
}

// Each sequence of a tensor of one direction from its end to its beginning; what is past its end
// stays there.
void Kernel::turn(const Call& call, const Copier& copier, const float* from, int64_t width,
                  float* to, int32_t completion) const {
  const int64_t step = (settings_.batch_major ? 1 : call.batch) * width;
  const int64_t row = (settings_.batch_major ? call.steps : 1) * width;
  if (!call.lengths) {
    copier.copy(to + (call.steps - 1) * step, from,
                {width, call.steps, call.batch, -step, row, step, row}, completion);
    return;
  }
  for (int64_t b = 0; b < call.batch; ++b) {
    const int64_t length = call.length(b);
    const int64_t rest = call.steps - length;
    const int64_t end = b * row + length * step;
    if (length > 0) {
      copier.copy(to + end - step, from + b * row, {width, length, 1, -step, 0, step, 0},
                  completion);
    }
    if (rest > 0) copier.copy(to + end, from + end, {width, rest, 1, step, 0, step, 0}, completion);
  }
}

// Taken when they are needed: what hidden_size says has not been held against weights before.
const float* Kernel::zeros() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return nothing_.take(settings_.hidden);
}

// The outputs of a sequence without steps: zeros, as ONNX Runtime's own operators have it.
void Kernel::clear(const Call& call, const Copier& copier, int64_t row) const {
  const int64_t hidden = settings_.hidden;
  const int64_t directions = settings_.directions;
  const int64_t batch = call.batch;
  const bool batch_major = settings_.batch_major;
  const float* nothing = zeros();
  const auto fill = [&](float* to, int64_t inner, int64_t stride, int64_t outer, int64_t apart) {
    copier.copy(to, nothing, {hidden, inner, outer, stride * hidden, apart * hidden, 0, 0});
  };
  const int64_t first = batch_major ? row * directions : row;  // state of the first direction
  const int64_t apart = batch_major ? 1 : batch;               // that of the second one
  if (call.y != nullptr && call.steps > 0) {
    const int64_t begin = batch_major ? row * call.steps * directions : row;
    fill(call.y + begin * hidden, directions, apart, call.steps,
         directions * (batch_major ? 1 : batch));
  }
  if (call.hn != nullptr) fill(call.hn + first * hidden, directions, apart, 1, 0);
  if (call.cn != nullptr) fill(call.cn + first * hidden, directions, apart, 1, 0);
}

bool Kernel::directions_apart(const Call& call) const {
  return settings_.directions == 2 && !settings_.batch_major && call.batch > 1;
}

bool Kernel::states_apart() const { return settings_.directions == 2 && settings_.batch_major; }

// Whether a run needs room for other orders of its tensors.
bool Kernel::rearranges(const Call& call) const {
  return settings_.reverse || directions_apart(call) || states_apart();
}

}  // namespace gatefuse::onnxruntime
