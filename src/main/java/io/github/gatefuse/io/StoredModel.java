// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import io.github.gatefuse.Cell;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * A network as a safetensors file holds it, for programs that do not know beforehand what is in the
 * file.
 *
 * <p>The shapes of the tensors tell layers, directions, sizes, embedding and head; the metadata
 * entry {@code cell} tells the cell, and {@code zoneout_h} and {@code zoneout_c} the zoneout that
 * the network was trained with. The recurrent parameters may have a prefix in common, such as
 * {@code rnn.}.
 *
 * <p>Immutable and thread-safe.
 *
 * @param spec what the network is
 * @param weights its parameters, which fit it
 * @param regularization the zoneout, which is part of what the network computes; its sessions want
 *     it
 */
public record StoredModel(RnnSpec spec, Weights weights, Regularization regularization) {
  private static final String FIRST = "weight_ih_l0";

  /** The most names of a file that a message shows. */
  private static final int MOST_SHOWN = 8;

  /** Far beyond any model; small enough that sums and products of a few cannot overflow. */
  private static final int MAX_DIMENSION = 1 << 24;

  /**
   * Reads a model.
   *
   * @param file an open file, which stays open
   * @param cell the cell, where the metadata does not name it
   * @return the model, which does not need the file any more
   * @throws IllegalArgumentException saying which tensor or entry of the file is not as a network
   *     has it, or that the cell is not told, or told twice and differently
   * @throws GatefuseException as {@link Safetensors#weights} does
   */
  public static StoredModel read(Safetensors file, Optional<Cell> cell) {
    return new Reader(file).model(cell);
  }

  /**
   * The zoneout that a network was trained with, by the metadata.
   *
   * @param file an open file, which stays open
   * @return no zoneout where the metadata tells of none
   * @throws IllegalArgumentException naming an entry that is no rate
   */
  public static Regularization regularization(Safetensors file) {
    return Regularization.NONE.withZoneout(rate(file, "zoneout_h"), rate(file, "zoneout_c"));
  }

  private static double rate(Safetensors file, String key) {
    String value = file.metadata().getOrDefault(key, "0");
    try {
      return Double.parseDouble(value);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          ("metadata " + key + ": expected a rate from 0 to below 1, got ")
              + HeaderText.shown(value));
    }
  }

  /**
   * Makes the network.
   *
   * @param options what computes it, and how
   * @return a network that the caller owns and closes
   * @throws IllegalArgumentException if the backend has no such precision or device
   * @throws GatefuseException if the backend does not run here, or memory runs out
   */
  public Rnn create(RnnOptions options) {
    return Rnn.create(spec, weights, options);
  }

  /** Reads one file, whose prefix it has found. */
  private record Reader(Safetensors file, String prefix) {
    Reader(Safetensors file) {
      this(file, prefix(file));
    }

    private static String prefix(Safetensors file) {
      List<String> first = file.names().stream().filter(name -> name.endsWith(FIRST)).toList();
      if (first.size() != 1) {
        throw new IllegalArgumentException(
            "expected one tensor whose name ends with " + FIRST + ", got " + shown(first));
      }
      String name = first.get(0);
      return name.substring(0, name.length() - FIRST.length());
    }

    private static String shown(List<String> names) {
      return names.stream().limit(MOST_SHOWN).map(HeaderText::shown).toList()
          + (names.size() > MOST_SHOWN ? " and others" : "");
    }

    StoredModel model(Optional<Cell> givenCell) {
      RnnSpec spec = spec(givenCell);
      Weights weights = file.weights(prefix);
      weights.check(spec);
      Regularization regularization = regularization(file);
      regularization.check(spec);
      return new StoredModel(spec, weights, regularization);
    }

    private RnnSpec spec(Optional<Cell> givenCell) {
      int[] first = matrix(prefix + FIRST);
      int hidden = matrix(prefix + "weight_hh_l0")[1];
      Cell cell = cell(givenCell, first[0], hidden);
      int layers = 1;
      while (file.has(prefix + "weight_ih_l" + layers)) {
        layers++;
      }
      return RnnSpec.of(cell, first[1], hidden)
          .withLayers(layers)
          .withBidirectional(file.has(prefix + FIRST + "_reverse"))
          .withChunk(Math.max(1, chunk(cell, first[0], hidden)))
          .withVocabulary(rows(RnnSpec.EMBEDDING))
          .withOutputs(rows(RnnSpec.HEAD_WEIGHT));
    }

    private int rows(String name) {
      return file.has(name) ? matrix(name)[0] : 0;
    }

    private int[] matrix(String name) {
      if (!file.has(name)) {
        throw new IllegalArgumentException(
            HeaderText.shown(name) + ": expected a matrix, got no such tensor");
      }
      long[] shape = file.shape(name);
      if (shape.length != 2 || LongStream.of(shape).anyMatch(n -> n < 1 || n > MAX_DIMENSION)) {
        throw new IllegalArgumentException(
            (HeaderText.shown(name) + ": expected a matrix, got the shape ")
                + Arrays.toString(shape));
      }
      return new int[] {(int) shape[0], (int) shape[1]};
    }

    /**
     * The cell by name, since many cells have parameters of the same shapes, and a guess would be
     * wrong in silence.
     */
    private Cell cell(Optional<Cell> given, int rows, int hidden) {
      Optional<Cell> named =
          Optional.ofNullable(file.metadata().get("cell")).map(HeaderText::shown).map(Cell::of);
      if (named.isPresent() && given.isPresent() && !named.equals(given)) {
        throw new IllegalArgumentException(
            ("cell: the file's metadata says " + named.get().id())
                + (", the option cell " + given.get().id()));
      }
      List<Cell> fitting =
          Stream.of(Cell.values()).filter(c -> chunk(c, rows, hidden) > 0).toList();
      Optional<Cell> only =
          fitting.size() == 1 ? Optional.of(fitting.get(0)) : Optional.<Cell>empty();
      return named
          .or(() -> given)
          .or(() -> only)
          .orElseThrow(
              () ->
                  new IllegalArgumentException(
                      "cell: expected its name in the metadata or by the option cell, got neither; "
                          + (rows + " rows for " + hidden + " units would fit ")
                          + fitting.stream().map(Cell::id).toList()));
    }

    /**
     * The chunk with which a cell of so many units has so many parameter rows; 0 if there is none.
     */
    private static int chunk(Cell cell, int rows, int hidden) {
      int chunked = (int) cell.blocks().stream().filter(Cell.Block::chunked).count();
      int rest = rows - (cell.blocks().size() - chunked) * hidden;
      if (chunked == 0) {
        return rest == 0 ? 1 : 0;
      }
      if (rest <= 0 || chunked * hidden % rest != 0) {
        return 0;
      }
      int chunk = chunked * hidden / rest;
      return hidden % chunk == 0 ? chunk : 0;
    }
  }
}
