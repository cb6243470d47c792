// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.State;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The inputs of one prediction, held against the network. */
final class Request {
  static final String X = "x";
  static final String TOKENS = "tokens";
  static final String LENGTHS = "lengths";
  static final String H0 = "h0";
  static final String C0 = "c0";
  static final String TARGETS = "targets";

  private final RnnSpec spec;
  private final boolean timeMajor;
  private final Map<String, NDArray> arrays;
  private final int steps;
  private final int batch;

  Request(RnnSpec spec, boolean timeMajor, NDList inputs) {
    this.spec = spec;
    this.timeMajor = timeMajor;
    this.arrays = named(names(spec), inputs);
    String first = names(spec).get(0);
    NDArray sequences = arrays.get(first);
    if (sequences == null) {
      throw new IllegalArgumentException("inputs: expected " + first + ", got " + arrays.keySet());
    }
    Shape shape = sequences.getShape();
    int dimensions = spec.vocabulary() > 0 ? 2 : 3;
    if (shape.dimension() != dimensions || shape.get(0) < 1 || shape.get(1) < 1) {
      throw new IllegalArgumentException(
          (first + ": expected [" + (timeMajor ? "T, B" : "B, T"))
              + ((dimensions == 3 ? ", I=" + spec.inputSize() : "") + "], each at least 1, got ")
              + shape);
    }
    this.batch = Math.toIntExact(shape.get(timeMajor ? 1 : 0));
    this.steps = Math.toIntExact(shape.get(timeMajor ? 0 : 1));
  }

  /** The inputs that a network takes, in the order of those without names. */
  static List<String> names(RnnSpec spec) {
    List<String> names = new ArrayList<>();
    names.add(spec.vocabulary() > 0 ? TOKENS : X);
    names.add(LENGTHS);
    names.add(H0);
    if (spec.cell().hasCellState()) {
      names.add(C0);
    }
    if (spec.outputs() > 0) {
      names.add(TARGETS);
    }
    return names;
  }

  private static Map<String, NDArray> named(List<String> names, NDList inputs) {
    Map<String, NDArray> named = new LinkedHashMap<>();
    boolean byName = inputs.stream().anyMatch(array -> array.getName() != null);
    for (int i = 0; i < inputs.size(); i++) {
      NDArray array = inputs.get(i);
      String name = byName ? array.getName() : i < names.size() ? names.get(i) : "array " + i;
      if (!names.contains(name) || named.put(name, array) != null) {
        throw new IllegalArgumentException(
            "inputs: expected some of "
                + names
                + ", each once, all or none with a name, got "
                + name);
      }
    }
    return named;
  }

  int steps() {
    return steps;
  }

  int batch() {
    return batch;
  }

  /** The input of a network without an embedding; null for one with. */
  FloatBuffer x() {
    return floats(X, order(new Shape(batch, steps, spec.inputSize())));
  }

  IntBuffer tokens() {
    return integers(TOKENS, order(new Shape(batch, steps)));
  }

  /** The lengths; null for none. */
  IntBuffer lengths() {
    return integers(LENGTHS, new Shape(batch));
  }

  /** The targets; null for none. */
  IntBuffer targets() {
    return integers(TARGETS, order(new Shape(batch, steps)));
  }

  boolean hasState() {
    return arrays.containsKey(H0) || arrays.containsKey(C0);
  }

  /** The states at first, in memory of their own. */
  State state() {
    State state = State.zeros(spec, batch);
    Shape shape = order(new Shape(batch, spec.slots(), spec.hiddenSize()));
    copy(floats(H0, shape), state.h());
    if (state.hasCell()) {
      copy(floats(C0, shape), state.c());
    }
    return state;
  }

  private void copy(FloatBuffer from, FloatBuffer to) {
    if (from != null && timeMajor) {
      to.put(from);
    } else if (from != null) {
      swap(from, to, batch, spec.slots(), spec.hiddenSize());
    }
  }

  /** Copies [first, second, width] to [second, first, width]. */
  static void swap(FloatBuffer from, FloatBuffer to, int first, int second, int width) {
    for (int i = 0; i < first; i++) {
      for (int j = 0; j < second; j++) {
        to.put((j * first + i) * width, from, (i * second + j) * width, width);
      }
    }
  }

  /** A shape that is given with B first, in the order of this request. */
  private Shape order(Shape shape) {
    return order(shape, timeMajor);
  }

  static Shape order(Shape shape, boolean swapped) {
    return swapped ? new Shape(shape.get(1), shape.get(0)).addAll(shape.slice(2)) : shape;
  }

  private NDArray array(String name, Shape expected) {
    NDArray array = arrays.get(name);
    if (array != null && !array.getShape().equals(expected)) {
      throw new IllegalArgumentException(
          name + ": expected the shape " + expected + ", got " + array.getShape());
    }
    return array;
  }

  /** The values in direct memory, the array's own where that can be used; null for no array. */
  private FloatBuffer floats(String name, Shape expected) {
    NDArray array = array(name, expected);
    if (array == null) {
      return null;
    }
    if (array.getDataType() != DataType.FLOAT32) {
      throw wrongType(name, "float32", array);
    }
    FloatBuffer values = array.toByteBuffer(true).asFloatBuffer();
    if (isUsable(values, values.order())) {
      return values;
    }
    return direct(values.remaining()).asFloatBuffer().put(values).rewind();
  }

  private IntBuffer integers(String name, Shape expected) {
    NDArray array = array(name, expected);
    if (array == null) {
      return null;
    }
    if (array.getDataType() == DataType.INT32) {
      IntBuffer values = array.toByteBuffer(true).asIntBuffer();
      if (isUsable(values, values.order())) {
        return values;
      }
      return direct(values.remaining()).asIntBuffer().put(values).rewind();
    }
    if (array.getDataType() != DataType.INT64) {
      throw wrongType(name, "int32 or int64", array);
    }
    long[] values = array.toLongArray();
    IntBuffer narrow = direct(values.length).asIntBuffer();
    for (int i = 0; i < values.length; i++) {
      if (values[i] != (int) values[i]) {
        throw new IllegalArgumentException(name + ": expected values below 2^31, got " + values[i]);
      }
      narrow.put(i, (int) values[i]);
    }
    return narrow;
  }

  private static IllegalArgumentException wrongType(String name, String expected, NDArray array) {
    return new IllegalArgumentException(
        name + ": expected " + expected + ", got " + array.getDataType());
  }

  /** Whether the core takes it as it is. */
  private static boolean isUsable(Buffer values, ByteOrder order) {
    return values.isDirect() && order == ByteOrder.nativeOrder();
  }

  /** Memory for so many values of four bytes. */
  private static ByteBuffer direct(int count) {
    return GatefuseNDManager.direct(Math.multiplyExact(count, Integer.BYTES));
  }
}
