// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.nio.file.Files;
import java.nio.file.Path;

/** Reads the binary version of CIFAR-10 from a folder. */
final class Cifar10 {
  private static final int PIXELS = 32 * 32;
  private static final int CHANNELS = 3;
  private static final int RECORD = 1 + PIXELS * CHANNELS;
  private static final int BATCHES = 5;
  private static final int MOST_BYTES = 1 << 28;

  private static final String EXPECTED =
      "data_batch_1.bin to data_batch_5.bin and test_batch.bin (the binary version), or"
          + " test_batch.bin alone";

  private Cifar10() {}

  static ImageData read(Path folder) {
    DataFile.checkFolder(folder, EXPECTED);
    Path test = folder.resolve("test_batch.bin");
    if (!Files.exists(test)) {
      throw new GatefuseException(
          Code.IO_FAILED, folder + ": expected " + EXPECTED + ", got no test_batch.bin");
    }
    return ImageData.of("CIFAR-10", training(folder), images(test));
  }

  /** All five files; null where none is there. */
  private static Images training(Path folder) {
    Images all = null;
    int there = 0;
    for (int i = 1; i <= BATCHES; i++) {
      Path file = folder.resolve("data_batch_" + i + ".bin");
      if (Files.exists(file)) {
        there++;
        Images some = images(file);
        all = all == null ? some : Images.concat(all, some);
      }
    }
    if (there != 0 && there != BATCHES) {
      throw new GatefuseException(
          Code.IO_FAILED,
          "%s: expected data_batch_1.bin to data_batch_5.bin or none of them, got %d of %d"
              .formatted(folder, there, BATCHES));
    }
    return all;
  }

  /** A record is a label and then the red, the green and the blue values of all pixels. */
  private static Images images(Path file) {
    byte[] bytes = DataFile.read(file, MOST_BYTES);
    if (bytes.length == 0 || bytes.length % RECORD != 0) {
      throw DataFile.bad(
          file,
          "expected records of %d bytes, at least one, got %d bytes"
              .formatted(RECORD, bytes.length),
          null);
    }
    int count = bytes.length / RECORD;
    byte[] labels = new byte[count];
    byte[] values = new byte[count * PIXELS * CHANNELS];
    for (int i = 0; i < count; i++) {
      labels[i] = bytes[i * RECORD];
      for (int p = 0; p < PIXELS; p++) {
        for (int c = 0; c < CHANNELS; c++) {
          values[(i * PIXELS + p) * CHANNELS + c] = bytes[i * RECORD + 1 + c * PIXELS + p];
        }
      }
    }
    ImageData.checkLabels(file, labels);
    return new Images(count, PIXELS, CHANNELS, values, labels);
  }
}
