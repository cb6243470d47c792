// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import java.util.Arrays;
import java.util.List;

/**
 * The gradient of the loss by what a {@link Step} holds, on the way back of one sequence through
 * one layer and direction. What a cell sets is rounded. Not thread-safe.
 */
final class StepGradient {
  /** By the state that the step leaves, all that comes from later steps and from the output [H]. */
  final double[] dh;

  /** By the cell state that the step leaves, as far as it comes from later steps [H]. */
  final double[] dc;

  /** By the state that the step found: the sum of all ways back to it, growing [H]. */
  final double[] dhFound;

  /** By the input of the step, growing [inputs]. */
  final double[] dx;

  /** By the pre-activations on the side of W x + b [rows]. */
  final double[] da;

  /** By those on the side of R h + b'; differs from da in the block that is kept apart [rows]. */
  final double[] daRecurrent;

  /** The two as products read them [rows]. */
  final double[] daRead;

  final double[] daRecurrentRead;

  /** By what a second product read, growing [H]. */
  final double[] dGated;

  /** What goes past the cell by zoneout [H]. */
  private final double[] pastH;

  private final double[] pastC;
  private final Rounding rounding;
  private final int chunk;

  /** By the values of each cumulative softmax [H]; null for a block without. */
  private final double[][] dCumax;

  /** The first row of each block. */
  private final int[] start;

  StepGradient(RnnSpec spec, int inputs, Rounding rounding) {
    this.rounding = rounding;
    chunk = spec.chunk();
    dh = new double[spec.hiddenSize()];
    dc = new double[spec.hiddenSize()];
    dhFound = new double[spec.hiddenSize()];
    dGated = new double[spec.hiddenSize()];
    pastH = new double[spec.hiddenSize()];
    pastC = new double[spec.hiddenSize()];
    dx = new double[inputs];
    da = new double[spec.rows()];
    daRecurrent = new double[spec.rows()];
    daRead = new double[spec.rows()];
    daRecurrentRead = new double[spec.rows()];
    List<Cell.Block> blocks = spec.cell().blocks();
    dCumax = new double[blocks.size()][];
    start = new int[blocks.size()];
    int row = 0;
    for (int block = 0; block < blocks.size(); block++) {
      start[block] = row;
      row += blocks.get(block).rows(spec.hiddenSize(), chunk);
      dCumax[block] = blocks.get(block).chunked() ? new double[spec.hiddenSize()] : null;
    }
  }

  /**
   * Begins a step.
   *
   * @param dy the gradient by the output; the step's is read from {@code at} on
   */
  void begin(double[] dy, int at) {
    for (int j = 0; j < dh.length; j++) {
      dh[j] = rounding.value(dh[j] + dy[at + j]);
    }
    Arrays.fill(dhFound, 0);
    Arrays.fill(dGated, 0);
    Arrays.fill(dx, 0);
  }

  /** Adds the gradient by the input to its row of all [T, B, inputs]. */
  void addInput(double[] all, int row) {
    for (int k = 0; k < dx.length; k++) {
      all[row * dx.length + k] += dx[k];
    }
  }

  /** Ends a step: what this one found is what the one before left. */
  void retreat() {
    for (int j = 0; j < dh.length; j++) {
      dh[j] = rounding.value(dhFound[j]);
    }
  }

  /**
   * Goes back through zoneout: leaves the gradients by what the cell makes, and keeps what goes
   * past the cell until {@link #addPast}.
   */
  void zoneOut(Step s) {
    split(s.masks.hidden(), dh, pastH);
    split(s.masks.cell(), dc, pastC);
  }

  private void split(double[] mask, double[] gradient, double[] past) {
    for (int j = 0; mask != null && j < past.length; j++) {
      past[j] = mask[j] * gradient[j];
      gradient[j] = rounding.value((1 - mask[j]) * gradient[j]);
    }
  }

  /** Adds what went past the cell to the gradients by what the step found. */
  void addPast(Step s) {
    for (int j = 0; j < dh.length; j++) {
      if (s.masks.hidden() != null) {
        carry(j, pastH[j]);
      }
      if (s.masks.cell() != null) {
        carryCell(j, dc[j] + pastC[j]);
      }
    }
  }

  /** Gives the gradient by a block's pre-activation. */
  void set(int block, int j, double gradient) {
    setApart(block, j, gradient, gradient);
  }

  /** The same of a block that is kept apart. */
  void setApart(int block, int j, double input, double recurrent) {
    da[start[block] + j] = rounding.value(input);
    daRecurrent[start[block] + j] = rounding.value(recurrent);
  }

  /** Gives the gradient by a chunked block's cumulative softmax, its complement going along. */
  void setCumax(int block, int j, double gradient) {
    dCumax[block][j] = rounding.value(gradient);
  }

  /** Adds to the gradient by the state that the step found. */
  void carry(int j, double gradient) {
    dhFound[j] += gradient;
  }

  /** Gives the gradient by the cell state that the step found. */
  void carryCell(int j, double gradient) {
    dc[j] = rounding.value(gradient);
  }

  /**
   * The way back through h' = o tanh(c'), the LSTM family's end of a step.
   *
   * @param output the block of o
   * @return the gradient by c', all in all
   */
  double cell(Step s, int output, int j) {
    set(output, j, dh[j] * s.tanhOfCell(j) * s.sigmoidSlope(output, j));
    return rounding.value(dc[j] + dh[j] * s.sigmoid(output, j) * Gates.tanhSlope(s.nextC[j]));
  }

  /** Takes the gradients by cumulative softmaxes back to their pre-activations. */
  void scan(Step s) {
    for (int block = 0; block < dCumax.length; block++) {
      if (dCumax[block] == null) {
        continue;
      }
      Gates.cumaxGradient(s.a, start[block], chunk, dCumax[block], da);
      for (int row = start[block]; row < start[block] + dh.length / chunk; row++) {
        da[row] = rounding.value(da[row]);
        daRecurrent[row] = da[row];
      }
    }
  }

  /** Rounds the gradients by pre-activations to what products read. */
  void readByProducts() {
    rounding.copyOperands(da, 0, daRead);
    rounding.copyOperands(daRecurrent, 0, daRecurrentRead);
  }
}
