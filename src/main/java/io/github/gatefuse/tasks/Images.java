// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import java.util.Arrays;

/**
 * Images with their classes, pixel by pixel, the channels of a pixel together. Not to be changed.
 *
 * @param count of images
 * @param pixels of an image
 * @param channels of a pixel
 * @param values [count, pixels, channels], unsigned bytes
 * @param labels [count], each 0 to 9
 */
record Images(int count, int pixels, int channels, byte[] values, byte[] labels) {
  /** The images of some numbers, in their order. */
  Images select(int[] numbers) {
    int size = pixels * channels;
    byte[] chosen = new byte[numbers.length * size];
    byte[] classes = new byte[numbers.length];
    for (int i = 0; i < numbers.length; i++) {
      System.arraycopy(values, numbers[i] * size, chosen, i * size, size);
      classes[i] = labels[numbers[i]];
    }
    return new Images(numbers.length, pixels, channels, chosen, classes);
  }

  /** A fixed random split, the same everywhere, for data that come without one. */
  Images[] split(int first) {
    int[] order = Draw.of(Draw.HELD_OUT, 0).permutation(count);
    return new Images[] {
      select(Arrays.copyOf(order, first)), select(Arrays.copyOfRange(order, first, count))
    };
  }

  static Images concat(Images a, Images b) {
    byte[] values = Arrays.copyOf(a.values, a.values.length + b.values.length);
    System.arraycopy(b.values, 0, values, a.values.length, b.values.length);
    byte[] labels = Arrays.copyOf(a.labels, a.count + b.count);
    System.arraycopy(b.labels, 0, labels, a.count, b.count);
    return new Images(a.count + b.count, a.pixels, a.channels, values, labels);
  }
}
