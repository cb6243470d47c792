// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.github.gatefuse.Cell;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The LSTM operator of ONNX Runtime, in the fastest way that its Java interface has: constant
 * weights, which it packs once; input and output in tensors over direct buffers, made once (a
 * pinned output is written in place). One thread at a time.
 */
final class OrtContender implements Contender {
  /** What the worker threads of a session do while there is no work. */
  enum Waiting {
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

  static final String PREFIX = "onnxruntime";

  private final Waiting waiting;
  private final int threads;
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final OrtSession session;
  private final FloatBuffer output;
  private final Map<String, OnnxTensor> inputs;
  private final Map<String, OnnxTensor> outputs;

  OrtContender(Shape shape, int threads, Waiting waiting) {
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
      byte[] model = OnnxLstm.model(shape, shape.weights(Cell.LSTM));
      session = environment.createSession(model, options);
      inputs =
          Map.of(OnnxLstm.INPUT, tensor(shape.input(), shape.steps(), shape.batch(), shape.size()));
      outputs =
          Map.of(OnnxLstm.OUTPUT, tensor(output, shape.steps(), 1, shape.batch(), shape.size()));
    } catch (OrtException e) {
      throw new IllegalStateException("ONNX Runtime: " + e.getMessage(), e);
    }
  }

  private OnnxTensor tensor(FloatBuffer buffer, long... shape) throws OrtException {
    return OnnxTensor.createTensor(environment, buffer, shape);
  }

  @Override
  public String name() {
    return waiting == Waiting.NONE
        ? PREFIX
        : PREFIX + " " + waiting.name().toLowerCase(Locale.ROOT).replace('_', ' ');
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
