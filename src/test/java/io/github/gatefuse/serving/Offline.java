// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.State;
import io.github.gatefuse.testing.Networks;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Random;

/** What serving has to give: every sequence by itself, in one call. One thread at a time. */
final class Offline implements AutoCloseable {
  private final RnnSpec spec;
  private final Output output;
  private final Session session;

  Offline(Rnn rnn, Output output, int maxSteps) {
    this.spec = rnn.spec();
    this.output = output;
    this.session = rnn.session(SessionOptions.of(maxSteps, 1).withThreads(1));
  }

  /** A request of so many steps at random. */
  static Request request(RnnSpec spec, Output output, int steps, Random random) {
    Request request;
    if (spec.vocabulary() > 0) {
      request = Request.of(random.ints(steps, 0, spec.vocabulary()).toArray());
    } else {
      float[] x = new float[steps * spec.inputSize()];
      for (int i = 0; i < x.length; i++) {
        x[i] = (float) random.nextGaussian();
      }
      request = Request.of(x);
    }
    return output.needsTargets()
        ? request.withTargets(random.ints(steps, 0, spec.outputs()).toArray())
        : request;
  }

  float[] answer(Request request) {
    int steps = request.check(spec, output);
    ForwardCall call = session.call();
    if (request.x() == null) {
      call.tokens(Networks.direct(request.tokens()));
    } else {
      call.input(Networks.direct(request.x()));
    }
    FloatBuffer out = Networks.floats(steps * output.width(spec));
    State last = State.zeros(spec, 1);
    switch (output) {
      case HIDDEN -> call.output(out);
      case LAST_HIDDEN -> call.finalState(last);
      case LOGITS, LAST_LOGITS -> call.logits(out);
      case LOG_PROBABILITIES -> call.logProbabilities(out);
      case TARGET_LOG_PROBABILITIES ->
          call.targets(Networks.direct(request.targets())).targetLogProbabilities(out);
    }
    call.run(steps, 1);
    float[] all = output == Output.LAST_HIDDEN ? last.hidden() : Networks.array(out);
    int width = output.width(spec);
    return output.last() ? Arrays.copyOfRange(all, all.length - width, all.length) : all;
  }

  @Override
  public void close() {
    session.close();
  }
}
