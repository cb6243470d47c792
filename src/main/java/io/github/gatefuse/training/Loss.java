// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

/**
 * How far the outputs of a network are from what they should be: the mean over places, weighted as
 * {@link Batch#weights()} says. Its gradient is that of the mean.
 *
 * <p>Immutable and thread-safe.
 */
public enum Loss implements Objective {
  /**
   * -log of the right class's probability in nats, the outputs being logits. Right is a prediction
   * if no logit is larger than that of the right class.
   */
  CROSS_ENTROPY {
    @Override
    void check(Batch batch, int outputs) {
      if (batch.classes() == null) {
        throw new IllegalArgumentException("cross-entropy: expected a batch with classes");
      }
    }

    @Override
    double place(Batch batch, int place, int outputs, float[] logits, double share, float[] to) {
      int begin = place * outputs;
      int right = begin + rightClass(batch, place, outputs);
      float largest = logits[begin];
      for (int i = begin + 1; i < begin + outputs; i++) {
        largest = Math.max(largest, logits[i]);
      }
      double sum = 0;
      for (int i = begin; i < begin + outputs; i++) {
        double one = Math.exp(logits[i] - largest);
        sum += one;
        if (to != null) {
          to[i] = (float) one;
        }
      }
      if (to != null) {
        float scale = (float) (share / sum);
        for (int i = begin; i < begin + outputs; i++) {
          to[i] *= scale;
        }
        to[right] -= (float) share;
      }
      return largest + Math.log(sum) - logits[right];
    }

    @Override
    boolean isRight(Batch batch, int place, int outputs, float[] logits) {
      int begin = place * outputs;
      float own = logits[begin + batch.classes()[place]];
      for (int i = begin; i < begin + outputs; i++) {
        if (logits[i] > own) {
          return false;
        }
      }
      return true;
    }

    private int rightClass(Batch batch, int place, int outputs) {
      int right = batch.classes()[place];
      if (right < 0 || right >= outputs) {
        int t = place / batch.sequences();
        int b = place % batch.sequences();
        throw new IllegalArgumentException(
            "classes[t=%d, b=%d]: expected 0 to %d, got %d".formatted(t, b, outputs - 1, right));
      }
      return right;
    }
  },

  /** The mean over the outputs of the squares of their differences. Nothing counts as right. */
  MEAN_SQUARED_ERROR {
    @Override
    void check(Batch batch, int outputs) {
      int expected = batch.steps() * batch.sequences() * outputs;
      if (batch.values() == null || batch.values().length != expected) {
        throw new IllegalArgumentException(
            "mean squared error: expected a batch with [T, B, O=%d] = %d values, got %s"
                .formatted(
                    outputs,
                    expected,
                    batch.values() == null ? "classes" : batch.values().length + ""));
      }
    }

    @Override
    double place(Batch batch, int place, int outputs, float[] logits, double share, float[] to) {
      double sum = 0;
      for (int i = place * outputs; i < (place + 1) * outputs; i++) {
        double difference = (double) logits[i] - batch.values()[i];
        sum += difference * difference;
        if (to != null) {
          to[i] = (float) (2 * share * difference / outputs);
        }
      }
      return sum / outputs;
    }

    @Override
    boolean isRight(Batch batch, int place, int outputs, float[] logits) {
      return false;
    }
  };

  @Override
  public Outcome evaluate(Batch batch, int outputs, float[] logits, float[] gradient) {
    check(batch, outputs);
    double weight = 0;
    for (int t = 0; t < batch.steps(); t++) {
      for (int b = 0; b < batch.sequences(); b++) {
        weight += batch.weight(t, b);
      }
    }
    double loss = 0;
    double correct = 0;
    for (int t = 0; t < batch.steps(); t++) {
      for (int b = 0; b < batch.sequences(); b++) {
        float own = batch.weight(t, b);
        if (own != 0) {
          int place = t * batch.sequences() + b;
          loss += own * place(batch, place, outputs, logits, own / weight, gradient);
          correct += isRight(batch, place, outputs, logits) ? own : 0;
        }
      }
    }
    return new Outcome(weight == 0 ? 0 : loss / weight, correct, weight);
  }

  abstract void check(Batch batch, int outputs);

  /**
   * The loss of a place.
   *
   * @param share its share of the mean, with which its gradient is multiplied
   * @param to receives the gradient; null where it is not wanted
   */
  abstract double place(
      Batch batch, int place, int outputs, float[] logits, double share, float[] to);

  abstract boolean isRight(Batch batch, int place, int outputs, float[] logits);
}
