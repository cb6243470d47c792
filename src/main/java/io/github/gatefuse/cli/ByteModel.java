// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.io.Safetensors;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * Reads byte models: an embedding of 256 rows, a network of one direction, and a head of 256
 * outputs.
 */
final class ByteModel {
  private static final int BYTES = 256;

  /** Far beyond any model; small enough that sums and products of a few cannot overflow. */
  private static final int MAX_DIMENSION = 1 << 24;

  private static final String FIRST = "weight_ih_l0";

  private final Safetensors file;
  private final String prefix;

  private ByteModel(Safetensors file) {
    this.file = file;
    List<String> first = file.names().stream().filter(name -> name.endsWith(FIRST)).toList();
    if (first.size() != 1) {
      throw new IllegalArgumentException(
          "expected one tensor whose name ends with " + FIRST + ", got " + first);
    }
    String name = first.get(0);
    this.prefix = name.substring(0, name.length() - FIRST.length());
  }

  /**
   * A model that was loaded.
   *
   * @param rnn the network
   * @param regularization the zoneout that it was trained with, which is part of what it computes
   */
  record Loaded(Rnn rnn, Regularization regularization) implements AutoCloseable {
    @Override
    public void close() {
      rnn.close();
    }
  }

  /**
   * Loads a model; what the network looks like is taken from the shapes of its tensors.
   *
   * @param cell the cell, where the file's metadata does not name it
   * @throws CommandException naming the file and what is wrong with it, or what the backend lacks
   */
  static Loaded load(Path path, Optional<String> cell, RnnOptions options) {
    RnnSpec spec;
    Weights weights;
    Regularization regularization;
    try (Safetensors file = Safetensors.open(path)) {
      ByteModel model = new ByteModel(file);
      spec = model.spec(cell);
      weights = file.weights(model.prefix);
      weights.check(spec);
      regularization =
          Regularization.NONE.withZoneout(model.rate("zoneout_h"), model.rate("zoneout_c"));
      regularization.check(spec);
    } catch (IllegalArgumentException e) {
      throw new CommandException(path + ": " + e.getMessage(), e);
    }
    try {
      return new Loaded(Rnn.create(spec, weights, options), regularization);
    } catch (IllegalArgumentException e) {
      throw new CommandException(e.getMessage(), e);
    }
  }

  private RnnSpec spec(Optional<String> givenCell) {
    expectMetadata("bos", "10");
    expectMetadata("eos", "10");
    expectBytes(RnnSpec.EMBEDDING);
    expectBytes(RnnSpec.HEAD_WEIGHT);
    if (has("weight_ih_l0_reverse")) {
      throw new IllegalArgumentException(
          "expected a network of one direction, got two: the reverse one would see what it"
              + " predicts");
    }
    int rows = matrix(prefix + FIRST)[0];
    int hidden = matrix(prefix + "weight_hh_l0")[1];
    Cell cell = cell(givenCell, rows, hidden);
    int layers = 1;
    while (has("weight_ih_l" + layers)) {
      layers++;
    }
    return RnnSpec.of(cell, matrix(prefix + FIRST)[1], hidden)
        .withLayers(layers)
        .withChunk(Math.max(1, chunk(cell, rows, hidden)))
        .withVocabulary(BYTES)
        .withOutputs(BYTES);
  }

  private double rate(String key) {
    String value = file.metadata().getOrDefault(key, "0");
    try {
      return Double.parseDouble(value);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "metadata " + key + ": expected a rate from 0 to below 1, got " + value, e);
    }
  }

  private void expectMetadata(String key, String expected) {
    String value = file.metadata().getOrDefault(key, expected);
    if (!value.equals(expected)) {
      throw new IllegalArgumentException(
          "metadata " + key + ": expected " + expected + ", the line feed; got " + value);
    }
  }

  private void expectBytes(String name) {
    int rows = matrix(name)[0];
    if (rows != BYTES) {
      throw new IllegalArgumentException(
          name + ": expected " + BYTES + " rows, one for each byte; got " + rows);
    }
  }

  private boolean has(String name) {
    return file.has(prefix + name);
  }

  private int[] matrix(String name) {
    if (!file.has(name)) {
      throw new IllegalArgumentException(name + ": expected a matrix, got no such tensor");
    }
    long[] shape = file.shape(name);
    if (shape.length != 2 || LongStream.of(shape).anyMatch(n -> n < 1 || n > MAX_DIMENSION)) {
      throw new IllegalArgumentException(
          name + ": expected a matrix, got the shape " + Arrays.toString(shape));
    }
    return new int[] {(int) shape[0], (int) shape[1]};
  }

  /**
   * The cell by name, since many cells have parameters of the same shapes, and a guess would be
   * wrong in silence.
   */
  private Cell cell(Optional<String> given, int rows, int hidden) {
    Optional<Cell> named = Optional.ofNullable(file.metadata().get("cell")).map(Cell::of);
    Optional<Cell> asked = given.map(Cell::of);
    if (named.isPresent() && asked.isPresent() && !named.equals(asked)) {
      throw new IllegalArgumentException(
          "cell: the file's metadata says " + named.get().id() + ", --cell " + asked.get().id());
    }
    List<Cell> fitting = Stream.of(Cell.values()).filter(c -> chunk(c, rows, hidden) > 0).toList();
    Optional<Cell> only =
        fitting.size() == 1 ? Optional.of(fitting.get(0)) : Optional.<Cell>empty();
    return named
        .or(() -> asked)
        .or(() -> only)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "cell: expected its name in the metadata or by --cell, got neither; "
                        + rows
                        + " rows for "
                        + hidden
                        + " units would fit "
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
