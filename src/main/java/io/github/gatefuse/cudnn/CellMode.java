// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import java.util.List;
import org.bytedeco.cuda.global.cudnn;

/**
 * The cells that cuDNN has, with the order of its linear layers: first one for each block on the
 * input, then one for each block on the hidden state.
 *
 * <p>Immutable and thread-safe.
 */
enum CellMode {
  /** CUDNN_LSTM; "new memory gate" is cuDNN's name of the candidate. */
  LSTM(Cell.LSTM, cudnn.CUDNN_LSTM, "input", "forget", "candidate", "output"),
  /**
   * CUDNN_GRU, whose reset gate acts after the recurrent product; h = z h + (1-z) u with its update
   * gate z, as here.
   */
  GRU(Cell.GRU, cudnn.CUDNN_GRU, "reset", "update", "candidate");

  private final Cell cell;
  private final int code;
  private final List<String> blocks;

  CellMode(Cell cell, int code, String... blocks) {
    this.cell = cell;
    this.code = code;
    this.blocks = List.of(blocks);
  }

  /** The value of cudnnRNNMode_t. */
  int code() {
    return code;
  }

  /** The linear layers on the input, as many as on the hidden state. */
  int linearLayers() {
    return blocks.size();
  }

  /** The place among the cell's blocks of what cuDNN's linear layer computes. */
  int block(int linearLayer) {
    List<String> ours = cell.blocks().stream().map(Cell.Block::name).toList();
    return ours.indexOf(blocks.get(linearLayer));
  }

  /**
   * The mode of a network's cell.
   *
   * @throws IllegalArgumentException if cuDNN has no such cell, naming those that it has
   */
  static CellMode of(RnnSpec spec) {
    for (CellMode mode : values()) {
      if (mode.cell == spec.cell()) {
        return mode;
      }
    }
    throw new IllegalArgumentException(
        "cell: expected lstm or gru, the standard cells that cuDNN has; got "
            + spec.cell().id()
            + ", which the other backends have");
  }
}
