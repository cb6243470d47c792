// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.Weights;
import io.github.gatefuse.internal.WholeFile;
import java.io.IOException;
import java.lang.reflect.Array;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Collects tensors and metadata, and writes them as one safetensors file.
 *
 * <pre>{@code
 * SafetensorsWriter.create().metadata("cell", "lstm_refine").add(weights).write(path);
 * }</pre>
 *
 * <p>Not thread-safe.
 */
public final class SafetensorsWriter {
  private static final int BLOCK = 1 << 16;

  /** A tensor whose data is a float[], double[] or long[]. */
  private record Tensor(Dtype dtype, int[] shape, Object data) {
    int count() {
      return Array.getLength(data);
    }

    long bytes() {
      return (long) dtype.bytes() * count();
    }
  }

  private final Map<String, String> metadata = new LinkedHashMap<>();
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();

  private SafetensorsWriter() {}

  /**
   * Starts a file without content.
   *
   * @return a new writer
   */
  public static SafetensorsWriter create() {
    return new SafetensorsWriter();
  }

  /**
   * Adds a text entry, in place of an earlier one of that key.
   *
   * @param key its name
   * @param value its text
   * @return this
   * @throws IllegalArgumentException if either has a lone surrogate
   */
  public SafetensorsWriter metadata(String key, String value) {
    metadata.put(checked(key), checked(value));
    return this;
  }

  /**
   * Adds a float32 tensor.
   *
   * @param name not yet added
   * @param data row-major values; not copied, to be left alone until the file is written
   * @param shape the dimensions, whose product is {@code data.length}; none for a single number
   * @return this
   * @throws IllegalArgumentException on a second tensor of that name, or a shape that does not fit
   */
  public SafetensorsWriter add(String name, float[] data, int... shape) {
    return put(name, new Tensor(Dtype.F32, shape.clone(), data));
  }

  /**
   * Adds a float64 tensor.
   *
   * @param name not yet added
   * @param data row-major values; not copied, to be left alone until the file is written
   * @param shape the dimensions, whose product is {@code data.length}; none for a single number
   * @return this
   * @throws IllegalArgumentException on a second tensor of that name, or a shape that does not fit
   */
  public SafetensorsWriter add(String name, double[] data, int... shape) {
    return put(name, new Tensor(Dtype.F64, shape.clone(), data));
  }

  /**
   * Adds a tensor of 64-bit integers.
   *
   * @param name not yet added
   * @param data row-major values; not copied, to be left alone until the file is written
   * @param shape the dimensions, whose product is {@code data.length}; none for a single number
   * @return this
   * @throws IllegalArgumentException on a second tensor of that name, or a shape that does not fit
   */
  public SafetensorsWriter add(String name, long[] data, int... shape) {
    return put(name, new Tensor(Dtype.I64, shape.clone(), data));
  }

  /**
   * Adds all tensors of a network, each in the precision in which it is kept.
   *
   * @param weights the parameters
   * @return this
   * @throws IllegalArgumentException on a second tensor of a name
   */
  public SafetensorsWriter add(Weights weights) {
    return add("", weights);
  }

  /**
   * Adds all tensors of a network as {@link Safetensors#weights(String)} finds them again.
   *
   * @param prefix what stands before the recurrent parameters' names, such as {@code rnn.}; the
   *     embedding and the head never have one
   * @param weights the parameters
   * @return this
   * @throws IllegalArgumentException on a second tensor of a name
   */
  public SafetensorsWriter add(String prefix, Weights weights) {
    for (String name : weights.names()) {
      boolean around = name.startsWith("embedding.") || name.startsWith("head.");
      add(weights, name, around ? name : prefix + name);
    }
    return this;
  }

  private void add(Weights weights, String name, String as) {
    if (weights.isDouble(name)) {
      add(as, weights.doubles(name), weights.shape(name));
    } else {
      add(as, weights.floats(name), weights.shape(name));
    }
  }

  private SafetensorsWriter put(String name, Tensor tensor) {
    long count = 1;
    for (int dimension : tensor.shape) {
      if (dimension < 0) {
        throw new IllegalArgumentException(name + ": expected sizes from 0, got " + dimension);
      }
      count = Math.multiplyExact(count, dimension);
    }
    if (count != tensor.count()) {
      throw new IllegalArgumentException(
          String.format(
              "%s: expected %d values for shape %s, got %d",
              name, count, Arrays.toString(tensor.shape), tensor.count()));
    }
    if (name.equals("__metadata__") || tensors.putIfAbsent(checked(name), tensor) != null) {
      throw new IllegalArgumentException(name + ": expected a name not yet taken");
    }
    return this;
  }

  private static String checked(String text) {
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
      throw new IllegalArgumentException(text + ": expected paired surrogates, got a lone one");
    }
    return text;
  }

  /**
   * Writes the file as a whole or not at all: into a temporary file beside it, which is forced to
   * the disk and then takes its place.
   *
   * <p>Tensors are laid out by falling size of their numbers, so that each is aligned to its own.
   *
   * @param path the file, in a directory that exists; an earlier file of that name is replaced
   * @throws GatefuseException with {@link Code#IO_FAILED} if it cannot be written, such as for a
   *     full disk; an earlier file is then untouched and no temporary one remains
   */
  public void write(Path path) {
    try {
      WholeFile.write(path, this::writeAll);
    } catch (IOException e) {
      throw Safetensors.failed(path, "written", e);
    }
  }

  void write(Path path, WholeFile.Opener opener) {
    try {
      WholeFile.write(path, this::writeAll, opener);
    } catch (IOException e) {
      throw Safetensors.failed(path, "written", e);
    }
  }

  private void writeAll(WritableByteChannel channel) throws IOException {
    List<Map.Entry<String, Tensor>> inOrder =
        tensors.entrySet().stream()
            .sorted(Comparator.comparingInt(e -> -e.getValue().dtype().bytes()))
            .toList();
    byte[] header = header(inOrder);
    ByteBuffer buffer = ByteBuffer.allocate(BLOCK).order(ByteOrder.LITTLE_ENDIAN);
    drain(buffer.putLong(header.length), channel);
    for (int start = 0; start < header.length; start += BLOCK) {
      drain(buffer.put(header, start, Math.min(BLOCK, header.length - start)), channel);
    }
    for (Map.Entry<String, Tensor> tensor : inOrder) {
      write(tensor.getValue(), buffer, channel);
    }
  }

  private byte[] header(List<Map.Entry<String, Tensor>> inOrder) {
    List<String> fields = new ArrayList<>();
    if (!metadata.isEmpty()) {
      fields.add(
          metadata.entrySet().stream()
              .map(e -> quoted(e.getKey()) + ":" + quoted(e.getValue()))
              .collect(Collectors.joining(",", "\"__metadata__\":{", "}")));
    }
    long begin = 0;
    for (Map.Entry<String, Tensor> named : inOrder) {
      Tensor tensor = named.getValue();
      long end = begin + tensor.bytes();
      String shape = Arrays.toString(tensor.shape);
      String about = "\"dtype\":\"" + tensor.dtype() + "\",\"shape\":" + shape;
      String range = ",\"data_offsets\":[" + begin + "," + end + "]";
      fields.add(quoted(named.getKey()) + ":{" + about + range + "}");
      begin = end;
    }
    byte[] text = ("{" + String.join(",", fields) + "}").getBytes(StandardCharsets.UTF_8);
    byte[] padded = Arrays.copyOf(text, (text.length + 7) / 8 * 8);
    Arrays.fill(padded, text.length, padded.length, (byte) ' ');
    return padded;
  }

  private static String quoted(String text) {
    StringBuilder json = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') {
        json.append('\\').append(c);
      } else if (c < 0x20) {
        json.append(String.format("\\u%04x", (int) c));
      } else {
        json.append(c);
      }
    }
    return json.append('"').toString();
  }

  private static void write(Tensor tensor, ByteBuffer buffer, WritableByteChannel channel)
      throws IOException {
    int count = tensor.count();
    int most = BLOCK / tensor.dtype().bytes();
    for (int start = 0; start < count; start += most) {
      int length = Math.min(most, count - start);
      int bytes = length * tensor.dtype().bytes();
      if (tensor.data instanceof float[] values) {
        buffer.asFloatBuffer().put(values, start, length);
      } else if (tensor.data instanceof double[] values) {
        buffer.asDoubleBuffer().put(values, start, length);
      } else {
        buffer.asLongBuffer().put((long[]) tensor.data, start, length);
      }
      drain(buffer.position(bytes), channel);
    }
  }

  /** Writes what the buffer holds and empties it. */
  private static void drain(ByteBuffer buffer, WritableByteChannel channel) throws IOException {
    buffer.flip();
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
    buffer.clear();
  }
}
