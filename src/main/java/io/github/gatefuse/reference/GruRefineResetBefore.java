// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/**
 * The refine GRU that resets before the product: {@link GruResetBefore} with g(z, r) in place of z.
 */
final class GruRefineResetBefore extends CellMath {
  private static final int RESET = 0;
  private static final int UPDATE = 1;
  private static final int CANDIDATE = 2;
  private static final int REFINE = 3;

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
    double z = s.sigmoid(UPDATE, j);
    double zBar = s.sigmoidBar(UPDATE, j);
    double rBar = s.sigmoidBar(REFINE, j);
    double u = s.candidate(CANDIDATE, j);
    double gBar = s.round(Gates.refine(zBar, z, rBar));
    s.set(j, Gates.towards(s.h[j], u, gBar));
  }

  @Override
  void backward(Step s, StepGradient d, int j) {
    double u = s.candidate(CANDIDATE, j);
    double slope = s.candidateSlope(CANDIDATE, j);
    double z = s.sigmoid(UPDATE, j);
    double zBar = s.sigmoidBar(UPDATE, j);
    double r = s.sigmoid(REFINE, j);
    double rBar = s.sigmoidBar(REFINE, j);
    double dg = d.dh[j] * (s.h[j] - u);
    double dz = dg * Gates.refineByForget(z, zBar, r, rBar);
    double da = d.dh[j] * s.round(Gates.refine(zBar, z, rBar)) * slope;
    d.set(UPDATE, j, dz * s.sigmoidSlope(UPDATE, j));
    d.set(REFINE, j, dg * Gates.refineByRefine(z, zBar) * s.sigmoidSlope(REFINE, j));
    d.set(CANDIDATE, j, da);
    d.carry(j, d.dh[j] * s.round(Gates.refine(z, zBar, r)));
  }

  @Override
  void gatedBackward(Step s, StepGradient d, int j, double dGated) {
    d.set(RESET, j, dGated * s.h[j] * s.sigmoidSlope(RESET, j));
    d.carry(j, dGated * s.sigmoid(RESET, j));
  }
}
