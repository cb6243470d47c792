// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import java.util.List;
import java.util.stream.Stream;

/**
 * Where one sequence stands on its way through one layer and direction, as the cell's pointwise
 * mathematics sees it.
 *
 * <p>Blocks are numbered as in {@link Cell#blocks()}; j is the hidden unit. What the methods return
 * is rounded, except slopes, which are part of a formula. Not thread-safe; one object serves a
 * whole sequence, and copies of it are what the way back reads.
 */
final class Step {
  /** The number of the sequence in the batch. */
  final int sequence;

  /** The steps of the sequence. */
  final int length;

  /** The input of this step as products read it [I, or D*H above the first layer]. */
  final double[] x;

  /** The state that the step before left, as it is carried [H]. */
  final double[] h;

  /** The state that the cell makes [H]. */
  final double[] nextH;

  /** The state that this step leaves: what the cell makes, with zoneout [H]. */
  final double[] leftH;

  /** The state of the step before as products read it [H]. */
  final double[] hRead;

  /** The cell state that the step before left [H]; zeros in a GRU. */
  final double[] c;

  /** The cell state that the cell makes [H]; zeros in a GRU. */
  final double[] nextC;

  /** The cell state that this step leaves, with zoneout [H]; zeros in a GRU. */
  final double[] leftC;

  /** W x + b of each row [rows]. */
  final double[] input;

  /** R h + b' of each row [rows]. */
  final double[] recurrent;

  /** a = W x + b + R h + b' of each row [rows]. */
  final double[] a;

  /** What a second product reads in place of h [H]. */
  final double[] gated;

  /** What regularization does to this step. */
  Masks.OfStep masks;

  private final Rounding rounding;
  private final int chunk;

  /** The first row of each block, and the end of the last. */
  private final int[] start;

  private final double[][] cumax;
  private final double[][] complement;

  Step(RnnSpec spec, int inputs, int sequence, int length, Rounding rounding) {
    this.sequence = sequence;
    this.length = length;
    this.rounding = rounding;
    chunk = spec.chunk();
    x = new double[inputs];
    h = new double[spec.hiddenSize()];
    nextH = new double[spec.hiddenSize()];
    leftH = new double[spec.hiddenSize()];
    hRead = new double[spec.hiddenSize()];
    c = new double[spec.hiddenSize()];
    nextC = new double[spec.hiddenSize()];
    leftC = new double[spec.hiddenSize()];
    gated = new double[spec.hiddenSize()];
    input = new double[spec.rows()];
    recurrent = new double[spec.rows()];
    a = new double[spec.rows()];
    List<Cell.Block> blocks = spec.cell().blocks();
    start = new int[blocks.size() + 1];
    cumax = new double[blocks.size()][];
    complement = new double[blocks.size()][];
    for (int block = 0; block < blocks.size(); block++) {
      start[block + 1] = start[block] + blocks.get(block).rows(spec.hiddenSize(), chunk);
      if (blocks.get(block).chunked()) {
        cumax[block] = new double[spec.hiddenSize()];
        complement[block] = new double[spec.hiddenSize()];
      }
    }
  }

  private Step(Step other) {
    sequence = other.sequence;
    length = other.length;
    rounding = other.rounding;
    chunk = other.chunk;
    start = other.start;
    x = other.x.clone();
    h = other.h.clone();
    nextH = other.nextH.clone();
    leftH = other.leftH.clone();
    hRead = other.hRead.clone();
    c = other.c.clone();
    nextC = other.nextC.clone();
    leftC = other.leftC.clone();
    gated = other.gated.clone();
    masks = other.masks;
    input = other.input.clone();
    recurrent = other.recurrent.clone();
    a = other.a.clone();
    cumax = copy(other.cumax);
    complement = copy(other.complement);
  }

  private static double[][] copy(double[][] values) {
    return Stream.of(values).map(v -> v == null ? null : v.clone()).toArray(double[][]::new);
  }

  /** This step as it stands now. */
  Step copy() {
    return new Step(this);
  }

  /** Makes of the cell's new state that which the step leaves. */
  void leave() {
    zoneOut(masks.hidden(), h, nextH, leftH);
    zoneOut(masks.cell(), c, nextC, leftC);
  }

  private void zoneOut(double[] mask, double[] before, double[] made, double[] left) {
    for (int j = 0; j < left.length; j++) {
      left[j] =
          mask == null ? made[j] : rounding.value(mask[j] * before[j] + (1 - mask[j]) * made[j]);
    }
  }

  /** Goes on to the next step: what this one leaves is what that one finds. */
  void advance() {
    System.arraycopy(leftH, 0, h, 0, h.length);
    System.arraycopy(leftC, 0, c, 0, c.length);
  }

  /** Rounds the sums W x + b and R h + b' of rows into their pre-activations. */
  void addUp(int first, int end) {
    for (int row = first; row < end; row++) {
      a[row] = rounding.value(input[row] + recurrent[row]);
    }
  }

  /** Rounds the two parts of a block that the cell keeps apart. */
  void keepApart(int block) {
    for (int row = start[block]; row < start[block + 1]; row++) {
      input[row] = rounding.value(input[row]);
      recurrent[row] = rounding.value(recurrent[row]);
    }
  }

  /** The first row of a block; the number of blocks gives the end of the last. */
  int start(int block) {
    return start[block];
  }

  /**
   * Fills {@link #cumax(int, int)} and its complement from the pre-activations of the chunked
   * blocks.
   */
  void scan() {
    for (int block = 0; block < cumax.length; block++) {
      if (cumax[block] != null) {
        Gates.cumax(a, start[block], chunk, cumax[block], complement[block]);
        rounding.roundValues(cumax[block]);
        rounding.roundValues(complement[block]);
      }
    }
  }

  /** σ(a) of a block. */
  double sigmoid(int block, int j) {
    return rounding.value(Gates.sigmoid(a[start[block] + j]));
  }

  /** 1 - σ(a) of a block, as σ(-a). */
  double sigmoidBar(int block, int j) {
    return rounding.value(Gates.sigmoid(-a[start[block] + j]));
  }

  /** The slope of σ(a) of a block. */
  double sigmoidSlope(int block, int j) {
    return Gates.sigmoidSlope(a[start[block] + j]);
  }

  /** The candidate: tanh(a) of a block, with recurrent dropout. */
  double candidate(int block, int j) {
    return dropped(rounding.value(Math.tanh(a[start[block] + j])), j);
  }

  /** The same of a pre-activation that the cell puts together itself. */
  double candidate(double a, int j) {
    return dropped(rounding.value(Math.tanh(rounding.value(a))), j);
  }

  private double dropped(double u, int j) {
    return masks.candidate() == null ? u : rounding.value(masks.candidate()[j] * u);
  }

  /** The slope of {@link #candidate(int, int)}. */
  double candidateSlope(int block, int j) {
    return candidateFactor(j) * Gates.tanhSlope(a[start[block] + j]);
  }

  /** The slope of {@link #candidate(double, int)}. */
  double candidateSlope(double a, int j) {
    return candidateFactor(j) * Gates.tanhSlope(rounding.value(a));
  }

  private double candidateFactor(int j) {
    return masks.candidate() == null ? 1 : masks.candidate()[j];
  }

  /** The cumulative softmax of a chunked block, for unit j. */
  double cumax(int block, int j) {
    return cumax[block][j];
  }

  /** 1 - the cumulative softmax of a chunked block, for unit j. */
  double cumaxBar(int block, int j) {
    return complement[block][j];
  }

  /** W x + b of the block that the cell keeps apart. */
  double input(int block, int j) {
    return input[start[block] + j];
  }

  /** R h + b' of the block that the cell keeps apart. */
  double recurrent(int block, int j) {
    return recurrent[start[block] + j];
  }

  /** Rounds a named quantity. */
  double round(double value) {
    return rounding.value(value);
  }

  /** The LSTM family's end of a step: c' and then h' = o tanh(c'). */
  void set(int j, double newCell, double output) {
    nextC[j] = rounding.value(newCell);
    nextH[j] = rounding.value(output * tanhOfCell(j));
  }

  /** The GRU family's end of a step: h'. */
  void set(int j, double newHidden) {
    nextH[j] = rounding.value(newHidden);
  }

  /** tanh(c') of the cell state that the cell makes. */
  double tanhOfCell(int j) {
    return rounding.value(Math.tanh(nextC[j]));
  }
}
