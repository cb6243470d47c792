// SPDX-License-Identifier: Apache-2.0
//
// A refine LSTM with uniform gate initialisation over two sequences of twenty steps.
import io.github.gatefuse.Cell;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.WeightInit;
import java.util.Random;

public final class PlainJava {
  public static void main(String[] args) {
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 8, 64); // inputs, hidden units
    try (Rnn rnn = Rnn.create(spec, WeightInit.uniform().weights(spec, 1));
        Session session = rnn.session(20, 2)) { // at most 20 steps, 2 sequences
      float[] x = new float[20 * 2 * 8]; // [T, B, I]
      Random random = new Random(1);
      for (int i = 0; i < x.length; i++) {
        x[i] = random.nextFloat() - 0.5f;
      }
      float[] y = session.forward(20, 2, x); // [T, B, H]
      System.out.println(y.length + " hidden states, the last " + y[y.length - 1]);
      System.out.println(session.path()); // what ran, and why
    }
  }
}
