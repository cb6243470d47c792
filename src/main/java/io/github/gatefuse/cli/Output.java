// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.io.Closeable;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/**
 * Text in UTF-8 to a stream, whose failures are told apart: a reader that has gone away is {@link
 * BrokenPipe}, anything else (a full disk) a {@link CommandException} that names the stream. A
 * PrintStream would swallow both. Not thread-safe.
 */
final class Output implements Closeable {
  /** The reader of the output has ended, as {@code head} does. */
  static final class BrokenPipe extends RuntimeException {
    private static final long serialVersionUID = 1L;

    BrokenPipe(IOException cause) {
      super(cause);
    }
  }

  private interface Action {
    void run() throws IOException;
  }

  private static final int FLUSH_AT = 1 << 16;

  private final String name;
  private final OutputStream stream;
  private final StringBuilder pending = new StringBuilder();

  Output(String name, OutputStream stream) {
    this.name = name;
    this.stream = stream;
  }

  /** Adds text; it reaches the stream at the latest with {@link #flush}. */
  void print(CharSequence text) {
    pending.append(text);
    if (pending.length() >= FLUSH_AT) {
      flush();
    }
  }

  void println(CharSequence text) {
    print(text);
    print("\n");
  }

  void flush() {
    byte[] bytes = pending.toString().getBytes(StandardCharsets.UTF_8);
    pending.setLength(0);
    guard(
        () -> {
          stream.write(bytes);
          stream.flush();
        });
  }

  /** Closes the stream without flushing: after a failure the rest would only fail again. */
  @Override
  public void close() {
    guard(stream::close);
  }

  private void guard(Action action) {
    try {
      action.run();
    } catch (IOException e) {
      String message = String.valueOf(e.getMessage());
      if (message.contains("Broken pipe")) {
        throw new BrokenPipe(e);
      }
      throw new CommandException(name + ": cannot write: " + message, e);
    }
  }
}
