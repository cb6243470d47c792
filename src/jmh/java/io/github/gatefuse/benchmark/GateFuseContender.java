// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import java.nio.FloatBuffer;

/** GateFuse on the CPU, by a prepared call. One thread at a time. */
final class GateFuseContender implements Contender {
  private final Shape shape;
  private final Cell cell;
  private final Rnn rnn;
  private final Session session;
  private final FloatBuffer output;
  private final ForwardCall call;

  GateFuseContender(Shape shape, Cell cell, int threads) {
    this.shape = shape;
    this.cell = cell;
    rnn = Rnn.create(shape.spec(cell), shape.weights(cell), Backend.CPU);
    session = rnn.session(SessionOptions.of(shape.steps(), shape.batch()).withThreads(threads));
    output = shape.zeros();
    call = session.call().input(shape.input()).output(output);
  }

  static String name(Cell cell) {
    return "gatefuse " + cell.id();
  }

  @Override
  public String name() {
    return name(cell);
  }

  @Override
  public String path() {
    return session.path().toString();
  }

  @Override
  public void run() {
    call.run(shape.steps(), shape.batch());
  }

  @Override
  public FloatBuffer output() {
    return output;
  }

  @Override
  public void close() {
    session.close();
    rnn.close();
  }
}
