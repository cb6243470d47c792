// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/**
 * The ON-LSTM of Shen et al. 2019: master gates f̃ = cumax(a) and ĩ = 1 - cumax(a') over a standard
 * LSTM.
 *
 * <p>With ω = f̃ ĩ, c = (f ω + f̃ - ω) c + (i ω + ĩ - ω) u. The differences f̃ - ω = f̃ (1-ĩ) and ĩ
 * - ω = ĩ (1-f̃) are taken as products with the complements, so that nothing cancels.
 */
final class Onlstm extends CellMath {
  private static final int INPUT = 0;
  private static final int FORGET = 1;
  private static final int CANDIDATE = 2;
  private static final int OUTPUT = 3;
  private static final int MASTER_INPUT = 4;
  private static final int MASTER_FORGET = 5;

  @Override
  void forward(Step s, int j) {
    double i = s.sigmoid(INPUT, j);
    double f = s.sigmoid(FORGET, j);
    double u = s.candidate(CANDIDATE, j);
    double o = s.sigmoid(OUTPUT, j);
    double masterInput = s.cumaxBar(MASTER_INPUT, j);
    double masterInputBar = s.cumax(MASTER_INPUT, j);
    double masterForget = s.cumax(MASTER_FORGET, j);
    double masterForgetBar = s.cumaxBar(MASTER_FORGET, j);
    double keep = s.round(masterForget * (f * masterInput + masterInputBar));
    double write = s.round(masterInput * (i * masterForget + masterForgetBar));
    s.set(j, keep * s.c[j] + write * u, o);
  }

  @Override
  void backward(Step s, StepGradient d, int j) {
    double i = s.sigmoid(INPUT, j);
    double f = s.sigmoid(FORGET, j);
    double masterInput = s.cumaxBar(MASTER_INPUT, j);
    double masterForget = s.cumax(MASTER_FORGET, j);
    // keep = f̃ kept and write = ĩ written, each factor by itself.
    double kept = f * masterInput + s.cumax(MASTER_INPUT, j);
    double written = i * masterForget + s.cumaxBar(MASTER_FORGET, j);
    double keep = s.round(masterForget * kept);
    double write = s.round(masterInput * written);
    double dc = d.cell(s, OUTPUT, j);
    double dKeep = dc * s.c[j];
    double dWrite = dc * s.candidate(CANDIDATE, j);
    double both = masterForget * masterInput;
    double dMasterInput = dWrite * written - dKeep * masterForget * s.sigmoidBar(FORGET, j);
    double dMasterForget = dKeep * kept - dWrite * masterInput * s.sigmoidBar(INPUT, j);
    d.set(INPUT, j, dWrite * both * s.sigmoidSlope(INPUT, j));
    d.set(FORGET, j, dKeep * both * s.sigmoidSlope(FORGET, j));
    d.set(CANDIDATE, j, dc * write * s.candidateSlope(CANDIDATE, j));
    d.setCumax(MASTER_INPUT, j, -dMasterInput); // ĩ is the complement.
    d.setCumax(MASTER_FORGET, j, dMasterForget);
    d.carryCell(j, dc * keep);
  }
}
