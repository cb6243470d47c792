// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.Session;
import io.github.gatefuse.WeightInit;
import java.util.Arrays;

/** Runs a network in whatever class loader has it. */
public final class LoaderProbe {
  private LoaderProbe() {}

  /**
   * Runs on the native CPU backend.
   *
   * @return y of 3 steps
   */
  public static float[] run() {
    RnnOptions options = RnnOptions.of(Backend.CPU);
    try (Rnn rnn =
            Rnn.create(TestModel.SPEC, WeightInit.uniform().weights(TestModel.SPEC, 5), options);
        Session session = rnn.session(3, 1)) {
      float[] x = new float[3 * TestModel.SPEC.inputSize()];
      Arrays.fill(x, 0.25f);
      return session.forward(3, 1, x);
    }
  }
}
