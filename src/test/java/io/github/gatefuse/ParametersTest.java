// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.testing.Networks;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.junit.jupiter.api.Test;

/** One buffer of all values, in the order of the specification. */
class ParametersTest {
  private static final RnnSpec SPEC =
      RnnSpec.of(Cell.LSTM_CUMAX_REFINE, 3, 4)
          .withLayers(2)
          .withBidirectional(true)
          .withChunk(2)
          .withVocabulary(5)
          .withOutputs(6);

  @Test
  void tensorsComeOneAfterAnother() {
    Weights weights = Networks.weights(SPEC, 1);
    Parameters parameters = Parameters.of(SPEC, weights);
    FloatBuffer all = parameters.all();
    assertTrue(all.isDirect() && all.order() == ByteOrder.nativeOrder());
    assertEquals(parameters.count(), all.remaining());
    for (RnnSpec.Parameter parameter : SPEC.parameters()) {
      float[] values = new float[(int) parameter.count()];
      all.get(values);
      assertArrayEquals(weights.floats(parameter.name()), values, parameter.name());
      assertArrayEquals(values, Networks.array(parameters.get(parameter.name())));
    }
    assertEquals(0, all.remaining());
  }

  @Test
  void weightsComeBack() {
    Weights weights = Networks.weights(SPEC, 1);
    Weights back = Parameters.of(SPEC, weights).toWeights();
    back.check(SPEC);
    assertEquals(weights.names(), back.names());
    weights.names().forEach(n -> assertArrayEquals(weights.floats(n), back.floats(n), n));
  }

  @Test
  void viewsAreTheParameters() {
    Parameters parameters = Parameters.zeros(SPEC);
    parameters.get("weight_hh_l0").put(2, 3f);
    int before = 14 * 3; // weight_ih_l0
    assertEquals(3f, parameters.all().get(before + 2));
    parameters.all().position(5).put(0, 7f);
    assertEquals(7f, parameters.get("weight_ih_l0").get(0));
    assertEquals(0, parameters.all().position());
  }

  @Test
  void missingBiasesAreZeros() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, 1, 1);
    Weights weights =
        Weights.builder()
            .add("weight_ih_l0", new double[] {1, 2, 3}, 3, 1)
            .add("weight_hh_l0", new double[] {4, 5, 6}, 3, 1)
            .build();
    assertArrayEquals(
        new float[] {1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0},
        Networks.array(Parameters.of(spec, weights).all()));
  }

  private static void refuses(String message, Runnable body) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, body::run).getMessage());
  }

  @Test
  void refusesInWords() {
    refuses(
        "parameters: expected at most 536870911 values, the most that a buffer can hold, got"
            + " 800080000",
        () -> Parameters.zeros(RnnSpec.of(Cell.LSTM, 10_000, 10_000)));
    refuses(
        "weight: expected one of [weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0], got no such"
            + " tensor",
        () -> Parameters.zeros(RnnSpec.of(Cell.LSTM, 1, 1)).get("weight"));
    RnnSpec other = RnnSpec.of(Cell.LSTM, 1, 2);
    refuses(
        "weight_ih_l0: expected [8, 1], got [4, 1]",
        () -> Parameters.of(other, Networks.weights(RnnSpec.of(Cell.LSTM, 1, 1), 1)));
  }
}
