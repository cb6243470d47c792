// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.WeightInit;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A cell with its initialisation, under the name that Gu et al. (ICML 2020) give it: first how the
 * forget gate begins (- as usual, C chrono, U uniform) or what it is (O cumulative softmax), then
 * its auxiliary gate (- none, M master gates, R refine gate).
 *
 * <p>Where the paper leaves it open, the input gate is tied, so that only the forget gate differs;
 * {@link #LSTM} has an input gate of its own.
 *
 * <p>Immutable and thread-safe.
 */
public enum Variant {
  /** Tied gates as usual. */
  PLAIN("--", Cell.LSTM_TIED),
  /** Tied gates, chrono initialisation. */
  CHRONO("C-", Cell.LSTM_TIED),
  /** Cumulative softmax gates. */
  CUMAX("O-", Cell.LSTM_CUMAX),
  /** Tied gates, uniform initialisation. */
  UNIFORM("U-", Cell.LSTM_TIED),
  /** Refine gate, initialised as usual. */
  REFINE("-R", Cell.LSTM_REFINE),
  /** The ON-LSTM: cumulative softmax master gates. */
  ONLSTM("OM", Cell.ONLSTM),
  /** Cumulative softmax gates with a refine gate. */
  CUMAX_REFINE("OR", Cell.LSTM_CUMAX_REFINE),
  /** The UR-LSTM: refine gate, uniform initialisation. */
  UR("UR", Cell.LSTM_REFINE),
  /** The standard LSTM of other libraries, with an input gate of its own. */
  LSTM("LSTM", Cell.LSTM),
  /** The standard GRU of other libraries. */
  GRU("GRU", Cell.GRU),
  /** GRU with a refine gate, uniform initialisation. */
  UR_GRU("UR-GRU", Cell.GRU_REFINE);

  /** The most slots of a cumulative softmax in a layer, where the hidden size can be so divided. */
  private static final int MOST_SLOTS = 32;

  private final String id;
  private final Cell cell;

  Variant(String id, Cell cell) {
    this.id = id;
    this.cell = cell;
  }

  /**
   * The name in the paper, on the command line and in reports.
   *
   * @return such as {@code UR}
   */
  public String id() {
    return id;
  }

  /**
   * The cell.
   *
   * @return of every layer
   */
  public Cell cell() {
    return cell;
  }

  /**
   * The units that share one slot of a cumulative softmax: as few as leave at most 32 slots, and 1
   * for other cells.
   *
   * @param hiddenSize H
   * @return a divisor of H
   */
  public int chunk(int hiddenSize) {
    if (!cell.hasChunkedBlocks()) {
      return 1;
    }
    int chunk = (hiddenSize + MOST_SLOTS - 1) / MOST_SLOTS;
    while (hiddenSize % chunk != 0) {
      chunk++;
    }
    return chunk;
  }

  /**
   * How the weights begin.
   *
   * @param maxTime the longest time scale of chrono initialisation: the task's length
   * @return the initialisation
   */
  public WeightInit init(int maxTime) {
    return switch (this) {
      case CHRONO -> WeightInit.chrono(Math.max(3, maxTime));
      case UNIFORM, UR, UR_GRU -> WeightInit.uniform();
      case PLAIN, CUMAX, REFINE, ONLSTM, CUMAX_REFINE, LSTM, GRU -> WeightInit.standard(0);
    };
  }

  /**
   * This variant's network for a task.
   *
   * @param task what it is to learn
   * @param hiddenSize H
   * @return the task's network with this cell
   */
  public RnnSpec network(Task task, int hiddenSize) {
    return task.network(cell, hiddenSize).withChunk(chunk(hiddenSize));
  }

  /**
   * Finds a variant by its name.
   *
   * @param id such as {@code ur}; case does not matter
   * @return the variant
   * @throws IllegalArgumentException if there is none, naming all that there are
   */
  public static Variant of(String id) {
    return Stream.of(values())
        .filter(variant -> variant.id.equals(id.toUpperCase(Locale.ROOT)))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "variant: expected one of "
                        + Stream.of(values()).map(Variant::id).collect(Collectors.joining(", "))
                        + "; got "
                        + id));
  }
}
