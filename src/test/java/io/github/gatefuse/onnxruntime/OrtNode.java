// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.onnxruntime;

import static io.github.gatefuse.testing.OnnxGraph.ANY;
import static io.github.gatefuse.testing.OnnxGraph.attribute;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.reference.ReferenceNetwork;
import io.github.gatefuse.reference.Rounding;
import io.github.gatefuse.testing.GoldenCase;
import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.OnnxGraph;
import io.github.gatefuse.testing.ProtoWriter;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;

/**
 * A recurrent node as a model of ONNX, with what it is fed: arrays in the operator's own order and
 * layout. Tests change its fields before it runs. Not thread-safe.
 */
final class OrtNode {
  static final OrtEnvironment ENVIRONMENT = OrtEnvironment.getEnvironment();
  static final List<String> OUTPUTS = List.of("Y", "Y_h", "Y_c");

  /** The blocks of the operators, as docs/onnxruntime.md tells them. */
  private static final Map<String, List<String>> BLOCKS =
      Map.of(
          "LSTM", List.of("input", "output", "forget", "candidate"),
          "GRU", List.of("update", "reset", "candidate"),
          "RefineLSTM", List.of("refine", "output", "forget", "candidate"),
          "RefineGRU", List.of("update", "reset", "candidate", "refine"));

  String domain = GatefuseOrt.DOMAIN;
  String operator;
  String direction = "forward";
  boolean linearBeforeReset;
  boolean batchMajor;
  boolean constant = true;
  int steps = 3;
  int batch = 2;
  int input = 4;
  int hidden = 5;

  /** What the attribute says that {@code hidden} is; null for the truth. */
  Integer hiddenSize;

  List<String> outputs;
  List<ProtoWriter> attributes = new ArrayList<>();
  float[] x;
  float[] w;
  float[] r;
  float[] b;
  int[] lengths;
  float[] h0;
  float[] c0;

  private OrtNode(String operator) {
    this.operator = operator;
    this.outputs = isLstm() ? OUTPUTS : OUTPUTS.subList(0, 2);
  }

  /** All inputs and outputs that the operator has, at small sizes. */
  static OrtNode of(String operator) {
    return of(operator, node -> {});
  }

  /** The same with other sizes and attributes, which are set before arrays are drawn. */
  static OrtNode of(String operator, Consumer<OrtNode> settings) {
    OrtNode node = new OrtNode(operator);
    settings.accept(node);
    node.draw(1);
    return node;
  }

  /** X alone, of another size. */
  static OrtNode ofInput(String operator, int steps, int batch) {
    OrtNode node =
        of(
            operator,
            n -> {
              n.steps = steps;
              n.batch = batch;
            });
    node.lengths = null;
    node.h0 = null;
    node.c0 = null;
    return node;
  }

  /** Sizes, attributes, inputs and outputs at random. */
  static OrtNode random(String operator, long seed) {
    Random random = new Random(seed);
    OrtNode node = new OrtNode(operator);
    node.linearBeforeReset = random.nextBoolean();
    node.batchMajor = random.nextBoolean();
    node.direction = List.of("forward", "reverse", "bidirectional").get(random.nextInt(3));
    node.constant = random.nextInt(4) > 0;
    node.steps = 1 + random.nextInt(7);
    node.batch = 1 + random.nextInt(4);
    node.input = 1 + random.nextInt(9);
    node.hidden = 1 + random.nextInt(20);
    node.draw(seed);
    node.b = random.nextBoolean() ? node.b : null;
    node.lengths = random.nextBoolean() ? node.lengths : null;
    node.h0 = random.nextBoolean() ? node.h0 : null;
    node.c0 = random.nextBoolean() ? node.c0 : null;
    List<String> some = node.outputs.stream().filter(name -> random.nextInt(3) > 0).toList();
    node.outputs = some.isEmpty() ? node.outputs.subList(1, 2) : some;
    return node;
  }

  private void draw(long seed) {
    int rows = BLOCKS.get(operator).size() * hidden;
    x = Networks.normal(steps * batch * input, seed);
    w = small(directions() * rows * input, seed + 1);
    r = small(directions() * rows * hidden, seed + 2);
    b = small(directions() * 2 * rows, seed + 3);
    lengths = steps == 0 || batch == 0 ? new int[0] : Networks.lengths(steps, batch, seed);
    h0 = small(directions() * batch * hidden, seed + 4);
    c0 = isLstm() ? Networks.normal(directions() * batch * hidden, seed + 5) : null;
  }

  private static float[] small(int count, long seed) {
    float[] values = Networks.normal(count, seed);
    for (int i = 0; i < count; i++) {
      values[i] *= 0.4f;
    }
    return values;
  }

  boolean isLstm() {
    return operator.endsWith("LSTM");
  }

  int directions() {
    return direction.equals("bidirectional") ? 2 : 1;
  }

  @Override
  public String toString() {
    return String.format(
        "%s %s T=%d B=%d I=%d H=%d%s%s%s%s%s%s to %s",
        operator + (linearBeforeReset ? " reset after" : ""),
        direction,
        steps,
        batch,
        input,
        hidden,
        batchMajor ? " batch-major" : "",
        constant ? "" : " weights given",
        b == null ? "" : " B",
        lengths == null ? "" : " " + Arrays.toString(lengths),
        h0 == null ? "" : " h0",
        c0 == null ? "" : " c0",
        outputs);
  }

  // ---- As a model

  /** The node by itself. */
  ProtoWriter node() {
    List<ProtoWriter> all = new ArrayList<>(attributes);
    all.add(attribute("hidden_size", hiddenSize == null ? hidden : hiddenSize));
    all.add(attribute("direction", direction));
    if (batchMajor) {
      all.add(attribute("layout", 1));
    }
    if (linearBeforeReset && !isLstm()) {
      all.add(attribute("linear_before_reset", 1));
    }
    List<String> inputs =
        List.of(
            "X",
            "W",
            "R",
            b == null ? "" : "B",
            lengths == null ? "" : "lengths",
            h0 == null ? "" : "h0",
            c0 == null ? "" : "c0");
    List<String> results =
        OUTPUTS.stream().map(name -> outputs.contains(name) ? name : "").toList();
    return OnnxGraph.node(
        "the node",
        domain,
        operator,
        isLstm() ? inputs : inputs.subList(0, 6),
        isLstm() ? results : results.subList(0, 2),
        all.toArray(ProtoWriter[]::new));
  }

  /** The weights, as constants or inputs. */
  void addWeights(OnnxGraph graph) {
    add(graph, "W", w, directions(), w.length / input / directions(), input);
    add(graph, "R", r, directions(), r.length / hidden / directions(), hidden);
    if (b != null) {
      add(graph, "B", b, directions(), b.length / directions());
    }
  }

  private void add(OnnxGraph graph, String name, float[] values, long... shape) {
    if (constant) {
      graph.constant(name, values, shape);
    } else {
      graph.input(name, shape);
    }
  }

  OnnxGraph graph() {
    OnnxGraph graph = new OnnxGraph("one node").add(node());
    graph.input("X", ANY, ANY, ANY);
    addWeights(graph);
    if (lengths != null) {
      graph.inputOf(OnnxGraph.INT32, "lengths", ANY);
    }
    if (h0 != null) {
      graph.input("h0", ANY, ANY, hidden);
    }
    if (c0 != null) {
      graph.input("c0", ANY, ANY, hidden);
    }
    for (String output : outputs) {
      graph.output(output, output.equals("Y") ? new long[] {ANY, ANY, ANY, ANY} : stateShape());
    }
    return graph;
  }

  private static long[] stateShape() {
    return new long[] {ANY, ANY, ANY};
  }

  byte[] model() {
    return domain.equals(OnnxGraph.STANDARD) ? graph().model() : graph().model(domain);
  }

  // ---- Running

  static OrtSession.SessionOptions withOurs() throws OrtException {
    OrtSession.SessionOptions options = new OrtSession.SessionOptions();
    options.registerCustomOpLibrary(GatefuseOrt.libraryPath());
    return options;
  }

  /** Runs a model with our library registered. */
  Map<String, float[]> run(byte[] model) throws OrtException {
    try (OrtSession.SessionOptions options = withOurs();
        OrtSession session = ENVIRONMENT.createSession(model, options)) {
      return run(session);
    }
  }

  /** Runs this node. */
  Map<String, float[]> run() throws OrtException {
    return run(model());
  }

  Map<String, float[]> run(OrtSession session) throws OrtException {
    Map<String, OnnxTensor> inputs = inputs();
    try (OrtSession.Result result = session.run(inputs)) {
      Map<String, float[]> values = new LinkedHashMap<>();
      for (Map.Entry<String, OnnxValue> entry : result) {
        FloatBuffer buffer = ((OnnxTensor) entry.getValue()).getFloatBuffer();
        float[] array = new float[buffer.remaining()];
        buffer.get(array);
        values.put(entry.getKey(), array);
      }
      return values;
    } finally {
      inputs.values().forEach(OnnxTensor::close);
    }
  }

  private Map<String, OnnxTensor> inputs() throws OrtException {
    Map<String, OnnxTensor> inputs = new HashMap<>();
    inputs.put("X", tensor(x, batchMajor ? batch : steps, batchMajor ? steps : batch, input));
    if (!constant) {
      inputs.put("W", tensor(w, directions(), w.length / input / directions(), input));
      inputs.put("R", tensor(r, directions(), r.length / hidden / directions(), hidden));
      if (b != null) {
        inputs.put("B", tensor(b, directions(), b.length / directions()));
      }
    }
    if (lengths != null) {
      inputs.put(
          "lengths",
          OnnxTensor.createTensor(
              ENVIRONMENT, IntBuffer.wrap(lengths), new long[] {lengths.length}));
    }
    if (h0 != null) {
      inputs.put("h0", state(h0));
    }
    if (c0 != null) {
      inputs.put("c0", state(c0));
    }
    return inputs;
  }

  private OnnxTensor state(float[] values) throws OrtException {
    int rows = values.length / directions() / hidden;
    return batchMajor
        ? tensor(values, rows, directions(), hidden)
        : tensor(values, directions(), rows, hidden);
  }

  private static OnnxTensor tensor(float[] values, long... shape) throws OrtException {
    return OnnxTensor.createTensor(ENVIRONMENT, FloatBuffer.wrap(values), shape);
  }

  // ---- What is right

  /** What ONNX Runtime's own operator gives, which knows the time-major layout alone. */
  Map<String, float[]> standard() throws OrtException {
    OrtNode twin = timeMajor();
    twin.domain = OnnxGraph.STANDARD;
    return inLayout(twin.run());
  }

  /** What the reference gives, in double precision. */
  Map<String, float[]> reference() {
    OrtNode twin = timeMajor();
    RnnSpec spec = RnnSpec.of(cell(), input, hidden).withBidirectional(true);
    int forward = direction.equals("reverse") ? 1 : 0;
    Weights.Builder weights = Weights.builder();
    for (int d = 0; d < 2; d++) {
      int source = directions() == 2 ? d : 0;
      String suffix = d == 0 ? "_l0" : "_l0_reverse";
      int rows = BLOCKS.get(operator).size() * hidden;
      weights.add("weight_ih" + suffix, ours(w, source, rows * input), rows, input);
      weights.add("weight_hh" + suffix, ours(r, source, rows * hidden), rows, hidden);
      if (b != null) {
        weights.add("bias_ih" + suffix, ours(b, 2 * source, rows), rows);
        weights.add("bias_hh" + suffix, ours(b, 2 * source + 1, rows), rows);
      }
    }
    ReferenceNetwork.Inputs inputs =
        ReferenceNetwork.Inputs.of(steps, batch, GoldenCase.widen(twin.x))
            .withState(twice(twin.h0), twice(twin.c0));
    if (lengths != null) {
      inputs = inputs.withLengths(lengths);
    }
    ReferenceNetwork.Outputs all =
        new ReferenceNetwork(spec, weights.build(), Rounding.DOUBLE).run(inputs);
    Map<String, float[]> values = new LinkedHashMap<>();
    int from = directions() == 2 ? 0 : forward;
    values.put("Y", directionsOf(GoldenCase.narrow(all.y()), from));
    values.put("Y_h", slotsOf(all.hn(), from));
    if (isLstm()) {
      values.put("Y_c", slotsOf(all.cn(), from));
    }
    values.keySet().retainAll(outputs);
    return inLayout(values);
  }

  private Cell cell() {
    return switch (operator) {
      case "LSTM" -> Cell.LSTM;
      case "RefineLSTM" -> Cell.LSTM_REFINE;
      case "GRU" -> linearBeforeReset ? Cell.GRU : Cell.GRU_RESET_BEFORE;
      default -> linearBeforeReset ? Cell.GRU_REFINE : Cell.GRU_REFINE_RESET_BEFORE;
    };
  }

  /** One of the slices of that size, its blocks in our order. */
  private float[] ours(float[] all, int slice, int size) {
    List<String> theirs = BLOCKS.get(operator);
    List<String> names = cell().blocks().stream().map(Cell.Block::name).toList();
    int block = size / theirs.size();
    float[] out = new float[size];
    for (int i = 0; i < theirs.size(); i++) {
      int from = slice * size + theirs.indexOf(names.get(i)) * block;
      System.arraycopy(all, from, out, i * block, block);
    }
    return out;
  }

  /** States of both directions, the same where there is one. */
  private double[] twice(float[] state) {
    if (state == null) {
      return null;
    }
    double[] wide = GoldenCase.widen(state);
    double[] both = Arrays.copyOf(wide, 2 * batch * hidden);
    if (directions() == 1) {
      System.arraycopy(wide, 0, both, wide.length, wide.length);
    }
    return both;
  }

  /** [T, B, 2 H] to [T, directions, B, H]. */
  private float[] directionsOf(float[] y, int first) {
    float[] out = new float[steps * directions() * batch * hidden];
    for (int t = 0; t < steps; t++) {
      for (int d = 0; d < directions(); d++) {
        for (int row = 0; row < batch; row++) {
          int from = ((t * batch + row) * 2 + first + d) * hidden;
          System.arraycopy(y, from, out, ((t * directions() + d) * batch + row) * hidden, hidden);
        }
      }
    }
    return out;
  }

  private float[] slotsOf(double[] state, int first) {
    int slot = batch * hidden;
    return GoldenCase.narrow(
        Arrays.copyOfRange(state, first * slot, (first + directions()) * slot));
  }

  /** The same node in the time-major layout. */
  private OrtNode timeMajor() {
    OrtNode twin = new OrtNode(operator);
    twin.domain = domain;
    twin.direction = direction;
    twin.linearBeforeReset = linearBeforeReset;
    twin.steps = steps;
    twin.batch = batch;
    twin.input = input;
    twin.hidden = hidden;
    twin.outputs = outputs;
    twin.w = w;
    twin.r = r;
    twin.b = b;
    twin.lengths = lengths;
    twin.x = batchMajor ? swap(x, batch, steps, input) : x;
    twin.h0 = batchMajor ? swap(h0, batch, directions(), hidden) : h0;
    twin.c0 = batchMajor ? swap(c0, batch, directions(), hidden) : c0;
    return twin;
  }

  /** From the time-major layout to this node's. */
  private Map<String, float[]> inLayout(Map<String, float[]> values) {
    if (batchMajor) {
      values.computeIfPresent("Y", (k, y) -> batchFirst(y));
      values.computeIfPresent("Y_h", (k, h) -> swap(h, directions(), batch, hidden));
      values.computeIfPresent("Y_c", (k, c) -> swap(c, directions(), batch, hidden));
    }
    return values;
  }

  /** [T, directions, B, H] to [B, T, directions, H]. */
  private float[] batchFirst(float[] y) {
    return swap(y, steps * directions(), batch, hidden);
  }

  /** [a, b, width] to [b, a, width]. */
  private static float[] swap(float[] from, int a, int b, int width) {
    if (from == null) {
      return null;
    }
    float[] to = new float[from.length];
    for (int i = 0; i < a; i++) {
      for (int j = 0; j < b; j++) {
        System.arraycopy(from, (i * b + j) * width, to, (j * a + i) * width, width);
      }
    }
    return to;
  }
}
