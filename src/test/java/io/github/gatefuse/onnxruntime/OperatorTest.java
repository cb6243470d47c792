// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.onnxruntime;

import static io.github.gatefuse.testing.OnnxGraph.attribute;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.github.gatefuse.Backend;
import io.github.gatefuse.Precision;
import io.github.gatefuse.Tier;
import io.github.gatefuse.testing.OnnxGraph;
import io.github.gatefuse.testing.Target;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Our operators, run by ONNX Runtime. */
class OperatorTest {
  private static final int CASES = 60;
  private static final float TOLERANCE = 1e-5f;

  /** The version from which operators can read lists of texts. */
  private static final int READS_TEXTS = 26;

  private static void assertClose(
      Map<String, float[]> expected, Map<String, float[]> actual, String what) {
    assertEquals(expected.keySet(), actual.keySet(), what);
    expected.forEach(
        (name, values) ->
            assertArrayEquals(values, actual.get(name), TOLERANCE, what + ": " + name));
  }

  @ParameterizedTest
  @ValueSource(strings = {"LSTM", "GRU", "RefineLSTM", "RefineGRU"})
  void computesWhatTheReferenceDoes(String operator) throws OrtException {
    for (int seed = 0; seed < CASES; seed++) {
      OrtNode node = OrtNode.random(operator, seed);
      assertClose(node.reference(), node.run(), seed + ": " + node);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"LSTM", "GRU"})
  void computesWhatOnnxRuntimeDoes(String operator) throws OrtException {
    for (int seed = CASES; seed < 2 * CASES; seed++) {
      OrtNode node = OrtNode.random(operator, seed);
      assertClose(node.standard(), node.run(), seed + ": " + node);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "LSTM,forward,false",
    "LSTM,reverse,false",
    "LSTM,bidirectional,true",
    "GRU,bidirectional,false"
  })
  void givesZerosForSequencesWithoutSteps(String operator, String direction, boolean batchMajor)
      throws OrtException {
    for (boolean state : new boolean[] {false, true}) {
      OrtNode node =
          OrtNode.of(
              operator,
              n -> {
                n.direction = direction;
                n.batchMajor = batchMajor;
              });
      node.lengths = new int[] {0, 3};
      node.h0 = state ? node.h0 : null;
      node.c0 = state ? node.c0 : null;
      assertClose(node.standard(), node.run(), node.toString());
    }
  }

  @Test
  void emptyInputsGiveEmptyOutputs() throws OrtException {
    OrtNode node = OrtNode.ofInput("LSTM", 0, 2);
    Map<String, float[]> values = node.run();
    assertEquals(0, values.get("Y").length);
    assertArrayEquals(new float[node.batch * node.hidden], values.get("Y_h"));
    assertArrayEquals(new float[node.batch * node.hidden], values.get("Y_c"));
    OrtNode.ofInput("GRU", 3, 0)
        .run()
        .forEach((name, value) -> assertEquals(0, value.length, name));
  }

  @Test
  void servesThreadsAtOnceAndSizesInTurn() throws Exception {
    List<OrtNode> nodes = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      nodes.add(OrtNode.ofInput("RefineLSTM", 1 + 5 * i % 17, 1 + 3 * i % 7));
    }
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try (OrtSession.SessionOptions options = OrtNode.withOurs();
        OrtSession session = OrtNode.ENVIRONMENT.createSession(nodes.get(0).model(), options)) {
      List<Map<String, float[]>> expected = new ArrayList<>();
      for (OrtNode node : nodes) {
        expected.add(node.run());
      }
      List<Future<Void>> futures = new ArrayList<>();
      for (int thread = 0; thread < 4; thread++) {
        int begin = thread;
        futures.add(threads.submit(runAll(session, nodes, expected, begin)));
      }
      for (Future<Void> future : futures) {
        future.get();
      }
    } finally {
      threads.shutdown();
    }
  }

  /** The bits do not depend on who else runs, or on what ran before. */
  private static Callable<Void> runAll(
      OrtSession session, List<OrtNode> nodes, List<Map<String, float[]>> expected, int begin) {
    return () -> {
      for (int i = 0; i < 200; i++) {
        int which = (begin + i) % nodes.size();
        Map<String, float[]> values = nodes.get(which).run(session);
        expected.get(which).forEach((name, e) -> assertArrayEquals(e, values.get(name), name));
      }
      return null;
    };
  }

  /**
   * Operators for a provider that this ONNX Runtime does not have do no harm: those of the CPU run,
   * beside them and in place of the standard's. What they compute on a device is tested in C++, on
   * a stand-in for ONNX Runtime.
   */
  @ParameterizedTest
  @ValueSource(strings = {"LSTM", "GRU", "RefineLSTM", "RefineGRU"})
  void thoseOfTheCudaProviderAreRegisteredBesideThoseOfTheCpu(String operator) throws Exception {
    new Target(Backend.CUDA, null, Precision.FLOAT32, Tier.AUTO).assumeAvailable();
    OrtNode node = OrtNode.of(operator);
    Map<String, float[]> expected = node.run();
    for (String override : List.of("0", "1")) {
      try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
        options.addConfigEntry(GatefuseOrt.CUDA_LIBRARY, GatefuseOrt.cudaLibraryPath());
        options.addConfigEntry(GatefuseOrt.CUDA_DEVICE, "0");
        options.addConfigEntry(GatefuseOrt.OVERRIDE, override);
        options.registerCustomOpLibrary(GatefuseOrt.libraryPath());
        try (OrtSession session = OrtNode.ENVIRONMENT.createSession(node.model(), options)) {
          Map<String, float[]> actual = node.run(session);
          expected.forEach((name, e) -> assertArrayEquals(e, actual.get(name), name));
        }
      }
    }
  }

  @Test
  void aCudaBackendThatCannotBeHadIsNamed() throws OrtException {
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.addConfigEntry(GatefuseOrt.CUDA_LIBRARY, "/nowhere/libgatefuse_cuda.so");
      OrtException e =
          assertThrows(
              OrtException.class, () -> options.registerCustomOpLibrary(GatefuseOrt.libraryPath()));
      assertTrue(e.getMessage().contains("/nowhere/libgatefuse_cuda.so"), e.getMessage());
    }
  }

  @Test
  void outlivesTheOptionsItWasRegisteredWith() throws OrtException {
    OrtNode node = OrtNode.of("GRU");
    OrtSession.SessionOptions options = OrtNode.withOurs();
    try (OrtSession session = OrtNode.ENVIRONMENT.createSession(node.model(), options)) {
      options.close();
      assertClose(node.reference(), node.run(session), "GRU");
    }
  }

  // ---- Options of a session

  @Test
  void isRegisteredOnce() throws OrtException {
    try (OrtSession.SessionOptions options = OrtNode.withOurs()) {
      assertRefused(
          () -> options.registerCustomOpLibrary(GatefuseOrt.libraryPath()),
          "register this library once for each SessionOptions");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"1", "2", "0"})
  void takesANumberOfThreads(String threads) throws OrtException {
    OrtNode node = OrtNode.of("LSTM");
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.addConfigEntry(GatefuseOrt.THREADS, threads);
      options.registerCustomOpLibrary(GatefuseOrt.libraryPath());
      try (OrtSession session = OrtNode.ENVIRONMENT.createSession(node.model(), options)) {
        assertClose(node.reference(), node.run(session), threads);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    GatefuseOrt.THREADS + ",-1",
    GatefuseOrt.THREADS + ",many",
    GatefuseOrt.OVERRIDE + ",2"
  })
  void namesABadEntry(String key, String value) throws OrtException {
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.addConfigEntry(key, value);
      assertRefused(() -> options.registerCustomOpLibrary(GatefuseOrt.libraryPath()), key, value);
    }
  }

  /** The batch-major layout and the clip tell the operators apart: one has each. */
  @Test
  void replacesTheStandardOperatorsOnRequest() throws OrtException {
    OrtNode node = OrtNode.of("LSTM");
    node.domain = OnnxGraph.STANDARD;
    node.batchMajor = true;
    assertThrows(OrtException.class, node::run);
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.addConfigEntry(GatefuseOrt.OVERRIDE, "1");
      options.registerCustomOpLibrary(GatefuseOrt.libraryPath());
      try (OrtSession session = OrtNode.ENVIRONMENT.createSession(node.model(), options)) {
        assertClose(node.reference(), node.run(session), "LSTM");
      }
      node.batchMajor = false;
      node.attributes.add(attribute("clip", 3f));
      node.run();
      assertRefused(() -> create(node, options), "attribute clip");
    }
  }

  private static void create(OrtNode node, OrtSession.SessionOptions options) throws OrtException {
    OrtNode.ENVIRONMENT.createSession(node.model(), options).close();
  }

  // ---- Bad input

  private interface Action {
    void run() throws OrtException;
  }

  private static void assertRefused(Action action, String... parts) {
    String message = assertThrows(OrtException.class, action::run).getMessage();
    for (String part : parts) {
      assertTrue(message.contains(part), () -> part + " in: " + message);
    }
  }

  private static Arguments bad(String part, String operator, Consumer<OrtNode> change) {
    return Arguments.of(part, operator, change);
  }

  static Stream<Arguments> badNodes() {
    return Stream.of(
        bad(
            "attribute direction: expected forward, reverse or bidirectional, got up",
            "LSTM",
            n -> {
              n.direction = "up";
            }),
        bad("attribute hidden_size: expected 1 .. 2147483647, got 0", "GRU", n -> n.hiddenSize = 0),
        bad(
            "attribute layout: expected 0 or 1, got 2",
            "RefineGRU",
            n -> {
              n.attributes.add(attribute("layout", 2));
            }),
        bad("attribute layout: ", "RefineGRU", n -> n.attributes.add(attribute("layout", "1"))),
        bad("attribute clip: expected none", "LSTM", n -> n.attributes.add(attribute("clip", 1f))),
        bad("attribute input_forget", "LSTM", n -> n.attributes.add(attribute("input_forget", 1))),
        bad(
            "attribute linear_before_reset: expected none",
            "RefineLSTM",
            n -> {
              n.attributes.add(attribute("linear_before_reset", 1));
            }),
        bad(
            "attribute activations: expected ",
            "GRU",
            n -> {
              n.attributes.add(attribute("activations", List.of("Sigmoid", "Relu")));
            }),
        bad(
            "W: expected [directions, rows, I] = [1, 20, any], got [1, 16, 5]",
            "LSTM",
            n -> {
              n.w = new float[80];
              n.input = 5;
            }),
        bad(
            "R: expected [directions, rows, H] = [1, 20, 5], got [1, 19, 5]",
            "RefineLSTM",
            n -> {
              n.r = new float[95];
            }),
        bad(
            "B: expected [directions, 2 rows] = [1, 40], got [1, 39]",
            "RefineGRU",
            n -> {
              n.b = new float[39];
            }));
  }

  @ParameterizedTest(name = "{1}: {0}")
  @MethodSource("badNodes")
  void namesWhatANodeMayNotHave(String part, String operator, Consumer<OrtNode> change) {
    OrtNode node = OrtNode.of(operator);
    change.accept(node);
    assertRefused(node::run, "GateFuse " + operator + ", node \"the node\": " + part);
  }

  static Stream<Arguments> badCalls() {
    return Stream.of(
        bad(
            "X: expected [T, B, I] = [any, any, 4], got [4, 2, 3]",
            "LSTM",
            n -> {
              n.steps = 4;
              n.input = 3;
            }),
        bad(
            "sequence_lens[1]: expected 0 .. T=3, got 4",
            "GRU",
            n -> {
              n.lengths = new int[] {3, 4};
            }),
        bad(
            "sequence_lens[0]: expected 0 .. T=3, got -1",
            "RefineGRU",
            n -> {
              n.lengths = new int[] {-1, 3};
            }),
        bad(
            "sequence_lens: expected [B] = [2], got [3]",
            "RefineLSTM",
            n -> {
              n.lengths = new int[] {1, 1, 3};
            }),
        bad(
            "initial_h: expected [directions, B, H] = [1, 1, 5], got [1, 2, 5]",
            "LSTM",
            n -> {
              n.steps = 6;
              n.batch = 1;
              n.lengths = new int[] {6};
            }));
  }

  @ParameterizedTest(name = "{1}: {0}")
  @MethodSource("badCalls")
  void namesWhatARunMayNotHaveAndGoesOn(String part, String operator, Consumer<OrtNode> change)
      throws OrtException {
    OrtNode node = OrtNode.of(operator);
    OrtNode bad = OrtNode.of(operator);
    change.accept(bad);
    try (OrtSession.SessionOptions options = OrtNode.withOurs();
        OrtSession session = OrtNode.ENVIRONMENT.createSession(node.model(), options)) {
      assertRefused(() -> bad.run(session), "GateFuse " + operator, part);
      assertClose(node.reference(), node.run(session), "after the refusal");
    }
  }

  @Test
  void refusesPeepholesByName() {
    OnnxGraph graph = new OnnxGraph("peepholes");
    OrtNode node = OrtNode.of("LSTM");
    node.addWeights(graph);
    graph.input("X", 3, 2, 4).output("Y", 3, 1, 2, 5).constant("P", new float[15], 1, 15);
    graph.node(
        GatefuseOrt.DOMAIN,
        "LSTM",
        List.of("X", "W", "R", "B", "", "", "", "P"),
        List.of("Y"),
        attribute("hidden_size", 5));
    assertRefused(() -> node.run(graph.model(GatefuseOrt.DOMAIN)), "P: expected no peepholes");
  }

  @Test
  void acceptsTheUsualActivationsWhereTheyCanBeRead() throws OrtException {
    OrtNode node = OrtNode.of("GRU");
    node.attributes.add(attribute("activations", List.of("sigmoid", "Tanh")));
    String[] version = OrtNode.ENVIRONMENT.getVersion().split("\\.");
    if (Integer.parseInt(version[1]) >= READS_TEXTS) {
      assertClose(node.reference(), node.run(), "GRU");
    } else {
      assertRefused(node::run, "attribute activations: expected none, since this ONNX Runtime");
    }
  }
}
