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
    double u = s.tanh(s.input(CANDIDATE, j) + reset * s.recurrent(CANDIDATE, j));
    s.set(j, Gates.towards(s.h[j], u, zBar));
  }
}
