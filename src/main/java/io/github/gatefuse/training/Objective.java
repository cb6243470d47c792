// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

/**
 * What a training makes small: a number that depends on the outputs of a network, with its gradient
 * by them. {@link Loss} has the usual ones; a policy gradient, say, is another.
 *
 * <p>Called by one thread at a time.
 */
@FunctionalInterface
public interface Objective {
  /**
   * Looks at the outputs for a batch.
   *
   * @param batch what they are outputs for
   * @param outputs O
   * @param logits the outputs [T, B, O], at the beginning of an array that may be longer; 0 past
   *     each sequence's length
   * @param gradient receives the gradient of the loss by each [T, B, O], at the beginning of an
   *     array that may be longer and holds zeros on entry; null where it is not wanted
   * @return the loss, and what else is to be reported
   */
  Outcome evaluate(Batch batch, int outputs, float[] logits, float[] gradient);

  /**
   * What an objective says of a batch.
   *
   * @param loss the loss, a mean over the batch
   * @param correct the weight of the places whose prediction was right; 0 where there is no right
   * @param weight the weight of all places
   */
  record Outcome(double loss, double correct, double weight) {
    /**
     * The share of right predictions.
     *
     * @return 0 to 1
     */
    public double accuracy() {
      return weight == 0 ? 0 : correct / weight;
    }
  }
}
