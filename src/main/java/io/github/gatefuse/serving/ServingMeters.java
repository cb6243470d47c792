// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.TimeGauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/**
 * Publishes the metrics of a {@link Batcher} or a {@link StreamPool} to Micrometer, whose
 * micrometer-core has to be on the class path; nothing else here needs it.
 *
 * <pre>{@code
 * ServingMeters.of(batcher, Tags.of("model", "ranker")).bindTo(registry);
 * }</pre>
 *
 * <p>Names begin with {@code gatefuse.batcher.} or {@code gatefuse.streams.}. Times are gauges of
 * the percentiles since the start, tagged {@code quantile}; the path is the tag {@code path} of
 * all.
 *
 * <p>Immutable and thread-safe.
 */
@SuppressWarnings("exports") // An optional library cannot be required of others.
public final class ServingMeters implements MeterBinder {
  private final Consumer<MeterRegistry> bind;

  private ServingMeters(Consumer<MeterRegistry> bind) {
    this.bind = bind;
  }

  /**
   * The meters of a batcher.
   *
   * @param batcher to which the registry refers weakly
   * @param tags of all meters, to tell several batchers apart
   * @return a binder
   */
  public static ServingMeters of(Batcher batcher, Iterable<Tag> tags) {
    return new ServingMeters(registry -> bind(registry, batcher, tags));
  }

  /**
   * The meters of a pool.
   *
   * @param pool to which the registry refers weakly
   * @param tags of all meters, to tell several pools apart
   * @return a binder
   */
  public static ServingMeters of(StreamPool pool, Iterable<Tag> tags) {
    return new ServingMeters(registry -> bind(registry, pool, tags));
  }

  @Override
  public void bindTo(MeterRegistry registry) {
    bind.accept(registry);
  }

  private static void bind(MeterRegistry registry, Batcher batcher, Iterable<Tag> tags) {
    Tags all = Tags.of(tags).and("path", batcher.metrics().path().toString());
    new Meters<>(registry, "gatefuse.batcher.", all, batcher, Batcher::metrics)
        .counter("submitted", BatcherMetrics::submitted)
        .counter("completed", BatcherMetrics::completed)
        .counter("failed", BatcherMetrics::failed)
        .counter("rejected", BatcherMetrics::rejected)
        .counter("expired", BatcherMetrics::expired)
        .counter("cancelled", BatcherMetrics::cancelled)
        .counter("batches", BatcherMetrics::batches)
        .counter("steps", BatcherMetrics::steps)
        .gauge("queued", BatcherMetrics::queued)
        .gauge("fill", BatcherMetrics::batchFill)
        .gauge("bytes", BatcherMetrics::bytes)
        .timing("queue.time", BatcherMetrics::queueTime)
        .timing("compute.time", BatcherMetrics::computeTime)
        .timing("latency", BatcherMetrics::latency);
  }

  private static void bind(MeterRegistry registry, StreamPool pool, Iterable<Tag> tags) {
    Tags all = Tags.of(tags).and("path", pool.metrics().path().toString());
    new Meters<>(registry, "gatefuse.streams.", all, pool, StreamPool::metrics)
        .counter("opened", StreamPoolMetrics::opened)
        .counter("closed", StreamPoolMetrics::closed)
        .counter("evicted", StreamPoolMetrics::evicted)
        .counter("calls", StreamPoolMetrics::calls)
        .counter("steps", StreamPoolMetrics::steps)
        .gauge("open", StreamPoolMetrics::open)
        .gauge("capacity", StreamPoolMetrics::capacity)
        .gauge("bytes", StreamPoolMetrics::bytes)
        .gauge("device.bytes", StreamPoolMetrics::deviceBytes)
        .timing("call.time", StreamPoolMetrics::callTime);
  }

  /** Registers meters of an owner that each read a new snapshot. */
  private record Meters<O, M>(
      MeterRegistry registry, String prefix, Tags tags, O owner, Function<O, M> snapshot) {
    Meters<O, M> counter(String name, ToDoubleFunction<M> value) {
      FunctionCounter.builder(prefix + name, owner, of(value)).tags(tags).register(registry);
      return this;
    }

    Meters<O, M> gauge(String name, ToDoubleFunction<M> value) {
      Gauge.builder(prefix + name, owner, of(value)).tags(tags).register(registry);
      return this;
    }

    /** Does not refer to the owner, of whom the registry knows whether it is still there. */
    private ToDoubleFunction<O> of(ToDoubleFunction<M> value) {
      Function<O, M> metrics = snapshot;
      return owner -> value.applyAsDouble(metrics.apply(owner));
    }

    Meters<O, M> timing(String name, Function<M, Timing> timing) {
      return quantile(name, "0.5", timing, Timing::p50)
          .quantile(name, "0.9", timing, Timing::p90)
          .quantile(name, "0.99", timing, Timing::p99)
          .quantile(name, "0.999", timing, Timing::p999)
          .quantile(name, "1", timing, Timing::max);
    }

    private Meters<O, M> quantile(
        String name,
        String quantile,
        Function<M, Timing> timing,
        Function<Timing, Duration> value) {
      ToDoubleFunction<O> nanos = of(m -> value.apply(timing.apply(m)).toNanos());
      TimeGauge.builder(prefix + name, owner, TimeUnit.NANOSECONDS, nanos)
          .tags(tags.and("quantile", quantile))
          .register(registry);
      return this;
    }
  }
}
