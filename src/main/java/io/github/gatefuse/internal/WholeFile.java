// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Writes files as a whole or not at all: into a temporary file beside each, of a name of its own,
 * which is forced to the disk and then takes its place. Stateless and thread-safe.
 */
public final class WholeFile {
  /** Opens the temporary file; a test puts a full disk in its place. */
  public interface Opener {
    /**
     * Opens it.
     *
     * @param file a name that is not taken
     * @return a channel that is closed in the end
     * @throws IOException if it cannot be made
     */
    WritableByteChannel open(Path file) throws IOException;
  }

  /** What a file holds. */
  public interface Content {
    /**
     * Writes it.
     *
     * @param channel at its beginning; stays open
     * @throws IOException if it cannot be written
     */
    void write(WritableByteChannel channel) throws IOException;
  }

  private WholeFile() {}

  /**
   * Writes a file.
   *
   * @param path in a directory that exists; an earlier file of that name is replaced
   * @param content what it holds
   * @throws IOException if it cannot be written; an earlier file is then untouched and no temporary
   *     one remains
   */
  public static void write(Path path, Content content) throws IOException {
    write(
        path,
        content,
        file -> FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE));
  }

  /**
   * Writes a file of bytes.
   *
   * @param path in a directory that exists; an earlier file of that name is replaced
   * @param content what it holds
   * @throws IOException as {@link #write(Path, Content)} does
   */
  public static void write(Path path, byte[] content) throws IOException {
    ByteBuffer rest = ByteBuffer.wrap(content);
    write(
        path,
        channel -> {
          while (rest.hasRemaining()) {
            channel.write(rest);
          }
        });
  }

  /**
   * The same with a temporary file of the caller.
   *
   * @param path in a directory that exists; an earlier file of that name is replaced
   * @param content what it holds
   * @param opener makes the temporary file
   * @throws IOException as {@link #write(Path, Content)} does
   */
  public static void write(Path path, Content content, Opener opener) throws IOException {
    String unique = Long.toHexString(ThreadLocalRandom.current().nextLong());
    Path target = path.toAbsolutePath();
    Path temporary = target.resolveSibling("." + target.getFileName() + "." + unique + ".tmp");
    try {
      try (WritableByteChannel channel = opener.open(temporary)) {
        content.write(channel);
        if (channel instanceof FileChannel file) {
          file.force(true);
        }
      }
      move(temporary, target);
    } finally {
      remove(temporary);
    }
  }

  private static void move(Path from, Path to) throws IOException {
    try {
      Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
    }
  }

  /** Removes what a failed write left; after a good one there is nothing. */
  private static void remove(Path temporary) {
    try {
      Files.deleteIfExists(temporary);
    } catch (IOException e) {
      // The failure that is on its way to the caller says more than this one.
    }
  }
}
