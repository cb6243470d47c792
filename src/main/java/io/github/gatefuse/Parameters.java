// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/**
 * One float32 value for each parameter of a network, in one piece of memory: the parameters
 * themselves, their gradients, or whatever an optimizer keeps of them. The tensors come one after
 * another in the order of {@link RnnSpec#parameters()}, each row-major; so an optimizer is one loop
 * over {@link #all}.
 *
 * <p>The memory is direct and is freed by the garbage collector; there is nothing to close.
 *
 * <p>Not thread-safe: one thread at a time, a running call included.
 */
public final class Parameters {
  private static final int LARGEST = Integer.MAX_VALUE / Float.BYTES;

  private final RnnSpec spec;
  private final FloatBuffer all;

  /** A view of each tensor, whose position and limit nobody moves. */
  private final Map<String, FloatBuffer> tensors = new LinkedHashMap<>();

  private Parameters(RnnSpec spec) {
    this.spec = spec;
    int bytes = Float.BYTES * count(spec);
    all = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder()).asFloatBuffer();
    int start = 0;
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      int count = (int) parameter.count();
      tensors.put(parameter.name(), all.slice(start, count));
      start += count;
    }
  }

  private static int count(RnnSpec spec) {
    double count = spec.parameters().stream().mapToDouble(RnnSpec.Parameter::count).sum();
    if (count > LARGEST) {
      throw new IllegalArgumentException(
          "parameters: expected at most %d values, the most that a buffer can hold, got %.0f"
              .formatted(LARGEST, count));
    }
    return (int) count;
  }

  /**
   * Zeros, as gradients begin.
   *
   * @param spec the network
   * @return new parameters
   * @throws IllegalArgumentException if there are more than 536870911 values
   */
  public static Parameters zeros(RnnSpec spec) {
    return new Parameters(Objects.requireNonNull(spec, "spec"));
  }

  /**
   * The values of weights; missing biases are zeros.
   *
   * @param spec the network
   * @param weights its parameters, copied; float64 values are rounded to nearest
   * @return new parameters
   * @throws IllegalArgumentException if the weights do not fit the network, or there are more than
   *     536870911 values
   */
  public static Parameters of(RnnSpec spec, Weights weights) {
    weights.check(spec);
    Parameters parameters = zeros(spec);
    for (String name : weights.names()) {
      parameters.tensors.get(name).put(0, weights.floats(name));
    }
    return parameters;
  }

  /**
   * The network.
   *
   * @return its specification
   */
  public RnnSpec spec() {
    return spec;
  }

  /**
   * The number of values.
   *
   * @return the sum of the tensors' sizes
   */
  public int count() {
    return all.capacity();
  }

  /**
   * All values themselves: what is written here is the parameters.
   *
   * @return a direct buffer of native byte order over this memory, at position 0; its position and
   *     limit are the caller's own
   */
  public FloatBuffer all() {
    return all.duplicate();
  }

  /**
   * The values of one tensor themselves: what is written here is the parameters.
   *
   * @param name one of {@link RnnSpec#parameters()}, such as {@code weight_hh_l0}
   * @return a direct buffer of native byte order over this tensor's memory, row-major, at position
   *     0; its position and limit are the caller's own
   * @throws IllegalArgumentException if the network has no such tensor
   */
  public FloatBuffer get(String name) {
    FloatBuffer tensor = tensors.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException(
          name + ": expected one of " + tensors.keySet() + ", got no such tensor");
    }
    return tensor.duplicate();
  }

  /**
   * A copy of the values, tensor by tensor, to be written to a file or to make a network.
   *
   * @return weights that have all tensors of the network
   */
  public Weights toWeights() {
    Weights.Builder weights = Weights.builder();
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      float[] values = new float[(int) parameter.count()];
      tensors.get(parameter.name()).get(0, values);
      weights.add(parameter.name(), values, parameter.shape());
    }
    return weights.build();
  }

  /**
   * Holds these parameters against a network.
   *
   * @throws IllegalArgumentException in words if they are those of another
   */
  void check(String name, RnnSpec expected) {
    if (!spec.equals(expected)) {
      throw new IllegalArgumentException(
          name + ": expected those of " + expected + ", got " + spec);
    }
  }

  /** All values, whose position and limit nobody moves. */
  FloatBuffer memory() {
    return all;
  }
}
