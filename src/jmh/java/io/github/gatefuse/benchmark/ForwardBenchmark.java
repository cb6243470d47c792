// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Precision;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Whole sequences on the CPU, for work on the kernels: by itself, where {@link Comparison} sets it
 * against others. State of one benchmark thread.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 10, time = 1)
@Fork(1)
public class ForwardBenchmark {
  /** Batch, steps and size. */
  @Param({"1x100x256", "8x100x256", "32x100x512"})
  public String shape;

  /** The cell's id. */
  @Param({"lstm", "lstm_refine"})
  public String cell;

  /** Of the session. */
  @Param({"1", "2"})
  public int threads;

  private GateFuseContender contender;

  /** Made by JMH. */
  public ForwardBenchmark() {}

  /** Makes the network and all buffers. */
  @Setup
  public void open() {
    contender = new GateFuseContender(Shape.of(shape), Cell.of(cell), Precision.FLOAT32, threads);
  }

  /** Frees the network. */
  @TearDown
  public void close() {
    contender.close();
  }

  /** A prepared call. */
  @Benchmark
  public void run() {
    contender.run();
  }
}
