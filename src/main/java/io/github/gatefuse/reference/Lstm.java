// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/** The standard LSTM: c = f c + i u. */
final class Lstm extends CellMath {
  private static final int INPUT = 0;
  private static final int FORGET = 1;
  private static final int CANDIDATE = 2;
  private static final int OUTPUT = 3;

  @Override
  void forward(Step s, int j) {
    double i = s.sigmoid(INPUT, j);
    double f = s.sigmoid(FORGET, j);
    double u = s.candidate(CANDIDATE, j);
    double o = s.sigmoid(OUTPUT, j);
    s.set(j, f * s.c[j] + i * u, o);
  }

  @Override
  void backward(Step s, StepGradient d, int j) {
    double dc = d.cell(s, OUTPUT, j);
    double i = s.sigmoid(INPUT, j);
    double u = s.candidate(CANDIDATE, j);
    d.set(INPUT, j, dc * u * s.sigmoidSlope(INPUT, j));
    d.set(FORGET, j, dc * s.c[j] * s.sigmoidSlope(FORGET, j));
    d.set(CANDIDATE, j, dc * i * s.candidateSlope(CANDIDATE, j));
    d.carryCell(j, dc * s.sigmoid(FORGET, j));
  }
}
