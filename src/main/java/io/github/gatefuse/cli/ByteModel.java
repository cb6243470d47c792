// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.io.Safetensors;
import io.github.gatefuse.io.StoredModel;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Reads byte models: an embedding of 256 rows, a network of one direction, and a head of 256
 * outputs.
 */
final class ByteModel {
  private static final int BYTES = 256;

  private ByteModel() {}

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
    StoredModel model;
    try (Safetensors file = Safetensors.open(path)) {
      expectMetadata(file, "bos", "10");
      expectMetadata(file, "eos", "10");
      model = StoredModel.read(file, cell.map(Cell::of));
      check(model.spec());
    } catch (IllegalArgumentException e) {
      throw new CommandException(path + ": " + e.getMessage(), e);
    }
    try {
      return new Loaded(model.create(options), model.regularization());
    } catch (IllegalArgumentException e) {
      throw new CommandException(e.getMessage(), e);
    }
  }

  private static void check(RnnSpec spec) {
    expectBytes(RnnSpec.EMBEDDING, spec.vocabulary());
    expectBytes(RnnSpec.HEAD_WEIGHT, spec.outputs());
    if (spec.bidirectional()) {
      throw new IllegalArgumentException(
          "expected a network of one direction, got two: the reverse one would see what it"
              + " predicts");
    }
  }

  private static void expectMetadata(Safetensors file, String key, String expected) {
    String value = file.metadata().getOrDefault(key, expected);
    if (!value.equals(expected)) {
      throw new IllegalArgumentException(
          "metadata " + key + ": expected " + expected + ", the line feed; got " + value);
    }
  }

  private static void expectBytes(String name, int rows) {
    if (rows != BYTES) {
      throw new IllegalArgumentException(
          name + ": expected " + BYTES + " rows, one for each byte; got " + rows);
    }
  }
}
