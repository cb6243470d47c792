// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

import io.github.gatefuse.RnnSpec;

/** The moments of Adam, and its step. All arrays are in the order of the parameters. */
final class AdamState {
  private final RnnSpec spec;
  private final Adam settings;

  /** The running mean of the gradient. */
  final float[] first;

  /** The running mean of its square. */
  final float[] second;

  AdamState(RnnSpec spec, Adam settings, int count) {
    this.spec = spec;
    this.settings = settings;
    first = new float[count];
    second = new float[count];
  }

  /**
   * Moves values against their gradients. The moments stay until {@link #remember}, so that a step
   * may still come to nothing.
   *
   * @param gradients become what the moments take in: scaled, and with the decay that goes there
   * @param moved receives the values as they become
   * @param step 1 for the first
   * @param scale with which the gradients are multiplied first
   */
  void move(
      float[] values, float[] gradients, float[] moved, long step, double rate, double scale) {
    double correction1 = 1 - Math.pow(settings.beta1(), step);
    double correction2 = 1 - Math.pow(settings.beta2(), step);
    float size = (float) (rate / correction1);
    float root = (float) (1 / Math.sqrt(correction2));
    int begin = 0;
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      int end = begin + (int) parameter.count();
      double decay = settings.decayed().test(parameter) ? settings.decay() : 0;
      float keep = settings.decoupled() ? (float) (1 - rate * decay) : 1;
      float penalty = settings.decoupled() ? 0 : (float) decay;
      move(values, gradients, moved, begin, end, size, root, keep, penalty, (float) scale);
      begin = end;
    }
  }

  // Plain loops over arrays of one index, of which HotSpot makes vector instructions.

  private void move(
      float[] values,
      float[] gradients,
      float[] moved,
      int begin,
      int end,
      float size,
      float root,
      float keep,
      float penalty,
      float scale) {
    float beta1 = (float) settings.beta1();
    float rest1 = (float) (1 - settings.beta1());
    float beta2 = (float) settings.beta2();
    float rest2 = (float) (1 - settings.beta2());
    float epsilon = (float) settings.epsilon();
    for (int i = begin; i < end; i++) {
      float gradient = gradients[i] * scale + penalty * values[i];
      float mean = beta1 * first[i] + rest1 * gradient;
      float square = beta2 * second[i] + rest2 * gradient * gradient;
      gradients[i] = gradient;
      moved[i] = keep * values[i] - size * mean / ((float) Math.sqrt(square) * root + epsilon);
    }
  }

  /**
   * Ends a step.
   *
   * @param gradients as {@link #move} left them
   */
  void remember(float[] gradients) {
    float beta1 = (float) settings.beta1();
    float rest1 = (float) (1 - settings.beta1());
    float beta2 = (float) settings.beta2();
    float rest2 = (float) (1 - settings.beta2());
    for (int i = 0; i < gradients.length; i++) {
      float gradient = gradients[i];
      first[i] = beta1 * first[i] + rest1 * gradient;
      second[i] = beta2 * second[i] + rest2 * gradient * gradient;
    }
  }
}
