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
    double u = s.tanh(CANDIDATE, j);
    double gBar = s.round(Gates.refine(zBar, z, rBar));
    s.set(j, Gates.towards(s.h[j], u, gBar));
  }
}
