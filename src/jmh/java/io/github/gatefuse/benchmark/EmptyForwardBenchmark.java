// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.State;
import java.nio.FloatBuffer;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What a call costs when there is next to nothing to compute: T = 1, B = 1, H = 8, one thread, from
 * Java and back. State of one benchmark thread.
 */
@org.openjdk.jmh.annotations.State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(3)
public class EmptyForwardBenchmark {
  private Rnn rnn;
  private Session session;
  private FloatBuffer input;
  private FloatBuffer output;
  private State state;
  private ForwardCall call;

  /** Made by JMH. */
  public EmptyForwardBenchmark() {}

  /** Makes the network and all buffers. */
  @Setup
  public void open() {
    Shape shape = new Shape(1, 1, 8);
    rnn = Rnn.create(shape.spec(Cell.LSTM), shape.weights(Cell.LSTM), Backend.CPU);
    session = rnn.session(SessionOptions.of(1, 1).withThreads(1));
    input = shape.input();
    output = shape.zeros();
    state = session.newState(1);
    call = session.call().input(input).output(output);
  }

  /** Frees the network. */
  @TearDown
  public void close() {
    session.close();
    rnn.close();
  }

  /** A prepared call, from the zero state. */
  @Benchmark
  public void preparedCall() {
    call.run(1, 1);
  }

  /** The same through the session, which compares the buffers with those of the call before. */
  @Benchmark
  public void forward() {
    session.forward(1, 1, input, output);
  }

  /** One step of a stream: the state is read and written. */
  @Benchmark
  public void step() {
    session.step(input, state, output);
  }
}
