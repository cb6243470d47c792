// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class VariantTest {
  @ParameterizedTest
  @CsvSource({
    "--, LSTM_TIED",
    "C-, LSTM_TIED",
    "U-, LSTM_TIED",
    "-R, LSTM_REFINE",
    "O-, LSTM_CUMAX",
    "OM, ONLSTM",
    "OR, LSTM_CUMAX_REFINE",
    "UR, LSTM_REFINE",
    "LSTM, LSTM",
    "GRU, GRU",
    "UR-GRU, GRU_REFINE"
  })
  void namesAreThoseOfThePaper(String id, Cell cell) {
    assertEquals(cell, Variant.of(id).cell());
    assertEquals(id, Variant.of(id).id());
  }

  @Test
  void caseDoesNotMatterAndAnUnknownNameIsRefused() {
    assertEquals(Variant.UR_GRU, Variant.of("ur-gru"));
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> Variant.of("XX"));
    assertTrue(e.getMessage().contains("UR-GRU; got XX"), e.getMessage());
  }

  @ParameterizedTest
  @EnumSource
  void everyHiddenSizeFits(Variant variant) {
    Task task = new CopyTask(5);
    for (int hidden = 1; hidden < 200; hidden++) {
      RnnSpec spec = variant.network(task, hidden);
      assertTrue(!spec.cell().hasChunkedBlocks() || hidden / spec.chunk() <= 32);
    }
  }

  @Test
  void biasesBeginAsThePaperSays() {
    assertEquals(0, spread(Variant.PLAIN, 0), 0);
    assertEquals(0, spread(Variant.REFINE, 64), 0);
    // log U(1, T-1) is positive; a uniform gate is above and below one half.
    float[] chrono = biases(Variant.CHRONO);
    for (int j = 0; j < 64; j++) {
      assertTrue(chrono[j] >= 0 && chrono[j] <= Math.log(24));
    }
    assertTrue(spread(Variant.UNIFORM, 0) > 4);
    float[] refine = biases(Variant.UR);
    for (int j = 0; j < 64; j++) {
      assertEquals(-refine[64 + j], refine[j]);
    }
  }

  private static double spread(Variant variant, int begin) {
    float least = Float.MAX_VALUE;
    float most = -Float.MAX_VALUE;
    for (int j = begin; j < begin + 64; j++) {
      least = Math.min(least, biases(variant)[j]);
      most = Math.max(most, biases(variant)[j]);
    }
    return most - least;
  }

  private static float[] biases(Variant variant) {
    CopyTask task = new CopyTask(5);
    return variant.init(task.steps()).weights(variant.network(task, 64), 1).floats("bias_ih_l0");
  }
}
