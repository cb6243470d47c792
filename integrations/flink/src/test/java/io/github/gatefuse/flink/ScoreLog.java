// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.TextLineInputFormat;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.CloseableIterator;
import org.apache.flink.util.Collector;

/**
 * An example: how surprising the lines of a log are to the byte model, keyed by one of their
 * fields, such as the host. An event is a byte; a line is a sequence.
 */
public final class ScoreLog {
  private static final RnnSpec SPEC =
      RnnSpec.of(Cell.LSTM_REFINE, 64, 256).withVocabulary(256).withOutputs(256);

  private static final int SHOWN = 10;

  private ScoreLog() {}

  /**
   * One prediction: a byte that is read, and the one after it.
   *
   * @param key of its line
   * @param read what the network reads; a line begins with a line feed
   * @param next what it is to predict
   * @param first whether a line begins
   * @param line the whole line with its last prediction; else null
   */
  public record Prediction(String key, int read, int next, boolean first, String line) {}

  /**
   * What a prediction costs.
   *
   * @param key of its line
   * @param bits -log2 p of the byte that came
   * @param line the whole line with its last prediction; else null
   */
  public record Surprise(String key, double bits, String line) {}

  /**
   * The score of a line.
   *
   * @param key its field
   * @param bitsPerByte the mean over its bytes and its line feed
   * @param line its bytes, as characters of ISO 8859-1
   */
  public record LineScore(String key, double bitsPerByte, String line) {}

  /** Makes a line's predictions. */
  private static final class Predictions implements FlatMapFunction<String, Prediction> {
    private static final long serialVersionUID = 1;

    private final int field;

    Predictions(int field) {
      this.field = field;
    }

    @Override
    public void flatMap(String line, Collector<Prediction> out) {
      String[] fields = line.trim().split("\\s+");
      String key = field <= fields.length ? fields[field - 1] : "";
      int read = '\n';
      for (int i = 0; i < line.length(); i++) {
        out.collect(new Prediction(key, read, line.charAt(i), i == 0, null));
        read = line.charAt(i);
      }
      out.collect(new Prediction(key, read, '\n', line.isEmpty(), line));
    }
  }

  /** Adds up a line's surprises, which come in order. */
  private static final class Lines extends KeyedProcessFunction<String, Surprise, LineScore> {
    private static final long serialVersionUID = 1;

    private transient ValueState<Double> bits;

    @Override
    public void open(OpenContext context) {
      bits = getRuntimeContext().getState(new ValueStateDescriptor<>("bits", Types.DOUBLE));
    }

    @Override
    public void processElement(Surprise surprise, Context context, Collector<LineScore> out)
        throws Exception {
      double sum = surprise.bits() + (bits.value() == null ? 0 : bits.value());
      if (surprise.line() == null) {
        bits.update(sum);
        return;
      }
      bits.clear();
      String line = surprise.line();
      out.collect(new LineScore(surprise.key(), sum / (line.length() + 1), line));
    }
  }

  static DataStream<LineScore> scores(
      StreamExecutionEnvironment environment, Path model, Path log, int field) {
    GateFuseScorer<Prediction, Surprise> scorer =
        GateFuseScorer.<Prediction, Surprise>builder()
            .model(model, SPEC, "rnn.")
            .tokens(Prediction::read)
            .start(Prediction::first)
            .output(Output.LOG_PROBABILITIES)
            .result(ScoreLog::surprise, TypeInformation.of(Surprise.class))
            // A line's bytes come together, so that many lines have to wait for a full batch.
            .maxBuffered(1 << 16)
            .timeLimit(Duration.ofMillis(100))
            .build();
    // Every byte is a character of this charset, and the other way round.
    String charset = StandardCharsets.ISO_8859_1.name();
    FileSource<String> lines =
        FileSource.forRecordStreamFormat(
                new TextLineInputFormat(charset),
                new org.apache.flink.core.fs.Path(log.toAbsolutePath().toUri()))
            .build();
    DataStream<Prediction> predictions =
        environment
            .fromSource(lines, WatermarkStrategy.noWatermarks(), "log")
            .setParallelism(1)
            .flatMap(new Predictions(field))
            .returns(Prediction.class)
            .setParallelism(1);
    return scorer
        .score(predictions.keyBy(Prediction::key))
        .uid("scores")
        .keyBy(Surprise::key)
        .process(new Lines())
        .returns(LineScore.class);
  }

  private static Surprise surprise(Prediction prediction, float[] logProbabilities) {
    double bits = -logProbabilities[prediction.next()] / Math.log(2);
    return new Surprise(prediction.key(), bits, prediction.line());
  }

  /**
   * Scores a log and prints the most surprising lines.
   *
   * @param args the model, the log, and the number of the field that is the key, from 1
   * @throws Exception if the job fails
   */
  public static void main(String[] args) throws Exception {
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
    environment.setParallelism(2);
    DataStream<LineScore> scores =
        scores(environment, Path.of(args[0]), Path.of(args[1]), Integer.parseInt(args[2]));
    List<LineScore> all = new ArrayList<>();
    Map<String, Integer> keys = new HashMap<>();
    long begun = System.nanoTime();
    try (CloseableIterator<LineScore> results = scores.executeAndCollect()) {
      results.forEachRemaining(all::add);
    }
    double seconds = (System.nanoTime() - begun) / 1e9;
    long bytes = all.stream().mapToLong(score -> score.line().length() + 1).sum();
    all.forEach(score -> keys.merge(score.key(), 1, Integer::sum));
    System.out.printf(
        "%d lines, %d bytes, %d keys, %.1f s%n", all.size(), bytes, keys.size(), seconds);
    all.stream()
        .sorted(Comparator.comparingDouble(LineScore::bitsPerByte).reversed())
        .limit(SHOWN)
        .forEach(
            score ->
                System.out.printf(
                    "%7.3f  %s  %s%n", score.bitsPerByte(), score.key(), score.line()));
  }
}
