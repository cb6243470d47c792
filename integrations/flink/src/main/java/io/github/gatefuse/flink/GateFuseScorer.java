// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Precision;
import io.github.gatefuse.RnnSpec;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.util.OutputTag;

/**
 * Scores the events of a keyed stream with a recurrent network, whose state each key has for
 * itself, in Flink's keyed state.
 *
 * <p>An event is one step of its key's sequence. Events of different keys are gathered and run in
 * one native call; of one key at most one event is in a call, and the next waits for the next call.
 * A call runs when events of as many keys wait as the batch takes, when as many events wait as may
 * be buffered, or when an event has waited for the time limit; and all that wait run before a
 * watermark is sent on, before a checkpoint is taken and at the end of the input. A score does not
 * depend on which events ran with it: on one path of the network (backend, instruction set,
 * precision) its bits are those of the event run alone.
 *
 * <p>Results of one key come in the order of its events, with their timestamps. Results of
 * different keys come call by call, and in a call in the order in which the keys began to wait:
 * between keys the order of arrival is not kept, and may differ from run to run.
 *
 * <p>A scorer is immutable, and may be applied to any number of streams. A builder is for one
 * thread.
 *
 * @param <IN> the event
 * @param <OUT> the result
 */
public final class GateFuseScorer<IN, OUT> {
  private final Settings<IN, OUT> settings;
  private final TypeInformation<OUT> resultType;

  private GateFuseScorer(Settings<IN, OUT> settings, TypeInformation<OUT> resultType) {
    this.settings = settings;
    this.resultType = resultType;
  }

  /**
   * Begins a scorer.
   *
   * @param <IN> the event
   * @param <OUT> the result
   * @return a builder without a model
   */
  public static <IN, OUT> Builder<IN, OUT> builder() {
    return new Builder<>();
  }

  /**
   * Scores a stream. Give the result a {@code uid}, by which a savepoint finds the states again.
   *
   * @param <K> the key
   * @param stream whose events are scored
   * @return the results
   */
  public <K> SingleOutputStreamOperator<OUT> score(KeyedStream<IN, K> stream) {
    return stream.transform("GateFuse", resultType, operator());
  }

  ScoringOperator<IN, OUT> operator() {
    return new ScoringOperator<>(settings);
  }

  /**
   * Collects what a scorer needs: a model, {@link #features} or {@link #tokens}, and {@link
   * #result}. The rest has defaults.
   *
   * @param <IN> the event
   * @param <OUT> the result
   */
  public static final class Builder<IN, OUT> {
    private Model model;
    private FeatureExtractor<IN> features;
    private TokenExtractor<IN> tokens;
    private SequenceStart<IN> start;
    private ResultBuilder<IN, OUT> result;
    private TypeInformation<OUT> resultType;
    private Output output;
    private int batchSize = 256;
    private int maxBuffered;
    private Duration timeLimit = Duration.ofMillis(10);
    private int threads = 1;
    private Backend backend = Backend.AUTO;
    private Precision precision = Precision.FLOAT32;
    private OutputTag<IN> refused;
    private Duration timeToLive;

    private Builder() {}

    /**
     * The model as a file, which every task reads when it starts.
     *
     * @param safetensors where every task manager has the file
     * @param spec what the network is; of one direction
     * @param prefix what its parameter names begin with in the file; empty for nothing
     * @return this
     */
    public Builder<IN, OUT> model(Path safetensors, RnnSpec spec, String prefix) {
      Objects.requireNonNull(prefix, "prefix");
      model = new Model(safetensors.toString(), null, network(spec), prefix);
      return this;
    }

    /**
     * The model as the bytes of a file, which the job carries along to every task.
     *
     * @param safetensors a whole file; copied
     * @param spec what the network is; of one direction
     * @param prefix what its parameter names begin with in the file; empty for nothing
     * @return this
     */
    public Builder<IN, OUT> model(byte[] safetensors, RnnSpec spec, String prefix) {
      Objects.requireNonNull(prefix, "prefix");
      model = new Model(null, safetensors.clone(), network(spec), prefix);
      return this;
    }

    private static Model.Network network(RnnSpec spec) {
      if (spec.bidirectional()) {
        throw new IllegalArgumentException(
            "spec: expected a network of one direction, got two: the reverse one begins with a"
                + " stream's last event");
      }
      return Model.Network.of(spec);
    }

    /**
     * What the network reads of an event, for one without an embedding.
     *
     * @param extractor gives [I]
     * @return this
     */
    public Builder<IN, OUT> features(FeatureExtractor<IN> extractor) {
      features = Objects.requireNonNull(extractor, "extractor");
      return this;
    }

    /**
     * What the network reads of an event, for one with an embedding.
     *
     * @param extractor gives a token
     * @return this
     */
    public Builder<IN, OUT> tokens(TokenExtractor<IN> extractor) {
      tokens = Objects.requireNonNull(extractor, "extractor");
      return this;
    }

    /**
     * Which events begin a new sequence of their key, from a state of zeros. Without it a key has
     * one sequence without end.
     *
     * @param rule says so of an event
     * @return this
     */
    public Builder<IN, OUT> start(SequenceStart<IN> rule) {
      start = Objects.requireNonNull(rule, "rule");
      return this;
    }

    /**
     * What is sent on.
     *
     * @param builder makes it
     * @param type its type
     * @return this
     */
    public Builder<IN, OUT> result(ResultBuilder<IN, OUT> builder, TypeInformation<OUT> type) {
      result = Objects.requireNonNull(builder, "builder");
      resultType = Objects.requireNonNull(type, "type");
      return this;
    }

    /**
     * Which outputs the result is made of.
     *
     * @param value one that the network has; by default the logits if there is a head, else the
     *     hidden units
     * @return this
     */
    public Builder<IN, OUT> output(Output value) {
      output = Objects.requireNonNull(value, "value");
      return this;
    }

    /**
     * The most events of a native call.
     *
     * @param value at least 1, which runs every event by itself at once; by default 256
     * @return this
     */
    public Builder<IN, OUT> batchSize(int value) {
      batchSize = atLeast("batchSize", value);
      return this;
    }

    /**
     * The most events that wait in a task, those of one key included that wait for each other. More
     * of them fill batches better where a key's events come close together.
     *
     * @param value at least the batch size; by default 4 times that
     * @return this
     */
    public Builder<IN, OUT> maxBuffered(int value) {
      maxBuffered = atLeast("maxBuffered", value);
      return this;
    }

    /**
     * The longest that an event waits for others, in processing time.
     *
     * @param value of whole milliseconds, at least 1; by default 10
     * @return this
     */
    public Builder<IN, OUT> timeLimit(Duration value) {
      if (value.toMillis() < 1) {
        throw new IllegalArgumentException("timeLimit: expected at least 1 ms, got " + value);
      }
      timeLimit = value;
      return this;
    }

    /**
     * The threads of each task's calls.
     *
     * @param value at least 1; by default 1, since tasks are parallel already
     * @return this
     */
    public Builder<IN, OUT> threads(int value) {
      threads = atLeast("threads", value);
      return this;
    }

    /**
     * What computes.
     *
     * @param value by default the best that runs at a task
     * @return this
     */
    public Builder<IN, OUT> backend(Backend value) {
      backend = Objects.requireNonNull(value, "value");
      return this;
    }

    /**
     * What the operands of products are rounded to.
     *
     * @param value by default float32
     * @return this
     */
    public Builder<IN, OUT> precision(Precision value) {
      precision = Objects.requireNonNull(value, "value");
      return this;
    }

    /**
     * Sends events that cannot be scored (features of another width or not finite, a token out of
     * range) to a side output, as they are; their key's state stays as it is. By default such an
     * event fails the job by its name.
     *
     * @param tag of the side output
     * @return this
     */
    public Builder<IN, OUT> refusedTo(OutputTag<IN> tag) {
      refused = Objects.requireNonNull(tag, "tag");
      return this;
    }

    /**
     * Forgets a key's state when it has had no event for some time. In batch execution it does
     * nothing.
     *
     * @param value in processing time; by default states are kept for ever
     * @return this
     */
    public Builder<IN, OUT> timeToLive(Duration value) {
      if (value.toMillis() < 1) {
        throw new IllegalArgumentException("timeToLive: expected at least 1 ms, got " + value);
      }
      timeToLive = value;
      return this;
    }

    private static int atLeast(String name, int value) {
      if (value < 1) {
        throw new IllegalArgumentException(name + ": expected at least 1, got " + value);
      }
      return value;
    }

    /**
     * Makes the scorer. The model is not read before a task starts.
     *
     * @return a scorer
     * @throws IllegalArgumentException if something is missing or does not fit, by its name
     */
    public GateFuseScorer<IN, OUT> build() {
      require(model != null, "model: expected one, got none");
      require(result != null, "result: expected a builder, got none");
      RnnSpec spec = model.spec();
      boolean embedded = spec.vocabulary() > 0;
      require(
          embedded == (tokens != null) && embedded == (features == null),
          embedded
              ? "tokens: expected them alone, for a network with an embedding"
              : "features: expected them alone, for a network without an embedding");
      boolean head = spec.outputs() > 0;
      Output what = output != null ? output : head ? Output.LOGITS : Output.HIDDEN;
      require(
          what == Output.HIDDEN || head,
          "output: expected HIDDEN of a network without a head, got " + what);
      int buffered = maxBuffered > 0 ? maxBuffered : Math.multiplyExact(4, batchSize);
      require(
          buffered >= batchSize,
          "maxBuffered: expected at least the batch size " + batchSize + ", got " + buffered);
      return new GateFuseScorer<>(settings(what, buffered), resultType);
    }

    private Settings<IN, OUT> settings(Output what, int buffered) {
      return new Settings<>(
          model,
          features,
          tokens,
          start,
          result,
          what,
          batchSize,
          buffered,
          timeLimit,
          threads,
          backend,
          precision,
          refused,
          timeToLive);
    }

    private static void require(boolean condition, String message) {
      if (!condition) {
        throw new IllegalArgumentException(message);
      }
    }
  }
}
