// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.gatefuse.Cell;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.Weights;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsTest {
  @TempDir Path directory;

  /** A file by hand: a header and data. */
  static byte[] file(String header, byte... data) {
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(8 + text.length + data.length);
    return out.order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).put(text).put(data).array();
  }

  private Path write(byte[] content) throws IOException {
    return Files.write(directory.resolve("model.safetensors"), content);
  }

  private Safetensors open(String header, byte... data) throws IOException {
    return Safetensors.open(write(file(header, data)));
  }

  @Test
  void roundTripsEveryWrittenType() throws IOException {
    float[] floats = {
      1.5f, -0f, Float.MIN_VALUE, Float.MAX_VALUE, Float.NaN, Float.NEGATIVE_INFINITY
    };
    double[] doubles = {Math.PI, -0.0, Double.MIN_VALUE, Double.MAX_VALUE};
    long[] longs = {Long.MIN_VALUE, -1, 0, Long.MAX_VALUE};
    String odd = "a \"quoted\\\" name\n\t\u0001 \u00e9 \u6f22 \ud83d\ude00";
    Path path = directory.resolve("all.safetensors");
    SafetensorsWriter.create()
        .metadata("cell", "lstm")
        .metadata(odd, odd)
        .add("floats", floats, 2, 3)
        .add("doubles", doubles, 4)
        .add(odd, longs, 1, 2, 2)
        .add("one", new float[] {7})
        .add("none", new double[0], 0, 5)
        .write(path);
    try (Safetensors in = Safetensors.open(path)) {
      assertEquals(Map.of("cell", "lstm", odd, odd), in.metadata());
      assertEquals(Set.of("floats", "doubles", odd, "one", "none"), in.names());
      assertArrayEquals(floats, in.floats("floats"));
      assertArrayEquals(doubles, in.doubles("doubles"));
      assertArrayEquals(longs, in.longs(odd));
      assertArrayEquals(new float[] {7}, in.floats("one"));
      assertArrayEquals(new double[0], in.doubles("none"));
      assertArrayEquals(new long[] {2, 3}, in.shape("floats"));
      assertArrayEquals(new long[] {}, in.shape("one"));
      assertArrayEquals(new long[] {0, 5}, in.shape("none"));
      assertEquals(Dtype.F32, in.dtype("floats"));
      assertEquals(Dtype.F64, in.dtype("doubles"));
      assertEquals(Dtype.I64, in.dtype(odd));
      assertTrue(in.has("one"));
      assertFalse(in.has("two"));
    }
  }

  @Test
  void roundTripsMoreThanABlock() {
    double[] values = new Random(1).doubles(100_003).toArray();
    Path path = directory.resolve("long.safetensors");
    SafetensorsWriter.create().add("x", values, values.length).write(path);
    try (Safetensors in = Safetensors.open(path)) {
      assertArrayEquals(values, in.doubles("x"));
      float[] floats = in.floats("x");
      for (int i = 0; i < values.length; i++) {
        assertEquals((float) values[i], floats[i]);
      }
    }
  }

  @Test
  void writesAlignedTensors() throws IOException {
    Path path = directory.resolve("aligned.safetensors");
    SafetensorsWriter.create().add("f", new float[3], 3).add("d", new double[2], 2).write(path);
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
    long length = bytes.getLong(0);
    assertEquals(0, length % 8);
    String header = new String(bytes.array(), 8, (int) length, StandardCharsets.UTF_8);
    assertEquals(
        "{\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]},"
            + "\"f\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[16,28]}}",
        header.stripTrailing().replace(", ", ","));
    assertEquals(8 + length + 28, bytes.capacity());
  }

  /** Every half and every bfloat16, against values made from their bits in another way. */
  @Test
  void readsAll16BitFloats() throws IOException {
    ByteBuffer bits = ByteBuffer.allocate(2 << 17).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 1 << 17; i++) {
      bits.putShort((short) i);
    }
    String header =
        "{\"half\":{\"dtype\":\"F16\",\"shape\":[65536],\"data_offsets\":[0,131072]},"
            + "\"brain\":{\"dtype\":\"BF16\",\"shape\":[65536],\"data_offsets\":[131072,262144]}}";
    try (Safetensors in = open(header, bits.array())) {
      float[] half = in.floats("half");
      double[] brain = in.doubles("brain");
      for (int i = 0; i < 1 << 16; i++) {
        double sign = i >= 1 << 15 ? -1 : 1;
        assertEquals(sign * magnitude(i & 0x7fff, 5, 10), half[i], "half " + i);
        assertEquals(sign * magnitude(i & 0x7fff, 8, 7), brain[i], "brain " + i);
      }
    }
  }

  private static double magnitude(int bits, int exponentBits, int fractionBits) {
    int exponent = bits >> fractionBits;
    double fraction = (bits & ((1 << fractionBits) - 1)) / Math.pow(2, fractionBits);
    int bias = (1 << (exponentBits - 1)) - 1;
    if (exponent == (1 << exponentBits) - 1) {
      return fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
    }
    return exponent == 0
        ? fraction * Math.pow(2, 1 - bias)
        : (1 + fraction) * Math.pow(2, exponent - bias);
  }

  @Test
  void listsButDoesNotReadOtherTypes() throws IOException {
    String header = "{\"mask\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[0,2]}}";
    try (Safetensors in = open(header, (byte) 0, (byte) 1)) {
      assertEquals(Dtype.BOOL, in.dtype("mask"));
      GatefuseException e = assertThrows(GatefuseException.class, () -> in.floats("mask"));
      assertEquals(Code.BAD_FILE, e.code());
      assertTrue(
          e.getMessage().endsWith("mask: expected dtype F64, F32, F16 or BF16, got BOOL"),
          e.getMessage());
      assertThrows(GatefuseException.class, () -> in.longs("mask"));
    }
  }

  @Test
  void namesWhatThereIsNot() throws IOException {
    try (Safetensors in = open("{}")) {
      assertEquals(Set.of(), in.names());
      assertThrows(IllegalArgumentException.class, () -> in.floats("x"));
      assertThrows(IllegalArgumentException.class, () -> in.shape("x"));
      assertThrows(IllegalArgumentException.class, () -> in.dtype("x"));
    }
  }

  private static void assertIoFailed(String message, Executable body) {
    GatefuseException e = assertThrows(GatefuseException.class, body);
    assertEquals(Code.IO_FAILED, e.code());
    assertEquals(message, e.getMessage());
  }

  @Test
  void failuresOfTheFileSystemAreToldFromBadFiles() throws IOException {
    Path missing = directory.resolve("missing");
    assertIoFailed(
        missing + ": cannot be read: no such file or directory", () -> Safetensors.open(missing));
    assertIoFailed(
        directory + ": expected a file, got a directory", () -> Safetensors.open(directory));
    Path file = Files.writeString(directory.resolve("file"), "");
    Path below = file.resolve("below");
    assertIoFailed(
        below
            + ": cannot be read: java.nio.file.FileSystemException: "
            + below
            + ": Not a directory",
        () -> Safetensors.open(below));
    assertIoFailed(
        missing.resolve("x") + ": cannot be written: no such file or directory",
        () -> SafetensorsWriter.create().write(missing.resolve("x")));
  }

  @Test
  void whatMayNotBeReadIsAnIoFailure() throws IOException {
    Path file = write(file("{}"));
    Files.setPosixFilePermissions(file, Set.of());
    assumeTrue(!Files.isReadable(file), "this user may read every file");
    assertIoFailed(file + ": cannot be read: permission denied", () -> Safetensors.open(file));
  }

  /** An interrupt closes the file under the read: of all failures the one that a test can cause. */
  @Test
  void aReadThatFailsIsAnIoFailure() throws IOException {
    String header = "{\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}";
    try (Safetensors in = open(header, new byte[4])) {
      Thread.currentThread().interrupt();
      GatefuseException e = assertThrows(GatefuseException.class, () -> in.floats("x"));
      assertTrue(Thread.interrupted());
      assertEquals(Code.IO_FAILED, e.code());
      assertTrue(e.getMessage().contains("model.safetensors: cannot be read: "), e.getMessage());
    }
  }

  /** Names, keys and values are as odd as may be, in every way in which they can be asked for. */
  @Test
  void viewsOfNamesAndTexts() throws IOException {
    String header =
        "{ \"b\\u0041\" :{\"shape\":[ 2 ,0,13],\"dtype\":\"F32\",\"data_offsets\":[0,0]},"
            + "\"__metadata__\"\t: {\"\\ud83d\\ude00\" :\n\"\",\"k\":\"\u00e9\"}, "
            + "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}  ";
    try (Safetensors in = open(header, new byte[4])) {
      assertEquals(List.of("bA", "a"), List.copyOf(in.names()));
      assertTrue(in.names().contains("bA") && !in.names().contains("b") && !in.has("bAA"));
      assertArrayEquals(new long[] {2, 0, 13}, in.shape("bA"));
      assertEquals(Map.of("\ud83d\ude00", "", "k", "\u00e9"), in.metadata());
      assertEquals("\u00e9", in.metadata().get("k"));
      assertTrue(in.metadata().containsKey("\ud83d\ude00"));
      assertFalse(in.metadata().containsKey("\ud83d"));
      assertFalse(in.has("__metadata__"));
      assertThrows(UnsupportedOperationException.class, () -> in.names().remove("a"));
      assertThrows(UnsupportedOperationException.class, () -> in.metadata().remove("k"));
      assertThrows(UnsupportedOperationException.class, () -> in.metadata().put("k", ""));
    }
  }

  @Test
  void refusesUseAfterClose() throws IOException {
    Safetensors in =
        open("{\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", new byte[4]);
    in.close();
    in.close();
    assertThrows(IllegalStateException.class, () -> in.floats("x"));
  }

  @Test
  void weightsUnderAPrefix() {
    RnnSpec spec =
        RnnSpec.of(Cell.LSTM_REFINE, 3, 4).withBidirectional(true).withVocabulary(5).withOutputs(6);
    Weights weights = WeightInit.uniform().weights(spec, 1);
    SafetensorsWriter writer = SafetensorsWriter.create();
    for (String name : weights.names()) {
      String as = name.contains("_l0") ? "rnn." + name : name;
      writer.add(as, weights.floats(name), weights.shape(name));
    }
    writer.add("rnn.other", new float[1], 1).add("steps", new long[1], 1);
    Path path = directory.resolve("prefixed.safetensors");
    writer.write(path);
    try (Safetensors in = Safetensors.open(path)) {
      Weights read = in.weights("rnn.");
      read.check(spec);
      for (String name : weights.names()) {
        assertArrayEquals(weights.floats(name), read.floats(name), name);
        assertFalse(read.isDouble(name));
      }
      GatefuseException e = assertThrows(GatefuseException.class, () -> in.weights("lstm."));
      assertTrue(e.getMessage().contains("lstm.weight_ih_l0"), e.getMessage());
    }
  }

  @Test
  void weightsKeepFloat64AndProjectionsAreRefusedByName() {
    Path path = directory.resolve("projected.safetensors");
    SafetensorsWriter.create()
        .add("weight_ih_l0", new double[12], 12, 1)
        .add("weight_hh_l0", new double[36], 12, 3)
        .add("weight_hr_l0", new double[9], 3, 3)
        .write(path);
    try (Safetensors in = Safetensors.open(path)) {
      Weights weights = in.weights("");
      assertTrue(weights.isDouble("weight_ih_l0"));
      Exception e =
          assertThrows(
              IllegalArgumentException.class, () -> weights.check(RnnSpec.of(Cell.LSTM, 1, 3)));
      assertTrue(e.getMessage().startsWith("weight_hr_l0: projections"), e.getMessage());
    }
  }

  @Test
  void writesWeights() {
    Weights weights = WeightInit.chrono(9).weights(RnnSpec.of(Cell.GRU, 3, 4), 1);
    Path path = directory.resolve("weights.safetensors");
    SafetensorsWriter.create().add(weights).write(path);
    try (Safetensors in = Safetensors.open(path)) {
      Weights read = in.weights("");
      assertEquals(weights.names(), read.names());
      for (String name : weights.names()) {
        assertArrayEquals(weights.floats(name), read.floats(name));
      }
    }
  }

  @Test
  void writerRefusesSenselessTensors() {
    SafetensorsWriter writer = SafetensorsWriter.create().add("x", new float[2], 2);
    assertThrows(IllegalArgumentException.class, () -> writer.add("x", new float[2], 2));
    assertThrows(IllegalArgumentException.class, () -> writer.add("y", new float[2], 3));
    assertThrows(IllegalArgumentException.class, () -> writer.add("y", new float[2], -1, -2));
    assertThrows(IllegalArgumentException.class, () -> writer.add("__metadata__", new long[0], 0));
    assertThrows(IllegalArgumentException.class, () -> writer.add("\ud800", new long[0], 0));
  }

  /** A channel that has room for some bytes only. */
  private static WritableByteChannel full(Path path, int room) throws IOException {
    FileChannel file =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    return new WritableByteChannel() {
      @Override
      public int write(ByteBuffer source) throws IOException {
        if (file.size() + source.remaining() > room) {
          throw new IOException("No space left on device");
        }
        return file.write(source);
      }

      @Override
      public boolean isOpen() {
        return file.isOpen();
      }

      @Override
      public void close() throws IOException {
        file.close();
      }
    };
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 50, 1000, 100_000})
  void aFullDiskLeavesTheOldFile(int room) throws IOException {
    Path path = Files.writeString(directory.resolve("model.safetensors"), "old");
    SafetensorsWriter writer = SafetensorsWriter.create().add("x", new float[100_000], 100_000);
    GatefuseException e =
        assertThrows(GatefuseException.class, () -> writer.write(path, p -> full(p, room)));
    assertEquals(Code.IO_FAILED, e.code());
    assertTrue(e.getMessage().contains("No space left on device"), e.getMessage());
    assertEquals("old", Files.readString(path));
    try (Stream<Path> files = Files.list(directory)) {
      assertEquals(List.of(path), files.toList());
    }
  }

  @Test
  void replacesAnOldFileAndLeavesNoOther() throws IOException {
    Path path = Files.writeString(directory.resolve("model.safetensors"), "old");
    SafetensorsWriter.create().add("x", new float[] {3}, 1).write(path);
    try (Safetensors in = Safetensors.open(path);
        Stream<Path> files = Files.list(directory)) {
      assertArrayEquals(new float[] {3}, in.floats("x"));
      assertEquals(List.of(path), files.toList());
    }
    Path nowhere = directory.resolve("no/such/directory");
    assertThrows(GatefuseException.class, () -> SafetensorsWriter.create().write(nowhere));
  }

  /** Tensors that lie wholly and partly beyond 2 and 4 GiB, in a file with a hole. */
  @Test
  void readsBeyondFourGigabytes() throws IOException {
    long hole = 5L << 30;
    assumeTrue(directory.toFile().getUsableSpace() > 1 << 20, "no disk space");
    String header =
        String.format(
            "{\"hole\":{\"dtype\":\"F64\",\"shape\":[%d],\"data_offsets\":[0,%d]},"
                + "\"end\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[%d,%d]}}",
            hole / 8, hole, hole, hole + 8);
    Path path = write(file(header));
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      long start = file.length();
      boolean sparse = true;
      try {
        file.setLength(start + hole + 8);
      } catch (IOException e) {
        sparse = false;
      }
      assumeTrue(sparse, "the file system has no sparse files of 5 GiB");
      ByteBuffer end = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
      end.putFloat(1.25f).putFloat(-2).flip();
      file.getChannel().write(end, start + hole);
    }
    try (Safetensors in = Safetensors.open(path)) {
      assertArrayEquals(new float[] {1.25f, -2}, in.floats("end"));
      assertArrayEquals(new long[] {hole / 8}, in.shape("hole"));
    } finally {
      Files.delete(path);
    }
  }

  @Test
  void refusesATensorTooLargeForAnArray() throws IOException {
    long count = 1L << 31;
    String header =
        String.format(
            "{\"x\":{\"dtype\":\"BF16\",\"shape\":[%d],\"data_offsets\":[0,%d]}}",
            count, 2 * count);
    Path path = write(file(header));
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      boolean sparse = true;
      try {
        file.setLength(file.length() + 2 * count);
      } catch (IOException e) {
        sparse = false;
      }
      assumeTrue(sparse, "the file system has no sparse files of 4 GiB");
    }
    try (Safetensors in = Safetensors.open(path)) {
      GatefuseException e = assertThrows(GatefuseException.class, () -> in.floats("x"));
      assertTrue(e.getMessage().contains("2147483648"), e.getMessage());
    } finally {
      Files.delete(path);
    }
  }

  @Test
  void aFileThatShrinksIsAnError() throws IOException {
    String header = "{\"x\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}";
    try (Safetensors in = open(header, new byte[16])) {
      try (WritableByteChannel cut =
          Channels.newChannel(Files.newOutputStream(directory.resolve("model.safetensors")))) {
        cut.write(ByteBuffer.wrap(file(header, new byte[3])));
      }
      GatefuseException e = assertThrows(GatefuseException.class, () -> in.floats("x"));
      assertEquals(Code.BAD_FILE, e.code());
      assertTrue(e.getMessage().contains("the file's end"), e.getMessage());
    }
  }
}
