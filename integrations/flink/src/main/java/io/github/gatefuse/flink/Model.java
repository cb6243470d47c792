// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.io.Safetensors;
import io.github.gatefuse.io.StoredModel;
import java.io.IOException;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A model as a job carries it: a safetensors file by its path or its bytes, and what is in it.
 *
 * @param path where every task manager has the file; null with bytes
 * @param bytes the file itself; null with a path
 * @param prefix what the names of the parameters begin with
 */
record Model(String path, byte[] bytes, Network network, String prefix) implements Serializable {
  /** The values of an {@link RnnSpec}, which is not serializable itself. */
  record Network(
      Cell cell,
      int inputSize,
      int hiddenSize,
      int layers,
      int directions,
      int chunk,
      int vocabulary,
      int outputs)
      implements Serializable {
    static Network of(RnnSpec spec) {
      return new Network(
          spec.cell(),
          spec.inputSize(),
          spec.hiddenSize(),
          spec.layers(),
          spec.directions(),
          spec.chunk(),
          spec.vocabulary(),
          spec.outputs());
    }

    RnnSpec spec() {
      return new RnnSpec(
          cell, inputSize, hiddenSize, layers, directions, chunk, vocabulary, outputs);
    }
  }

  /**
   * A network in memory.
   *
   * @param regularization the zoneout that it was trained with, which is part of what it computes
   */
  record Loaded(Rnn rnn, Regularization regularization) {}

  RnnSpec spec() {
    return network.spec();
  }

  Loaded load(RnnOptions options) throws IOException {
    if (bytes == null) {
      return load(Path.of(path), options);
    }
    Path file = Files.createTempFile("gatefuse-model", ".safetensors");
    try {
      Files.write(file, bytes);
      return load(file, options);
    } finally {
      Files.delete(file);
    }
  }

  private Loaded load(Path file, RnnOptions options) {
    try (Safetensors tensors = Safetensors.open(file)) {
      Regularization regularization = StoredModel.regularization(tensors);
      return new Loaded(Rnn.load(tensors, spec(), prefix, options), regularization);
    }
  }
}
