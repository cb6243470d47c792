// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/** The LSTM with its input gate tied to the forget gate: c = f c + (1-f) u. */
final class LstmTied extends CellMath {
  private static final int FORGET = 0;
  private static final int CANDIDATE = 1;
  private static final int OUTPUT = 2;

  @Override
  void forward(Step s, int j) {
    double fBar = s.sigmoidBar(FORGET, j);
    double u = s.candidate(CANDIDATE, j);
    double o = s.sigmoid(OUTPUT, j);
    s.set(j, Gates.towards(s.c[j], u, fBar), o);
  }

  @Override
  void backward(Step s, StepGradient d, int j) {
    double dc = d.cell(s, OUTPUT, j);
    double df = dc * (s.c[j] - s.candidate(CANDIDATE, j));
    d.set(FORGET, j, df * s.sigmoidSlope(FORGET, j));
    d.set(CANDIDATE, j, dc * s.sigmoidBar(FORGET, j) * s.candidateSlope(CANDIDATE, j));
    d.carryCell(j, dc * s.sigmoid(FORGET, j));
  }
}
