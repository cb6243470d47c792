// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.Objective;

/**
 * The loss of an advantage actor-critic: at each place the outputs are the logits of the actions
 * and, last, the value that is expected.
 *
 * <p>With the return R, the value V, the advantage R - V taken as a constant, the probabilities p
 * and the action a that was taken, the loss of a place is -(R - V) log p_a + c (R - V)² + e Σ p log
 * p; that of a batch is the mean by weight. The actions are the batch's classes.
 *
 * <p>Not to be changed; thread-safe so far as the returns are left alone.
 *
 * @param returns the return of each place [T, B]
 * @param correct the number of episodes that ended well, to be reported
 * @param episodes the number of all
 * @param valueWeight c
 * @param entropyWeight e
 */
record ActorCritic(
    float[] returns, int correct, int episodes, double valueWeight, double entropyWeight)
    implements Objective {

  @Override
  public Outcome evaluate(Batch batch, int outputs, float[] logits, float[] gradient) {
    double weight = 0;
    for (float one : batch.weights()) {
      weight += one;
    }
    double loss = 0;
    double[] p = new double[outputs - 1];
    for (int place = 0; place < batch.weights().length; place++) {
      double own = batch.weights()[place];
      if (own != 0) {
        loss += own / weight * place(batch, place, outputs, logits, own / weight, p, gradient);
      }
    }
    return new Outcome(loss, correct, episodes);
  }

  private double place(
      Batch batch,
      int place,
      int outputs,
      float[] logits,
      double share,
      double[] p,
      float[] gradient) {
    int begin = place * outputs;
    softmax(logits, begin, p);
    int action = batch.classes()[place];
    double advantage = returns[place] - logits[begin + p.length];
    double negativeEntropy = 0;
    for (double one : p) {
      negativeEntropy += one == 0 ? 0 : one * Math.log(one);
    }
    if (gradient != null) {
      for (int k = 0; k < p.length; k++) {
        double policy = advantage * (p[k] - (k == action ? 1 : 0));
        double entropy = p[k] == 0 ? 0 : p[k] * (Math.log(p[k]) - negativeEntropy);
        gradient[begin + k] = (float) (share * (policy + entropyWeight * entropy));
      }
      gradient[begin + p.length] = (float) (-2 * share * valueWeight * advantage);
    }
    return -advantage * Math.log(Math.max(p[action], Double.MIN_NORMAL))
        + valueWeight * advantage * advantage
        + entropyWeight * negativeEntropy;
  }

  /** The probabilities of the actions. */
  static void softmax(float[] logits, int begin, double[] p) {
    double largest = Double.NEGATIVE_INFINITY;
    for (int k = 0; k < p.length; k++) {
      largest = Math.max(largest, logits[begin + k]);
    }
    double sum = 0;
    for (int k = 0; k < p.length; k++) {
      p[k] = Math.exp(logits[begin + k] - largest);
      sum += p[k];
    }
    for (int k = 0; k < p.length; k++) {
      p[k] /= sum;
    }
  }
}
