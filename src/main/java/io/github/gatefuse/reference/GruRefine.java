// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/** The refine GRU of Gu et al. 2020: the standard GRU with g(z, r) in place of z. */
final class GruRefine extends CellMath {
  private static final int RESET = 0;
  private static final int UPDATE = 1;
  private static final int CANDIDATE = 2;
  private static final int REFINE = 3;

  @Override
  int apart() {
    return CANDIDATE;
  }

  @Override
  void forward(Step s, int j) {
    double reset = s.sigmoid(RESET, j);
    double z = s.sigmoid(UPDATE, j);
    double zBar = s.sigmoidBar(UPDATE, j);
    double rBar = s.sigmoidBar(REFINE, j);
    double u = s.candidate(s.input(CANDIDATE, j) + reset * s.recurrent(CANDIDATE, j), j);
    double gBar = s.round(Gates.refine(zBar, z, rBar));
    s.set(j, Gates.towards(s.h[j], u, gBar));
  }

  @Override
  void backward(Step s, StepGradient d, int j) {
    double reset = s.sigmoid(RESET, j);
    double recurrent = s.recurrent(CANDIDATE, j);
    double a = s.input(CANDIDATE, j) + reset * recurrent;
    double u = s.candidate(a, j);
    double slope = s.candidateSlope(a, j);
    double z = s.sigmoid(UPDATE, j);
    double zBar = s.sigmoidBar(UPDATE, j);
    double r = s.sigmoid(REFINE, j);
    double rBar = s.sigmoidBar(REFINE, j);
    double dg = d.dh[j] * (s.h[j] - u);
    double dz = dg * Gates.refineByForget(z, zBar, r, rBar);
    double da = d.dh[j] * s.round(Gates.refine(zBar, z, rBar)) * slope;
    d.set(UPDATE, j, dz * s.sigmoidSlope(UPDATE, j));
    d.set(REFINE, j, dg * Gates.refineByRefine(z, zBar) * s.sigmoidSlope(REFINE, j));
    d.setApart(CANDIDATE, j, da, da * reset);
    d.set(RESET, j, da * recurrent * s.sigmoidSlope(RESET, j));
    d.carry(j, d.dh[j] * s.round(Gates.refine(z, zBar, r)));
  }
}
