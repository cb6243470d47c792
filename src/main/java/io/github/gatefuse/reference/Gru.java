// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/** The standard GRU: u = tanh(W x + b + ρ (R h + b')), h = z h + (1-z) u. */
final class Gru extends CellMath {
  private static final int RESET = 0;
  private static final int UPDATE = 1;
  private static final int CANDIDATE = 2;

  @Override
  int apart() {
    return CANDIDATE;
  }

  @Override
  void forward(Step s, int j) {
    double reset = s.sigmoid(RESET, j);
    double zBar = s.sigmoidBar(UPDATE, j);
    double u = s.candidate(s.input(CANDIDATE, j) + reset * s.recurrent(CANDIDATE, j), j);
    s.set(j, Gates.towards(s.h[j], u, zBar));
  }

  @Override
  void backward(Step s, StepGradient d, int j) {
    double reset = s.sigmoid(RESET, j);
    double recurrent = s.recurrent(CANDIDATE, j);
    double a = s.input(CANDIDATE, j) + reset * recurrent;
    double u = s.candidate(a, j);
    double slope = s.candidateSlope(a, j);
    double da = d.dh[j] * s.sigmoidBar(UPDATE, j) * slope;
    d.set(UPDATE, j, d.dh[j] * (s.h[j] - u) * s.sigmoidSlope(UPDATE, j));
    d.setApart(CANDIDATE, j, da, da * reset);
    d.set(RESET, j, da * recurrent * s.sigmoidSlope(RESET, j));
    d.carry(j, d.dh[j] * s.sigmoid(UPDATE, j));
  }
}
