// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The recurrent cells, with the row blocks of their parameters.
 *
 * <p>The rows of {@code weight_ih}, {@code weight_hh} and the two biases are the cell's {@link
 * #blocks() blocks}, one after another, in PyTorch's order where PyTorch has the cell. The refine
 * gate is that of Gu et al., "Improving the Gating Mechanism of Recurrent Neural Networks" (ICML
 * 2020); ordered neurons are those of Shen et al. (2019).
 *
 * <p>Immutable and thread-safe.
 */
public enum Cell {
  /** The standard LSTM of PyTorch, cuDNN and ONNX: separate input and forget gates. */
  LSTM("lstm", true, "input", "forget", "candidate", "output"),
  /** LSTM whose input gate is one minus its forget gate. */
  LSTM_TIED("lstm_tied", true, "forget", "candidate", "output"),
  /**
   * LSTM with the refine gate in the slot of the input gate; with uniform initialisation the
   * UR-LSTM.
   */
  LSTM_REFINE("lstm_refine", true, "refine", "forget", "candidate", "output"),
  /** Tied LSTM whose forget gate is a cumulative softmax. */
  LSTM_CUMAX("lstm_cumax", true, "forget/", "candidate", "output"),
  /** Tied LSTM with a cumulative softmax forget gate and a refine gate. */
  LSTM_CUMAX_REFINE("lstm_cumax_refine", true, "refine", "forget/", "candidate", "output"),
  /** The ON-LSTM: cumulative softmax master gates over a standard LSTM. */
  ONLSTM(
      "onlstm", true, "input", "forget", "candidate", "output", "master_input/", "master_forget/"),
  /** The standard GRU of PyTorch and cuDNN: the reset gate acts after the recurrent product. */
  GRU("gru", false, "reset", "update", "candidate"),
  /** GRU with a refine gate on its update gate; with uniform initialisation the UR-GRU. */
  GRU_REFINE("gru_refine", false, "reset", "update", "candidate", "refine"),
  /** GRU whose reset gate acts before the recurrent product (ONNX linear_before_reset = 0). */
  GRU_RESET_BEFORE("gru_reset_before", false, "reset", "update", "candidate"),
  /** Refine GRU whose reset gate acts before the recurrent product. */
  GRU_REFINE_RESET_BEFORE(
      "gru_refine_reset_before", false, "reset", "update", "candidate", "refine");

  /**
   * A block of parameter rows that produces one gate or candidate.
   *
   * @param name the gate's name, such as {@code forget}
   * @param chunked whether the block has H/chunk rows (a cumulative softmax gate) and not H
   */
  public record Block(String name, boolean chunked) {
    /**
     * The number of parameter rows of this block.
     *
     * @param hiddenSize H
     * @param chunk the number of units that share one slot of a cumulative softmax
     * @return H, or H/chunk for a chunked block
     */
    public int rows(int hiddenSize, int chunk) {
      return chunked ? hiddenSize / chunk : hiddenSize;
    }
  }

  private final String id;
  private final boolean cellState;
  private final List<Block> blocks;

  Cell(String id, boolean cellState, String... blocks) {
    this.id = id;
    this.cellState = cellState;
    this.blocks =
        Stream.of(blocks).map(b -> new Block(b.replace("/", ""), b.endsWith("/"))).toList();
  }

  /**
   * The name in files and on the command line, such as {@code lstm_refine}.
   *
   * @return the name, lower case
   */
  public String id() {
    return id;
  }

  /**
   * Whether the cell carries a cell state c beside its hidden state h.
   *
   * @return true for the LSTM family
   */
  public boolean hasCellState() {
    return cellState;
  }

  /**
   * The row blocks of the parameters, in order.
   *
   * @return an unmodifiable list
   */
  public List<Block> blocks() {
    return blocks;
  }

  /**
   * Whether any block is chunked, so that {@code chunk} has a meaning for this cell.
   *
   * @return true for the cumulative softmax cells
   */
  public boolean hasChunkedBlocks() {
    return blocks.stream().anyMatch(Block::chunked);
  }

  /**
   * The number of rows of the parameter matrices.
   *
   * @param hiddenSize H
   * @param chunk divides H
   * @return the sum over the blocks
   */
  public long rows(int hiddenSize, int chunk) {
    return blocks.stream().mapToLong(b -> b.rows(hiddenSize, chunk)).sum();
  }

  /**
   * Finds a cell by its {@link #id()}.
   *
   * @param id such as {@code gru_refine}; case does not matter
   * @return the cell
   * @throws IllegalArgumentException if there is none, naming all that there are
   */
  public static Cell of(String id) {
    for (Cell cell : values()) {
      if (cell.id.equals(id.toLowerCase(Locale.ROOT))) {
        return cell;
      }
    }
    throw new IllegalArgumentException(
        "cell: expected one of "
            + Stream.of(values()).map(Cell::id).collect(Collectors.joining(", "))
            + "; got "
            + id);
  }
}
