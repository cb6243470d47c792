// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Precision;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.serving.Output;
import java.util.Objects;
import org.apache.spark.api.java.function.MapFunction;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoder;

/**
 * Scores the elements of typed datasets with a recurrent network. Each element is a sequence, from
 * a state of zeros.
 *
 * <p>Elements of a partition are gathered and run as ragged batches; results come in the order of
 * the elements. A score does not depend on what else was in the batch: on one path of the network
 * (backend, instruction set, precision) its bits are those of the element run alone.
 *
 * <p>A scorer is immutable and thread-safe, and may be applied to any number of datasets. A builder
 * is for one thread.
 *
 * @param <IN> the element
 * @param <OUT> the result
 */
public final class GateFuseScorer<IN, OUT> {
  static final int BATCH_SIZE = 64;
  static final int MAX_STEPS = 256;

  /** A copy, which nobody changes any more. */
  private final Builder<IN, OUT> settings;

  private GateFuseScorer(Builder<IN, OUT> settings) {
    this.settings = settings;
  }

  /**
   * Begins a scorer.
   *
   * @param <IN> the element
   * @param <OUT> the result
   * @return a builder without a model
   */
  public static <IN, OUT> Builder<IN, OUT> builder() {
    return new Builder<>();
  }

  /**
   * Scores a dataset. The driver reads the model here, and sends it to the executors when a job
   * runs.
   *
   * @param dataset whose elements are scored
   * @return the results, without those that were null
   * @throws IllegalArgumentException if the model cannot be read, is none, or does not fit what the
   *     scorer takes or gives
   */
  public Dataset<OUT> score(Dataset<IN> dataset) {
    ModelFile model = settings.model(dataset);
    RnnSpec spec = model.parse().spec();
    Output output = settings.output(spec);
    return PartitionScorer.apply(dataset, model, spec, settings.scoring(output), settings.encoder);
  }

  /**
   * Collects what a scorer needs: a model, one of {@link #features}, {@link #tokens} and {@link
   * #bytes}, and {@link #result}. The rest has defaults.
   *
   * @param <IN> the element
   * @param <OUT> the result
   */
  public static final class Builder<IN, OUT> implements Cloneable {
    private String path;
    private byte[] safetensors;
    private MapFunction<IN, float[]> features;
    private MapFunction<IN, int[]> tokens;
    private MapFunction<IN, byte[]> bytes;
    private ResultBuilder<IN, OUT> result;
    private Encoder<OUT> encoder;
    private Output output;
    private Invalid invalid = Invalid.ERROR;
    private int batchSize = BATCH_SIZE;
    private int maxSteps = MAX_STEPS;
    private Cell cell;
    private Backend backend = Backend.AUTO;
    private Precision precision = Precision.FLOAT32;

    private Builder() {}

    /**
     * The model as a file.
     *
     * @param path of a safetensors file in any file system of Spark's; the driver reads it
     * @return this
     */
    public Builder<IN, OUT> model(String path) {
      this.path = Objects.requireNonNull(path, "path");
      safetensors = null;
      return this;
    }

    /**
     * The model as the bytes of a file.
     *
     * @param file a whole safetensors file; copied
     * @return this
     */
    public Builder<IN, OUT> model(byte[] file) {
      safetensors = file.clone();
      path = null;
      return this;
    }

    /**
     * The cell, for models such as a state dict of PyTorch, which do not name it.
     *
     * @param value the cell
     * @return this
     */
    public Builder<IN, OUT> cell(Cell value) {
      cell = Objects.requireNonNull(value, "value");
      return this;
    }

    /**
     * What a network without an embedding reads of an element.
     *
     * @param extractor gives x, [T * I], one step after the other, finite
     * @return this
     */
    public Builder<IN, OUT> features(MapFunction<IN, float[]> extractor) {
      features = Objects.requireNonNull(extractor, "extractor");
      return this;
    }

    /**
     * What a network with an embedding reads of an element.
     *
     * @param extractor gives tokens, [T], each 0 to V-1
     * @return this
     */
    public Builder<IN, OUT> tokens(MapFunction<IN, int[]> extractor) {
      tokens = Objects.requireNonNull(extractor, "extractor");
      return this;
    }

    /**
     * What a network with an embedding for bytes reads of an element. A line feed is read before
     * the bytes, and predicted after them.
     *
     * @param extractor gives any number of bytes, such as those of a line
     * @return this
     */
    public Builder<IN, OUT> bytes(MapFunction<IN, byte[]> extractor) {
      bytes = Objects.requireNonNull(extractor, "extractor");
      return this;
    }

    /**
     * What becomes of an element and its outputs.
     *
     * @param builder makes the result
     * @param encoder writes it
     * @return this
     */
    public Builder<IN, OUT> result(ResultBuilder<IN, OUT> builder, Encoder<OUT> encoder) {
      this.result = Objects.requireNonNull(builder, "builder");
      this.encoder = Objects.requireNonNull(encoder, "encoder");
      return this;
    }

    /**
     * Which outputs the result is made of.
     *
     * @param value one that the network has, {@link Output#TARGET_LOG_PROBABILITIES} for {@link
     *     #bytes} alone, whose {@link BitsPerByte} are the score of a line. By default that for the
     *     bytes of a byte model, else the last step's logits if there is a head, else its hidden
     *     units
     * @return this
     */
    public Builder<IN, OUT> output(Output value) {
      output = Objects.requireNonNull(value, "value");
      return this;
    }

    /**
     * What becomes of elements that cannot be scored. An exception of an extractor or of the result
     * builder fails the job in any case.
     *
     * @param value by default the job fails and names the element
     * @return this
     */
    public Builder<IN, OUT> invalid(Invalid value) {
      invalid = Objects.requireNonNull(value, "value");
      return this;
    }

    /**
     * The most elements of a native call.
     *
     * @param value at least 1; by default 64
     * @return this
     */
    public Builder<IN, OUT> batchSize(int value) {
      batchSize = atLeastOne("batchSize", value);
      return this;
    }

    /**
     * The most steps of a native call. Longer sequences run in pieces, but for networks of two
     * directions, of which it is the longest sequence.
     *
     * @param value at least 1; by default 256
     * @return this
     */
    public Builder<IN, OUT> maxSteps(int value) {
      maxSteps = atLeastOne("maxSteps", value);
      return this;
    }

    /**
     * What computes.
     *
     * @param value by default the best that runs at an executor
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

    private static int atLeastOne(String name, int value) {
      if (value < 1) {
        throw new IllegalArgumentException(name + ": expected at least 1, got " + value);
      }
      return value;
    }

    /**
     * Makes the scorer. The model is not read before it scores a dataset.
     *
     * @return a scorer
     * @throws IllegalArgumentException if something is missing or does not fit, by its name
     */
    public GateFuseScorer<IN, OUT> build() {
      require(path != null || safetensors != null, "model: expected one, got none");
      require(result != null, "result: expected a builder, got none");
      int inputs = (features == null ? 0 : 1) + (tokens == null ? 0 : 1) + (bytes == null ? 0 : 1);
      require(inputs == 1, "expected one of features, tokens and bytes, got " + inputs);
      require(
          output != Output.TARGET_LOG_PROBABILITIES || bytes != null,
          "output: expected TARGET_LOG_PROBABILITIES with bytes only");
      return new GateFuseScorer<>(clone());
    }

    @Override
    @SuppressWarnings("unchecked")
    protected Builder<IN, OUT> clone() {
      try {
        return (Builder<IN, OUT>) super.clone();
      } catch (CloneNotSupportedException e) {
        throw new AssertionError(e);
      }
    }

    private static void require(boolean condition, String message) {
      if (!condition) {
        throw new IllegalArgumentException(message);
      }
    }

    private ModelFile model(Dataset<IN> dataset) {
      ModelFile.Settings how = new ModelFile.Settings(cell, backend, precision);
      return safetensors != null
          ? ModelFile.of(safetensors, how)
          : ModelFile.read(dataset.sparkSession(), path, how);
    }

    /** What the network gives, whose embedding fits what the elements are. */
    private Output output(RnnSpec spec) {
      require(
          (features == null) == (spec.vocabulary() > 0),
          spec.vocabulary() > 0
              ? "features: expected tokens or bytes for a network with an embedding"
              : "features: expected them for a network without an embedding");
      require(
          bytes == null || spec.vocabulary() == Sequences.BYTES,
          "bytes: expected an embedding of 256 rows, got " + spec.vocabulary());
      return output != null ? output : Scoring.usualOutput(spec, bytes != null);
    }

    private Scoring<IN, OUT> scoring(Output output) {
      Sequences<IN> sequences =
          features != null
              ? Sequences.ofFeatures(features)
              : tokens != null ? Sequences.ofTokens(tokens) : Sequences.ofBytes(bytes, output);
      return new Scoring<>("sequence", sequences, output, result, invalid, batchSize, maxSteps);
    }
  }
}
