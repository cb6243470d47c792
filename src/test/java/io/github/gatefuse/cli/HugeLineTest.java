// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Rnn;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.StandInBackend;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A line of a gigabyte, read, cut and scored as {@code score} does it, in a JVM whose heap is a
 * small part of that. Only the network is a stand-in, for which each byte costs one bit.
 */
class HugeLineTest {
  private static final long GIGABYTE = 1L << 30;
  private static final int WINDOW_BYTES = 1 << 20;

  @TempDir Path folder;

  /** A stream of one line that exists nowhere as a whole. */
  private static final class OneLine extends InputStream {
    private long left = GIGABYTE;

    @Override
    public int read() {
      throw new AssertionError("expected reads of blocks");
    }

    @Override
    public int read(byte[] bytes, int offset, int length) {
      int count = (int) Math.min(length, left);
      Arrays.fill(bytes, offset, offset + count, (byte) 'x');
      left -= count;
      return count == 0 ? -1 : count;
    }
  }

  /** What runs with little memory. */
  static final class Child {
    private Child() {}

    public static void main(String[] args) throws IOException {
      SessionOptions options = SessionOptions.of(Scorer.STEPS, 256);
      int maxLine = Integer.parseInt(args[0]);
      try (Rnn model = StandInBackend.network(TinyModel.SPEC);
          Scorer scorer = new Scorer(model, options, done -> {})) {
        Results results =
            (line, bytes, offset) ->
                System.out.printf("%d bytes, %.6f bits each%n", line.bytes(), line.bitsPerByte());
        LineSplitter splitter = new LineSplitter(scorer, results, WINDOW_BYTES, maxLine);
        splitter.read(new OneLine(), 0);
        splitter.flush();
      }
    }
  }

  /** The child's exit code. */
  private int run(Path out, int maxLine) throws IOException, InterruptedException {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    ProcessBuilder child =
        new ProcessBuilder(
            java,
            "-Xmx32m",
            "-XX:+UseSerialGC",
            "-cp",
            System.getProperty("java.class.path"),
            Child.class.getName(),
            Integer.toString(maxLine));
    return child.redirectErrorStream(true).redirectOutput(out.toFile()).start().waitFor();
  }

  @Test
  @Timeout(value = 180, unit = TimeUnit.SECONDS)
  void aLineOfAGigabyteNeedsNoGigabyte() throws IOException, InterruptedException {
    Path out = folder.resolve("out");
    int code = run(out, 1 << 20);
    String text = Files.readString(out);
    assertEquals(0, code, text);
    assertTrue(
        text.contains(GIGABYTE + " bytes, 1.000000 bits each"),
        "each byte and the line's end were scored: " + text);
  }

  /** The same is out of memory where the line is held, or the test above would show nothing. */
  @Test
  @Timeout(value = 180, unit = TimeUnit.SECONDS)
  void heldItWouldNotFit() throws IOException, InterruptedException {
    Path out = folder.resolve("out");
    assertEquals(1, run(out, 1 << 30));
    String text = Files.readString(out);
    assertTrue(text.contains("java.lang.OutOfMemoryError: Java heap space"), text);
  }
}
