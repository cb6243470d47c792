// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import java.nio.file.Path;

/**
 * Images to learn from and others to be judged by.
 *
 * @param training to learn from
 * @param heldOut to be judged by
 * @param origin where the two come from, a sentence for a report
 */
record ImageData(Images training, Images heldOut, String origin) {
  private static final int CLASSES = 10;

  /**
   * The usual split where both sets are there; else a split of the test set.
   *
   * @param training null where there is none
   */
  static ImageData of(String name, Images training, Images test) {
    if (training != null) {
      return new ImageData(
          training,
          test,
          "%s: %d images of the training set; held out are the %d of the test set."
              .formatted(name, training.count(), test.count()));
    }
    int first = Math.max(1, test.count() * 4 / 5);
    if (first == test.count()) {
      throw new IllegalArgumentException(
          name + ": expected at least 2 images, to learn from some and hold out others, got 1");
    }
    Images[] split = test.split(first);
    return new ImageData(
        split[0],
        split[1],
        ("%s: only the test set's %d images are there; %d of them, drawn once for all, are learnt"
                + " from, and %d are held out. Numbers are not comparable with those of the whole"
                + " set.")
            .formatted(name, test.count(), first, test.count() - first));
  }

  static void checkLabels(Path file, byte[] labels) {
    for (int i = 0; i < labels.length; i++) {
      if (labels[i] < 0 || labels[i] >= CLASSES) {
        throw DataFile.bad(
            file, "label %d: expected 0 to 9, got %d".formatted(i, labels[i] & 0xff), null);
      }
    }
  }
}
