// SPDX-License-Identifier: Apache-2.0
//
// An ONNX model with an LSTM, first by ONNX Runtime's own kernel, then by GateFuse's: the rewriter
// moves the node to GateFuse's operator, and all the rest of the graph stays where it is.
//
//   java -cp ... examples/ScoreInOnnxRuntime.java examples/lines-lstm-32.onnx 'a line of text' ...
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.github.gatefuse.onnxruntime.GatefuseOrt;
import io.github.gatefuse.onnxruntime.OnnxRewriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

public final class ScoreInOnnxRuntime {
  private static final OrtEnvironment ENVIRONMENT = OrtEnvironment.getEnvironment();

  public static void main(String[] args) throws IOException, OrtException {
    byte[] model = Files.readAllBytes(Path.of(args[0]));
    OnnxRewriter.Result rewritten = OnnxRewriter.rewrite(model);
    System.out.println("moved " + rewritten.moved() + ", stay " + rewritten.kept());
    try (OrtSession.SessionOptions plain = new OrtSession.SessionOptions();
        OrtSession.SessionOptions ours = new OrtSession.SessionOptions()) {
      ours.registerCustomOpLibrary(GatefuseOrt.libraryPath());
      try (OrtSession before = ENVIRONMENT.createSession(model, plain);
          OrtSession after = ENVIRONMENT.createSession(rewritten.model(), ours)) {
        for (int i = 1; i < args.length; i++) {
          System.out.printf(
              "%.4f by ONNX Runtime, %.4f by GateFuse: %s%n",
              bitsPerByte(before, args[i]), bitsPerByte(after, args[i]), args[i]);
        }
      }
    }
  }

  /** The model reads a line feed and the line's bytes, and predicts the bytes and a line feed. */
  private static double bitsPerByte(OrtSession session, String line) throws OrtException {
    byte[] bytes = ("\n" + line + "\n").getBytes(StandardCharsets.UTF_8);
    long[][] tokens = new long[bytes.length - 1][1]; // [T, B]
    for (int t = 0; t < tokens.length; t++) {
      tokens[t][0] = bytes[t] & 0xFF;
    }
    try (OnnxTensor input = OnnxTensor.createTensor(ENVIRONMENT, tokens);
        OrtSession.Result result = session.run(Map.of("tokens", input))) {
      float[][][] logProbabilities = (float[][][]) result.get(0).getValue(); // [T, B, 256]
      double nats = 0;
      for (int t = 0; t < tokens.length; t++) {
        nats -= logProbabilities[t][0][bytes[t + 1] & 0xFF];
      }
      return nats / Math.log(2) / tokens.length;
    }
  }

  private ScoreInOnnxRuntime() {}
}
