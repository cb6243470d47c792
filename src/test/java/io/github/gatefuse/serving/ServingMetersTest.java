// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.testing.Networks;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class ServingMetersTest {
  private static final RnnSpec SPEC = RnnSpec.of(Cell.GRU, 2, 4);

  @Test
  void aBatchersMetersFollowIt() throws Exception {
    MeterRegistry registry = new SimpleMeterRegistry();
    try (Rnn rnn = Rnn.create(SPEC, Networks.weights(SPEC, 1));
        Batcher batcher = Batcher.start(rnn, BatcherOptions.of(Output.LAST_HIDDEN))) {
      ServingMeters.of(batcher, Tags.of("model", "small")).bindTo(registry);
      System.gc(); // The registry refers weakly to what it asks.
      assertEquals(0, counter(registry, "gatefuse.batcher.completed"));
      batcher.submit(Request.of(new float[6])).get(60, TimeUnit.SECONDS);
      batcher.submit(Request.of(new float[5]));
      assertEquals(1, counter(registry, "gatefuse.batcher.completed"));
      assertEquals(1, counter(registry, "gatefuse.batcher.failed"));
      assertEquals(2, counter(registry, "gatefuse.batcher.submitted"));
      assertEquals(3, counter(registry, "gatefuse.batcher.steps"));
      assertEquals(1.0 / 64, registry.get("gatefuse.batcher.fill").gauge().value());
      double latency =
          registry
              .get("gatefuse.batcher.latency")
              .tag("quantile", "0.99")
              .tag("model", "small")
              .tag("path", batcher.metrics().path().toString())
              .timeGauge()
              .value(TimeUnit.NANOSECONDS);
      assertEquals(batcher.metrics().latency().p99().toNanos(), latency, 1);
    }
  }

  @Test
  void aPoolsMetersFollowIt() {
    MeterRegistry registry = new SimpleMeterRegistry();
    try (Rnn rnn = Rnn.create(SPEC, Networks.weights(SPEC, 1));
        StreamPool pool = StreamPool.create(rnn, StreamPoolOptions.of(5, Output.HIDDEN))) {
      ServingMeters.of(pool, Tags.empty()).bindTo(registry);
      System.gc();
      long stream = pool.open();
      pool.step(new long[] {stream}, new float[2]);
      assertEquals(1, counter(registry, "gatefuse.streams.steps"));
      assertEquals(1, registry.get("gatefuse.streams.open").gauge().value());
      assertEquals(5, registry.get("gatefuse.streams.capacity").gauge().value());
      assertTrue(registry.get("gatefuse.streams.bytes").gauge().value() > 0);
      assertEquals(
          pool.metrics().callTime().max().toNanos(),
          registry
              .get("gatefuse.streams.call.time")
              .tag("quantile", "1")
              .timeGauge()
              .value(TimeUnit.NANOSECONDS),
          1);
    }
  }

  private static double counter(MeterRegistry registry, String name) {
    return registry.get(name).functionCounter().count();
  }
}
