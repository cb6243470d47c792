// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/** The GRU that resets before the product: u = tanh(W x + b + R (ρ h) + b'), h = z h + (1-z) u. */
final class GruResetBefore extends CellMath {
  private static final int RESET = 0;
  private static final int UPDATE = 1;
  private static final int CANDIDATE = 2;

  @Override
  int secondProduct() {
    return CANDIDATE;
  }

  @Override
  double gated(Step s, int j) {
    return s.sigmoid(RESET, j) * s.h[j];
  }

  @Override
  void forward(Step s, int j) {
    double zBar = s.sigmoidBar(UPDATE, j);
    double u = s.candidate(CANDIDATE, j);
    s.set(j, Gates.towards(s.h[j], u, zBar));
  }

  @Override
  void backward(Step s, StepGradient d, int j) {
    double u = s.candidate(CANDIDATE, j);
    double slope = s.candidateSlope(CANDIDATE, j);
    double da = d.dh[j] * s.sigmoidBar(UPDATE, j) * slope;
    d.set(UPDATE, j, d.dh[j] * (s.h[j] - u) * s.sigmoidSlope(UPDATE, j));
    d.set(CANDIDATE, j, da);
    d.carry(j, d.dh[j] * s.sigmoid(UPDATE, j));
  }

  @Override
  void gatedBackward(Step s, StepGradient d, int j, double dGated) {
    d.set(RESET, j, dGated * s.h[j] * s.sigmoidSlope(RESET, j));
    d.carry(j, dGated * s.sigmoid(RESET, j));
  }
}
