// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.testing;

import io.github.gatefuse.BackwardCall;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Parameters;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.State;
import io.github.gatefuse.Weights;
import io.github.gatefuse.reference.ReferenceNetwork.Cotangents;
import io.github.gatefuse.reference.ReferenceNetwork.Inputs;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;

/**
 * A run and the gradients by what it gives, from a seed: for a network and as the reference reads
 * them.
 *
 * @param lengths [B]; null for all T
 * @param x [T, B, I]; null for a network with an embedding
 * @param tokens [T, B]; null for one without
 * @param dlogits [T, B, O]; null for a network without a head
 */
public record Training(
    RnnSpec spec,
    int steps,
    int batch,
    int[] lengths,
    float[] x,
    int[] tokens,
    State initial,
    float[] dy,
    State dFinal,
    float[] dlogits) {

  /** Normally distributed values; hidden states within -1 and 1. */
  public static Training of(RnnSpec spec, int steps, int batch, boolean ragged, int seed) {
    int rows = steps * batch;
    boolean embedded = spec.vocabulary() > 0;
    return new Training(
        spec,
        steps,
        batch,
        ragged ? Networks.lengths(steps, batch, seed) : null,
        embedded ? null : Networks.normal(rows * spec.inputSize(), seed + 1),
        embedded ? Networks.integers(rows, 0, spec.vocabulary() - 1, seed + 1) : null,
        state(spec, batch, seed + 2, true),
        Networks.normal(rows * spec.outputSize(), seed + 4),
        state(spec, batch, seed + 5, false),
        spec.outputs() == 0 ? null : Networks.normal(rows * spec.outputs(), seed + 7));
  }

  private static State state(RnnSpec spec, int batch, int seed, boolean hidden) {
    State state = State.zeros(spec, batch);
    float[] h = Networks.normal(spec.slots() * batch * spec.hiddenSize(), seed);
    for (int i = 0; hidden && i < h.length; i++) {
      h[i] = (float) Math.tanh(h[i]);
    }
    state.set(h, state.hasCell() ? Networks.normal(h.length, seed + 1) : null);
    return state;
  }

  /** The same with other values wherever nobody may read: past the end of each sequence. */
  public Training poisoned(float value) {
    return new Training(
        spec,
        steps,
        batch,
        lengths,
        poisoned(x, value),
        tokens,
        initial,
        poisoned(dy, value),
        dFinal,
        poisoned(dlogits, value));
  }

  private float[] poisoned(float[] values, float value) {
    if (values == null) {
      return null;
    }
    float[] copy = values.clone();
    int width = values.length / (steps * batch);
    for (int row = 0; row < steps * batch; row++) {
      if (lengths != null && row / batch >= lengths[row % batch]) {
        Arrays.fill(copy, row * width, (row + 1) * width, value);
      }
    }
    return copy;
  }

  /** What the reference reads of the run. */
  public Inputs inputs() {
    Inputs inputs =
        tokens == null
            ? Inputs.of(steps, batch, GoldenCase.widen(x))
            : Inputs.of(steps, batch, tokens);
    return inputs.withLengths(lengths).withState(wide(initial.hidden()), cell(initial));
  }

  /** The gradients given to the reference. */
  public Cotangents cotangents() {
    return Cotangents.ZEROS
        .withOutput(wide(dy))
        .withState(wide(dFinal.hidden()), cell(dFinal))
        .withLogits(dlogits == null ? null : wide(dlogits));
  }

  private static double[] wide(float[] values) {
    return GoldenCase.widen(values);
  }

  private static double[] cell(State state) {
    return state.hasCell() ? wide(state.cell()) : null;
  }

  /** Runs forward and gives y [T, B, D*H]; the state given out is nobody's. */
  public float[] forward(Session session) {
    return forward(session, call -> call);
  }

  /** The same with a call that is prepared further. */
  public float[] forward(Session session, UnaryOperator<ForwardCall> further) {
    FloatBuffer y = Networks.floats(steps * batch * spec.outputSize());
    ForwardCall call = session.call().initialState(initial).output(y);
    if (tokens == null) {
      call.input(Networks.direct(x));
    } else {
      call.tokens(Networks.direct(tokens));
    }
    if (lengths != null) {
      call.lengths(Networks.direct(lengths));
    }
    further.apply(call).run(steps, batch);
    return Networks.array(y);
  }

  /** Goes back through the session's last run, into these parameters. */
  public Result backward(Session session, Parameters gradients, boolean accumulate) {
    // What was there before must not show through.
    float[] dx = tokens == null ? filled(x.length) : null;
    State dInitial = State.zeros(spec, batch);
    dInitial.set(
        filled(dInitial.hidden().length), dInitial.hasCell() ? filled(dInitial.h().limit()) : null);
    BackwardCall call =
        session
            .backward()
            .outputGradient(Networks.direct(dy))
            .finalStateGradient(dFinal)
            .initialStateGradient(dInitial)
            .parameterGradients(gradients)
            .accumulate(accumulate);
    FloatBuffer buffer = dx == null ? null : Networks.direct(dx);
    if (buffer != null) {
      call.inputGradient(buffer);
    }
    if (dlogits != null) {
      call.logitsGradient(Networks.direct(dlogits));
    }
    call.run();
    return new Result(
        buffer == null ? null : Networks.array(buffer), dInitial, gradients.toWeights());
  }

  private static float[] filled(int count) {
    float[] values = new float[count];
    Arrays.fill(values, Float.NaN);
    return values;
  }

  /** Forward and back. */
  public Result run(Session session) {
    return run(session, call -> call);
  }

  /** The same with a forward call that is prepared further. */
  public Result run(Session session, UnaryOperator<ForwardCall> further) {
    forward(session, further);
    Parameters gradients = Parameters.zeros(spec);
    for (int i = 0; i < gradients.count(); i++) {
      gradients.all().put(i, Float.NaN);
    }
    return backward(session, gradients, false);
  }

  /** Gradients by name. */
  public record Result(float[] dx, State dInitial, Weights parameters) {
    /** Of every tensor; the input is x, the initial state h0 and c0. */
    public Map<String, float[]> all() {
      Map<String, float[]> all = new LinkedHashMap<>();
      parameters.names().forEach(name -> all.put(name, parameters.floats(name)));
      all.put("h0", dInitial.hidden());
      if (dInitial.hasCell()) {
        all.put("c0", dInitial.cell());
      }
      if (dx != null) {
        all.put("x", dx);
      }
      return all;
    }
  }
}
