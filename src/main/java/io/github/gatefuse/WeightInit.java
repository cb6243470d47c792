// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.Objects;

/**
 * Initialisers: fresh weights of a network, ready to be trained.
 *
 * <p>What distinguishes them is the bias of the forget gate, which sets the time scale 1/(1-f) of
 * each unit from the start:
 *
 * <ul>
 *   <li>{@link #standard}: a constant;
 *   <li>{@link #chrono}: log U(1, T-1), time scales uniform up to T, with the input gate's bias at
 *       its negative (Tallec and Ollivier 2018);
 *   <li>{@link #uniform()}: -log(1/v - 1) with v ~ U(1/H, 1 - 1/H), so that f is uniform and time
 *       scales have density 1/T²; no hyperparameter (Gu et al. 2020). With H of 1 or 2, v = 1/2.
 * </ul>
 *
 * <p>They go into {@code bias_ih}, all other biases are 0. The forget gate of a GRU is its update
 * gate. A cumulative softmax gate (the forget gate of LSTM_CUMAX and LSTM_CUMAX_REFINE, the master
 * gates of ONLSTM) keeps a bias of 0 under every initialiser: a constant cancels in the softmax,
 * and equal logits already spread the gates evenly over (0, 1), which is what uniform
 * initialisation is for. Its refine partner, minus that bias, is 0 too.
 *
 * <p>Matrices of cells are uniform over ±1/√H, the recurrent ones orthogonal block by block if
 * asked for; an embedding is standard normal; a head's matrix is uniform over ±1/√(D H). All is as
 * PyTorch does it, in distribution.
 *
 * <p>A seed gives the same weights on every machine and Java version: numbers come from SplitMix64
 * (Steele et al. 2014) in the order of {@link RnnSpec#parameters()}, functions from {@link
 * StrictMath}.
 *
 * <p>Immutable and thread-safe.
 */
public final class WeightInit {
  /** Where the refine gate's bias starts under {@link WeightInit#uniform()}. */
  public enum RefineBias {
    /** At minus the forget bias: g starts contracted towards 1/2, as 2v³ - 3v² + 2v. */
    MINUS_FORGET,
    /** At zero: g starts exactly uniform. */
    ZERO,
    /** MINUS_FORGET for the LSTM family, ZERO for the GRU family. */
    BY_FAMILY
  }

  private enum Kind {
    STANDARD,
    CHRONO,
    UNIFORM
  }

  private final Kind kind;
  private final double value;
  private final RefineBias refineBias;
  private final boolean orthogonal;

  private WeightInit(Kind kind, double value, RefineBias refineBias, boolean orthogonal) {
    this.kind = kind;
    this.value = value;
    this.refineBias = refineBias;
    this.orthogonal = orthogonal;
  }

  /**
   * Forget biases at one constant.
   *
   * @param forgetBias such as 0 or 1
   * @return the initialiser
   * @throws IllegalArgumentException if it is not finite
   */
  public static WeightInit standard(double forgetBias) {
    if (!Double.isFinite(forgetBias)) {
      throw new IllegalArgumentException("forgetBias: expected a finite value, got " + forgetBias);
    }
    return new WeightInit(Kind.STANDARD, forgetBias, RefineBias.BY_FAMILY, false);
  }

  /**
   * Forget biases for time scales uniform up to a largest one.
   *
   * @param maxTime the largest time scale in steps, at least 2
   * @return the initialiser
   * @throws IllegalArgumentException if it is less than 2 or not finite
   */
  public static WeightInit chrono(double maxTime) {
    if (!(maxTime >= 2) || !Double.isFinite(maxTime)) {
      throw new IllegalArgumentException("maxTime: expected at least 2 steps, got " + maxTime);
    }
    return new WeightInit(Kind.CHRONO, maxTime, RefineBias.BY_FAMILY, false);
  }

  /**
   * Forget biases for uniform gates: with a refine cell, the UR-LSTM and UR-GRU.
   *
   * @return the initialiser, with {@link RefineBias#BY_FAMILY}
   */
  public static WeightInit uniform() {
    return new WeightInit(Kind.UNIFORM, 0, RefineBias.BY_FAMILY, false);
  }

  /**
   * The same with another start of the refine gate; of effect under {@link #uniform()} only.
   *
   * @param refineBias where its bias starts
   * @return a new initialiser
   */
  public WeightInit withRefineBias(RefineBias refineBias) {
    Objects.requireNonNull(refineBias, "refineBias");
    return new WeightInit(kind, value, refineBias, orthogonal);
  }

  /**
   * The same with orthogonal or uniform recurrent matrices.
   *
   * @param value true for blocks of weight_hh with orthonormal rows, false for uniform ones
   * @return a new initialiser
   */
  public WeightInit withOrthogonalRecurrent(boolean value) {
    return new WeightInit(kind, this.value, refineBias, value);
  }

  /**
   * Makes the weights of a network.
   *
   * @param spec the network
   * @param seed any number; the same gives the same weights
   * @return all tensors of {@link RnnSpec#parameters()}, float32
   * @throws IllegalArgumentException if a tensor would have more than 2^31-1 values
   */
  public Weights weights(RnnSpec spec, long seed) {
    Random random = new Random(seed);
    Weights.Builder builder = Weights.builder();
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      if (parameter.count() > Integer.MAX_VALUE) {
        throw new IllegalArgumentException(
            parameter.name() + ": expected at most 2^31-1 values, got " + parameter.count());
      }
      builder.add(parameter.name(), values(spec, parameter, random), parameter.shape());
    }
    return builder.build();
  }

  private float[] values(RnnSpec spec, RnnSpec.Parameter parameter, Random random) {
    float[] out = new float[(int) parameter.count()];
    String name = parameter.name();
    if (name.startsWith("bias_ih")) {
      biases(spec, out, random);
    } else if (name.equals(RnnSpec.EMBEDDING)) {
      for (int i = 0; i < out.length; i++) {
        out[i] = (float) random.normal();
      }
    } else if (name.startsWith("weight_hh") && orthogonal) {
      orthogonal(spec, out, random);
    } else if (!parameter.bias()) {
      boolean head = name.equals(RnnSpec.HEAD_WEIGHT);
      double bound = 1 / Math.sqrt(head ? spec.outputSize() : spec.hiddenSize());
      for (int i = 0; i < out.length; i++) {
        out[i] = (float) random.uniform(-bound, bound);
      }
    }
    return out;
  }

  /** Draws the forget block and mirrors it in its partner's. */
  private void biases(RnnSpec spec, float[] bias, Random random) {
    int forget = start(spec, spec.cell().hasCellState() ? "forget" : "update");
    String partner = partner(spec.cell());
    if (forget < 0) {
      return;
    }
    for (int j = 0; j < spec.hiddenSize(); j++) {
      float drawn = (float) forgetBias(spec.hiddenSize(), random);
      bias[forget + j] = drawn;
      if (partner != null) {
        bias[start(spec, partner) + j] = -drawn;
      }
    }
  }

  private double forgetBias(int hiddenSize, Random random) {
    return switch (kind) {
      case STANDARD -> value;
      case CHRONO -> StrictMath.log(random.uniform(1, value - 1));
      case UNIFORM -> {
        double v = hiddenSize <= 2 ? 0.5 : random.uniform(1.0 / hiddenSize, 1 - 1.0 / hiddenSize);
        yield -StrictMath.log(1 / v - 1);
      }
    };
  }

  /** The block whose bias is minus the forget bias; null for none. */
  private String partner(Cell cell) {
    String block = kind == Kind.CHRONO ? "input" : "refine";
    boolean has = cell.blocks().stream().anyMatch(b -> b.name().equals(block));
    boolean minus =
        switch (refineBias) {
          case MINUS_FORGET -> true;
          case ZERO -> false;
          case BY_FAMILY -> cell.hasCellState();
        };
    return has && (kind == Kind.CHRONO || kind == Kind.UNIFORM && minus) ? block : null;
  }

  /**
   * The first row of a block of H rows; -1 where there is none, or only one of a cumulative
   * softmax.
   */
  private static int start(RnnSpec spec, String name) {
    int start = 0;
    for (Cell.Block block : spec.cell().blocks()) {
      if (block.name().equals(name)) {
        return block.chunked() ? -1 : start;
      }
      start += block.rows(spec.hiddenSize(), spec.chunk());
    }
    return -1;
  }

  /** Fills each block with orthonormal rows, by Gram-Schmidt on normal ones. */
  private static void orthogonal(RnnSpec spec, float[] out, Random random) {
    int width = spec.hiddenSize();
    int at = 0;
    for (Cell.Block block : spec.cell().blocks()) {
      double[][] rows = new double[block.rows(width, spec.chunk())][width];
      for (int i = 0; i < rows.length; i++) {
        for (int k = 0; k < width; k++) {
          rows[i][k] = random.normal();
        }
        // A second pass takes away what rounding left of the earlier rows.
        for (int pass = 0; pass < 2; pass++) {
          for (int earlier = 0; earlier < i; earlier++) {
            add(rows[i], -dot(rows[i], rows[earlier]), rows[earlier]);
          }
        }
        double norm = Math.sqrt(dot(rows[i], rows[i]));
        for (int k = 0; k < width; k++) {
          rows[i][k] /= norm;
          out[at++] = (float) rows[i][k];
        }
      }
    }
  }

  private static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int k = 0; k < a.length; k++) {
      sum += a[k] * b[k];
    }
    return sum;
  }

  private static void add(double[] to, double factor, double[] from) {
    for (int k = 0; k < to.length; k++) {
      to[k] += factor * from[k];
    }
  }

  /** SplitMix64, written out so that the sequence is ours to keep. */
  private static final class Random {
    private long state;

    Random(long seed) {
      state = seed;
    }

    private long next() {
      state += 0x9e3779b97f4a7c15L;
      long z = (state ^ (state >>> 30)) * 0xbf58476d1ce4e5b9L;
      z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
      return z ^ (z >>> 31);
    }

    /** In (0, 1): the middle of one of 2^52 equal parts. */
    private double unit() {
      return ((next() >>> 12) + 0.5) * 0x1p-52;
    }

    double uniform(double from, double to) {
      return from + (to - from) * unit();
    }

    /** Standard normal, by Box and Muller. */
    double normal() {
      double radius = StrictMath.sqrt(-2 * StrictMath.log(unit()));
      return radius * StrictMath.cos(2 * StrictMath.PI * unit());
    }
  }
}
