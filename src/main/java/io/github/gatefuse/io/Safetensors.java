// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import java.util.function.IntFunction;
import java.util.regex.Pattern;

/**
 * An open safetensors file: its tensors by name, each read into an array of its own when asked for.
 *
 * <p>The header is checked entirely before anything else is read: it must be strict JSON of the
 * format's structure, no longer than the file or 100 MB, with at most 100,000 entries, and its
 * tensors must fill the rest of the file, each byte once. What a file claims is never allocated;
 * opening takes memory of at most six times the header's bytes plus 32 MiB for the most entries,
 * and reading a tensor takes its array and 64 KiB. Files may be larger than 2 GiB.
 *
 * <p>The format: <a
 * href="https://huggingface.co/docs/safetensors">huggingface.co/docs/safetensors</a>.
 *
 * <p>Thread-safe: any number of threads may read tensors at once.
 */
public final class Safetensors implements AutoCloseable {
  private static final long MAX_HEADER = 100_000_000;
  private static final int BLOCK = 1 << 16;
  private static final Pattern RECURRENT = Pattern.compile("(weight|bias)_[a-z]+_l\\d+(_reverse)?");

  private final Path path;
  private final FileChannel channel;
  private final long dataStart;
  private final HeaderParser.Header header;

  private Safetensors(Path path, FileChannel channel) throws IOException {
    this.path = path;
    this.channel = channel;
    long size = channel.size();
    if (size < 8) {
      throw bad("expected at least the 8 bytes of the header's length, got " + size);
    }
    long length = read(0, 8).getLong();
    long most = Math.min(size - 8, MAX_HEADER);
    if (length < 2 || length > most) {
      throw bad("header length: expected 2 to " + most + " bytes, got " + length);
    }
    dataStart = 8 + length;
    try {
      header = HeaderParser.parse(read(8, (int) length).array(), size - dataStart);
    } catch (HeaderParser.BadHeader e) {
      throw bad(e.getMessage());
    }
  }

  /**
   * Opens a file and checks its header.
   *
   * @param path the file
   * @return the open file, to be closed by the caller
   * @throws GatefuseException with {@link Code#BAD_FILE} if it cannot be read or is not a sound
   *     safetensors file, naming the file and the field
   */
  public static Safetensors open(Path path) {
    try {
      FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
      try {
        return new Safetensors(path, channel);
      } catch (Throwable e) {
        channel.close();
        throw e;
      }
    } catch (IOException e) {
      throw new GatefuseException(Code.BAD_FILE, path + ": cannot be read: " + e, e);
    }
  }

  /**
   * The file's text entries.
   *
   * @return an unmodifiable map in the file's order, empty if there are none
   */
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(header.metadata());
  }

  /**
   * The names of all tensors.
   *
   * @return an unmodifiable set in the header's order
   */
  public Set<String> names() {
    return Collections.unmodifiableSet(header.tensors().keySet());
  }

  /**
   * Whether there is a tensor of that name.
   *
   * @param name such as {@code weight_ih_l0}
   * @return true if there is
   */
  public boolean has(String name) {
    return header.tensors().containsKey(name);
  }

  /**
   * The number format of a tensor.
   *
   * @param name one of {@link #names()}
   * @return its type
   * @throws IllegalArgumentException if there is no such tensor
   */
  public Dtype dtype(String name) {
    return entry(name).dtype();
  }

  /**
   * The shape of a tensor.
   *
   * @param name one of {@link #names()}
   * @return the dimensions, a copy; empty for a single number
   * @throws IllegalArgumentException if there is no such tensor
   */
  public long[] shape(String name) {
    return entry(name).shape().clone();
  }

  /**
   * Reads a tensor of floating numbers in float32; F64 is rounded to nearest.
   *
   * @param name one of {@link #names()}
   * @return its values, row-major, owned by the caller
   * @throws IllegalArgumentException if there is no such tensor
   * @throws GatefuseException with {@link Code#BAD_FILE} if its type is none of F64, F32, F16,
   *     BF16, it is too large for one array, or reading fails; with {@link Code#OUT_OF_MEMORY} if
   *     there is no memory for it
   */
  public float[] floats(String name) {
    Dtype dtype = floating(name, "F64, F32, F16 or BF16");
    float[] out = allocate(name, float[]::new);
    read(name, (buffer, i) -> out[i] = (float) number(buffer, dtype));
    return out;
  }

  /**
   * Reads a tensor of floating numbers in float64, exactly.
   *
   * @param name one of {@link #names()}
   * @return its values, row-major, owned by the caller
   * @throws IllegalArgumentException if there is no such tensor
   * @throws GatefuseException as {@link #floats} does
   */
  public double[] doubles(String name) {
    Dtype dtype = floating(name, "F64, F32, F16 or BF16");
    double[] out = allocate(name, double[]::new);
    read(name, (buffer, i) -> out[i] = number(buffer, dtype));
    return out;
  }

  /**
   * Reads a tensor of 64-bit integers.
   *
   * @param name one of {@link #names()}
   * @return its values, row-major, owned by the caller
   * @throws IllegalArgumentException if there is no such tensor
   * @throws GatefuseException with {@link Code#BAD_FILE} if its type is not I64, otherwise as
   *     {@link #floats} does
   */
  public long[] longs(String name) {
    if (dtype(name) != Dtype.I64) {
      throw bad(name + ": expected dtype I64, got " + dtype(name));
    }
    long[] out = allocate(name, long[]::new);
    read(name, (buffer, i) -> out[i] = buffer.getLong());
    return out;
  }

  /**
   * Reads the parameters of a network.
   *
   * <p>These are the tensors under the prefix that are named like recurrent parameters ({@code
   * weight_ih_l0}, {@code bias_hh_l1_reverse}), without the prefix, and {@value RnnSpec#EMBEDDING},
   * {@value RnnSpec#HEAD_WEIGHT} and {@value RnnSpec#HEAD_BIAS}, which never have one. Other
   * tensors are left alone. F64 stays float64, all else becomes float32.
   *
   * @param prefix what stands before the recurrent parameters' names, such as {@code rnn.}; empty
   *     for nothing
   * @return the parameters
   * @throws GatefuseException as {@link #floats} does, or with {@link Code#BAD_FILE} if there is no
   *     recurrent parameter under that prefix
   */
  public Weights weights(String prefix) {
    Weights.Builder builder = Weights.builder();
    boolean found = false;
    for (String name : names()) {
      String rest = name.startsWith(prefix) ? name.substring(prefix.length()) : "";
      if (RECURRENT.matcher(rest).matches()) {
        found = true;
        add(builder, name, rest);
      }
    }
    if (!found) {
      throw bad("expected parameters such as " + prefix + "weight_ih_l0, got " + someNames());
    }
    for (String name : new String[] {RnnSpec.EMBEDDING, RnnSpec.HEAD_WEIGHT, RnnSpec.HEAD_BIAS}) {
      if (has(name)) {
        add(builder, name, name);
      }
    }
    return builder.build();
  }

  private void add(Weights.Builder builder, String name, String as) {
    int[] shape = Arrays.stream(shape(name)).mapToInt(n -> dimension(name, n)).toArray();
    if (dtype(name) == Dtype.F64) {
      builder.add(as, doubles(name), shape);
    } else {
      builder.add(as, floats(name), shape);
    }
  }

  private int dimension(String name, long size) {
    if (size > Integer.MAX_VALUE) {
      throw bad(name + ": shape: expected dimensions below 2^31, got " + size);
    }
    return (int) size;
  }

  private String someNames() {
    return names().stream().limit(8).map(HeaderParser::quote).toList()
        + (names().size() > 8 ? " and others" : "");
  }

  /** Closes the file; reading afterwards is an {@link IllegalStateException}. Idempotent. */
  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new GatefuseException(Code.BAD_FILE, path + ": cannot be closed: " + e, e);
    }
  }

  /** Takes the next value out of a buffer, for element i. */
  private interface Element {
    void take(ByteBuffer buffer, int i);
  }

  private void read(String name, Element element) {
    HeaderParser.Entry entry = entry(name);
    int size = entry.dtype().bytes();
    long position = dataStart + entry.begin();
    long end = dataStart + entry.end();
    ByteBuffer buffer = buffer((int) Math.min(BLOCK, end - position));
    int i = 0;
    while (position < end) {
      buffer.clear().limit((int) Math.min(buffer.capacity(), end - position));
      fill(buffer, position);
      position += buffer.limit();
      while (buffer.remaining() >= size) {
        element.take(buffer, i++);
      }
    }
  }

  private ByteBuffer read(long position, int bytes) {
    ByteBuffer buffer = buffer(bytes);
    fill(buffer, position);
    return buffer;
  }

  private static ByteBuffer buffer(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Fills the buffer to its limit from the file and flips it. */
  private void fill(ByteBuffer buffer, long position) {
    if (!channel.isOpen()) {
      throw new IllegalStateException(path + ": expected an open file, got a closed one");
    }
    int end = buffer.limit();
    try {
      while (buffer.position() < end) {
        // The channel keeps a direct buffer as large as the largest read: read in blocks.
        buffer.limit(Math.min(end, buffer.position() + BLOCK));
        if (channel.read(buffer, position + buffer.position()) < 0) {
          throw bad("expected " + (end - buffer.position()) + " more bytes, got the file's end");
        }
      }
    } catch (IOException e) {
      throw new GatefuseException(Code.BAD_FILE, path + ": cannot be read: " + e, e);
    }
    buffer.flip();
  }

  private static double number(ByteBuffer buffer, Dtype dtype) {
    return switch (dtype) {
      case F64 -> buffer.getDouble();
      case F32 -> buffer.getFloat();
      case BF16 -> Float.intBitsToFloat(buffer.getShort() << 16);
      case F16 -> half(buffer.getShort());
      default -> throw new IllegalStateException(dtype + " is no floating type");
    };
  }

  /** The value of an IEEE half: sign, 5 exponent bits, 10 fraction bits. */
  private static double half(short bits) {
    int exponent = (bits >> 10) & 0x1f;
    int fraction = bits & 0x3ff;
    double magnitude;
    if (exponent == 0x1f) {
      magnitude = fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
    } else if (exponent == 0) {
      magnitude = fraction * 0x1p-24;
    } else {
      magnitude = Math.scalb(1024.0 + fraction, exponent - 25);
    }
    return bits < 0 ? -magnitude : magnitude;
  }

  private Dtype floating(String name, String expected) {
    Dtype dtype = dtype(name);
    if (!dtype.floating()) {
      throw bad(name + ": expected dtype " + expected + ", got " + dtype);
    }
    return dtype;
  }

  /** An array for a tensor, whose bytes the file is known to hold. */
  private <A> A allocate(String name, IntFunction<A> array) {
    HeaderParser.Entry entry = entry(name);
    long count = (entry.end() - entry.begin()) / entry.dtype().bytes();
    if (count > Integer.MAX_VALUE - 8) {
      throw bad(name + ": expected fewer than 2^31-8 values for one array, got " + count);
    }
    try {
      return array.apply((int) count);
    } catch (OutOfMemoryError e) {
      throw new GatefuseException(
          Code.OUT_OF_MEMORY,
          path + ": " + name + ": expected heap for " + count + " values, got none; raise -Xmx",
          e);
    }
  }

  private HeaderParser.Entry entry(String name) {
    HeaderParser.Entry entry = header.tensors().get(name);
    if (entry == null) {
      throw new IllegalArgumentException(
          path + ": expected a tensor " + HeaderParser.quote(name) + ", got " + someNames());
    }
    return entry;
  }

  private GatefuseException bad(String message) {
    return new GatefuseException(Code.BAD_FILE, path + ": " + message);
  }
}
