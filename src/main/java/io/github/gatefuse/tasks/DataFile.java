// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/** Reads files whose content nobody vouches for. */
final class DataFile {
  private static final int GZIP_FIRST = 0x1f;
  private static final int GZIP_SECOND = 0x8b;

  private DataFile() {}

  /**
   * The whole content.
   *
   * @param path of a file
   * @param most more bytes than this are an error
   */
  static byte[] read(Path path, int most) {
    return read(path, most, false);
  }

  /** The whole content, unpacked where it is gzip by its first bytes, whatever its name is. */
  static byte[] readUnpacked(Path path, int most) {
    return read(path, most, true);
  }

  private static byte[] read(Path path, int most, boolean unpack) {
    if (Files.isDirectory(path)) {
      throw new GatefuseException(Code.IO_FAILED, path + ": expected a file, got a directory");
    }
    try (InputStream raw = new BufferedInputStream(Files.newInputStream(path));
        InputStream in = unpack && isGzip(raw) ? new GZIPInputStream(raw) : raw) {
      byte[] bytes = in.readNBytes(most);
      if (in.read() >= 0) {
        throw bad(path, "expected at most %d bytes, got more".formatted(most), null);
      }
      return bytes;
    } catch (EOFException | ZipException e) {
      throw bad(path, "expected a whole gzip file, got a broken one: " + e.getMessage(), e);
    } catch (IOException e) {
      throw new GatefuseException(Code.IO_FAILED, path + ": cannot read: " + e, e);
    }
  }

  private static boolean isGzip(InputStream in) throws IOException {
    in.mark(2);
    boolean is = in.read() == GZIP_FIRST && in.read() == GZIP_SECOND;
    in.reset();
    return is;
  }

  static GatefuseException bad(Path path, String message, Throwable cause) {
    return new GatefuseException(Code.BAD_FILE, path + ": " + message, cause);
  }

  /** The first of some names that is a file of a folder; null for none. */
  static Path find(Path folder, String... names) {
    for (String name : names) {
      if (Files.exists(folder.resolve(name))) {
        return folder.resolve(name);
      }
    }
    return null;
  }

  static void checkFolder(Path folder, String expected) {
    if (!Files.isDirectory(folder)) {
      throw new GatefuseException(
          Code.IO_FAILED,
          folder
              + ": expected a folder with "
              + expected
              + ", got "
              + (Files.exists(folder) ? "a file" : "nothing of that name"));
    }
  }
}
