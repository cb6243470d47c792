// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Losses by their definitions, and their gradients by differences. */
class LossTest {
  private static final int STEPS = 4;
  private static final int SEQUENCES = 3;
  private static final int OUTPUTS = 5;

  private static Batch batch(Loss loss) {
    Random random = new Random(1);
    int places = STEPS * SEQUENCES;
    float[] inputs = new float[places];
    float[] weights = new float[places];
    float[] values = new float[places * OUTPUTS];
    for (int i = 0; i < places; i++) {
      weights[i] = random.nextInt(3);
    }
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    int[] classes = random.ints(places, 0, OUTPUTS).toArray();
    Batch batch =
        loss == Loss.CROSS_ENTROPY
            ? Batch.of(STEPS, SEQUENCES, inputs, classes)
            : Batch.of(STEPS, SEQUENCES, inputs, values);
    return batch.withWeights(weights).withLengths(new int[] {4, 2, 3});
  }

  private static float[] logits() {
    Random random = new Random(2);
    float[] logits = new float[STEPS * SEQUENCES * OUTPUTS];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) (20 * random.nextGaussian());
    }
    return logits;
  }

  @ParameterizedTest
  @EnumSource(Loss.class)
  void isTheWeightedMean(Loss loss) {
    Batch batch = batch(loss);
    float[] logits = logits();
    double sum = 0;
    double weight = 0;
    double correct = 0;
    for (int place = 0; place < STEPS * SEQUENCES; place++) {
      if (place / SEQUENCES >= batch.lengths()[place % SEQUENCES]) {
        continue;
      }
      double total = 0;
      double squares = 0;
      int largest = 0;
      for (int o = 0; o < OUTPUTS; o++) {
        double logit = logits[place * OUTPUTS + o];
        total += Math.exp(logit);
        squares +=
            batch.values() == null
                ? 0
                : Math.pow(logit - batch.values()[place * OUTPUTS + o], 2) / OUTPUTS;
        largest = logit > logits[place * OUTPUTS + largest] ? o : largest;
      }
      double own = batch.weights()[place];
      weight += own;
      if (loss == Loss.CROSS_ENTROPY) {
        int right = batch.classes()[place];
        sum += own * (Math.log(total) - logits[place * OUTPUTS + right]);
        correct += largest == right ? own : 0;
      } else {
        sum += own * squares;
      }
    }
    Objective.Outcome outcome = loss.evaluate(batch, OUTPUTS, logits, null);
    assertEquals(sum / weight, outcome.loss(), 1e-9 * outcome.loss());
    assertEquals(correct, outcome.correct());
    assertEquals(weight, outcome.weight());
  }

  @ParameterizedTest
  @EnumSource(Loss.class)
  void hasTheGradientOfTheMean(Loss loss) {
    Batch batch = batch(loss);
    float[] logits = logits();
    float[] gradient = new float[logits.length];
    loss.evaluate(batch, OUTPUTS, logits, gradient);
    for (int i = 0; i < logits.length; i++) {
      float kept = logits[i];
      logits[i] = kept + 1f / 64;
      double above = loss.evaluate(batch, OUTPUTS, logits, null).loss();
      logits[i] = kept - 1f / 64;
      double below = loss.evaluate(batch, OUTPUTS, logits, null).loss();
      logits[i] = kept;
      assertEquals((above - below) * 32, gradient[i], 2e-5, "logit " + i);
    }
  }
}
