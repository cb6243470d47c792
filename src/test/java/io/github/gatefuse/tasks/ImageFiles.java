// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPOutputStream;

/** Writes small sets of images whose pixels can be foretold. */
public final class ImageFiles {
  private ImageFiles() {}

  /** The value of a pixel of an image. */
  static int pixel(int image, int place) {
    return (image * 31 + place * 7) & 0xff;
  }

  /** An IDX file. */
  static byte[] idx(byte[] values, int... shape) {
    ByteBuffer out = ByteBuffer.allocate(4 + 4 * shape.length + values.length);
    out.putInt(0x0800 | shape.length);
    for (int size : shape) {
      out.putInt(size);
    }
    return out.put(values).array();
  }

  /** The two files of a set of MNIST; image i has the class i % 10. */
  public static void mnist(Path folder, String set, int count, boolean gzip) throws IOException {
    byte[] values = new byte[count * 784];
    byte[] labels = new byte[count];
    for (int i = 0; i < count; i++) {
      labels[i] = (byte) (i % 10);
      for (int p = 0; p < 784; p++) {
        values[i * 784 + p] = (byte) pixel(i, p);
      }
    }
    String end = gzip ? ".gz" : "";
    write(folder.resolve(set + "-images-idx3-ubyte" + end), idx(values, count, 28, 28), gzip);
    write(folder.resolve(set + "-labels-idx1-ubyte" + end), idx(labels, count), gzip);
  }

  /** A file of CIFAR-10: the value of channel c at place p is pixel(i, 3p + c). */
  static byte[] cifar(int count) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (int i = 0; i < count; i++) {
      out.write(i % 10);
      for (int c = 0; c < 3; c++) {
        for (int p = 0; p < 1024; p++) {
          out.write(pixel(i, 3 * p + c));
        }
      }
    }
    return out.toByteArray();
  }

  private static void write(Path file, byte[] bytes, boolean gzip) throws IOException {
    try (OutputStream raw = Files.newOutputStream(file);
        OutputStream out = gzip ? new GZIPOutputStream(raw) : raw) {
      out.write(bytes);
    }
  }
}
