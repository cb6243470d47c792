// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Precision;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.serving.Output;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import org.apache.spark.ml.Transformer;
import org.apache.spark.ml.param.IntParam;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.ml.param.ParamValidators;
import org.apache.spark.ml.util.DefaultParamsReader;
import org.apache.spark.ml.util.DefaultParamsWritable;
import org.apache.spark.ml.util.Identifiable;
import org.apache.spark.ml.util.MLReader;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;

/**
 * A stage of ML pipelines that scores a column with a recurrent network and appends a column with
 * the scores. Each row is a sequence; rows of a partition are gathered and run as ragged batches,
 * and a score has the bits of its row alone, whatever else was in the batch.
 *
 * <p>What the input column is depends on the network: a string or binary for a byte model; {@code
 * array<int>} for a network with any other embedding; {@code array<array<float>>} [T][I], or {@code
 * array<float>} [T * I] with one step after the other, or the same of double, for one without. What
 * the score is, the parameter {@code output} says: a double for {@code bits_per_byte}, {@code
 * array<float>} for outputs of the last step, {@code array<array<float>>} for those of all steps.
 *
 * <p>The driver reads the model whenever a schema or a dataset is transformed, and sends it to the
 * executors. A saved pipeline has the model's path, not the model.
 *
 * <p>Not thread-safe, like other stages.
 */
public final class GateFuseTransformer extends Transformer implements DefaultParamsWritable {
  private static final long serialVersionUID = 1;

  private static final String AUTO = "auto";
  private static final String BITS_PER_BYTE = "bits_per_byte";

  /** What the stage is known by. */
  private final String uid;

  /** Its column. */
  private final Param<String> inputCol;

  /** The column it appends. */
  private final Param<String> outputCol;

  /** A file. */
  private final Param<String> modelPath;

  /** {@link Cell#id}, or auto. */
  private final Param<String> cell;

  /** {@link #BITS_PER_BYTE}, an {@link Output} in lower case, or auto. */
  private final Param<String> output;

  /** {@link Invalid} in lower case. */
  private final Param<String> handleInvalid;

  /** {@link Backend#id}. */
  private final Param<String> backend;

  /** {@link Precision#id}. */
  private final Param<String> precision;

  /** Rows. */
  private final IntParam batchSize;

  /** Steps. */
  private final IntParam maxSteps;

  /** A stage without columns and model. */
  public GateFuseTransformer() {
    this(Identifiable.randomUID("gatefuse"));
  }

  /**
   * A stage without columns and model.
   *
   * @param uid what the stage is known by in a pipeline
   */
  public GateFuseTransformer(String uid) {
    this.uid = uid;
    inputCol = new Param<>(this, "inputCol", "the column with the sequences");
    outputCol = new Param<>(this, "outputCol", "the column for the scores");
    modelPath = new Param<>(this, "modelPath", "the model, a safetensors file");
    cell =
        named(
            "cell",
            "the cell, where the model does not name it, or auto",
            ids(Cell.values(), Cell::id, AUTO));
    output =
        named(
            "output",
            "what a score is; auto: bits per byte of lines, else logits, else hidden units of the last step",
            ids(Output.values(), GateFuseTransformer::id, AUTO));
    handleInvalid =
        named(
            "handleInvalid",
            "whether a row that cannot be scored fails the job, is left out, or has no score",
            ids(Invalid.values(), Invalid::id));
    backend = named("backend", "what computes", ids(Backend.values(), Backend::id));
    precision =
        named(
            "precision",
            "what operands of products are rounded to",
            ids(Precision.values(), Precision::id));
    batchSize =
        new IntParam(this, "batchSize", "the most rows of a native call", ParamValidators.gt(0));
    maxSteps =
        new IntParam(
            this,
            "maxSteps",
            "the most steps of a native call; for two directions, of a sequence",
            ParamValidators.gt(0));
    setDefault(cell, AUTO);
    setDefault(output, AUTO);
    setDefault(handleInvalid, Invalid.ERROR.id());
    setDefault(backend, Backend.AUTO.id());
    setDefault(precision, Precision.FLOAT32.id());
    setDefault(batchSize, GateFuseScorer.BATCH_SIZE);
    setDefault(maxSteps, GateFuseScorer.MAX_STEPS);
  }

  private Param<String> named(String name, String doc, List<String> allowed) {
    return new Param<>(
        this, name, doc + "; one of " + allowed, ParamValidators.<String>inArray(allowed));
  }

  private static <E> List<String> ids(E[] values, Function<E, String> id, String... more) {
    List<String> ids = new ArrayList<>(List.of(more));
    Arrays.stream(values).map(id).filter(name -> !ids.contains(name)).forEach(ids::add);
    return ids;
  }

  private static String id(Output output) {
    return output == Output.TARGET_LOG_PROBABILITIES
        ? BITS_PER_BYTE
        : output.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public String uid() {
    return uid;
  }

  /**
   * The column with the sequences.
   *
   * @return the parameter
   */
  public Param<String> inputCol() {
    return inputCol;
  }

  /**
   * Sets the column with the sequences.
   *
   * @param value its name
   * @return this
   */
  public GateFuseTransformer setInputCol(String value) {
    set(inputCol, value);
    return this;
  }

  /**
   * The column for the scores.
   *
   * @return the parameter
   */
  public Param<String> outputCol() {
    return outputCol;
  }

  /**
   * Sets the column for the scores, which is appended.
   *
   * @param value a name that no other column has
   * @return this
   */
  public GateFuseTransformer setOutputCol(String value) {
    set(outputCol, value);
    return this;
  }

  /**
   * Where the model is.
   *
   * @return the parameter
   */
  public Param<String> modelPath() {
    return modelPath;
  }

  /**
   * Sets the model.
   *
   * @param value a safetensors file in any file system of Spark's; the driver reads it
   * @return this
   */
  public GateFuseTransformer setModelPath(String value) {
    set(modelPath, value);
    return this;
  }

  /**
   * The cell, where the model does not name it.
   *
   * @return the parameter
   */
  public Param<String> cell() {
    return cell;
  }

  /**
   * Sets the cell, for models such as a state dict of PyTorch, which do not name it.
   *
   * @param value as {@link Cell#id}; {@code auto} at first: the model names it
   * @return this
   */
  public GateFuseTransformer setCell(String value) {
    set(cell, value);
    return this;
  }

  /**
   * What a score is.
   *
   * @return the parameter
   */
  public Param<String> output() {
    return output;
  }

  /**
   * Sets what a score is.
   *
   * @param value {@code bits_per_byte} (byte models only), {@code last_logits}, {@code
   *     last_hidden}, {@code logits}, {@code log_probabilities} or {@code hidden}; {@code auto} at
   *     first: bits per byte of a byte model, else the last step's logits if there is a head, else
   *     its hidden units
   * @return this
   */
  public GateFuseTransformer setOutput(String value) {
    set(output, value);
    return this;
  }

  /**
   * What becomes of rows that cannot be scored.
   *
   * @return the parameter
   */
  public Param<String> handleInvalid() {
    return handleInvalid;
  }

  /**
   * Sets what becomes of rows that cannot be scored.
   *
   * @param value {@code error} (at first): the job fails and names the row; {@code skip}: it is
   *     left out; {@code keep}: its score is null
   * @return this
   */
  public GateFuseTransformer setHandleInvalid(String value) {
    set(handleInvalid, value);
    return this;
  }

  /**
   * What computes.
   *
   * @return the parameter
   */
  public Param<String> backend() {
    return backend;
  }

  /**
   * Sets what computes.
   *
   * @param value as {@link Backend#id}; {@code auto} at first
   * @return this
   */
  public GateFuseTransformer setBackend(String value) {
    set(backend, value);
    return this;
  }

  /**
   * What operands of products are rounded to.
   *
   * @return the parameter
   */
  public Param<String> precision() {
    return precision;
  }

  /**
   * Sets what operands of products are rounded to.
   *
   * @param value as {@link Precision#id}; {@code float32} at first
   * @return this
   */
  public GateFuseTransformer setPrecision(String value) {
    set(precision, value);
    return this;
  }

  /**
   * The most rows of a native call.
   *
   * @return the parameter
   */
  public IntParam batchSize() {
    return batchSize;
  }

  /**
   * Sets the most rows of a native call.
   *
   * @param value at least 1; 64 at first
   * @return this
   */
  public GateFuseTransformer setBatchSize(int value) {
    set(batchSize, value);
    return this;
  }

  /**
   * The most steps of a native call.
   *
   * @return the parameter
   */
  public IntParam maxSteps() {
    return maxSteps;
  }

  /**
   * Sets the most steps of a native call. Longer sequences run in pieces, but for networks of two
   * directions, of which it is the longest sequence.
   *
   * @param value at least 1; 256 at first
   * @return this
   */
  public GateFuseTransformer setMaxSteps(int value) {
    set(maxSteps, value);
    return this;
  }

  @Override
  public Dataset<Row> transform(Dataset<?> dataset) {
    Stage stage = stage(dataset.schema(), dataset.sparkSession());
    return PartitionScorer.apply(
        dataset.toDF(), stage.model, stage.spec, stage.scoring, Encoders.row(stage.schema));
  }

  /**
   * What the columns are after the stage; reads the model.
   *
   * @param schema the columns before it
   * @return the same and the scores
   * @throws IllegalArgumentException saying what of the parameters, the column or the model is not
   *     as it must be
   */
  @Override
  public StructType transformSchema(StructType schema) {
    return stage(schema, SparkSession.active()).schema;
  }

  /** All that a transformation needs, checked. */
  private record Stage(
      ModelFile model, RnnSpec spec, Scoring<Row, Row> scoring, StructType schema) {}

  private Stage stage(StructType schema, SparkSession spark) {
    String input = required(inputCol);
    String score = required(outputCol);
    String path = required(modelPath);
    int column = Arrays.asList(schema.fieldNames()).indexOf(input);
    if (column < 0) {
      throw new IllegalArgumentException(
          ("inputCol: expected one of " + Arrays.toString(schema.fieldNames()) + ", got ") + input);
    }
    if (Arrays.asList(schema.fieldNames()).contains(score)) {
      throw new IllegalArgumentException(
          "outputCol: expected a new column, got " + score + ", which there is");
    }
    ModelFile model = ModelFile.read(spark, path, settings());
    RnnSpec spec = model.parse().spec();
    DataType type = schema.fields()[column].dataType();
    Output what = output(spec, type);
    Sequences<Row> sequences = ColumnSequences.of(column, input, type, spec, what);
    ScoreColumn result = new ScoreColumn(what, spec);
    Scoring<Row, Row> scoring =
        new Scoring<>(
            "column " + input,
            sequences,
            what,
            result,
            Invalid.valueOf(getOrDefault(handleInvalid).toUpperCase(Locale.ROOT)),
            (Integer) getOrDefault(batchSize),
            (Integer) getOrDefault(maxSteps));
    scoring.check(spec);
    return new Stage(model, spec, scoring, schema.add(score, result.type(), true));
  }

  private String required(Param<String> param) {
    if (!isDefined(param)) {
      throw new IllegalArgumentException(param.name() + ": expected a value, got none");
    }
    return getOrDefault(param);
  }

  private ModelFile.Settings settings() {
    String name = getOrDefault(cell);
    return new ModelFile.Settings(
        name.equals(AUTO) ? null : Cell.of(name),
        Backend.of(getOrDefault(backend)),
        Precision.of(getOrDefault(precision)));
  }

  private Output output(RnnSpec spec, DataType type) {
    String name = getOrDefault(output);
    if (!name.equals(AUTO)) {
      return Arrays.stream(Output.values())
          .filter(value -> id(value).equals(name))
          .findFirst()
          .orElseThrow();
    }
    return Scoring.usualOutput(spec, ColumnSequences.isBytes(type));
  }

  @Override
  public GateFuseTransformer copy(ParamMap extra) {
    return defaultCopy(extra);
  }

  /**
   * Reads a stage that was written by {@link #write}.
   *
   * @return a reader
   */
  public static MLReader<GateFuseTransformer> read() {
    return new DefaultParamsReader<>();
  }

  /**
   * Reads a stage that was written by {@link #save}.
   *
   * @param path where it was written to
   * @return the stage
   */
  public static GateFuseTransformer load(String path) {
    return read().load(path);
  }
}
