// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Writes a TorchScript module without parameters: a zip of its source text and of pickles that hold
 * next to nothing, since all tensors are arguments of the method. Stateless.
 */
final class TorchArchive {
  private static final String FOLDER = "network/";
  private static final String FORMAT_VERSION = "10";

  // The opcodes of pickle that are needed.
  private static final byte[] PROTOCOL_2 = {(byte) 0x80, 2};
  private static final char GLOBAL = 'c';
  private static final char EMPTY_TUPLE = ')';
  private static final char NEW_OBJECT = (char) 0x81;
  private static final char EMPTY_DICT = '}';
  private static final char MARK = '(';
  private static final char TEXT = 'X';
  private static final char FALSE = (char) 0x89;
  private static final char SET_ITEMS = 'u';
  private static final char BUILD = 'b';
  private static final char STOP = '.';

  private TorchArchive() {}

  /**
   * A module with one method.
   *
   * @param forward its source from {@code def forward} on, not indented
   */
  static byte[] of(String forward) {
    String source =
        """
        class Network(Module):
          __parameters__ = []
          __buffers__ = []
          training : bool
        """
            + forward.indent(2);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(out)) {
      add(zip, "data.pkl", object());
      add(zip, "code/__torch__.py", source.getBytes(StandardCharsets.UTF_8));
      add(zip, "constants.pkl", pickle(EMPTY_TUPLE));
      add(zip, "version", FORMAT_VERSION.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }

  private static void add(ZipOutputStream zip, String name, byte[] content) throws IOException {
    zip.putNextEntry(new ZipEntry(FOLDER + name));
    zip.write(content);
    zip.closeEntry();
  }

  /** An object of the class, {@code training} being false. */
  private static byte[] object() {
    return pickle(
        GLOBAL,
        "__torch__\nNetwork\n",
        EMPTY_TUPLE,
        NEW_OBJECT,
        EMPTY_DICT,
        MARK,
        TEXT,
        "\u0008\0\0\0training",
        FALSE,
        SET_ITEMS,
        BUILD);
  }

  private static byte[] pickle(Object... parts) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(PROTOCOL_2);
    for (Object part : parts) {
      out.writeBytes(part.toString().getBytes(StandardCharsets.ISO_8859_1));
    }
    out.write(STOP);
    return out.toByteArray();
  }
}
