// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.nio.file.Path;

/** Reads MNIST, or what has its format, from a folder with its IDX files. */
final class Mnist {
  static final int SIDE = 28;

  private static final String EXPECTED =
      "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and"
          + " t10k-labels-idx1-ubyte (or with .gz), or the t10k files alone";

  private Mnist() {}

  static ImageData read(Path folder) {
    DataFile.checkFolder(folder, EXPECTED);
    Images test = images(folder, "t10k");
    if (test == null) {
      throw new GatefuseException(
          Code.IO_FAILED, folder + ": expected " + EXPECTED + ", got no t10k files");
    }
    Images training = images(folder, "train");
    return ImageData.of("MNIST", training, test);
  }

  /** One of the two sets; null where neither of its files is there. */
  private static Images images(Path folder, String set) {
    Path images = file(folder, set + "-images", "idx3-ubyte");
    Path labels = file(folder, set + "-labels", "idx1-ubyte");
    if (images == null && labels == null) {
      return null;
    }
    if (images == null || labels == null) {
      throw new GatefuseException(
          Code.IO_FAILED,
          "%s: expected images and labels of %s, got %s alone"
              .formatted(folder, set, images == null ? labels : images));
    }
    return read(images, labels);
  }

  private static Path file(Path folder, String name, String type) {
    return DataFile.find(
        folder,
        name + "-" + type,
        name + "-" + type + ".gz",
        name + "." + type,
        name + "." + type + ".gz");
  }

  private static Images read(Path imageFile, Path labelFile) {
    Idx images = Idx.read(imageFile, 3);
    Idx labels = Idx.read(labelFile, 1);
    if (images.shape()[1] != SIDE || images.shape()[2] != SIDE) {
      throw DataFile.bad(
          imageFile,
          "expected images of 28 by 28 pixels, got %d by %d"
              .formatted(images.shape()[1], images.shape()[2]),
          null);
    }
    int count = images.shape()[0];
    if (labels.shape()[0] != count) {
      throw DataFile.bad(
          labelFile,
          "expected %d labels, one for each image of %s, got %d"
              .formatted(count, imageFile.getFileName(), labels.shape()[0]),
          null);
    }
    ImageData.checkLabels(labelFile, labels.values());
    return new Images(count, SIDE * SIDE, 1, images.values(), labels.values());
  }
}
