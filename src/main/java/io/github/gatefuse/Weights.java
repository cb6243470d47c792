// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The parameter tensors of a network, by PyTorch's names.
 *
 * <p>A tensor is kept in the precision in which it came, float32 or float64, and given in either.
 * Names and shapes for a network are {@link RnnSpec#parameters()}; {@link #check} holds the two
 * against each other.
 *
 * <p>Immutable and thread-safe: arrays are copied in, and {@link #floats} and {@link #doubles} give
 * copies.
 */
public final class Weights {
  private record Tensor(int[] shape, Object data) {}

  private final Map<String, Tensor> tensors;

  private Weights(Map<String, Tensor> tensors) {
    this.tensors = tensors;
  }

  /**
   * Starts a set of weights.
   *
   * @return an empty builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /** Collects tensors. Not thread-safe. */
  public static final class Builder {
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();

    private Builder() {}

    /**
     * Adds a float32 tensor.
     *
     * @param name such as {@code weight_ih_l0}; not yet added
     * @param data row-major values, copied
     * @param shape the dimensions, whose product is {@code data.length}
     * @return this
     * @throws IllegalArgumentException on a second tensor of that name, or a shape that does not
     *     fit
     */
    public Builder add(String name, float[] data, int... shape) {
      return put(name, data.length, data.clone(), shape);
    }

    /**
     * Adds a float64 tensor.
     *
     * @param name such as {@code weight_ih_l0}; not yet added
     * @param data row-major values, copied
     * @param shape the dimensions, whose product is {@code data.length}
     * @return this
     * @throws IllegalArgumentException on a second tensor of that name, or a shape that does not
     *     fit
     */
    public Builder add(String name, double[] data, int... shape) {
      return put(name, data.length, data.clone(), shape);
    }

    private Builder put(String name, int length, Object data, int[] shape) {
      Objects.requireNonNull(name, "name");
      double exact = IntStream.of(shape).asDoubleStream().reduce(1, (a, b) -> a * b);
      long count = (long) exact; // beyond 2^53 inexact, and in no array
      if (count != length || IntStream.of(shape).anyMatch(n -> n < 0)) {
        throw new IllegalArgumentException(
            name
                + ": expected "
                + count
                + " values for shape "
                + Arrays.toString(shape)
                + ", got "
                + length);
      }
      if (tensors.putIfAbsent(name, new Tensor(shape.clone(), data)) != null) {
        throw new IllegalArgumentException(
            name + ": expected one tensor of that name, got a second");
      }
      return this;
    }

    /**
     * Ends the collection; the builder may go on to be used.
     *
     * @return the weights
     */
    public Weights build() {
      return new Weights(Collections.unmodifiableMap(new LinkedHashMap<>(tensors)));
    }
  }

  /**
   * The names of all tensors, in the order in which they were added.
   *
   * @return an unmodifiable set
   */
  public Set<String> names() {
    return tensors.keySet();
  }

  /**
   * Whether there is a tensor of that name.
   *
   * @param name such as {@code bias_ih_l0}
   * @return true if there is
   */
  public boolean has(String name) {
    return tensors.containsKey(name);
  }

  /**
   * The shape of a tensor.
   *
   * @param name one of {@link #names()}
   * @return the dimensions, a copy
   * @throws IllegalArgumentException if there is no such tensor
   */
  public int[] shape(String name) {
    return tensor(name).shape.clone();
  }

  /**
   * Whether a tensor is kept in float64.
   *
   * @param name one of {@link #names()}
   * @return true for float64, false for float32
   * @throws IllegalArgumentException if there is no such tensor
   */
  public boolean isDouble(String name) {
    return tensor(name).data instanceof double[];
  }

  /**
   * A tensor's values in float32, rounded to nearest where they are kept in float64.
   *
   * @param name one of {@link #names()}
   * @return a copy, row-major
   * @throws IllegalArgumentException if there is no such tensor
   */
  public float[] floats(String name) {
    Object data = tensor(name).data;
    if (data instanceof float[] floats) {
      return floats.clone();
    }
    double[] doubles = (double[]) data;
    float[] out = new float[doubles.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = (float) doubles[i];
    }
    return out;
  }

  /**
   * A tensor's values in float64.
   *
   * @param name one of {@link #names()}
   * @return a copy, row-major
   * @throws IllegalArgumentException if there is no such tensor
   */
  public double[] doubles(String name) {
    Object data = tensor(name).data;
    if (data instanceof double[] doubles) {
      return doubles.clone();
    }
    float[] floats = (float[]) data;
    double[] out = new double[floats.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = floats[i];
    }
    return out;
  }

  /**
   * Holds these weights against a network: every tensor is there in its shape (biases may be
   * missing, meaning zeros), and no further one is.
   *
   * @param spec the network
   * @throws IllegalArgumentException naming the first tensor that is missing, of a wrong shape, or
   *     too many
   */
  public void check(RnnSpec spec) {
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      if (!has(parameter.name())) {
        if (parameter.bias()) {
          continue;
        }
        throw new IllegalArgumentException(
            parameter.name()
                + ": expected "
                + Arrays.toString(parameter.shape())
                + ", got no such tensor");
      }
      int[] shape = tensor(parameter.name()).shape;
      if (!Arrays.equals(shape, parameter.shape())) {
        throw new IllegalArgumentException(
            parameter.name()
                + ": expected "
                + Arrays.toString(parameter.shape())
                + ", got "
                + Arrays.toString(shape));
      }
    }
    Set<String> known =
        spec.parameters().stream().map(RnnSpec.Parameter::name).collect(Collectors.toSet());
    for (String name : names()) {
      if (name.startsWith("weight_hr_l")) {
        throw new IllegalArgumentException(
            name
                + ": projections (proj_size) are not supported; expected only "
                + spec.cell().id()
                + " parameters");
      }
      if (!known.contains(name)) {
        throw new IllegalArgumentException(
            name
                + ": unexpected tensor; a "
                + spec.cell().id()
                + " of "
                + spec.layers()
                + " layer(s) has "
                + known.stream().sorted().toList());
      }
    }
  }

  /** These without an embedding or head that the network does not have. */
  Weights of(RnnSpec spec) {
    Map<String, Tensor> own = new LinkedHashMap<>(tensors);
    if (spec.vocabulary() == 0) {
      own.remove(RnnSpec.EMBEDDING);
    }
    if (spec.outputs() == 0) {
      own.remove(RnnSpec.HEAD_WEIGHT);
      own.remove(RnnSpec.HEAD_BIAS);
    }
    return new Weights(Collections.unmodifiableMap(own));
  }

  private Tensor tensor(String name) {
    Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException(
          name + ": expected one of " + names() + ", got no such tensor");
    }
    return tensor;
  }
}
