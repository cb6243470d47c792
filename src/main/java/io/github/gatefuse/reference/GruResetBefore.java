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
    double u = s.tanh(CANDIDATE, j);
    s.set(j, Gates.towards(s.h[j], u, zBar));
  }
}
