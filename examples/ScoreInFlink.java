// SPDX-License-Identifier: Apache-2.0
//
// Which lines of a log are the most surprising after all that their host has said before? Each host
// has a state of its own, which Flink keeps; an event is a byte, the next of its host's lines. The
// first line of a host has the score of bin/gatefuse score, where every line begins anew.
//
//   javac -d DIR -cp ... examples/ScoreInFlink.java
//   java @integrations/flink/java-options -cp DIR:... ScoreInFlink models/bytes-ur-lstm-256.safetensors LOG 4
import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.flink.GateFuseScorer;
import io.github.gatefuse.flink.Output;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.CloseableIterator;

public final class ScoreInFlink {
  /** What the network reads of a host's lines, what comes next, and the number of its line. */
  public record Step(String host, int read, int next, int line) {}

  /** What the next byte costs. */
  public record Surprise(int line, double bits) {}

  public static void main(String[] args) throws Exception {
    int field = Integer.parseInt(args[2]); // that of the host, from 1
    List<String> lines = Files.readAllLines(Path.of(args[1]), StandardCharsets.ISO_8859_1);
    List<Step> steps = new ArrayList<>();
    for (int i = 0; i < lines.size(); i++) {
      String host = lines.get(i).split("\\s+")[field - 1];
      int read = '\n';
      for (int next : (lines.get(i) + '\n').chars().toArray()) {
        steps.add(new Step(host, read, next, i));
        read = next;
      }
    }

    GateFuseScorer<Step, Surprise> scorer =
        GateFuseScorer.<Step, Surprise>builder()
            .model(
                Path.of(args[0]),
                RnnSpec.of(Cell.LSTM_REFINE, 64, 256).withVocabulary(256).withOutputs(256),
                "rnn.")
            .tokens(Step::read)
            .output(Output.LOG_PROBABILITIES)
            .result(
                (step, y) -> new Surprise(step.line(), -y[step.next()] / Math.log(2)),
                TypeInformation.of(Surprise.class))
            .build();
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
    environment.setParallelism(2);
    DataStream<Surprise> surprises =
        scorer.score(environment.fromData(steps).keyBy(Step::host)).uid("scores");

    double[] bits = new double[lines.size()];
    try (CloseableIterator<Surprise> results = surprises.executeAndCollect()) {
      results.forEachRemaining(
          surprise ->
              bits[surprise.line()] += surprise.bits() / (lines.get(surprise.line()).length() + 1));
    }
    IntStream.range(0, bits.length)
        .boxed()
        .sorted(Comparator.comparingDouble(i -> -bits[i]))
        .limit(10)
        .forEach(i -> System.out.printf("%7.3f  %s%n", bits[i], lines.get(i)));
  }

  private ScoreInFlink() {}
}
