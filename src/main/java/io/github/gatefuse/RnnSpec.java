// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * What a network is: stacked layers of one cell, optionally after an embedding and before a linear
 * head.
 *
 * <p>Made with {@link #of} and refined with the {@code with} methods:
 *
 * <pre>{@code
 * RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 64, 256).withLayers(2).withBidirectional(true);
 * }</pre>
 *
 * <p>Immutable and thread-safe.
 *
 * @param cell the cell of every layer
 * @param inputSize I, the features of one step of the input; with an embedding, its width
 * @param hiddenSize H, the units of a layer and direction
 * @param layers L, the stacked layers, at most 10,000
 * @param directions D, 1 or 2 (bidirectional)
 * @param chunk units that share one slot of a cumulative softmax gate; divides H; 1 for other cells
 * @param vocabulary V, the rows of an embedding that turns tokens into inputs; 0 for none
 * @param outputs O, the rows of a linear head over the last layer; 0 for none
 */
public record RnnSpec(
    Cell cell,
    int inputSize,
    int hiddenSize,
    int layers,
    int directions,
    int chunk,
    int vocabulary,
    int outputs) {

  /** Far beyond any network; what lists the parameters of a mistaken number would take long. */
  private static final int MAX_LAYERS = 10_000;

  /** The name of the embedding's tensor. */
  public static final String EMBEDDING = "embedding.weight";

  /** The name of the head's matrix. */
  public static final String HEAD_WEIGHT = "head.weight";

  /** The name of the head's bias. */
  public static final String HEAD_BIAS = "head.bias";

  /**
   * A parameter tensor of a network.
   *
   * @param name PyTorch's name, such as {@code weight_ih_l0_reverse}
   * @param rows the first dimension
   * @param columns the second dimension; 1 for a bias
   * @param bias whether it is a vector that may be left out, meaning zeros
   */
  public record Parameter(String name, int rows, int columns, boolean bias) {
    /**
     * The shape as files give it.
     *
     * @return [rows] for a bias, [rows, columns] otherwise
     */
    public int[] shape() {
      return bias ? new int[] {rows} : new int[] {rows, columns};
    }

    /**
     * The number of values.
     *
     * @return rows times columns
     */
    public long count() {
      return (long) rows * columns;
    }
  }

  /**
   * Checks every component.
   *
   * @param cell not null
   * @param inputSize at least 1
   * @param hiddenSize at least 1
   * @param layers 1 to 10,000
   * @param directions 1 or 2
   * @param chunk a divisor of hiddenSize; 1 for cells without a cumulative softmax
   * @param vocabulary at least 0
   * @param outputs at least 0
   * @throws IllegalArgumentException naming the component, what was expected and what came
   */
  public RnnSpec {
    Objects.requireNonNull(cell, "cell");
    atLeast("inputSize", inputSize, 1);
    atLeast("hiddenSize", hiddenSize, 1);
    atLeast("layers", layers, 1);
    if (layers > MAX_LAYERS) {
      throw new IllegalArgumentException(
          "layers: expected at most " + MAX_LAYERS + ", got " + layers);
    }
    atLeast("chunk", chunk, 1);
    atLeast("vocabulary", vocabulary, 0);
    atLeast("outputs", outputs, 0);
    if (directions != 1 && directions != 2) {
      throw new IllegalArgumentException("directions: expected 1 or 2, got " + directions);
    }
    if (hiddenSize % chunk != 0) {
      throw new IllegalArgumentException(
          "chunk: expected a divisor of hiddenSize " + hiddenSize + ", got " + chunk);
    }
    if (chunk != 1 && !cell.hasChunkedBlocks()) {
      throw new IllegalArgumentException(
          "chunk: expected 1 for cell "
              + cell.id()
              + ", which has no cumulative softmax; got "
              + chunk);
    }
    long rows = cell.rows(hiddenSize, chunk);
    if (rows > Integer.MAX_VALUE || (long) directions * hiddenSize > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "hiddenSize: expected at most 2^31-1 parameter rows, got " + rows);
    }
  }

  private static void atLeast(String name, int value, int least) {
    if (value < least) {
      throw new IllegalArgumentException(name + ": expected at least " + least + ", got " + value);
    }
  }

  /**
   * A network of one layer and one direction, without embedding or head.
   *
   * @param cell the cell
   * @param inputSize I, at least 1
   * @param hiddenSize H, at least 1
   * @return the specification
   */
  public static RnnSpec of(Cell cell, int inputSize, int hiddenSize) {
    return new RnnSpec(cell, inputSize, hiddenSize, 1, 1, 1, 0, 0);
  }

  /**
   * The same with another number of layers.
   *
   * @param value L, 1 to 10,000
   * @return a new specification
   */
  public RnnSpec withLayers(int value) {
    return new RnnSpec(cell, inputSize, hiddenSize, value, directions, chunk, vocabulary, outputs);
  }

  /**
   * The same in one or both directions; the outputs of two are concatenated, forward first.
   *
   * @param value whether every layer also runs backwards through the sequence
   * @return a new specification
   */
  public RnnSpec withBidirectional(boolean value) {
    return new RnnSpec(
        cell, inputSize, hiddenSize, layers, value ? 2 : 1, chunk, vocabulary, outputs);
  }

  /**
   * The same with another chunk size of cumulative softmax gates.
   *
   * @param value divides H
   * @return a new specification
   */
  public RnnSpec withChunk(int value) {
    return new RnnSpec(cell, inputSize, hiddenSize, layers, directions, value, vocabulary, outputs);
  }

  /**
   * The same with tokens as input, looked up in an embedding [V, I].
   *
   * @param value V, at least 1; 0 removes the embedding
   * @return a new specification
   */
  public RnnSpec withVocabulary(int value) {
    return new RnnSpec(cell, inputSize, hiddenSize, layers, directions, chunk, value, outputs);
  }

  /**
   * The same with a linear head [O, D*H] and bias [O] over the last layer.
   *
   * @param value O, at least 1; 0 removes the head
   * @return a new specification
   */
  public RnnSpec withOutputs(int value) {
    return new RnnSpec(cell, inputSize, hiddenSize, layers, directions, chunk, vocabulary, value);
  }

  /**
   * Whether a second direction runs from each sequence's own end to its start.
   *
   * @return true for two directions
   */
  public boolean bidirectional() {
    return directions == 2;
  }

  /**
   * The rows of the parameter matrices of a layer.
   *
   * @return the sum of the cell's blocks
   */
  public int rows() {
    return (int) cell.rows(hiddenSize, chunk);
  }

  /**
   * The features of one step of the output.
   *
   * @return D*H
   */
  public int outputSize() {
    return directions * hiddenSize;
  }

  /**
   * The states of one sequence: one for each layer and direction.
   *
   * @return L*D; slot l*D + d belongs to layer l, direction d
   */
  public int slots() {
    return layers * directions;
  }

  /**
   * The suffix of a layer's and direction's parameter names.
   *
   * @param layer from 0
   * @param direction 0 forward, 1 reverse
   * @return such as {@code _l1_reverse}
   */
  public static String suffix(int layer, int direction) {
    return "_l" + layer + (direction == 1 ? "_reverse" : "");
  }

  /**
   * All parameter tensors, in the order of the C interface: for each layer and direction weight_ih,
   * weight_hh, bias_ih, bias_hh; then the embedding; then the head.
   *
   * @return an unmodifiable list
   */
  public List<Parameter> parameters() {
    List<Parameter> all = new ArrayList<>();
    for (int layer = 0; layer < layers; layer++) {
      for (int direction = 0; direction < directions; direction++) {
        String suffix = suffix(layer, direction);
        int input = layer == 0 ? inputSize : outputSize();
        all.add(new Parameter("weight_ih" + suffix, rows(), input, false));
        all.add(new Parameter("weight_hh" + suffix, rows(), hiddenSize, false));
        all.add(new Parameter("bias_ih" + suffix, rows(), 1, true));
        all.add(new Parameter("bias_hh" + suffix, rows(), 1, true));
      }
    }
    if (vocabulary > 0) {
      all.add(new Parameter(EMBEDDING, vocabulary, inputSize, false));
    }
    if (outputs > 0) {
      all.add(new Parameter(HEAD_WEIGHT, outputs, outputSize(), false));
      all.add(new Parameter(HEAD_BIAS, outputs, 1, true));
    }
    return List.copyOf(all);
  }
}
