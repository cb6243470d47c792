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
    double u = s.tanh(s.input(CANDIDATE, j) + reset * s.recurrent(CANDIDATE, j));
    double gBar = s.round(Gates.refine(zBar, z, rBar));
    s.set(j, Gates.towards(s.h[j], u, gBar));
  }
}
