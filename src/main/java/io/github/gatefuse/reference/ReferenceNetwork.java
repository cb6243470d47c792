// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The pure-Java reference: what the right answer is, readable before fast.
 *
 * <p>A network of stacked layers in one or two directions, after an optional embedding and before
 * an optional linear head, with the {@link Rounding} asked for. All other implementations are held
 * to it, and it is held to vectors that share no code with it.
 *
 * <p>Immutable and thread-safe.
 */
public final class ReferenceNetwork {
  private final RnnSpec spec;
  private final Rounding rounding;
  private final LayerDirection[] slots;
  private final double[] embedding;
  private final Matrix headWeight;
  private final double[] headBias;

  /**
   * Takes the parameters, rounded.
   *
   * @param spec the network
   * @param weights its parameters, as {@link RnnSpec#parameters()} lists them; missing biases are
   *     zeros
   * @param rounding what numbers are rounded to
   * @throws IllegalArgumentException if the weights do not belong to the network
   */
  public ReferenceNetwork(RnnSpec spec, Weights weights, Rounding rounding) {
    weights.check(spec);
    this.spec = spec;
    this.rounding = Objects.requireNonNull(rounding, "rounding");
    slots = new LayerDirection[spec.slots()];
    for (int slot = 0; slot < slots.length; slot++) {
      int layer = slot / spec.directions();
      int direction = slot % spec.directions();
      slots[slot] = new LayerDirection(spec, layer, direction, weights, rounding);
    }
    embedding =
        spec.vocabulary() > 0
            ? rounding.roundOperands(weights.doubles(RnnSpec.EMBEDDING), spec.inputSize())
            : null;
    boolean head = spec.outputs() > 0;
    headWeight =
        head
            ? new Matrix(
                spec.outputs(),
                rounding.roundOperands(weights.doubles(RnnSpec.HEAD_WEIGHT), spec.outputSize()))
            : null;
    headBias =
        head && weights.has(RnnSpec.HEAD_BIAS)
            ? rounding.roundValues(weights.doubles(RnnSpec.HEAD_BIAS))
            : new double[spec.outputs()];
  }

  /**
   * What one call reads, and which further outputs it is to give.
   *
   * <p>Past a sequence's end nothing is read: x may hold NaN there, tokens and targets any number.
   * Arrays are used as they are during the call and never written.
   *
   * @param steps T, at least 1
   * @param batch B, at least 1
   * @param x [T, B, I], where the network has no embedding; else null
   * @param tokens [T, B], each 0 to V-1, where it has one; else null
   * @param lengths [B], each 1 to T; null for all T
   * @param h0 the initial hidden state [L*D, B, H]; null for zeros
   * @param c0 the initial cell state [L*D, B, H]; null for zeros; null for cells without
   * @param targets [T, B], each 0 to O-1, for the log-probabilities of the targets; null for none
   * @param logits whether to give the logits; needs a head
   * @param logProbabilities whether to give all log-probabilities; needs a head
   * @param regularization what is done to the steps
   * @param training whether it is drawn, as in training
   * @param draw the number of the draw
   */
  public record Inputs(
      int steps,
      int batch,
      double[] x,
      int[] tokens,
      int[] lengths,
      double[] h0,
      double[] c0,
      int[] targets,
      boolean logits,
      boolean logProbabilities,
      Regularization regularization,
      boolean training,
      long draw) {

    /**
     * Inputs of a network without embedding, from zero state.
     *
     * @param steps T
     * @param batch B
     * @param x [T, B, I]
     * @return the inputs
     */
    public static Inputs of(int steps, int batch, double[] x) {
      return of(steps, batch, x, null);
    }

    /**
     * Inputs of a network with an embedding, from zero state.
     *
     * @param steps T
     * @param batch B
     * @param tokens [T, B]
     * @return the inputs
     */
    public static Inputs of(int steps, int batch, int[] tokens) {
      return of(steps, batch, null, tokens);
    }

    private static Inputs of(int steps, int batch, double[] x, int[] tokens) {
      return new Inputs(
          steps,
          batch,
          x,
          tokens,
          null,
          null,
          null,
          null,
          false,
          false,
          Regularization.NONE,
          false,
          0);
    }

    /**
     * The same with a length for each sequence.
     *
     * @param value [B]; null for all T
     * @return new inputs
     */
    public Inputs withLengths(int[] value) {
      return new Inputs(
          steps,
          batch,
          x,
          tokens,
          value,
          h0,
          c0,
          targets,
          logits,
          logProbabilities,
          regularization,
          training,
          draw);
    }

    /**
     * The same from an initial state.
     *
     * @param hidden [L*D, B, H]; null for zeros
     * @param cell [L*D, B, H]; null for zeros and for cells without
     * @return new inputs
     */
    public Inputs withState(double[] hidden, double[] cell) {
      return new Inputs(
          steps,
          batch,
          x,
          tokens,
          lengths,
          hidden,
          cell,
          targets,
          logits,
          logProbabilities,
          regularization,
          training,
          draw);
    }

    /**
     * The same with targets whose log-probabilities are asked for.
     *
     * @param value [T, B]; null for none
     * @return new inputs
     */
    public Inputs withTargets(int[] value) {
      return new Inputs(
          steps,
          batch,
          x,
          tokens,
          lengths,
          h0,
          c0,
          value,
          logits,
          logProbabilities,
          regularization,
          training,
          draw);
    }

    /**
     * The same, asking for outputs of the whole head.
     *
     * @param wantLogits whether to give the logits
     * @param wantLogProbabilities whether to give all log-probabilities
     * @return new inputs
     */
    public Inputs withHead(boolean wantLogits, boolean wantLogProbabilities) {
      return new Inputs(
          steps,
          batch,
          x,
          tokens,
          lengths,
          h0,
          c0,
          targets,
          wantLogits,
          wantLogProbabilities,
          regularization,
          training,
          draw);
    }

    /**
     * The same with regularization.
     *
     * @param rates what is done to the steps
     * @param drawn whether masks are drawn, as in training
     * @param number the number of the draw
     * @return new inputs
     */
    public Inputs withRegularization(Regularization rates, boolean drawn, long number) {
      return new Inputs(
          steps,
          batch,
          x,
          tokens,
          lengths,
          h0,
          c0,
          targets,
          logits,
          logProbabilities,
          rates,
          drawn,
          number);
    }

    Masks masks() {
      return new Masks(regularization, training, draw);
    }
  }

  /**
   * What one call gives; the arrays belong to the caller. Past a sequence's end all outputs are 0.
   *
   * @param y hidden states of the last layer [T, B, D*H], forward before reverse
   * @param hn the final hidden state [L*D, B, H], that of each sequence's last step
   * @param cn the final cell state [L*D, B, H]; null for cells without
   * @param logits head.weight y + head.bias [T, B, O]; null if not asked for
   * @param logProbabilities the log-softmax of the logits [T, B, O]; null if not asked for
   * @param targetLogProbabilities natural log of each target's probability [T, B]; null without
   *     targets
   */
  public record Outputs(
      double[] y,
      double[] hn,
      double[] cn,
      double[] logits,
      double[] logProbabilities,
      double[] targetLogProbabilities) {}

  /**
   * The gradient of a loss by what a call gave, each null for zeros. Past a sequence's end nothing
   * is read.
   *
   * @param dy by y [T, B, D*H]
   * @param dhn by the final hidden state [L*D, B, H]
   * @param dcn by the final cell state [L*D, B, H]; null for cells without
   * @param dlogits by the logits [T, B, O]; needs a head
   */
  public record Cotangents(double[] dy, double[] dhn, double[] dcn, double[] dlogits) {
    /** All zeros. */
    public static final Cotangents ZEROS = new Cotangents(null, null, null, null);

    /**
     * The same with a gradient by y.
     *
     * @param value [T, B, D*H]; null for zeros
     * @return new cotangents
     */
    public Cotangents withOutput(double[] value) {
      return new Cotangents(value, dhn, dcn, dlogits);
    }

    /**
     * The same with a gradient by the final state.
     *
     * @param hidden [L*D, B, H]; null for zeros
     * @param cell [L*D, B, H]; null for zeros and for cells without
     * @return new cotangents
     */
    public Cotangents withState(double[] hidden, double[] cell) {
      return new Cotangents(dy, hidden, cell, dlogits);
    }

    /**
     * The same with a gradient by the logits.
     *
     * @param value [T, B, O]; null for zeros
     * @return new cotangents
     */
    public Cotangents withLogits(double[] value) {
      return new Cotangents(dy, dhn, dcn, value);
    }
  }

  /**
   * The gradient of a loss by what a call read; the arrays belong to the caller.
   *
   * @param dx by x [T, B, I], 0 past a sequence's end; null for a network with an embedding
   * @param dh0 by the initial hidden state [L*D, B, H]
   * @param dc0 by the initial cell state [L*D, B, H]; null for cells without
   * @param parameters by every tensor, under its name and in its shape
   */
  public record Gradients(double[] dx, double[] dh0, double[] dc0, Weights parameters) {}

  /**
   * The network.
   *
   * @return its specification
   */
  public RnnSpec spec() {
    return spec;
  }

  /**
   * Where it rounds.
   *
   * @return what numbers are rounded to
   */
  public Rounding rounding() {
    return rounding;
  }

  /**
   * The memory that the parameters take, in bytes.
   *
   * @return 8 for each value, whatever the rounding
   */
  public long bytes() {
    long bytes = Arrays.stream(slots).mapToLong(LayerDirection::bytes).sum();
    bytes += Double.BYTES * (long) headBias.length;
    bytes += embedding == null ? 0 : Double.BYTES * (long) embedding.length;
    return bytes + (headWeight == null ? 0 : Double.BYTES * headWeight.count());
  }

  /**
   * Runs all layers over whole sequences.
   *
   * @param in the inputs
   * @return the outputs
   * @throws IllegalArgumentException for a wrong shape, length, token or target, naming it
   */
  public Outputs run(Inputs in) {
    return run(in, new double[spec.layers()][], null);
  }

  /**
   * The gradient of a loss by everything that a call reads, from its gradient by what the call
   * gives: back-propagation through time. Runs the call, then goes back.
   *
   * @param in the inputs of the call
   * @param cotangents the gradient by its outputs
   * @return the gradient by its inputs, its initial state and the parameters
   * @throws IllegalArgumentException for a wrong shape, length or token, naming it
   */
  public Gradients backward(Inputs in, Cotangents cotangents) {
    return back(in, new double[spec.layers()][], cotangents);
  }

  /**
   * The same for what {@linkplain #follow following} another implementation gives: its hidden
   * states are the operands of all products, there and back.
   *
   * @param in the inputs of the call
   * @param layers the other's y of each layer [L][T, B, D*H]
   * @param cotangents the gradient by its outputs
   * @return the gradient by its inputs, its initial state and the parameters
   * @throws IllegalArgumentException for a wrong shape, length or token, naming it
   */
  public Gradients backward(Inputs in, double[][] layers, Cotangents cotangents) {
    checkLayers(in, layers);
    return back(in, layers, cotangents);
  }

  private Gradients back(Inputs in, double[][] followed, Cotangents cotangents) {
    int[] lengths = InputCheck.check(spec, in);
    InputCheck.check(spec, in, cotangents);
    Step[][][] kept = new Step[spec.slots()][][];
    double[] own = run(in.withTargets(null).withHead(false, false), followed, kept).y();
    double[] last = followed[spec.layers() - 1];
    BackwardPass pass = new BackwardPass(spec, rounding, slots, headWeight, lengths, kept);
    return pass.run(in, last == null ? own : last, cotangents);
  }

  /**
   * Follows another implementation: each step begins with the hidden state that the other one gave,
   * and each layer and the head read the outputs that it gave. Cell states are carried here. So
   * both round the very same numbers to operands, and differ by what one step makes of them: a
   * rounding that went the other way, for a difference in the last bit, is not carried on.
   *
   * @param in the inputs
   * @param layers the other's y of each layer [L][T, B, D*H]
   * @return the outputs
   * @throws IllegalArgumentException for a wrong shape, length, token or target, naming it
   */
  public Outputs follow(Inputs in, double[][] layers) {
    checkLayers(in, layers);
    return run(in, layers, null);
  }

  private void checkLayers(Inputs in, double[][] layers) {
    if (layers.length != spec.layers()) {
      throw new IllegalArgumentException(
          "layers: expected " + spec.layers() + ", got " + layers.length);
    }
    for (double[] y : layers) {
      int expected = InputCheck.count("output", in.steps(), in.batch(), spec.outputSize());
      if (y.length != expected) {
        throw new IllegalArgumentException(
            "layers: expected outputs of " + expected + " values, got " + y.length);
      }
    }
  }

  /**
   * Runs all layers.
   *
   * @param followed another's y of each layer; null elements for none
   * @param kept receives the steps of each slot, longest sequence first; null for none
   */
  private Outputs run(Inputs in, double[][] followed, Step[][][] kept) {
    int[] lengths = InputCheck.check(spec, in);
    int batch = in.batch();
    int states = InputCheck.count("state", spec.slots(), batch, spec.hiddenSize());
    double[] hn = in.h0() == null ? new double[states] : rounding.roundValues(in.h0().clone());
    double[] cn = in.c0() == null ? new double[states] : rounding.roundValues(in.c0().clone());
    double[] x = embedding == null ? in.x() : embed(in, lengths);
    double[] y = null;
    for (int layer = 0; layer < spec.layers(); layer++) {
      y = layer(layer, in, lengths, x, hn, cn, followed[layer], kept);
      x = followed[layer] == null ? y : followed[layer];
      if (layer < spec.layers() - 1) {
        x = in.masks().dropped(spec, rounding, layer, x, batch, lengths);
      }
    }
    double[] cell = spec.cell().hasCellState() ? cn : null;
    return spec.outputs() == 0
        ? new Outputs(y, hn, cell, null, null, null)
        : head(in, lengths, x, y, hn, cell);
  }

  /** The embedding's rows of the valid tokens. */
  private double[] embed(Inputs in, int[] lengths) {
    int width = spec.inputSize();
    double[] x = new double[InputCheck.count("input", in.steps(), in.batch(), width)];
    for (int t = 0; t < in.steps(); t++) {
      for (int b = 0; b < in.batch(); b++) {
        if (t < lengths[b]) {
          int at = t * in.batch() + b;
          System.arraycopy(embedding, in.tokens()[at] * width, x, at * width, width);
        }
      }
    }
    return x;
  }

  /** One layer over all sequences in its directions; the state is updated in place. */
  private double[] layer(
      int layer,
      Inputs in,
      int[] lengths,
      double[] x,
      double[] hn,
      double[] cn,
      double[] followed,
      Step[][][] kept) {
    int batch = in.batch();
    int hidden = spec.hiddenSize();
    int inputWidth = layer == 0 ? spec.inputSize() : spec.outputSize();
    int width = spec.outputSize();
    double[] y = new double[InputCheck.count("output", in.steps(), batch, width)];
    int[] longestFirst =
        IntStream.range(0, batch)
            .boxed()
            .sorted(Comparator.comparingInt(b -> -lengths[b]))
            .mapToInt(b -> b)
            .toArray();
    for (int direction = 0; direction < spec.directions(); direction++) {
      int slot = layer * spec.directions() + direction;
      Step[] sequences = new Step[batch];
      for (int i = 0; i < batch; i++) {
        int b = longestFirst[i];
        sequences[i] = new Step(spec, inputWidth, b, lengths[b], rounding);
        System.arraycopy(hn, (slot * batch + b) * hidden, sequences[i].h, 0, hidden);
        System.arraycopy(cn, (slot * batch + b) * hidden, sequences[i].c, 0, hidden);
      }
      Step[][] steps =
          kept == null
              ? null
              : Stream.of(sequences).map(s -> new Step[s.length]).toArray(Step[][]::new);
      slots[slot].run(sequences, x, y, direction * hidden, followed, steps, in.masks());
      if (kept != null) {
        kept[slot] = steps;
      }
      for (Step s : sequences) {
        System.arraycopy(s.h, 0, hn, (slot * batch + s.sequence) * hidden, hidden);
        System.arraycopy(s.c, 0, cn, (slot * batch + s.sequence) * hidden, hidden);
      }
    }
    return y;
  }

  /** The linear head on x and its log-softmax at every valid step. */
  private Outputs head(Inputs in, int[] lengths, double[] x, double[] y, double[] hn, double[] cn) {
    int outputs = spec.outputs();
    int steps = in.steps();
    int batch = in.batch();
    double[] logits =
        in.logits() ? new double[InputCheck.count("logits", steps, batch, outputs)] : null;
    double[] logs =
        in.logProbabilities()
            ? new double[InputCheck.count("log-probabilities", steps, batch, outputs)]
            : null;
    double[] targetLogs = in.targets() == null ? null : new double[steps * batch];
    double[] hidden = new double[spec.outputSize()];
    double[] row = new double[outputs];
    for (int at = 0; at < steps * batch; at++) {
      boolean wanted = logits != null || logs != null || targetLogs != null;
      if (!wanted || at / batch >= lengths[at % batch]) {
        continue;
      }
      System.arraycopy(headBias, 0, row, 0, outputs);
      rounding.copyOperands(x, at * hidden.length, hidden);
      headWeight.addProduct(hidden, row);
      rounding.roundValues(row);
      if (logits != null) {
        System.arraycopy(row, 0, logits, at * outputs, outputs);
      }
      double logSum = logSumExp(row);
      if (targetLogs != null) {
        targetLogs[at] = rounding.value(row[in.targets()[at]] - logSum);
      }
      for (int o = 0; logs != null && o < outputs; o++) {
        logs[at * outputs + o] = rounding.value(row[o] - logSum);
      }
    }
    return new Outputs(y, hn, cn, logits, logs, targetLogs);
  }

  /** log Σ exp(x), without overflow. */
  private static double logSumExp(double[] x) {
    double largest = Arrays.stream(x).max().getAsDouble();
    double sum = 0;
    for (double value : x) {
      sum += Math.exp(value - largest);
    }
    return largest + Math.log(sum);
  }
}
