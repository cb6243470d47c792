// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import static io.github.gatefuse.cudnn.FakeMemory.require;
import static org.bytedeco.cuda.global.cudnn.CUDNN_BIDIRECTIONAL;
import static org.bytedeco.cuda.global.cudnn.CUDNN_DATA_FLOAT;
import static org.bytedeco.cuda.global.cudnn.CUDNN_FMA_MATH;
import static org.bytedeco.cuda.global.cudnn.CUDNN_FWD_MODE_INFERENCE;
import static org.bytedeco.cuda.global.cudnn.CUDNN_LINEAR_INPUT;
import static org.bytedeco.cuda.global.cudnn.CUDNN_RNN_ALGO_STANDARD;
import static org.bytedeco.cuda.global.cudnn.CUDNN_RNN_DOUBLE_BIAS;
import static org.bytedeco.cuda.global.cudnn.CUDNN_RNN_PADDED_IO_ENABLED;
import static org.bytedeco.cuda.global.cudnn.CUDNN_STATUS_EXECUTION_FAILED;
import static org.bytedeco.cuda.global.cudnn.CUDNN_STATUS_SUCCESS;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;

/**
 * CUDA and cuDNN without a device: objects are counted, arguments are checked as the documentation
 * has them, weights lie in a weight space of an order of its own, and networks are evaluated from
 * there by {@link FakeRnn}. Any call can be made to fail. One thread.
 */
final class FakeCudnn implements CudnnApi {
  private static final List<String> DEVICE_NAMES =
      List.of("A device that is not there", "Another that is not there");

  /** What a kind of object was set to. */
  private static final class Thing {
    final Kind kind;
    final int device;
    Object setting;

    Thing(Kind kind, int device) {
      this.kind = kind;
      this.device = device;
    }
  }

  /** The setting of a tensor's descriptor. */
  record Tensor(List<Integer> dimensions, List<Integer> strides) {}

  /** The setting of a descriptor of sequences; fill null for none. */
  record Data(int layout, int steps, int batch, int width, int[] lengths, Float fill) {}

  final FakeMemory memory = new FakeMemory();

  /** All calls that could have failed. */
  final List<String> calls = new ArrayList<>();

  /** The number of the call that fails, from 0; none if negative. */
  int failing = -1;

  /** What a failing function returns. */
  int cudaFailure = 999;

  int cudnnFailure = CUDNN_STATUS_EXECUTION_FAILED;

  /** What cudaGetLastError says after a failure of cuDNN. */
  int lastError;

  int devices = 1;

  /** The device that was set last. */
  private int current;

  private final Map<Long, Thing> things = new HashMap<>();
  private final Map<Kind, Integer> made = new EnumMap<>(Kind.class);
  private long nextAddress = 16;

  /** Objects and memory that are there. */
  int alive() {
    return things.size() + memory.blocks();
  }

  /** How many were ever made of a kind. */
  int made(Kind kind) {
    return made.getOrDefault(kind, 0);
  }

  private boolean fails(String function) {
    calls.add(function);
    return calls.size() - 1 == failing;
  }

  private int cuda(String function, Runnable effect) {
    if (fails(function)) {
      return cudaFailure;
    }
    effect.run();
    return 0;
  }

  private int cudnn(String function, Runnable effect) {
    if (fails(function)) {
      return cudnnFailure;
    }
    effect.run();
    return CUDNN_STATUS_SUCCESS;
  }

  private Thing thing(Kind kind, Pointer pointer) {
    Thing thing = things.get(pointer.address());
    require(thing != null && thing.kind == kind, "expected a living " + kind);
    require(thing.device == current, "expected a " + kind + " of the current device");
    return thing;
  }

  private <T> T setting(Kind kind, Pointer pointer, Class<T> type) {
    Object setting = thing(kind, pointer).setting;
    require(setting != null, "expected a " + kind + " that was set");
    return type.cast(setting);
  }

  @Override
  public Pointer reference(Kind kind) {
    return new FakeMemory.Reference();
  }

  @Override
  public int create(Kind kind, Pointer out) {
    Runnable effect =
        () -> {
          ((FakeMemory.Reference) out).at(nextAddress);
          things.put(nextAddress, new Thing(kind, current));
          nextAddress += 16;
          made.merge(kind, 1, Integer::sum);
        };
    return kind.ofCudnn() ? cudnn(kind.creation(), effect) : cuda(kind.creation(), effect);
  }

  @Override
  public int destroy(Kind kind, Pointer pointer) {
    Runnable effect =
        () -> {
          if (kind == Kind.MEMORY) {
            memory.free(pointer);
          } else {
            thing(kind, pointer);
            things.remove(pointer.address());
          }
        };
    return kind.ofCudnn() ? cudnn(kind.destruction(), effect) : cuda(kind.destruction(), effect);
  }

  @Override
  public int allocate(Pointer out, long bytes) {
    made.merge(Kind.MEMORY, 1, Integer::sum);
    return cuda("cudaMalloc", () -> memory.allocate(out, bytes));
  }

  @Override
  public int clear(Pointer device, long bytes, Pointer stream) {
    thing(Kind.STREAM, stream);
    return cuda("cudaMemsetAsync", () -> memory.clear(device, bytes));
  }

  @Override
  public int upload(Pointer device, Pointer host, long bytes, Pointer stream) {
    thing(Kind.STREAM, stream);
    return cuda("cudaMemcpyAsync", () -> memory.upload(device, host, bytes));
  }

  @Override
  public int download(Pointer host, Pointer device, long bytes, Pointer stream) {
    thing(Kind.STREAM, stream);
    return cuda("cudaMemcpyAsync", () -> memory.download(host, device, bytes));
  }

  @Override
  public int synchronize(Pointer stream) {
    thing(Kind.STREAM, stream);
    return cuda("cudaStreamSynchronize", memory::runAll);
  }

  @Override
  public int deviceCount(int[] count) {
    return cuda("cudaGetDeviceCount", () -> count[0] = devices);
  }

  @Override
  public int setDevice(int device) {
    require(device >= 0 && device < devices, "no such device");
    return cuda("cudaSetDevice", () -> current = device);
  }

  @Override
  public int deviceName(byte[] name, int device) {
    byte[] text = DEVICE_NAMES.get(device).getBytes(StandardCharsets.UTF_8);
    return cuda("cuDeviceGetName", () -> System.arraycopy(text, 0, name, 0, text.length));
  }

  @Override
  public int deviceAttribute(int[] value, int attribute, int device) {
    // 75 and 76 are those of the compute capability.
    require(attribute == 75 || attribute == 76, "an attribute that nobody needs");
    return cuda("cudaDeviceGetAttribute", () -> value[0] = attribute == 75 ? 9 : 0);
  }

  @Override
  public int runtimeVersion(int[] version) {
    return cuda("cudaRuntimeGetVersion", () -> version[0] = 13_030);
  }

  @Override
  public int lastError() {
    return lastError;
  }

  @Override
  public String errorName(int status) {
    return "cudaError" + status;
  }

  @Override
  public String errorText(int status) {
    return "text of " + status;
  }

  @Override
  public long cudnnVersion() {
    return 92_500;
  }

  @Override
  public String cudnnErrorText(int status) {
    return "CUDNN_STATUS_" + status;
  }

  @Override
  public String cudnnLastErrorText() {
    return "because of a test\n";
  }

  @Override
  public int cudnnSetStream(Pointer handle, Pointer stream) {
    thing(Kind.STREAM, stream);
    Thing user = thing(Kind.HANDLE, handle);
    return cudnn("cudnnSetStream", () -> user.setting = stream.address());
  }

  @Override
  public int cudnnSetNoDropout(Pointer dropout, Pointer handle) {
    thing(Kind.HANDLE, handle);
    Thing set = thing(Kind.DROPOUT, dropout);
    return cudnn("cudnnSetDropoutDescriptor", () -> set.setting = 0f);
  }

  @Override
  public int cudnnSetRnn(
      Pointer rnn,
      int algorithm,
      int cellMode,
      int biasMode,
      int directionMode,
      int inputMode,
      int dataType,
      int mathPrecision,
      int mathType,
      int inputSize,
      int hiddenSize,
      int projectionSize,
      int layers,
      Pointer dropout,
      int flags) {
    setting(Kind.DROPOUT, dropout, Float.class);
    require(algorithm == CUDNN_RNN_ALGO_STANDARD, "the only algorithm for all that is used");
    require(biasMode == CUDNN_RNN_DOUBLE_BIAS && inputMode == CUDNN_LINEAR_INPUT, "modes");
    require(dataType == CUDNN_DATA_FLOAT && mathPrecision == CUDNN_DATA_FLOAT, "float32");
    require(mathType == CUDNN_FMA_MATH, "no TF32");
    require(projectionSize == hiddenSize, "no projection");
    require(flags == CUDNN_RNN_PADDED_IO_ENABLED, "sequences with padding");
    int directions = directionMode == CUDNN_BIDIRECTIONAL ? 2 : 1;
    FakeRnn network = new FakeRnn(cellMode, inputSize, hiddenSize, layers, directions);
    Thing set = thing(Kind.RNN, rnn);
    return cudnn("cudnnSetRNNDescriptor_v8", () -> set.setting = network);
  }

  @Override
  public int cudnnSetRnnData(
      Pointer data,
      int dataType,
      int layout,
      int steps,
      int batch,
      int width,
      Pointer hostLengths,
      Pointer hostFill) {
    require(dataType == CUDNN_DATA_FLOAT, "float32");
    int[] lengths = new int[batch];
    FakeMemory.host(hostLengths, Integer.BYTES * (long) batch).asIntBuffer().get(lengths);
    require(Arrays.stream(lengths).allMatch(n -> n >= 1 && n <= steps), "lengths");
    Float fill = hostFill == null ? null : FakeMemory.host(hostFill, Float.BYTES).getFloat(0);
    Thing set = thing(Kind.RNN_DATA, data);
    return cudnn(
        "cudnnSetRNNDataDescriptor",
        () -> set.setting = new Data(layout, steps, batch, width, lengths, fill));
  }

  private static List<Integer> list(int[] values) {
    return Arrays.stream(values).boxed().toList();
  }

  @Override
  public int cudnnSetTensor(Pointer tensor, int dataType, int[] dimensions, int[] strides) {
    require(dataType == CUDNN_DATA_FLOAT, "float32");
    Thing set = thing(Kind.TENSOR, tensor);
    return cudnn(
        "cudnnSetTensorNdDescriptor",
        () -> set.setting = new Tensor(list(dimensions), list(strides)));
  }

  @Override
  public int cudnnGetTensor(
      Pointer tensor, int[] dataType, int[] rank, int[] dimensions, int[] strides) {
    Tensor set = setting(Kind.TENSOR, tensor, Tensor.class);
    return cudnn(
        "cudnnGetTensorNdDescriptor",
        () -> {
          dataType[0] = CUDNN_DATA_FLOAT;
          rank[0] = set.dimensions().size();
          for (int i = 0; i < dimensions.length; i++) {
            dimensions[i] = set.dimensions().get(i);
            strides[i] = set.strides().get(i);
          }
        });
  }

  @Override
  public int cudnnGetWeightSpaceSize(Pointer handle, Pointer rnn, long[] bytes) {
    thing(Kind.HANDLE, handle);
    FakeRnn network = setting(Kind.RNN, rnn, FakeRnn.class);
    return cudnn(
        "cudnnGetRNNWeightSpaceSize", () -> bytes[0] = Float.BYTES * (long) network.weights());
  }

  @Override
  public int cudnnGetWeightParams(
      Pointer handle,
      Pointer rnn,
      int pseudoLayer,
      long bytes,
      Pointer deviceSpace,
      int linearLayer,
      Pointer matrixShape,
      Pointer deviceMatrix,
      Pointer biasShape,
      Pointer deviceBias) {
    thing(Kind.HANDLE, handle);
    FakeRnn network = setting(Kind.RNN, rnn, FakeRnn.class);
    require(bytes == Float.BYTES * (long) network.weights(), "the weight space's size");
    memory.bytes(deviceSpace, bytes);
    Thing matrix = thing(Kind.TENSOR, matrixShape);
    Thing bias = thing(Kind.TENSOR, biasShape);
    int rows = network.hidden();
    int columns = network.columns(pseudoLayer, linearLayer);
    return cudnn(
        "cudnnGetRNNWeightParams",
        () -> {
          matrix.setting =
              new Tensor(List.of(1, rows, columns), List.of(rows * columns, columns, 1));
          bias.setting = new Tensor(List.of(1, rows, 1), List.of(rows, 1, 1));
          long base = deviceSpace.address();
          FakeRnn.Place place = network.place(pseudoLayer, linearLayer);
          ((FakeMemory.Reference) deviceMatrix).at(base + Float.BYTES * place.matrix());
          ((FakeMemory.Reference) deviceBias).at(base + Float.BYTES * place.bias());
        });
  }

  /** The smaller a shape, the more it needs: nothing says that it is the other way round. */
  private static long workBytes(Data data) {
    return Float.BYTES * (1000L / (data.steps * data.batch));
  }

  @Override
  public int cudnnGetTempSpaceSizes(
      Pointer handle, Pointer rnn, int mode, Pointer data, long[] workBytes, long[] reserveBytes) {
    thing(Kind.HANDLE, handle);
    setting(Kind.RNN, rnn, FakeRnn.class);
    require(mode == CUDNN_FWD_MODE_INFERENCE, "inference");
    Data set = setting(Kind.RNN_DATA, data, Data.class);
    return cudnn(
        "cudnnGetRNNTempSpaceSizes",
        () -> {
          workBytes[0] = workBytes(set);
          reserveBytes[0] = 0;
        });
  }

  @Override
  public int cudnnForward(
      Pointer handle,
      Pointer rnn,
      int mode,
      Pointer deviceLengths,
      Pointer xShape,
      Pointer deviceX,
      Pointer yShape,
      Pointer deviceY,
      Pointer hShape,
      Pointer deviceH0,
      Pointer deviceHn,
      Pointer cShape,
      Pointer deviceC0,
      Pointer deviceCn,
      long weightBytes,
      Pointer deviceWeights,
      long workBytes,
      Pointer deviceWork) {
    setting(Kind.HANDLE, handle, Long.class);
    FakeRnn network = setting(Kind.RNN, rnn, FakeRnn.class);
    require(mode == CUDNN_FWD_MODE_INFERENCE, "inference");
    Data x = setting(Kind.RNN_DATA, xShape, Data.class);
    Data y = setting(Kind.RNN_DATA, yShape, Data.class);
    require(Arrays.equals(x.lengths, y.lengths) && x.layout == y.layout, "x and y go together");
    require(x.steps == y.steps && x.batch == y.batch, "x and y go together");
    require(x.width == network.inputSize() && y.width == network.outputSize(), "widths");
    require(weightBytes == Float.BYTES * (long) network.weights(), "the weight space's size");
    require(workBytes >= workBytes(x), "the workspace's size");
    require(workBytes == 0 || memory.bytes(deviceWork, workBytes) != null, "the workspace");
    boolean lstm = network.hasCell();
    require(lstm == (cShape != null) && lstm == (deviceCn != null), "a cell state for an LSTM");
    checkState(network, x.batch, hShape);
    FakeRnn.State state =
        new FakeRnn.State(
            state(network, x, deviceH0),
            state(network, x, deviceHn),
            lstm ? state(network, x, deviceC0) : null,
            lstm ? state(network, x, deviceCn) : null);
    ByteBuffer weights = memory.bytes(deviceWeights, weightBytes);
    ByteBuffer in = memory.bytes(deviceX, Float.BYTES * (long) x.steps * x.batch * x.width);
    ByteBuffer out = memory.bytes(deviceY, Float.BYTES * (long) x.steps * x.batch * y.width);
    ByteBuffer lengths = memory.bytes(deviceLengths, Integer.BYTES * (long) x.batch);
    return cudnn(
        "cudnnRNNForward",
        () ->
            memory.enqueue(
                () -> {
                  for (int b = 0; b < x.batch; b++) {
                    require(lengths.getInt(Integer.BYTES * b) == x.lengths[b], "lengths again");
                  }
                  network.forward(weights, x, in, y, out, state);
                }));
  }

  private void checkState(FakeRnn network, int batch, Pointer shape) {
    Tensor set = setting(Kind.TENSOR, shape, Tensor.class);
    int hidden = network.hidden();
    require(set.dimensions().equals(List.of(network.slots(), batch, hidden)), "a state's shape");
    require(set.strides().equals(List.of(batch * hidden, hidden, 1)), "a state's strides");
  }

  private ByteBuffer state(FakeRnn network, Data x, Pointer device) {
    long values = (long) network.slots() * x.batch * network.hidden();
    return device == null ? null : memory.bytes(device, Float.BYTES * values);
  }
}
