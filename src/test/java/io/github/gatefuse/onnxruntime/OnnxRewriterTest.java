// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.onnxruntime;

import static io.github.gatefuse.testing.OnnxGraph.attribute;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.onnxruntime.OnnxRewriter.Result;
import io.github.gatefuse.testing.OnnxGraph;
import io.github.gatefuse.testing.ProtoWriter;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models before and after. */
class OnnxRewriterTest {
  /** Long enough for anything but a program that hangs. */
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private static OrtNode standard(String operator) {
    OrtNode node = OrtNode.of(operator);
    node.domain = OnnxGraph.STANDARD;
    return node;
  }

  /** Other nodes before and after, whose bytes are to stay. */
  private static OnnxGraph among(OrtNode node) {
    return new OnnxGraph("among")
        .node("Relu", List.of("raw"), List.of("X"))
        .add(node.node())
        .node("Tanh", List.of("Y"), List.of("out"))
        .input("raw", node.steps, node.batch, node.input)
        .output("out", node.steps, node.directions(), node.batch, node.hidden);
  }

  private static OrtNode alone(String operator, String domain) {
    OrtNode node = OrtNode.of(operator);
    node.domain = domain;
    node.lengths = null;
    node.h0 = null;
    node.c0 = null;
    return node;
  }

  @ParameterizedTest
  @ValueSource(strings = {"LSTM", "GRU"})
  void changesTheDomainAndTheImportAndNoOtherByte(String operator) throws OrtException {
    OrtNode before = alone(operator, OnnxGraph.STANDARD);
    OnnxGraph graph = among(before);
    before.addWeights(graph);
    OrtNode after = alone(operator, GatefuseOrt.DOMAIN);
    OnnxGraph expected = among(after);
    after.addWeights(expected);

    byte[] model = graph.model(OnnxGraph.MICROSOFT);
    byte[] copy = model.clone();
    Result result = OnnxRewriter.rewrite(model);
    assertArrayEquals(copy, model, "the original");
    assertArrayEquals(
        expected.model(OnnxGraph.MICROSOFT, GatefuseOrt.DOMAIN), result.model(), "the result");
    assertEquals(List.of(operator + " \"the node\""), result.moved());
    assertEquals(List.of(), result.kept());
    assertArrayEquals(runAmong(model, before), runAmong(result.model(), before), 1e-5f);

    Result again = OnnxRewriter.rewrite(result.model());
    assertArrayEquals(result.model(), again.model(), "a second time");
    assertEquals(List.of(), again.moved());
  }

  private static float[] runAmong(byte[] model, OrtNode node) throws OrtException {
    try (OrtSession.SessionOptions options = OrtNode.withOurs();
        OrtSession session = OrtNode.ENVIRONMENT.createSession(model, options);
        OnnxTensor raw =
            OnnxTensor.createTensor(
                OrtNode.ENVIRONMENT,
                FloatBuffer.wrap(node.x),
                new long[] {node.steps, node.batch, node.input});
        OrtSession.Result result = session.run(Map.of("raw", raw))) {
      FloatBuffer out = ((OnnxTensor) result.get(0)).getFloatBuffer();
      float[] values = new float[out.remaining()];
      out.get(values);
      return values;
    }
  }

  @Test
  void leavesOutActivationsThatHoldAnyway() throws OrtException {
    OrtNode node = standard("LSTM");
    node.attributes.add(attribute("activations", List.of("Sigmoid", "tanh", "Tanh")));
    Result result = OnnxRewriter.rewrite(node.model());
    assertEquals(1, result.moved().size());
    Map<String, float[]> expected = node.reference();
    node.run(result.model())
        .forEach((name, values) -> assertArrayEquals(expected.get(name), values, 1e-5f));
  }

  @Test
  void movesBatchMajorNodesWhichOnnxRuntimeRefuses() throws OrtException {
    OrtNode node =
        OrtNode.of(
            "GRU",
            n -> {
              n.domain = OnnxGraph.STANDARD;
              n.batchMajor = true;
              n.direction = "bidirectional";
            });
    assertThrows(OrtException.class, node::run);
    Map<String, float[]> expected = node.reference();
    node.run(OnnxRewriter.rewrite(node.model()).model())
        .forEach((name, values) -> assertArrayEquals(expected.get(name), values, 1e-5f));
  }

  // ---- Graphs in graphs

  /** The node's weights and input are those of the graph around. */
  private static OnnxGraph branch(OrtNode node, int depth) {
    OnnxGraph inner = new OnnxGraph("branch").output("Y", 3, 1, 2, 5);
    return depth == 0
        ? inner.add(node.node())
        : inner.node(
            "If",
            List.of("condition"),
            List.of("Y"),
            attribute("then_branch", branch(node, depth - 1)),
            attribute("else_branch", branch(node, 0)));
  }

  private static byte[] nested(String domain, int depth) {
    OrtNode node = alone("LSTM", domain);
    node.outputs = List.of("Y");
    OnnxGraph graph =
        new OnnxGraph("outer")
            .constant("condition", OnnxGraph.BOOL, new byte[] {1})
            .node(
                "If",
                List.of("condition"),
                List.of("out"),
                attribute("then_branch", branch(node, depth)),
                attribute("else_branch", branch(node, 0)))
            .node("Relu", List.of("raw"), List.of("X"))
            .input("raw", 3, 2, 4)
            .output("out", 3, 1, 2, 5);
    node.addWeights(graph);
    return domain.isEmpty() ? graph.model() : graph.model(domain);
  }

  @Test
  void movesNodesInTheBodiesOfOthers() throws OrtException {
    byte[] model = nested(OnnxGraph.STANDARD, 2);
    Result result = OnnxRewriter.rewrite(model);
    assertEquals(4, result.moved().size());
    assertArrayEquals(nested(GatefuseOrt.DOMAIN, 2), result.model());
    OrtNode node = alone("LSTM", "");
    assertArrayEquals(runAmong(model, node), runAmong(result.model(), node), 1e-5f);
  }

  @Test
  void movesNodesInFunctions() throws OrtException {
    OrtNode node = alone("GRU", OnnxGraph.STANDARD);
    node.outputs = List.of("Y");
    ProtoWriter function =
        new ProtoWriter().text(1, "Encoder").text(10, "test.functions").text(5, "Y");
    for (String input : List.of("X", "W", "R", "B")) {
      function.text(4, input);
    }
    function.message(7, node.node()).message(9, OnnxGraph.opset("", 17));
    OnnxGraph graph =
        new OnnxGraph("with a function")
            .node("test.functions", "Encoder", List.of("raw", "W", "R", "B"), List.of("out"))
            .input("raw", 3, 2, 4)
            .output("out", 3, 1, 2, 5);
    node.addWeights(graph);
    byte[] model =
        graph
            .file()
            .message(8, OnnxGraph.opset("test.functions", 1))
            .message(25, function)
            .toBytes();
    Result result = OnnxRewriter.rewrite(model);
    assertEquals(List.of("GRU \"the node\""), result.moved());
    assertArrayEquals(runAmong(model, node), runAmong(result.model(), node), 1e-5f);
  }

  // ---- What stays

  private static Arguments stays(String reason, String operator, Consumer<OrtNode> change) {
    return Arguments.of(reason, operator, change);
  }

  static Stream<Arguments> stayingNodes() {
    return Stream.of(
        stays("attribute clip", "LSTM", n -> n.attributes.add(attribute("clip", 1f))),
        stays(
            "attribute input_forget",
            "LSTM",
            n -> {
              n.attributes.add(attribute("input_forget", 1));
            }),
        stays(
            "attribute activations",
            "GRU",
            n -> {
              n.attributes.add(attribute("activations", List.of("Sigmoid", "Relu")));
            }),
        stays("attribute layout", "GRU", n -> n.attributes.add(attribute("layout", 2))),
        stays("attribute direction", "GRU", n -> n.direction = "up"),
        stays("attribute colour", "LSTM", n -> n.attributes.add(attribute("colour", 1))),
        stays(
            "attribute linear_before_reset",
            "LSTM",
            n -> {
              n.attributes.add(attribute("linear_before_reset", 1));
            }));
  }

  @ParameterizedTest(name = "{1}: {0}")
  @MethodSource("stayingNodes")
  void tellsWhyANodeStays(String reason, String operator, Consumer<OrtNode> change) {
    OrtNode node = standard(operator);
    change.accept(node);
    byte[] model = node.model();
    Result result = OnnxRewriter.rewrite(model);
    assertEquals(List.of(), result.moved());
    assertEquals(1, result.kept().size());
    assertEquals(operator + " \"the node\"", result.kept().get(0).node());
    assertTrue(result.kept().get(0).reason().startsWith(reason), result.kept().toString());
    assertArrayEquals(model, result.model());
  }

  @Test
  void leavesPeepholesAndOtherTypesToOnnxRuntime() {
    List<String> inputs = List.of("X", "W", "R", "", "", "", "", "P");
    OnnxGraph graph =
        new OnnxGraph("kept")
            .node("LSTM", inputs, List.of("Y"), attribute("hidden_size", 1))
            .node("GRU", List.of("X", "D", "R"), List.of("Z"), attribute("hidden_size", 1))
            .node("LSTM", List.of("X", "W", "R"), List.of("V"), attribute("hidden_size", 1))
            .constant("D", OnnxGraph.DOUBLE, new byte[24], 1, 3, 1);
    Result result = OnnxRewriter.rewrite(graph.model());
    assertEquals(List.of("LSTM \"LSTM2\""), result.moved());
    assertEquals(
        "input P (peepholes): GateFuse's operator has none", result.kept().get(0).reason());
    assertEquals(
        "input D: expected float32, got elements of type 11", result.kept().get(1).reason());
  }

  @Test
  void findsDataInOtherFiles(@TempDir Path folder) throws IOException, OrtException {
    OrtNode node = alone("LSTM", OnnxGraph.STANDARD);
    node.b = null;
    ByteBuffer data =
        ByteBuffer.allocate(4 * (node.w.length + node.r.length)).order(ByteOrder.LITTLE_ENDIAN);
    data.asFloatBuffer().put(node.w).put(node.r);
    Files.write(folder.resolve("weights.bin"), data.array());
    OnnxGraph graph =
        among(node)
            .external("W", "weights.bin", 0, 1, 20, 4)
            .external("R", "weights.bin", 4L * node.w.length, 1, 20, 5);
    Path model = Files.write(folder.resolve("model.onnx"), graph.model());
    OnnxRewriter.rewrite(model, model);
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(2, files.count());
    }
    try (OrtSession.SessionOptions options = OrtNode.withOurs();
        OrtSession session = OrtNode.ENVIRONMENT.createSession(model.toString(), options);
        OnnxTensor raw =
            OnnxTensor.createTensor(
                OrtNode.ENVIRONMENT, FloatBuffer.wrap(node.x), new long[] {3, 2, 4});
        OrtSession.Result result = session.run(Map.of("raw", raw))) {
      OnnxGraph inside = among(node);
      node.addWeights(inside);
      FloatBuffer out = ((OnnxTensor) result.get(0)).getFloatBuffer();
      float[] values = new float[out.remaining()];
      out.get(values);
      assertArrayEquals(runAmong(inside.model(), node), values, 1e-5f);
    }
  }

  // ---- Bad input

  private static void assertNames(String part, byte[] model) {
    RuntimeException e = assertThrows(RuntimeException.class, () -> OnnxRewriter.rewrite(model));
    assertTrue(
        e instanceof IllegalArgumentException || e instanceof GatefuseException, e.toString());
    assertTrue(e.getMessage().contains(part), e::getMessage);
  }

  @Test
  void namesWhatIsWrongWithAModel() {
    assertNames(
        "expected an LSTM or GRU node, got none",
        new OnnxGraph("none").node("Relu", List.of("x"), List.of("y")).model());
    assertNames("expected a graph, got none", new byte[0]);
    OrtNode unknown = OrtNode.of("RefineLSTM");
    unknown.attributes.add(attribute("colour", 1));
    assertNames("node RefineLSTM \"the node\": attribute colour", unknown.model());
    assertNames(
        "expected one of LSTM, GRU, RefineLSTM, RefineGRU",
        new OnnxGraph("other").node(GatefuseOrt.DOMAIN, "RNN", List.of(), List.of()).model());
    assertNames("more than 50 graphs in one another", nested("", 60));
  }

  @Test
  void namesAFileThatIsNotThere(@TempDir Path folder) {
    Path from = folder.resolve("absent.onnx");
    GatefuseException e =
        assertThrows(GatefuseException.class, () -> OnnxRewriter.rewrite(from, from));
    assertEquals(GatefuseException.Code.IO_FAILED, e.code());
    assertTrue(e.getMessage().contains("absent.onnx"), e::getMessage);
  }

  /** Beside the file there may be any other, and after a failure nothing is left of it. */
  @Test
  void writesAFileAsAWholeOrNotAtAll(@TempDir Path folder) throws Exception {
    byte[] model = OrtNode.of("LSTM").model();
    Path from = Files.write(folder.resolve("model.onnx"), model);
    Path part = Files.writeString(folder.resolve("new.onnx.part"), "of somebody else");
    OnnxRewriter.rewrite(from, folder.resolve("new.onnx"));
    assertArrayEquals(
        OnnxRewriter.rewrite(model).model(), Files.readAllBytes(folder.resolve("new.onnx")));
    assertEquals("of somebody else", Files.readString(part));
    Path taken = Files.createDirectories(folder.resolve("taken.onnx").resolve("inside"));
    GatefuseException e =
        assertThrows(GatefuseException.class, () -> OnnxRewriter.rewrite(from, taken.getParent()));
    assertEquals(GatefuseException.Code.IO_FAILED, e.code());
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(
          List.of("model.onnx", "new.onnx", "new.onnx.part", "taken.onnx"),
          files.map(file -> file.getFileName().toString()).sorted().toList());
    }
  }

  /** Whatever comes, the answer is a model or an error of ours. */
  private static void survive(byte[] model) {
    try {
      OnnxRewriter.rewrite(model);
    } catch (IllegalArgumentException | GatefuseException e) {
      assertTrue(!e.getMessage().isEmpty());
    }
  }

  @Test
  void survivesEveryFlippedBitAndEveryCut() {
    byte[] model = nested("", 1);
    assertTimeoutPreemptively(
        PATIENCE,
        () -> {
          for (int bit = 0; bit < 8 * model.length; bit++) {
            byte[] flipped = model.clone();
            flipped[bit / 8] ^= (byte) (1 << bit % 8);
            survive(flipped);
          }
          for (int length = 0; length < model.length; length++) {
            survive(Arrays.copyOf(model, length));
          }
        });
  }

  @Test
  void survivesRandomBytesAndClaims() {
    assertTimeoutPreemptively(
        PATIENCE,
        () -> {
          Random random = new Random(7);
          for (int i = 0; i < 20_000; i++) {
            byte[] bytes = new byte[random.nextInt(64)];
            random.nextBytes(bytes);
            survive(bytes);
          }
          // A graph that claims 2^63 - 1 bytes, and a number without end.
          byte[] claim = new byte[11];
          Arrays.fill(claim, (byte) -1);
          claim[0] = 7 << 3 | 2;
          survive(claim);
          claim[9] = 0x7f;
          survive(claim);
        });
  }

  /** Types of tensors are looked up outwards, and not copied into every graph. */
  @Test
  void takesTimeInProportionToTheSize() {
    ProtoWriter tensor = new ProtoWriter().number(2, 1);
    OnnxGraph graph = new OnnxGraph("many");
    for (int i = 0; i < 50_000; i++) {
      graph.constant("t" + i, new float[0], 0);
      graph.node("If", List.of("c"), List.of(), attribute("then_branch", new OnnxGraph("")));
    }
    graph.constant("last", 1, tensor.toBytes(), 1);
    byte[] model = graph.model();
    assertTimeoutPreemptively(PATIENCE, () -> survive(model));
  }
}
