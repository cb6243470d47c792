// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.github.gatefuse.GatefuseException;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The reader allocates no more than the file's size and a constant, for headers that are made to
 * cost as much as they can. What the thread has allocated is measured, garbage and all.
 */
@Timeout(value = 120, unit = TimeUnit.SECONDS)
class SafetensorsMemoryTest {
  /** The constant that {@link Safetensors} promises. */
  private static final long CONSTANT = 8 << 20;

  private static final int HEADER = 5_000_000;

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  @TempDir Path directory;

  private Path write(String header, byte... data) throws IOException {
    Path path = directory.resolve("hostile.safetensors");
    return Files.write(path, SafetensorsTest.file(header, data));
  }

  private static long allocated() {
    return THREADS.getCurrentThreadAllocatedBytes();
  }

  private static void assertBounded(long before, long bound, String what) {
    long bytes = allocated() - before;
    assertTrue(bytes <= bound, what + ": " + bytes + " bytes allocated, expected <= " + bound);
  }

  /** Opens a sound file; the caller closes it. */
  private static Safetensors open(Path path) throws IOException {
    long bound = Files.size(path) + CONSTANT;
    long before = allocated();
    Safetensors in = Safetensors.open(path);
    assertBounded(before, bound, "open");
    return in;
  }

  private void refused(String message, String header, byte... data) throws IOException {
    Path path = write(header, data);
    long bound = Files.size(path) + CONSTANT;
    long before = allocated();
    try {
      Safetensors.open(path).close();
    } catch (GatefuseException e) {
      assertBounded(before, bound, message);
      assertTrue(e.getMessage().contains(message), e.getMessage());
      assertTrue(e.getMessage().length() < 2000, "a short message");
      return;
    }
    throw new AssertionError("was read: " + message);
  }

  /** Entries joined by commas, as many as give {@link #HEADER} bytes or as may be. */
  private static String entries(IntFunction<String> entry) {
    StringBuilder header = new StringBuilder("{");
    for (int i = 0; i < HeaderParser.MAX_ENTRIES && header.length() < HEADER; i++) {
      header.append(i == 0 ? "" : ",").append(entry.apply(i));
    }
    return header.append('}').toString();
  }

  private static String name(int i) {
    return Integer.toString(i, 36);
  }

  private static String tensor(String name, String dtype, String shape, long begin, long end) {
    return String.format(
        "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}",
        name, dtype, shape, begin, end);
  }

  @Test
  void tinyEntries() throws IOException {
    Path path = write(entries(i -> tensor(name(i), "F32", "[0]", 0, 0)));
    long bound = Files.size(path) + CONSTANT;
    long before = allocated();
    try (Safetensors in = open(path)) {
      assertTrue(in.names().size() > 90_000, in.names().size() + " entries");
      for (String name : in.names()) {
        bound += 56 + name.length(); // the string, which is the caller's
        assertEquals(0, in.floats(name).length);
      }
      assertBounded(before, bound, "open and read");
      before = allocated();
      bound = 0;
      for (String name : in.names()) {
        bound += 56 + name.length() + 24;
        assertArrayEquals(new long[1], in.shape(name));
      }
      assertBounded(before, bound + 100_000 * 24 + (1 << 20), "shapes");
    }
  }

  @Test
  void theShortestEntriesThatThereAre() throws IOException {
    try (Safetensors in = open(write("{" + tensor("", "U8", "[]", 0, 1) + "}", (byte) 0))) {
      assertEquals(Dtype.U8, in.dtype(""));
    }
    try (Safetensors in = open(write("{\"__metadata__\":{\"\":\"\"}}"))) {
      assertEquals("", in.metadata().get(""));
    }
  }

  @Test
  void entriesInTheWrongOrder() throws IOException {
    int count = HeaderParser.MAX_ENTRIES;
    String header =
        IntStream.rangeClosed(1, count)
            .mapToObj(i -> tensor(name(i), "F32", "[]", 4L * (count - i), 4L * (count - i) + 4))
            .collect(Collectors.joining(",", "{", "}"));
    Path path = write(header, new byte[4 * count]);
    long before = allocated();
    long bound = Files.size(path) + CONSTANT;
    try (Safetensors in = open(path)) {
      for (String name : in.names()) {
        bound += 56 + name.length() + 16; // the string, and an array's own header
        in.floats(name);
      }
    }
    assertBounded(before, bound, "open and read");
  }

  @Test
  void namesOfEscapes() throws IOException {
    String escaped = "\\u0061\\\"\\\\\\ud83d\\ude00";
    try (Safetensors in =
        open(write(entries(i -> tensor(escaped + name(i), "F32", "[0]", 0, 0))))) {
      assertTrue(in.has("a\"\\\ud83d\ude00" + name(7)));
      assertTrue(!in.has("a\"\\\ud83d\ude01" + name(7)));
    }
    String giant = "\\u0061".repeat(HEADER / 6);
    try (Safetensors in = open(write("{" + tensor(giant, "F32", "[0]", 0, 0) + "}"))) {
      assertTrue(in.has("a".repeat(HEADER / 6)));
    }
    refused("expected a JSON escape", "{\"" + "\\n".repeat(HEADER / 2) + "\\x");
  }

  @Test
  void oneGiantString() throws IOException {
    for (String c : new String[] {"a", "\u00e9", "\u6f22", "\ud83d\ude00"}) {
      String giant = c.repeat(HEADER);
      try (Safetensors in = open(write("{" + tensor(giant, "F32", "[0]", 0, 0) + "}"))) {
        assertTrue(in.has(giant));
        long before = allocated();
        assertThrows(GatefuseException.class, () -> in.longs(giant));
        assertBounded(before, 100_000, "a message about a giant name");
      }
      try (Safetensors in = open(write("{\"__metadata__\":{\"k\":\"" + giant + "\"}}"))) {
        assertEquals(giant, in.metadata().get("k"));
      }
      refused("expected '{'", "{\"" + giant + "\":1}");
      refused("got \"" + c.repeat(80) + "...", "{\"x\":{\"" + giant + "\":1}}");
      refused("the end of a string", "{\"" + giant);
    }
  }

  @Test
  void hugeShapes() throws IOException {
    String huge = "[" + "9223372036854775807,".repeat(31) + "9223372036854775807]";
    refused("below 2^63 bytes", entries(i -> tensor(name(i), "F32", huge, 0, 0)));
    refused("at most 32 numbers", "{\"x\":{\"shape\":[" + "1,".repeat(HEADER / 2));
    refused("numbers below 2^63", "{\"x\":{\"shape\":[" + "9".repeat(HEADER));
    String many = "[" + "1,".repeat(31) + "0]";
    try (Safetensors in = open(write(entries(i -> tensor(name(i), "F32", many, 0, 0))))) {
      assertEquals(32, in.shape("0").length);
    }
    long large = 1L << 61;
    refused(
        "within 4 bytes", "{" + tensor("x", "U8", "[" + large + "]", 0, large) + "}", new byte[4]);
  }

  @Test
  void deepNesting() throws IOException {
    refused("expected '{'", "{\"x\":" + "[".repeat(HEADER));
    refused("expected '\"'", "{\"x\":" + "{".repeat(HEADER));
    refused("expected '\"'", "{\"__metadata__\":{\"a\":" + "{\"a\":".repeat(HEADER / 5));
    refused("integers", "{\"x\":{\"shape\":" + "[".repeat(HEADER));
  }

  @Test
  void names() throws IOException {
    refused("expected once, got twice", entries(i -> tensor("same", "F32", "[0]", 0, 0)));
    refused(
        "\"0\": expected once, got twice",
        entries(i -> tensor(name(i % 90_000), "F32", "[0]", 0, 0)));
    refused(
        "\"a\": expected once, got twice",
        "{" + tensor("a", "F32", "[0]", 0, 0) + "," + tensor("\\u0061", "F32", "[0]", 0, 0) + "}");
    String prefix = "a".repeat(500);
    try (Safetensors in = open(write(entries(i -> tensor(prefix + name(i), "F32", "[0]", 0, 0))))) {
      assertTrue(in.has(prefix + "0"));
      assertTrue(!in.has(prefix));
    }
  }

  private static String metadata(int count) {
    StringBuilder header = new StringBuilder("{\"__metadata__\":{");
    for (int i = 0; i < count; i++) {
      header.append(i == 0 ? "" : ",").append('"').append(name(i)).append("\":\"\"");
    }
    return header.append("}}").toString();
  }

  @Test
  void manyTextEntries() throws IOException {
    refused("expected at most 100000 entries", metadata(1_000_000));
    refused("expected at most 100000 entries", metadata(100_001));
    try (Safetensors in = open(write(metadata(100_000)))) {
      assertEquals(100_000, in.metadata().size());
      assertEquals("", in.metadata().get(name(99_999)));
      assertTrue(!in.metadata().containsKey(name(100_000)));
    }
    refused(
        "\"0\": expected once, got twice", metadata(99_999).replace("}}", ",\"\\u0030\":\"\"}}"));
  }

  /** What is large in a usual file are its tensors. */
  @Test
  void aUsualFileIsReadInItsOwnSize() throws IOException {
    Path path = directory.resolve("usual.safetensors");
    SafetensorsWriter writer = SafetensorsWriter.create().metadata("cell", "lstm");
    for (int i = 0; i < 40; i++) {
      writer.add("f" + i, new float[100_000], 100, 1000).add("d" + i, new double[50_000], 50_000);
    }
    writer.add("i", new long[100_000], 100_000).write(path);
    long bound = Files.size(path) + (1 << 18);
    long before = allocated();
    try (Safetensors in = Safetensors.open(path)) {
      for (String name : in.names()) {
        switch (in.dtype(name)) {
          case F32 -> in.floats(name);
          case F64 -> in.doubles(name);
          default -> in.longs(name);
        }
      }
      assertEquals("lstm", in.metadata().get("cell"));
    }
    assertBounded(before, bound, "open and read");
  }
}
