// SPDX-License-Identifier: Apache-2.0
//
// Lines of text through DJL: a Translator makes tokens of a line and bits per byte of what the
// network says, and lines of all lengths run as one ragged batch.
//
//   java -cp ... examples/ScoreInDjl.java models 'a line of text' ...
import ai.djl.ModelException;
import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.Batchifier;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorContext;
import io.github.gatefuse.djl.SequenceBatchifier;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

public final class ScoreInDjl {
  public static void main(String[] args)
      throws IOException, ModelException, TranslateException {
    Criteria<String, Double> criteria =
        Criteria.builder()
            .setTypes(String.class, Double.class)
            .optEngine("GateFuse")
            .optModelPath(Path.of(args[0])) // a folder with a .safetensors file, or the file
            .optOption("outputs", "target_log_probabilities")
            .optTranslator(new BitsPerByte())
            .build();
    List<String> lines = Arrays.asList(args).subList(1, args.length);
    try (ZooModel<String, Double> model = criteria.loadModel();
        Predictor<String, Double> predictor = model.newPredictor()) {
      List<Double> scores = predictor.batchPredict(lines);
      for (int i = 0; i < lines.size(); i++) {
        System.out.printf("%.4f bits per byte: %s%n", scores.get(i), lines.get(i));
      }
    }
  }

  private static final class BitsPerByte implements Translator<String, Double> {
    @Override
    public NDList processInput(TranslatorContext context, String line) {
      byte[] bytes = ("\n" + line + "\n").getBytes(StandardCharsets.UTF_8);
      int[] values = new int[bytes.length];
      for (int i = 0; i < bytes.length; i++) {
        values[i] = bytes[i] & 0xFF;
      }
      int steps = bytes.length - 1;
      NDArray tokens = context.getNDManager().create(Arrays.copyOf(values, steps));
      NDArray targets = context.getNDManager().create(Arrays.copyOfRange(values, 1, steps + 1));
      tokens.setName("tokens");
      targets.setName("targets");
      return new NDList(tokens, targets);
    }

    @Override
    public Double processOutput(TranslatorContext context, NDList list) {
      double nats = 0;
      float[] logProbabilities = list.singletonOrThrow().toFloatArray();
      for (float logProbability : logProbabilities) {
        nats -= logProbability;
      }
      return nats / Math.log(2) / logProbabilities.length;
    }

    @Override
    public Batchifier getBatchifier() {
      return new SequenceBatchifier();
    }
  }

  private ScoreInDjl() {}
}
