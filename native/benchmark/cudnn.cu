// SPDX-License-Identifier: Apache-2.0
//
// cuDNN 8 or 9, found at run time. Types and enumerators are declared here as documented: its
// headers are needed nowhere.
#include <dlfcn.h>

#include <cmath>
#include <limits>

#include "contender.hpp"

namespace gatefuse::benchmark {
namespace {

// ---- The library --------------------------------------------------------------------------------

using Status = int;
using Handle = struct HandleStruct*;
using RnnDescriptor = struct RnnStruct*;
using DataDescriptor = struct DataStruct*;
using TensorDescriptor = struct TensorStruct*;
using DropoutDescriptor = struct DropoutStruct*;

enum { kDataFloat = 0, kDataHalf = 2 };
enum { kAlgoStandard = 0, kAlgoPersistStatic = 1, kAlgoSmallH = 3 };
enum { kModeLstm = 2, kModeGru = 3 };
enum { kDoubleBias = 2 };
enum { kUnidirectional = 0 };
enum { kLinearInput = 0 };
enum { kDefaultMath = 0, kTensorOpMath = 1, kFmaMath = 3 };
enum { kPaddedIo = 1 };
enum { kInference = 0 };
enum { kSeqMajorUnpacked = 0, kSeqMajorPacked = 1 };

struct Cudnn {
  size_t (*get_version)();
  const char* (*get_error_string)(Status);
  Status (*create)(Handle*);
  Status (*set_stream)(Handle, cudaStream_t);
  Status (*create_rnn)(RnnDescriptor*);
  Status (*destroy_rnn)(RnnDescriptor);
  Status (*set_rnn)(RnnDescriptor, int algo, int mode, int bias, int direction, int input_mode,
                    int data_type, int math_precision, int math_type, int32_t input, int32_t hidden,
                    int32_t projection, int32_t layers, DropoutDescriptor, uint32_t flags);
  Status (*create_dropout)(DropoutDescriptor*);
  Status (*destroy_dropout)(DropoutDescriptor);
  Status (*set_dropout)(DropoutDescriptor, Handle, float, void*, size_t, unsigned long long);
  Status (*create_data)(DataDescriptor*);
  Status (*destroy_data)(DataDescriptor);
  Status (*set_data)(DataDescriptor, int data_type, int layout, int steps, int batch, int width,
                     const int lengths[], void* padding);
  Status (*create_tensor)(TensorDescriptor*);
  Status (*destroy_tensor)(TensorDescriptor);
  Status (*set_tensor)(TensorDescriptor, int data_type, int dimensions, const int[], const int[]);
  Status (*weight_bytes)(Handle, RnnDescriptor, size_t*);
  Status (*work_bytes)(Handle, RnnDescriptor, int mode, DataDescriptor, size_t* work,
                       size_t* reserve);
  Status (*weight_places)(Handle, RnnDescriptor, int32_t layer, size_t bytes, const void* weights,
                          int32_t block, TensorDescriptor, void** matrix, TensorDescriptor,
                          void** bias);
  Status (*forward)(Handle, RnnDescriptor, int mode, const int32_t lengths[], DataDescriptor,
                    const void* x, DataDescriptor, void* y, TensorDescriptor, const void* hx,
                    void* hy, TensorDescriptor, const void* cx, void* cy, size_t weight_bytes,
                    const void* weights, size_t work_bytes, void* work, size_t reserve_bytes,
                    void* reserve);

  static const Cudnn& get() {
    static const Cudnn library;
    return library;
  }
  // Empty where it is there.
  const std::string& missing() const { return missing_; }

  void check(Status status, const char* what) const {
    if (status == 0) return;
    throw Failure(std::string(what) + ": cuDNN says " + get_error_string(status));
  }

 private:
  Cudnn() {
    void* library = nullptr;
    for (const char* name : {"libcudnn.so.9", "libcudnn.so.8", "libcudnn.so"}) {
      if (library == nullptr) library = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
    }
    if (library == nullptr) {
      missing_ = "libcudnn.so.9 was not found";
      return;
    }
    const auto find = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
      if (function == nullptr && missing_.empty()) {
        missing_ = std::string("the library has no ") + name;
      }
    };
    find(get_version, "cudnnGetVersion");
    find(get_error_string, "cudnnGetErrorString");
    find(create, "cudnnCreate");
    find(set_stream, "cudnnSetStream");
    find(create_rnn, "cudnnCreateRNNDescriptor");
    find(destroy_rnn, "cudnnDestroyRNNDescriptor");
    find(set_rnn, "cudnnSetRNNDescriptor_v8");
    find(create_dropout, "cudnnCreateDropoutDescriptor");
    find(destroy_dropout, "cudnnDestroyDropoutDescriptor");
    find(set_dropout, "cudnnSetDropoutDescriptor");
    find(create_data, "cudnnCreateRNNDataDescriptor");
    find(destroy_data, "cudnnDestroyRNNDataDescriptor");
    find(set_data, "cudnnSetRNNDataDescriptor");
    find(create_tensor, "cudnnCreateTensorDescriptor");
    find(destroy_tensor, "cudnnDestroyTensorDescriptor");
    find(set_tensor, "cudnnSetTensorNdDescriptor");
    find(weight_bytes, "cudnnGetRNNWeightSpaceSize");
    find(work_bytes, "cudnnGetRNNTempSpaceSizes");
    find(weight_places, "cudnnGetRNNWeightParams");
    find(forward, "cudnnRNNForward");
  }

  std::string missing_;
};

// A handle or descriptor, made and ended by the library's functions.
template <class T>
class Owned {
 public:
  Owned(const char* what, Status (*create)(T*), Status (*destroy)(T)) : destroy_(destroy) {
    Cudnn::get().check(create(&value_), what);
  }
  ~Owned() { destroy_(value_); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  operator T() const { return value_; }

 private:
  T value_ = nullptr;
  Status (*destroy_)(T);
};

// One for the process: making it takes a second. It is never ended, since nothing says that the
// device is still there when the process ends.
Handle shared_handle() {
  static const Handle handle = [] {
    Handle made = nullptr;
    Cudnn::get().check(Cudnn::get().create(&made), "cudnnCreate");
    return made;
  }();
  return handle;
}

// ---- A contender --------------------------------------------------------------------------------

struct Settings {
  Family family;
  Format format;
  bool tensor_cores;
  int algo;

  int data_type() const { return format == Format::kFloat16 ? kDataHalf : kDataFloat; }
  int math() const {
    if (format == Format::kFloat16) return kTensorOpMath;
    return tensor_cores ? kDefaultMath : kFmaMath;
  }
  const char* algo_name() const {
    return algo == kAlgoStandard        ? "standard"
           : algo == kAlgoPersistStatic ? "persistent"
                                        : "small H";
  }
};

class CudnnLayer : public Contender {
 public:
  CudnnLayer(Data& data, const Settings& settings)
      : data_(data),
        settings_(settings),
        handle_(shared_handle()),
        lengths_(data.shape().lengths()) {
    const Shape& shape = data.shape();
    if (lengths_.empty()) lengths_.assign(static_cast<size_t>(shape.batch), shape.steps);
    api_.check(api_.set_stream(handle_, data.stream()), "cudnnSetStream");
    api_.check(api_.set_dropout(dropout_, handle_, 0, nullptr, 0, 0), "cudnnSetDropoutDescriptor");
    api_.check(
        api_.set_rnn(rnn_, settings.algo, settings.family == Family::kLstm ? kModeLstm : kModeGru,
                     kDoubleBias, kUnidirectional, kLinearInput, settings.data_type(), kDataFloat,
                     settings.math(), shape.hidden, shape.hidden, shape.hidden, 1, dropout_,
                     shape.ragged ? kPaddedIo : 0),
        "cudnnSetRNNDescriptor_v8");
    // Packed is the same where all sequences are of one length, and wants no padding.
    api_.check(api_.set_data(sequences_, settings.data_type(),
                             shape.ragged ? kSeqMajorUnpacked : kSeqMajorPacked, shape.steps,
                             shape.batch, shape.hidden, lengths_.data(), &padding_),
               "cudnnSetRNNDataDescriptor");
    const int dimensions[3] = {1, shape.batch, shape.hidden};
    const int strides[3] = {shape.batch * shape.hidden, shape.hidden, 1};
    api_.check(api_.set_tensor(state_, settings.data_type(), 3, dimensions, strides),
               "cudnnSetTensorNdDescriptor");
    api_.check(api_.weight_bytes(handle_, rnn_, &weight_bytes_), "cudnnGetRNNWeightSpaceSize");
    api_.check(
        api_.work_bytes(handle_, rnn_, kInference, sequences_, &work_bytes_, &reserve_bytes_),
        "cudnnGetRNNTempSpaceSizes");
    const int64_t value = bytes_of(settings.format);
    weights_ = Memory(static_cast<int64_t>(weight_bytes_));
    work_ = Memory(static_cast<int64_t>(work_bytes_));
    reserve_ = Memory(static_cast<int64_t>(reserve_bytes_));
    y_ = Memory(shape.places() * shape.hidden * value);
    h_ = Memory(int64_t{shape.batch} * shape.hidden * value);
    c_ = Memory(int64_t{shape.batch} * shape.hidden * value);
    device_lengths_ = Memory(int64_t{shape.batch} * 4);
    check(cudaMemcpy(device_lengths_.as<void>(), lengths_.data(), lengths_.size() * 4,
                     cudaMemcpyHostToDevice),
          "lengths");
    load_weights();
  }

  ~CudnnLayer() override { cudaStreamSynchronize(data_.stream()); }

  void enqueue(int turn) override {
    const bool carried = data_.shape().streaming;
    const bool cell = settings_.family == Family::kLstm;
    void* const hx = carried ? h_.as<void>() : nullptr;
    void* const cx = carried && cell ? c_.as<void>() : nullptr;
    api_.check(api_.forward(handle_, rnn_, kInference, device_lengths_.as<int32_t>(), sequences_,
                            data_.input(settings_.format, turn), sequences_, y_.as<void>(), state_,
                            hx, h_.as<void>(), state_, cx, cell ? c_.as<void>() : nullptr,
                            weight_bytes_, weights_.as<void>(), work_bytes_, work_.as<void>(),
                            reserve_bytes_, reserve_.as<void>()),
               "cudnnRNNForward");
  }

  void finish() override { check(cudaStreamSynchronize(data_.stream()), "cudnnRNNForward"); }

  std::string path() const override { return settings_.algo_name(); }

  std::vector<float> output(int64_t count) const override {
    return download(y_.as<void>(), settings_.format, count, data_.stream());
  }

 private:
  // Its blocks come in the order of ours: first those of the input, then the recurrent ones.
  void load_weights() {
    const int blocks = settings_.family == Family::kLstm ? 4 : 3;
    const int64_t hidden = data_.shape().hidden;
    const auto& ours = data_.weights(blocks * hidden);
    const Owned<TensorDescriptor> matrix("tensor", api_.create_tensor, api_.destroy_tensor);
    const Owned<TensorDescriptor> bias("tensor", api_.create_tensor, api_.destroy_tensor);
    for (int i = 0; i < 2 * blocks; ++i) {
      void* matrix_at = nullptr;
      void* bias_at = nullptr;
      api_.check(api_.weight_places(handle_, rnn_, 0, weight_bytes_, weights_.as<void>(), i, matrix,
                                    &matrix_at, bias, &bias_at),
                 "cudnnGetRNNWeightParams");
      const int64_t block = i % blocks;
      const size_t recurrent = i < blocks ? 0 : 1;
      put(matrix_at, ours[recurrent].data() + block * hidden * hidden, hidden * hidden);
      put(bias_at, ours[2 + recurrent].data() + block * hidden, hidden);
    }
  }
  void put(void* to, const float* from, int64_t count) {
    if (to != nullptr) upload(to, settings_.format, from, count, data_.stream());
  }

  const Cudnn& api_ = Cudnn::get();
  Data& data_;
  Settings settings_;
  Handle handle_;
  std::vector<int32_t> lengths_;
  Owned<DropoutDescriptor> dropout_{"dropout", api_.create_dropout, api_.destroy_dropout};
  Owned<RnnDescriptor> rnn_{"RNN", api_.create_rnn, api_.destroy_rnn};
  Owned<DataDescriptor> sequences_{"sequences", api_.create_data, api_.destroy_data};
  Owned<TensorDescriptor> state_{"state", api_.create_tensor, api_.destroy_tensor};
  float padding_ = 0;
  size_t weight_bytes_ = 0, work_bytes_ = 0, reserve_bytes_ = 0;
  Memory weights_, work_, reserve_, y_, h_, c_, device_lengths_;
};

// The least of some calls, in milliseconds.
double quick_time(CudnnLayer& layer, cudaStream_t stream) {
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 4; ++i) {
    const Event start;
    const Event end;
    start.record(stream);
    layer.enqueue(i);
    end.record(stream);
    const double time = end.since(start);
    if (i > 0 && time < least) least = time;
  }
  return least;
}

}  // namespace

std::unique_ptr<Contender> make_cudnn(Data& data, Family family, Format format, bool tensor_cores) {
  const Cudnn& api = Cudnn::get();
  if (!api.missing().empty()) throw Failure(api.missing());
  std::unique_ptr<CudnnLayer> best;
  double least = 0;
  std::string refused;
  for (const int algo : {kAlgoStandard, kAlgoPersistStatic, kAlgoSmallH}) {
    const Settings settings = {family, format, tensor_cores, algo};
    try {
      auto layer = std::make_unique<CudnnLayer>(data, settings);
      const double time = quick_time(*layer, data.stream());
      if (best == nullptr || time < least) {
        best = std::move(layer);
        least = time;
      }
    } catch (const Failure& e) {
      refused += std::string(refused.empty() ? "" : "; ") + settings.algo_name() + ": " + e.what();
    }
  }
  if (best == nullptr) throw Failure(refused);
  return best;
}

std::string describe_cudnn() {
  const Cudnn& api = Cudnn::get();
  if (!api.missing().empty()) return api.missing();
  const size_t version = api.get_version();  // 9.x: major * 10000 + minor * 100; before: * 1000
  const size_t major = version >= 10000 ? version / 10000 : version / 1000;
  const size_t minor = version >= 10000 ? version / 100 % 100 : version / 100 % 10;
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(version % 100);
}

}  // namespace gatefuse::benchmark
