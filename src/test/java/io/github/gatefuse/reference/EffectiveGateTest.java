// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class EffectiveGateTest {
  private static final int H = 6;

  /** The share of the old cell state in the new one, as the cell's own mathematics has it. */
  @ParameterizedTest
  @EnumSource
  void itIsTheSlopeOfTheStateByTheOneBefore(Cell cell) {
    RnnSpec spec = RnnSpec.of(cell, 1, H).withChunk(cell.hasChunkedBlocks() ? 2 : 1);
    double[] a = new Random(4).doubles(spec.rows(), -4, 4).toArray();
    double[] gate = new double[H];
    double[] complement = new double[H];
    new EffectiveGate(spec).of(a, gate, complement);
    for (int j = 0; j < H; j++) {
      assertEquals(1, gate[j] + complement[j], 1e-15);
      assertEquals(expected(spec, a, j), gate[j], 1e-12, "unit " + j);
    }
  }

  /** The formulas of the cells, written as in the paper. */
  private static double expected(RnnSpec spec, double[] a, int j) {
    return switch (spec.cell()) {
      case LSTM -> sigmoid(a[H + j]);
      case LSTM_TIED -> sigmoid(a[j]);
      case LSTM_REFINE -> refine(sigmoid(a[H + j]), sigmoid(a[j]));
      case LSTM_CUMAX -> cumax(a, 0, j);
      case LSTM_CUMAX_REFINE -> refine(cumax(a, H, j), sigmoid(a[j]));
      case ONLSTM -> {
        double input = 1 - cumax(a, 4 * H, j);
        double forget = cumax(a, 4 * H + H / 2, j);
        double both = input * forget;
        yield sigmoid(a[H + j]) * both + forget - both;
      }
      case GRU, GRU_RESET_BEFORE -> sigmoid(a[H + j]);
      case GRU_REFINE, GRU_REFINE_RESET_BEFORE -> refine(sigmoid(a[H + j]), sigmoid(a[3 * H + j]));
    };
  }

  private static double sigmoid(double a) {
    return 1 / (1 + Math.exp(-a));
  }

  private static double refine(double f, double r) {
    return r * (1 - (1 - f) * (1 - f)) + (1 - r) * f * f;
  }

  private static double cumax(double[] a, int start, int unit) {
    double before = 0;
    double all = 0;
    for (int k = 0; k < H / 2; k++) {
      all += Math.exp(a[start + k]);
      before += k <= unit / 2 ? Math.exp(a[start + k]) : 0;
    }
    return before / all;
  }

  @Test
  void theSlopeIsThatOfTheGate() {
    double step = 1e-5;
    for (double f = -5; f <= 5; f += 2.5) {
      for (double r = -5; r <= 5; r += 2.5) {
        double byForget =
            (EffectiveGate.refineComplement(f + step, r)
                    - EffectiveGate.refineComplement(f - step, r))
                / (2 * step);
        double byRefine =
            (EffectiveGate.refineComplement(f, r + step)
                    - EffectiveGate.refineComplement(f, r - step))
                / (2 * step);
        assertEquals(
            Math.hypot(byForget, byRefine), EffectiveGate.refineSlope(f, r), 1e-9, f + ", " + r);
      }
    }
  }

  @Test
  void arraysOfTheWrongSizeAreRefused() {
    EffectiveGate gate = new EffectiveGate(RnnSpec.of(Cell.LSTM, 1, H));
    assertThrows(
        IllegalArgumentException.class, () -> gate.of(new double[3], new double[H], new double[H]));
  }
}
