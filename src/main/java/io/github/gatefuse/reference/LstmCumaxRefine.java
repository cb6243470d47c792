// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/** The tied LSTM whose forget gate is a refined cumulative softmax: c = g c + (1-g) u. */
final class LstmCumaxRefine extends CellMath {
  private static final int REFINE = 0;
  private static final int FORGET = 1;
  private static final int CANDIDATE = 2;
  private static final int OUTPUT = 3;

  @Override
  void forward(Step s, int j) {
    double rBar = s.sigmoidBar(REFINE, j);
    double f = s.cumax(FORGET, j);
    double fBar = s.cumaxBar(FORGET, j);
    double u = s.candidate(CANDIDATE, j);
    double o = s.sigmoid(OUTPUT, j);
    double gBar = s.round(Gates.refine(fBar, f, rBar));
    s.set(j, Gates.towards(s.c[j], u, gBar), o);
  }

  @Override
  void backward(Step s, StepGradient d, int j) {
    double r = s.sigmoid(REFINE, j);
    double rBar = s.sigmoidBar(REFINE, j);
    double f = s.cumax(FORGET, j);
    double fBar = s.cumaxBar(FORGET, j);
    double dc = d.cell(s, OUTPUT, j);
    double dg = dc * (s.c[j] - s.candidate(CANDIDATE, j));
    double gBar = s.round(Gates.refine(fBar, f, rBar));
    d.set(REFINE, j, dg * Gates.refineByRefine(f, fBar) * s.sigmoidSlope(REFINE, j));
    d.setCumax(FORGET, j, dg * Gates.refineByForget(f, fBar, r, rBar));
    d.set(CANDIDATE, j, dc * gBar * s.candidateSlope(CANDIDATE, j));
    d.carryCell(j, dc * s.round(Gates.refine(f, fBar, r)));
  }
}
