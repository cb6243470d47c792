// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Precision;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/** GateFuse on the CPU, by a prepared call. One thread at a time. */
final class GateFuseContender implements Contender {
  private static final String PREFIX = "GateFuse ";

  private final Shape shape;
  private final Cell cell;
  private final Precision precision;
  private final Rnn rnn;
  private final Session session;
  private final FloatBuffer output;
  private final ForwardCall call;

  /** Our contender of a race. */
  static GateFuseContender of(Race race, Shape shape, int threads) {
    try {
      Precision precision = Precision.of(race.precision());
      return new GateFuseContender(shape, race.cell(), precision, threads);
    } catch (IllegalArgumentException e) {
      throw new Refusal(name(race.cell(), race.precision()), e);
    }
  }

  GateFuseContender(Shape shape, Cell cell, Precision precision, int threads) {
    this.shape = shape;
    this.cell = cell;
    this.precision = precision;
    RnnOptions options = RnnOptions.of(Backend.CPU).withPrecision(precision);
    rnn = Rnn.create(shape.spec(cell), shape.weights(cell), options);
    session = rnn.session(SessionOptions.of(shape.steps(), shape.batch()).withThreads(threads));
    output = shape.zeros();
    call = session.call().input(shape.input()).output(output);
  }

  /** From now on sequences are so long, one for each row of the batch. */
  void setLengths(int[] lengths) {
    ByteBuffer memory = ByteBuffer.allocateDirect(Integer.BYTES * lengths.length);
    call.lengths(memory.order(ByteOrder.nativeOrder()).asIntBuffer().put(lengths).flip());
  }

  /** Whether a contender of this name is one of ours. */
  static boolean isOurs(String name) {
    return name.startsWith(PREFIX);
  }

  @Override
  public String name() {
    return name(cell, precision.id());
  }

  private static String name(Cell cell, String precision) {
    return PREFIX + cell.id() + " " + precision;
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
