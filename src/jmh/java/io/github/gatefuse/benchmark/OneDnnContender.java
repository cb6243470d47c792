// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_BIAS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST_LAYER;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_LAYER;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS_ITER;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS_LAYER;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Weights;
import java.nio.FloatBuffer;
import java.util.Locale;
import org.bytedeco.dnnl.IntMemoryMap;
import org.bytedeco.dnnl.dnnl_version_t;
import org.bytedeco.dnnl.engine;
import org.bytedeco.dnnl.global.dnnl;
import org.bytedeco.dnnl.global.dnnl.prop_kind;
import org.bytedeco.dnnl.global.dnnl.rnn_direction;
import org.bytedeco.dnnl.lstm_forward;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.memory.data_type;
import org.bytedeco.dnnl.memory.format_tag;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.dnnl.reorder;
import org.bytedeco.dnnl.stream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;

/**
 * The LSTM primitive of oneDNN, weights reordered once into the layout that it asks for. Where it
 * takes or gives a shorter type, a call converts from and to float32 by oneDNN's own reorders. One
 * thread at a time.
 */
final class OneDnnContender implements Contender {
  private static final int GATES = 4;

  /** A scale for each gate and unit: dimensions 3 and 4 of the weights [L, D, I, gate, unit]. */
  private static final int SCALES_BY_ROW = 1 << 3 | 1 << 4;

  /** Takes the range of inputs and hidden states, [-1, 1], to unsigned bytes. */
  private static final float DATA_SCALE = 127;

  private static final float DATA_SHIFT = 128;

  /** What the primitive reads and writes. */
  private enum Types {
    FLOAT32(data_type.f32, data_type.f32, data_type.f32),
    BFLOAT16(data_type.bf16, data_type.bf16, data_type.bf16),
    INT8(data_type.u8, data_type.s8, data_type.f32);

    private final data_type source;
    private final data_type weights;
    private final data_type destination;

    Types(data_type source, data_type weights, data_type destination) {
      this.source = source;
      this.weights = weights;
      this.destination = destination;
    }
  }

  private final Types types;
  private final Shape shape;
  private final int threads;

  /** OneDNN has its address only, so it must be held here. */
  private final FloatBuffer input;

  private final FloatBuffer output;

  /** Frees all that the constructor made. */
  private final PointerScope made;

  private final engine processor;
  private final stream queue;
  private final primitive_attr attributes;
  private final lstm_forward lstm;
  private final IntMemoryMap arguments;
  private final memory source;
  private final memory destination;
  private final Conversion before;
  private final Conversion after;

  private OneDnnContender(Types types, Shape shape, int threads) {
    this.types = types;
    this.shape = shape;
    this.threads = threads;
    input = shape.input();
    output = shape.zeros();
    try (PointerScope scope = new PointerScope()) {
      processor = new engine(engine.kind.cpu, 0);
      queue = new stream(processor);
      attributes = new primitive_attr();
      arguments = new IntMemoryMap();
      Weights weights = shape.weights(Cell.LSTM);
      if (types == Types.INT8) {
        attributes.set_rnn_data_qparams(DATA_SCALE, DATA_SHIFT);
        attributes.set_rnn_weights_qparams(SCALES_BY_ROW, scales(weights));
      }
      lstm_forward.primitive_desc lstmDescriptor = lstmDescriptor();
      lstm = new lstm_forward(lstmDescriptor);
      memory given = new memory(values(data_type.f32), processor, new FloatPointer(input));
      memory result = new memory(values(data_type.f32), processor, new FloatPointer(output));
      source = types.source == data_type.f32 ? given : allocated(values(types.source));
      destination =
          types.destination == data_type.f32 ? result : allocated(values(types.destination));
      before = conversion(given, source);
      after = conversion(destination, result);
      arguments.put(DNNL_ARG_SRC_LAYER, source);
      arguments.put(DNNL_ARG_DST_LAYER, destination);
      arguments.put(
          DNNL_ARG_WEIGHTS_LAYER,
          reordered(weights.floats("weight_ih_l0"), lstmDescriptor.weights_layer_desc()));
      arguments.put(
          DNNL_ARG_WEIGHTS_ITER,
          reordered(weights.floats("weight_hh_l0"), lstmDescriptor.weights_iter_desc()));
      arguments.put(
          DNNL_ARG_BIAS, new memory(bias(), processor, new FloatPointer(biases(weights))));
      made = scope.extend();
    }
  }

  /** Its contender of a race. */
  static Contender of(Race race, Shape shape, int threads) {
    Types types = Types.valueOf(race.precision().toUpperCase(Locale.ROOT));
    try {
      return new OneDnnContender(types, shape, threads);
    } catch (RuntimeException e) {
      // OneDNN has not every type on every processor, and tells by an exception of C++.
      throw new Refusal(name(types), e);
    }
  }

  /**
   * The zero state is the beginning and no final state is asked for: their descriptors are empty.
   */
  private lstm_forward.primitive_desc lstmDescriptor() {
    memory.desc none = new memory.desc();
    return new lstm_forward.primitive_desc(
        processor,
        prop_kind.forward_inference,
        rnn_direction.unidirectional_left2right,
        values(types.source),
        none,
        none,
        weights(types.weights, format_tag.any),
        weights(types.weights, format_tag.any),
        bias(),
        values(types.destination),
        none,
        none,
        attributes,
        false);
  }

  private memory.desc values(data_type type) {
    long[] dimensions = {shape.steps(), shape.batch(), shape.size()};
    return new memory.desc(dimensions, type, format_tag.tnc);
  }

  private memory.desc weights(data_type type, format_tag format) {
    long[] dimensions = {1, 1, shape.size(), GATES, shape.size()};
    return new memory.desc(dimensions, type, format);
  }

  private memory.desc bias() {
    long[] dimensions = {1, 1, GATES, shape.size()};
    return new memory.desc(dimensions, data_type.f32, format_tag.ldgo);
  }

  private memory allocated(memory.desc descriptor) {
    return new memory(descriptor, processor);
  }

  /**
   * OneDNN's gates are in our order: input, forget, candidate, output. Its int8 layouts are reached
   * only from weights with the inputs as rows.
   */
  private memory reordered(float[] matrix, memory.desc target) {
    memory.desc given = weights(data_type.f32, format_tag.ldgoi);
    memory plain = new memory(given, processor, new FloatPointer(matrix));
    memory transposed = allocated(weights(data_type.f32, format_tag.ldigo));
    memory packed = allocated(target);
    new reorder(plain, transposed).execute(queue, plain, transposed);
    new reorder(transposed, packed, attributes).execute(queue, transposed, packed);
    queue._wait();
    return packed;
  }

  private static float[] biases(Weights weights) {
    float[] sum = weights.floats("bias_ih_l0").clone();
    float[] more = weights.floats("bias_hh_l0");
    for (int i = 0; i < sum.length; i++) {
      sum[i] += more[i];
    }
    return sum;
  }

  /** What a row of both matrices is multiplied with, so that its largest value becomes 127. */
  private float[] scales(Weights weights) {
    int rows = GATES * shape.size();
    float[] input = Int8Matrix.of(weights.floats("weight_ih_l0"), rows).scales();
    float[] recurrent = Int8Matrix.of(weights.floats("weight_hh_l0"), rows).scales();
    float[] scales = new float[rows];
    for (int row = 0; row < rows; row++) {
      scales[row] = 1 / Math.max(input[row], recurrent[row]);
    }
    return scales;
  }

  /** From one type to another; null where both are the same memory. */
  private Conversion conversion(memory from, memory to) {
    return from == to ? null : new Conversion(new reorder(from, to, attributes), from, to);
  }

  private record Conversion(reorder reorder, memory from, memory to) {}

  private void convert(Conversion conversion) {
    if (conversion != null) {
      conversion.reorder.execute(queue, conversion.from, conversion.to);
    }
  }

  @Override
  public String name() {
    return name(types);
  }

  private static String name(Types types) {
    return "oneDNN LSTM " + types.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public String path() {
    dnnl_version_t version = dnnl.dnnl_version();
    return "oneDNN %d.%d.%d, threads %d (OpenMP), weights in its own layout, zero state left out"
        .formatted(version.major(), version.minor(), version.patch(), threads);
  }

  @Override
  public void run() {
    convert(before);
    lstm.execute(queue, arguments);
    convert(after);
    queue._wait();
  }

  @Override
  public FloatBuffer output() {
    return output;
  }

  @Override
  public void close() {
    made.close();
  }
}
