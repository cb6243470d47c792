// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.github.gatefuse.onnxruntime.GatefuseOrt;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;

/**
 * ONNX Runtime, in the fastest way that its Java interface has: constant weights, which it packs
 * once; input and output in tensors over direct buffers, made once (a pinned output is written in
 * place). One thread at a time.
 */
final class OrtContender implements Contender {
  /** A model and the shape of its output. */
  private enum Network {
    LSTM("LSTM", OnnxModels::lstm),
    SCAN("Scan", OnnxModels::refine),
    INT8("DynamicQuantizeLSTM", OnnxModels::quantizedLstm),
    OUR_LSTM("with GateFuse's LSTM", OnnxModels::movedLstm),
    OUR_REFINE("with GateFuse's RefineLSTM", OnnxModels::refineOperator);

    private final String operator;
    private final Function<Shape, byte[]> model;

    Network(String operator, Function<Shape, byte[]> model) {
      this.operator = operator;
      this.model = model;
    }

    static Network of(Race race) {
      return switch (race) {
        case STANDARD -> LSTM;
        case REFINE -> SCAN;
        case INT8 -> INT8;
        case BFLOAT16 -> throw new IllegalArgumentException("bfloat16");
      };
    }

    boolean isOurs() {
      return this == OUR_LSTM || this == OUR_REFINE;
    }

    /** The operators have a dimension of directions. */
    long[] output(Shape shape) {
      return this == SCAN
          ? new long[] {shape.steps(), shape.batch(), shape.size()}
          : new long[] {shape.steps(), 1, shape.batch(), shape.size()};
    }
  }

  /** What the worker threads of a session do while there is no work. */
  private enum Waiting {
    /** One thread: there are no workers. */
    NONE(Map.of()),
    /** The default: they spin, also for a while after a call, so that the next finds them awake. */
    SPINNING(Map.of("session.intra_op.allow_spinning", "1")),
    /** They spin during a call only. */
    SPINNING_IN_CALLS(
        Map.of("session.intra_op.allow_spinning", "1", "session.force_spinning_stop", "1")),
    /** They sleep. */
    SLEEPING(Map.of("session.intra_op.allow_spinning", "0"));

    private final Map<String, String> entries;

    Waiting(Map<String, String> entries) {
      this.entries = entries;
    }

    static List<Waiting> all(int threads) {
      return threads == 1 ? List.of(NONE) : List.of(SPINNING, SPINNING_IN_CALLS, SLEEPING);
    }
  }

  private final Network network;
  private final Waiting waiting;
  private final int threads;
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final OrtSession session;
  private final FloatBuffer output;
  private final Map<String, OnnxTensor> inputs;
  private final Map<String, OnnxTensor> outputs;

  private OrtContender(Network network, Shape shape, int threads, Waiting waiting) {
    this.network = network;
    this.waiting = waiting;
    this.threads = threads;
    output = shape.zeros();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(threads);
      options.setInterOpNumThreads(1);
      options.setExecutionMode(OrtSession.SessionOptions.ExecutionMode.SEQUENTIAL);
      options.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.ALL_OPT);
      for (Map.Entry<String, String> entry : waiting.entries.entrySet()) {
        options.addConfigEntry(entry.getKey(), entry.getValue());
      }
      if (network.isOurs()) {
        options.addConfigEntry(GatefuseOrt.THREADS, Integer.toString(threads));
        options.registerCustomOpLibrary(GatefuseOrt.libraryPath());
      }
      session = environment.createSession(network.model.apply(shape), options);
      inputs =
          Map.of(
              OnnxModels.INPUT, tensor(shape.input(), shape.steps(), shape.batch(), shape.size()));
      outputs = Map.of(OnnxModels.OUTPUT, tensor(output, network.output(shape)));
    } catch (OrtException e) {
      throw new IllegalStateException("ONNX Runtime: " + e.getMessage(), e);
    }
  }

  /** The network of a race in all settings that may be the fastest. */
  static List<Contender> settings(Race race, Shape shape, int threads) {
    return Waiting.all(threads).stream()
        .<Contender>map(waiting -> new OrtContender(Network.of(race), shape, threads, waiting))
        .toList();
  }

  /** GateFuse's operator, in a session as the others have it. */
  static Contender operator(Race race, Shape shape, int threads) {
    Network network = race == Race.STANDARD ? Network.OUR_LSTM : Network.OUR_REFINE;
    return new OrtContender(network, shape, threads, Waiting.all(threads).get(0));
  }

  private OnnxTensor tensor(FloatBuffer buffer, long... shape) throws OrtException {
    return OnnxTensor.createTensor(environment, buffer, shape);
  }

  @Override
  public String name() {
    String name = "ONNX Runtime " + network.operator;
    return waiting == Waiting.NONE
        ? name
        : name + ", " + waiting.name().toLowerCase(Locale.ROOT).replace('_', ' ');
  }

  @Override
  public String path() {
    return "ONNX Runtime "
        + environment.getVersion()
        + ", CPU, intra-op threads "
        + threads
        + ", inter-op 1, sequential, all optimisations, pinned output, "
        + waiting.entries;
  }

  @Override
  public void run() {
    try {
      // The output is pinned: it is in the buffer by now.
      session.run(inputs, outputs).close();
    } catch (OrtException e) {
      throw new IllegalStateException("ONNX Runtime: " + e.getMessage(), e);
    }
  }

  @Override
  public FloatBuffer output() {
    return output;
  }

  @Override
  public void close() {
    try {
      inputs.values().forEach(OnnxTensor::close);
      outputs.values().forEach(OnnxTensor::close);
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException("ONNX Runtime: " + e.getMessage(), e);
    }
  }
}
