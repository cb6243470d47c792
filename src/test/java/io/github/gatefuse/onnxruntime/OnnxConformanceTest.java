// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.onnxruntime;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.github.gatefuse.onnxruntime.OnnxRewriter.Result;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.slf4j.LoggerFactory;

/**
 * The node tests of the ONNX standard: folders with a model and data sets of inputs and outputs.
 * Each model is rewritten; then either its node has moved, and ONNX Runtime gives the outputs, or
 * the node stays for a reason that is told.
 */
class OnnxConformanceTest {
  /** A folder of folders. */
  private static final String PROPERTY = "gatefuse.onnx.tests";

  private static final float TOLERANCE = 1e-5f;

  /** A TensorProto. */
  private record Tensor(String name, long[] shape, long type, ByteBuffer data) {
    private static final int FLOAT = 1;
    private static final int INT32 = 6;

    static Tensor of(Path file) throws IOException {
      byte[] bytes = Files.readAllBytes(file);
      ProtoReader field = new ProtoReader(bytes, 0, bytes.length);
      String name = "";
      List<Long> shape = new ArrayList<>();
      long type = 0;
      byte[] data = new byte[0];
      while (field.next()) {
        if (field.isNumber(1)) {
          shape.add(field.number());
        } else if (field.isNumber(2)) {
          type = field.number();
        } else if (field.isBytes(8)) {
          name = field.text();
        } else if (field.isBytes(4) || field.isBytes(9)) {
          data = field.copy();
        }
      }
      return new Tensor(
          name,
          shape.stream().mapToLong(Long::longValue).toArray(),
          type,
          ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN));
    }

    OnnxTensor toOnnx() throws OrtException {
      assumeTrue(type == FLOAT || type == INT32, () -> name + ": type " + type);
      if (type == FLOAT) {
        return OnnxTensor.createTensor(OrtNode.ENVIRONMENT, FloatBuffer.wrap(floats()), shape);
      }
      int[] values = new int[data.remaining() / Integer.BYTES];
      data.asIntBuffer().get(values);
      return OnnxTensor.createTensor(OrtNode.ENVIRONMENT, IntBuffer.wrap(values), shape);
    }

    float[] floats() {
      float[] values = new float[data.remaining() / Float.BYTES];
      data.asFloatBuffer().get(values);
      return values;
    }
  }

  @TestFactory
  Stream<DynamicTest> nodeTests() throws IOException {
    String folder = System.getProperty(PROPERTY, "");
    assumeTrue(!folder.isEmpty(), PROPERTY + " is not set to a folder of ONNX node tests");
    try (Stream<Path> models = Files.find(Path.of(folder), 2, OnnxConformanceTest::isModel)) {
      List<Path> all = models.map(Path::getParent).sorted().toList();
      assertFalse(all.isEmpty(), folder + ": expected folders with a model.onnx, got none");
      return all.stream()
          .map(test -> DynamicTest.dynamicTest(test.getFileName().toString(), () -> check(test)));
    }
  }

  private static boolean isModel(Path file, Object attributes) {
    return file.getFileName().toString().equals("model.onnx");
  }

  private static void check(Path test) throws IOException, OrtException {
    Result result = rewrite(Files.readAllBytes(test.resolve("model.onnx")));
    if (result.moved().isEmpty()) {
      assertFalse(result.kept().get(0).reason().isEmpty());
      LoggerFactory.getLogger(OnnxConformanceTest.class)
          .info("{} stays: {}", test.getFileName(), result.kept());
      return;
    }
    try (OrtSession.SessionOptions options = OrtNode.withOurs();
        OrtSession session = OrtNode.ENVIRONMENT.createSession(result.model(), options)) {
      for (Path set : list(test, "test_data_set_")) {
        check(session, set);
      }
    }
  }

  private static Result rewrite(byte[] model) {
    try {
      return OnnxRewriter.rewrite(model);
    } catch (IllegalArgumentException e) {
      return Assumptions.abort(e.getMessage());
    }
  }

  private static void check(OrtSession session, Path set) throws IOException, OrtException {
    Map<String, OnnxTensor> inputs = new HashMap<>();
    Iterator<String> names = session.getInputNames().iterator();
    for (Path file : list(set, "input_")) {
      Tensor tensor = Tensor.of(file);
      String next = names.next();
      inputs.put(tensor.name.isEmpty() ? next : tensor.name, tensor.toOnnx());
    }
    List<Path> outputs = list(set, "output_");
    try (OrtSession.Result result = session.run(inputs)) {
      assertEquals(outputs.size(), result.size(), "outputs");
      for (int i = 0; i < outputs.size(); i++) {
        Tensor expected = Tensor.of(outputs.get(i));
        OnnxTensor actual = (OnnxTensor) result.get(i);
        assertArrayEquals(expected.shape, actual.getInfo().getShape(), "shape");
        FloatBuffer buffer = actual.getFloatBuffer();
        float[] values = new float[buffer.remaining()];
        buffer.get(values);
        assertArrayEquals(expected.floats(), values, TOLERANCE, outputs.get(i).toString());
      }
    }
  }

  /** By number: there are fewer than ten of each. */
  private static List<Path> list(Path folder, String prefix) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      Path[] found =
          files.filter(f -> f.getFileName().toString().startsWith(prefix)).toArray(Path[]::new);
      Arrays.sort(found);
      return List.of(found);
    }
  }
}
