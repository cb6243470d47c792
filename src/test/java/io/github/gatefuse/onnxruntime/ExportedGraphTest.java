// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.onnxruntime;

import static io.github.gatefuse.testing.OnnxGraph.ANY;
import static io.github.gatefuse.testing.OnnxGraph.attribute;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.io.GateOrder;
import io.github.gatefuse.reference.ReferenceNetwork;
import io.github.gatefuse.reference.ReferenceNetwork.Inputs;
import io.github.gatefuse.reference.Rounding;
import io.github.gatefuse.testing.GoldenCase;
import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.OnnxGraph;
import io.github.gatefuse.testing.ProtoWriter;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The graph that docs/onnxruntime.md exports from PyTorch: an operator, a Transpose and a Reshape
 * for each layer, with weights of PyTorch's order turned into the operator's.
 */
class ExportedGraphTest {
  private static final int STEPS = 6;
  private static final int BATCH = 3;

  @ParameterizedTest
  @CsvSource({"LSTM_REFINE,1,1", "LSTM_REFINE,2,2", "GRU_REFINE,1,2", "GRU_REFINE,2,1"})
  void runsAsTheReferenceDoes(Cell cell, int layers, int directions) throws OrtException {
    RnnSpec spec = RnnSpec.of(cell, 4, 5).withLayers(layers).withBidirectional(directions == 2);
    Weights weights = Networks.weights(spec, 11);
    float[] x = Networks.normal(STEPS * BATCH * spec.inputSize(), 12);
    ReferenceNetwork reference = new ReferenceNetwork(spec, weights, Rounding.DOUBLE);
    double[] expected = reference.run(Inputs.of(STEPS, BATCH, GoldenCase.widen(x))).y();

    try (OrtSession.SessionOptions options = OrtNode.withOurs();
        OrtSession session = OrtNode.ENVIRONMENT.createSession(model(spec, weights), options);
        OnnxTensor tensor =
            OnnxTensor.createTensor(
                OrtNode.ENVIRONMENT,
                FloatBuffer.wrap(x),
                new long[] {STEPS, BATCH, spec.inputSize()});
        OrtSession.Result result = session.run(Map.of("x0", tensor))) {
      OnnxTensor y = (OnnxTensor) result.get(0);
      assertArrayEquals(
          new long[] {STEPS, BATCH, spec.outputSize()}, y.getInfo().getShape(), "shape");
      float[] values = new float[expected.length];
      y.getFloatBuffer().get(values);
      assertArrayEquals(GoldenCase.narrow(expected), values, 1e-5f);
    }
  }

  private static byte[] model(RnnSpec spec, Weights weights) {
    boolean lstm = spec.cell() == Cell.LSTM_REFINE;
    String last = "x" + spec.layers();
    OnnxGraph graph = new OnnxGraph("exported").input("x0", ANY, ANY, spec.inputSize());
    graph.output(last, ANY, ANY, spec.outputSize()).constant("flat", new long[] {0, 0, -1}, 3);
    for (int layer = 0; layer < spec.layers(); layer++) {
      ProtoWriter[] attributes = {
        attribute("hidden_size", spec.hiddenSize()),
        attribute("direction", spec.directions() == 2 ? "bidirectional" : "forward"),
        lstm ? attribute("layout", 0) : attribute("linear_before_reset", 1)
      };
      String next = "x" + (layer + 1);
      addWeights(graph, spec, weights, layer);
      graph
          .node(
              GatefuseOrt.DOMAIN,
              lstm ? "RefineLSTM" : "RefineGRU",
              List.of("x" + layer, "w" + layer, "r" + layer, "b" + layer),
              List.of("y" + layer),
              attributes)
          .node(
              "Transpose",
              List.of("y" + layer),
              List.of("t" + layer),
              OnnxGraph.integers("perm", 0, 2, 1, 3))
          .node("Reshape", List.of("t" + layer, "flat"), List.of(next));
    }
    return graph.model(GatefuseOrt.DOMAIN);
  }

  private static void addWeights(OnnxGraph graph, RnnSpec spec, Weights weights, int layer) {
    int directions = spec.directions();
    int rows = 4 * spec.hiddenSize();
    int inputs = layer == 0 ? spec.inputSize() : spec.outputSize();
    float[] w = new float[0];
    float[] r = new float[0];
    float[] b = new float[0];
    for (int d = 0; d < directions; d++) {
      String suffix = "_l" + layer + (d == 0 ? "" : "_reverse");
      w = joined(w, turned(spec, weights, "weight_ih" + suffix));
      r = joined(r, turned(spec, weights, "weight_hh" + suffix));
      b = joined(b, turned(spec, weights, "bias_ih" + suffix));
      b = joined(b, turned(spec, weights, "bias_hh" + suffix));
    }
    assertEquals(directions * 2 * rows, b.length);
    graph.constant("w" + layer, w, directions, rows, inputs);
    graph.constant("r" + layer, r, directions, rows, spec.hiddenSize());
    graph.constant("b" + layer, b, directions, 2L * rows);
  }

  private static float[] turned(RnnSpec spec, Weights weights, String name) {
    return GateOrder.ONNX.fromOurs(spec.cell(), spec.hiddenSize(), weights.floats(name));
  }

  private static float[] joined(float[] first, float[] second) {
    float[] both = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }
}
