// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Files that are broken by chance or on purpose: an error in words, and no memory for their claims.
 */
class HostileSafetensorsTest {
  /**
   * Bytes that opening and reading a small file may allocate beside its size: one block of 64 KiB,
   * the channel, strings, weights and messages. {@link SafetensorsMemoryTest} has the large ones.
   */
  private static final long ALLOWANCE = 256 << 10;

  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  @TempDir Path directory;

  private static String tensor(String name, String dtype, String shape, String offsets) {
    return String.format(
        "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}", name, dtype, shape, offsets);
  }

  /** Opens a file and reads all that it has. */
  private static void readAll(Path path) {
    try (Safetensors in = Safetensors.open(path)) {
      for (String name : in.names()) {
        switch (in.dtype(name)) {
          case F64 -> in.doubles(name);
          case I64 -> in.longs(name);
          default -> in.floats(name);
        }
      }
      in.metadata().values().forEach(String::length);
      in.weights("");
    }
  }

  /** Reads a file that may be broken; only a GatefuseException may come, and memory is bounded. */
  private static boolean survives(Path path, byte[] content) throws IOException {
    Files.write(path, content);
    long before = THREADS.getCurrentThreadAllocatedBytes();
    boolean sound = true;
    try {
      readAll(path);
    } catch (GatefuseException e) {
      sound = false;
      assertEquals(Code.BAD_FILE, e.code());
      assertTrue(e.getMessage().startsWith(path.toString()), e.getMessage());
    }
    long allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
    assertTrue(
        allocated <= content.length + ALLOWANCE,
        allocated + " bytes allocated for a file of " + content.length);
    return sound;
  }

  private static byte[] sample(Path path) throws IOException {
    SafetensorsWriter.create()
        .metadata("cell", "lstm")
        .metadata("note", "caf\u00e9 \"\\ \ud83d\ude00")
        .add("weight_ih_l0", new float[24], 12, 2)
        .add("weight_hh_l0", new double[36], 12, 3)
        .add("bias_ih_l0", new float[12], 12)
        .add("lengths", new long[] {1, 2, 3}, 3)
        .add("empty", new float[0], 0, 4)
        .write(path);
    return Files.readAllBytes(path);
  }

  private static byte[] mutate(byte[] sound, Random random) {
    byte[] bytes = sound.clone();
    for (int n = 1 + random.nextInt(3); n > 0; n--) {
      int headerEnd = Math.min(bytes.length, 400);
      int at =
          bytes.length == 0 ? 0 : random.nextInt(random.nextBoolean() ? bytes.length : headerEnd);
      bytes =
          switch (random.nextInt(7)) {
            case 0 -> Arrays.copyOf(bytes, at);
            case 1 -> splice(bytes, at, 0, random.nextInt(9), random);
            case 2 -> splice(bytes, at, random.nextInt(9), 0, random);
            case 3 -> splice(bytes, at, 1, 1, random);
            case 4 -> flip(bytes, at, random);
            case 5 -> digit(bytes, at, random);
            default -> token(bytes, at, random);
          };
    }
    return bytes;
  }

  /** Takes some bytes out and puts random ones in. */
  private static byte[] splice(byte[] bytes, int at, int out, int in, Random random) {
    byte[] inserted = new byte[in];
    random.nextBytes(inserted);
    return replace(bytes, at, out, inserted);
  }

  private static byte[] replace(byte[] bytes, int at, int out, byte[] in) {
    ByteArrayOutputStream result = new ByteArrayOutputStream();
    result.write(bytes, 0, at);
    result.writeBytes(in);
    int rest = Math.min(bytes.length, at + out);
    result.write(bytes, rest, bytes.length - rest);
    return result.toByteArray();
  }

  private static byte[] flip(byte[] bytes, int at, Random random) {
    byte[] flipped = bytes.clone();
    if (flipped.length > 0) {
      flipped[at] ^= (byte) (1 << random.nextInt(8));
    }
    return flipped;
  }

  /** Changes a digit, so that shapes and offsets stay numbers. */
  private static byte[] digit(byte[] bytes, int at, Random random) {
    byte[] changed = bytes.clone();
    for (int i = at; i < changed.length; i++) {
      if (Character.isDigit(changed[i])) {
        changed[i] = (byte) ('0' + random.nextInt(10));
        break;
      }
    }
    return changed;
  }

  private static byte[] token(byte[] bytes, int at, Random random) {
    String[] tokens = {
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      "\"",
      "\\",
      "\\u",
      "\\ud800",
      "null",
      "true",
      "-1",
      "1e9",
      "9223372036854775807",
      "18446744073709551616",
      "\u0000",
      "\u00ff",
      "[[[[",
      "{\"a\":",
      "F16"
    };
    String token = tokens[random.nextInt(tokens.length)];
    return replace(bytes, at, random.nextInt(3), token.getBytes(StandardCharsets.ISO_8859_1));
  }

  /** Mutates the header most often where a small file has it, and leaves the length right. */
  private void mutants(byte[] sound, int count, int least, int most) {
    Path path = directory.resolve("mutant.safetensors");
    assertTimeoutPreemptively(
        Duration.ofMinutes(5),
        () -> {
          assertTrue(survives(path, sound));
          Random random = new Random(20);
          int refused = 0;
          for (int n = 0; n < count; n++) {
            byte[] mutant = mutate(sound, random);
            if (random.nextInt(4) > 0 && mutant.length >= 16) {
              repairLength(mutant);
            }
            refused += survives(path, mutant) ? 0 : 1;
          }
          // Mutants must reach both outcomes for the test to say anything.
          assertTrue(refused > least && refused < most, refused + " refused");
        });
  }

  @Test
  void twelveThousandMutantsAreReadOrRefused() throws IOException {
    mutants(sample(directory.resolve("sound.safetensors")), 12_000, 6_000, 11_900);
  }

  @Test
  void soAreTwoThousandMutantsOfALargeHeader() throws IOException {
    Path path = directory.resolve("sound.safetensors");
    SafetensorsWriter writer = SafetensorsWriter.create();
    for (int i = 0; i < 200; i++) {
      writer.metadata("key " + i, "\u00e9".repeat(i % 20)).add("tensor " + i, new float[i], i);
    }
    writer.add("weight_ih_l0", new float[24], 12, 2).write(path);
    mutants(Files.readAllBytes(path), 2_000, 500, 1_990);
  }

  /** Makes the header's length right again, so that the mutation gets past it. */
  private static void repairLength(byte[] bytes) {
    int end = 8;
    while (end < bytes.length && bytes[end] != '\n' && end < 1000) {
      if (bytes[end] == '}'
          && (end + 1 == bytes.length || bytes[end + 1] != ',' && bytes[end + 1] != '}')) {
        break;
      }
      end++;
    }
    int length = Math.min(end + 1, bytes.length) - 8;
    while (8 + length < bytes.length && bytes[8 + length] == ' ') {
      length++;
    }
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
  }

  private void refused(String message, byte[] content) throws IOException {
    Path path = directory.resolve("bad.safetensors");
    assertTrue(!survives(path, content), "was read: " + message);
    GatefuseException e = assertThrows(GatefuseException.class, () -> readAll(path));
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  private void refused(String message, String header, int data) throws IOException {
    refused(message, SafetensorsTest.file(header, new byte[data]));
  }

  @Test
  void lengths() throws IOException {
    refused("expected at least the 8 bytes", new byte[0]);
    refused("expected at least the 8 bytes", new byte[7]);
    refused("header length: expected 2 to 0 bytes, got 0", new byte[8]);
    byte[] sound = SafetensorsTest.file("{}");
    for (long length : new long[] {-1, Long.MIN_VALUE, 3, 1, 0, 100_000_001, Long.MAX_VALUE}) {
      byte[] bad = sound.clone();
      ByteBuffer.wrap(bad).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
      refused("header length: expected 2 to 2 bytes, got " + length, bad);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      ignoreLeadingAndTrailingWhitespace = false,
      value = {
        "[]|expected '{' at byte 0 of the header, got byte 0x5b",
        " {}|expected '{' at byte 0",
        "{}x|expected only spaces after the object at byte 2",
        "{\"x\"}|expected ':'",
        "{\"x\":1}|tensor \"x\": expected '{'",
        "{\"x\":{}}|tensor \"x\": expected '\"'",
        "{\"x\":[[[[[[[[[[[[|tensor \"x\": expected '{'",
        "{\"x|expected the end of a string",
        "{\"x\\q\":{}}|expected a JSON escape",
        "{\"x\\u12g4\":{}}|expected four hexadecimal digits",
        "{\"\\ud800\":{}}|expected paired surrogates",
        "{\"\\ude00\\ud83d\":{}}|expected paired surrogates",
        "{\"__metadata__\":{\"a\":1}}|expected '\"'",
        "{\"__metadata__\":{\"a\":null}}|expected '\"'",
        "{\"__metadata__\":{\"a\":\"b\",\"a\":\"b\"}}|\"a\": expected once, got twice",
        "{\"__metadata__\":{},\"__metadata__\":{}}|\"__metadata__\": expected once, got twice",
        "{\"x\":{\"dtype\":\"F31\"}}|tensor \"x\": dtype: expected one of",
        "{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}|tensor \"x\": \"dtype\": expected once",
        "{\"x\":{\"kind\":\"F32\"}}|expected dtype, shape and data_offsets, got \"kind\"",
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[0]}}|expected dtype, shape and two data_offsets",
        "{\"x\":{\"shape\":[-1]}}|shape: expected non-negative integers",
        "{\"x\":{\"shape\":[1.0]}}|shape: expected non-negative integers",
        "{\"x\":{\"shape\":[1e3]}}|shape: expected non-negative integers",
        "{\"x\":{\"shape\":[01]}}|shape: expected non-negative integers",
        "{\"x\":{\"shape\":[\"1\"]}}|shape: expected non-negative integers",
        "{\"x\":{\"shape\":[1,]}}|shape: expected non-negative integers",
        "{\"x\":{\"shape\":[[1]]}}|shape: expected non-negative integers",
        "{\"x\":{\"shape\":[9223372036854775808]}}|shape: expected numbers below 2^63",
        "{\"x\":{\"data_offsets\":[0,1,2]}}|data_offsets: expected at most 2 numbers",
        "{\"x\":{\"data_offsets\":[0,-1]}}|data_offsets: expected non-negative integers"
      })
  void headers(String header, String message) throws IOException {
    refused(message, header, 0);
  }

  @Test
  void shapesAndRanges() throws IOException {
    String huge = "[2147483648,2147483648]";
    refused("shape: expected below 2^63 bytes", "{" + tensor("x", "F32", huge, "[0,4]") + "}", 4);
    refused(
        "data_offsets: expected 17179869184 bytes for F64 [2147483648], got [0, 8]",
        "{" + tensor("x", "F64", "[2147483648]", "[0,8]") + "}",
        8);
    refused(
        "within 8 bytes of data, got [0, 4611686018427387904]",
        "{" + tensor("x", "F32", "[1152921504606846976]", "[0,4611686018427387904]") + "}",
        8);
    refused(
        "expected 4 bytes for F32 [1], got [4, 0]",
        "{" + tensor("x", "F32", "[1]", "[4,0]") + "}",
        4);
    refused(
        "expected 8 bytes for F64 [1], got [0, 4]",
        "{" + tensor("x", "F64", "[1]", "[0,4]") + "}",
        4);
    String x = tensor("x", "F32", "[2]", "[0,8]");
    refused("tensor \"x\"", "{" + x + "}", 7);
    refused("data: expected 8 bytes, as the header says, got 9", "{" + x + "}", 9);
    refused("data: expected 0 bytes", "{}", 1);
    refused("\"x\": expected once, got twice", "{" + x + "," + x + "}", 8);
    String overlap = tensor("y", "F32", "[2]", "[4,12]");
    refused(
        "tensor \"y\": data_offsets: expected a range from 8", "{" + x + "," + overlap + "}", 12);
    String gap = tensor("y", "F32", "[1]", "[12,16]");
    refused("tensor \"y\": data_offsets: expected a range from 8", "{" + x + "," + gap + "}", 16);
    String zeros = "[" + "0,".repeat(32) + "0]";
    refused(
        "shape: expected at most 32 numbers", "{" + tensor("x", "F32", zeros, "[0,0]") + "}", 0);
  }

  @Test
  void bytesThatAreNotText() throws IOException {
    for (int[] name : new int[][] {{0xff}, {0xc0, 0x80}, {0xed, 0xa0, 0x80}, {0xe6, 0xbc}}) {
      ByteArrayOutputStream header = new ByteArrayOutputStream();
      header.writeBytes(new byte[] {'{', '"'});
      Arrays.stream(name).forEach(header::write);
      header.writeBytes("\":{}}".getBytes(StandardCharsets.UTF_8));
      ByteBuffer file = ByteBuffer.allocate(8 + header.size()).order(ByteOrder.LITTLE_ENDIAN);
      refused("expected UTF-8", file.putLong(header.size()).put(header.toByteArray()).array());
    }
    refused("expected no control character", "{\"a\nb\":{}}", 0);
    refused("expected no control character", "{\"a\u0000b\":{}}", 0);
  }

  @Test
  void messagesDoNotRepeatWhatAFileSays() throws IOException {
    Path path = directory.resolve("bad.safetensors");
    String name = "n".repeat(50_000) + "\\u001b[31m";
    Files.write(path, SafetensorsTest.file("{\"" + name + "\":1}"));
    GatefuseException e = assertThrows(GatefuseException.class, () -> readAll(path));
    assertTrue(e.getMessage().length() < 500 && e.getMessage().indexOf(0x1b) < 0);
    refused("tensor \"a\\x1b[31m\\x9b\\u{202e}\\t\":", "{\"a\\u001b[31m\\u009b\\u202e\\t\":1}", 0);
    refused("got \"\\x00\"", "{\"x\":{\"\\u0000\":1}}", 0);
  }
}
