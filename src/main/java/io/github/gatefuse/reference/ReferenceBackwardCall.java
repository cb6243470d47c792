// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.spi.BackendBackwardCall;
import io.github.gatefuse.spi.Gradient;
import java.nio.FloatBuffer;
import java.util.EnumMap;
import java.util.Map;

/**
 * A way back of the reference on buffers: runs the last forward call again, goes back, copies out.
 * One thread at a time.
 */
final class ReferenceBackwardCall implements BackendBackwardCall {
  private final ReferenceSession session;
  private final RnnSpec spec;
  private final Map<Gradient, FloatBuffer> buffers = new EnumMap<>(Gradient.class);
  private Layout layout;
  private boolean accumulate;

  ReferenceBackwardCall(ReferenceSession session) {
    this.session = session;
    this.spec = session.network().spec();
  }

  @Override
  public void bind(Gradient gradient, FloatBuffer buffer) {
    buffers.put(gradient, buffer);
  }

  @Override
  public void accumulate(boolean value) {
    accumulate = value;
  }

  @Override
  public void shape(int steps, int batch, boolean batchMajor) {
    layout = new Layout(steps, batch, batchMajor);
  }

  @Override
  public void run() {
    ReferenceNetwork.Gradients gradients =
        session
            .network()
            .backward(
                session.lastInputs(),
                new ReferenceNetwork.Cotangents(
                    read(Gradient.OUTPUT),
                    read(Gradient.FINAL_HIDDEN),
                    read(Gradient.FINAL_CELL),
                    read(Gradient.LOGITS)));
    write(Gradient.INPUT, gradients.dx());
    write(Gradient.INITIAL_HIDDEN, gradients.dh0());
    write(Gradient.INITIAL_CELL, gradients.dc0());
    write(gradients.parameters());
  }

  private double[] read(Gradient gradient) {
    long count = gradient.count(spec, layout.steps(), layout.batch());
    return layout.read(buffers.get(gradient), count, gradient.sequence());
  }

  private void write(Gradient gradient, double[] values) {
    layout.write(values, buffers.get(gradient), gradient.sequence());
  }

  private void write(Weights parameters) {
    FloatBuffer buffer = buffers.get(Gradient.PARAMETERS);
    if (buffer == null) {
      return;
    }
    int at = 0;
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      for (float value : parameters.floats(parameter.name())) {
        buffer.put(at, accumulate ? buffer.get(at) + value : value);
        at++;
      }
    }
  }
}
