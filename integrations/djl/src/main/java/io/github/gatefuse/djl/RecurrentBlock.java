// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractSymbolBlock;
import ai.djl.nn.ParameterList;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.State;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Runs predictions; inputs and outputs are as the package says. The sessions of a predictor are
 * closed with the predictor's manager.
 *
 * <p>Thread-safe.
 */
final class RecurrentBlock extends AbstractSymbolBlock implements AutoCloseable {
  private final Rnn rnn;
  private final Regularization regularization;
  private final ModelOptions options;
  private final List<Output> outputs;
  private final Map<NDManager, SessionPool> pools = new ConcurrentHashMap<>();

  RecurrentBlock(
      Rnn rnn, Regularization regularization, ModelOptions options, List<Output> outputs) {
    this.rnn = rnn;
    this.regularization = regularization;
    this.options = options;
    this.outputs = outputs;
  }

  @Override
  protected NDList forwardInternal(
      ParameterStore store, NDList inputs, boolean training, PairList<String, Object> params) {
    if (training) {
      throw new UnsupportedOperationException(
          "training: expected false, since this engine only infers, got true");
    }
    Request request = new Request(rnn.spec(), options.timeMajor(), inputs);
    SessionPool pool = pool(store.getManager());
    Session session = pool.take(request.steps(), request.batch());
    try {
      return run(session, request, inputs.head().getManager());
    } finally {
      pool.giveBack(session);
    }
  }

  private SessionPool pool(NDManager manager) {
    return pools.computeIfAbsent(
        manager,
        owner -> {
          SessionPool pool = new SessionPool(rnn, regularization, options);
          AutoCloseable closing =
              () -> {
                pools.remove(owner);
                pool.close();
              };
          owner.attachInternal(NDManager.nextUid(), closing);
          return pool;
        });
  }

  private NDList run(Session session, Request request, NDManager manager) {
    ForwardCall call = session.call().batchMajor(!options.timeMajor());
    if (rnn.spec().vocabulary() > 0) {
      call.tokens(request.tokens());
    } else {
      call.input(request.x());
    }
    IntBuffer lengths = request.lengths();
    call.lengths(lengths);
    boolean stateful = request.hasState() || outputs.stream().anyMatch(Output::isState);
    State state = stateful ? request.state() : null;
    call.state(state);
    if (rnn.spec().outputs() > 0) {
      call.targets(request.targets());
    }
    Map<Output, ByteBuffer> memory = new EnumMap<>(Output.class);
    for (Output output : outputs) {
      memory.put(output, allocate(output, request));
      bind(call, output, memory.get(output).asFloatBuffer());
    }
    call.run(request.steps(), request.batch());
    NDList results = new NDList(outputs.size() + 1);
    for (Output output : outputs) {
      ByteBuffer values = memory.get(output);
      if (output.isState()) {
        copy(output == Output.HN ? state.h() : state.c(), values.asFloatBuffer(), request.batch());
      }
      Shape shape = output.shape(rnn.spec(), request.batch(), request.steps());
      results.add(
          array(
              manager,
              output.id(),
              values,
              Request.order(shape, options.timeMajor()),
              DataType.FLOAT32));
    }
    if (lengths != null) {
      ByteBuffer copy = GatefuseNDManager.direct(request.batch() * Integer.BYTES);
      copy.asIntBuffer().put(0, lengths, 0, request.batch());
      results.add(
          array(manager, Request.LENGTHS, copy, new Shape(request.batch()), DataType.INT32));
    }
    return results;
  }

  private ByteBuffer allocate(Output output, Request request) {
    long count = output.shape(rnn.spec(), request.batch(), request.steps()).size();
    if (count > Integer.MAX_VALUE / Float.BYTES) {
      throw new IllegalArgumentException(
          output.id() + ": expected at most 2^29-1 values, got " + count);
    }
    return GatefuseNDManager.direct((int) count * Float.BYTES);
  }

  private static void bind(ForwardCall call, Output output, FloatBuffer memory) {
    switch (output) {
      case Y -> call.output(memory);
      case LOGITS -> call.logits(memory);
      case LOG_PROBABILITIES -> call.logProbabilities(memory);
      case TARGET_LOG_PROBABILITIES -> call.targetLogProbabilities(memory);
      case HN, CN -> {} // The state has them.
    }
  }

  private void copy(FloatBuffer state, FloatBuffer to, int batch) {
    if (options.timeMajor()) {
      to.put(state);
    } else {
      Request.swap(state, to, rnn.spec().slots(), batch, rnn.spec().hiddenSize());
    }
  }

  private static NDArray array(
      NDManager manager, String name, ByteBuffer values, Shape shape, DataType type) {
    NDArray array = new GatefuseNDArray(manager, values, shape, type);
    array.setName(name);
    return array;
  }

  @Override
  public PairList<String, Shape> describeInput() {
    RnnSpec spec = rnn.spec();
    Shape sequences = new Shape(-1, -1);
    PairList<String, Shape> inputs = new PairList<>();
    inputs.add(
        Request.names(spec).get(0),
        spec.vocabulary() > 0 ? sequences : sequences.add(spec.inputSize()));
    return inputs;
  }

  @Override
  public PairList<String, Shape> describeOutput() {
    PairList<String, Shape> described = new PairList<>();
    for (Output output : outputs) {
      Shape shape = Request.order(output.shape(rnn.spec(), -1, -1), options.timeMajor());
      described.add(output.id(), shape);
    }
    return described;
  }

  /** None that DJL could see or change. */
  @Override
  public ParameterList getDirectParameters() {
    return new ParameterList();
  }

  /** The predictors that have sessions. */
  int pools() {
    return pools.size();
  }

  /** Closes all sessions that are not in use. */
  @Override
  public void close() {
    for (SessionPool pool : new ArrayList<>(pools.values())) {
      pool.close();
    }
    pools.clear();
  }
}
