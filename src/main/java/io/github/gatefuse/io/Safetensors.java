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
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * An open safetensors file: its tensors by name, each read into an array of its own when asked for.
 *
 * <p>The header is checked entirely before anything else is read: it must be strict JSON of the
 * format's structure, no longer than the file or 100 MB, with at most 100,000 entries, and its
 * tensors must fill the rest of the file, each byte once. Files may be larger than 2 GiB.
 *
 * <p>Whatever a file claims, opening it and reading each tensor once allocates, garbage counted, at
 * most its header's bytes, the arrays that are returned, and 8 MiB: no more than the file's size
 * and 8 MiB where F32, F64 and I64 are read as such. Names and text entries stay in the header's
 * bytes, and become strings when they are asked for.
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
  private final Header header;

  /** A block for reading, where no thread is using it. */
  private final AtomicReference<ByteBuffer> spare = new AtomicReference<>();

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
    } catch (HeaderText.BadHeader e) {
      throw bad(e.getMessage());
    }
  }

  /**
   * Opens a file and checks its header.
   *
   * @param path the file
   * @return the open file, to be closed by the caller
   * @throws GatefuseException with {@link Code#IO_FAILED} if it cannot be opened or read; with
   *     {@link Code#BAD_FILE} if it is not a sound safetensors file, naming the file and the field
   */
  public static Safetensors open(Path path) {
    // Some systems open a directory like a file, of any size.
    if (Files.isDirectory(path)) {
      throw new GatefuseException(Code.IO_FAILED, path + ": expected a file, got a directory");
    }
    try {
      FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
      try {
        return new Safetensors(path, channel);
      } catch (Throwable e) {
        channel.close();
        throw e;
      }
    } catch (IOException e) {
      throw failed(path, "read", e);
    }
  }

  /**
   * The file's text entries.
   *
   * @return an unmodifiable map in the file's order, empty if there are none; its strings are made
   *     anew whenever they are asked for
   */
  public Map<String, String> metadata() {
    return header.metadata();
  }

  /**
   * The names of all tensors.
   *
   * @return an unmodifiable set in the header's order; its strings are made anew whenever they are
   *     asked for
   */
  public Set<String> names() {
    return header.tensors().names();
  }

  /**
   * Whether there is a tensor of that name.
   *
   * @param name such as {@code weight_ih_l0}
   * @return true if there is
   */
  public boolean has(String name) {
    return header.tensors().find(name) >= 0;
  }

  /**
   * The number format of a tensor.
   *
   * @param name one of {@link #names()}
   * @return its type
   * @throws IllegalArgumentException if there is no such tensor
   */
  public Dtype dtype(String name) {
    return header.dtype(tensor(name));
  }

  /**
   * The shape of a tensor.
   *
   * @param name one of {@link #names()}
   * @return the dimensions, a new array; empty for a single number
   * @throws IllegalArgumentException if there is no such tensor
   */
  public long[] shape(String name) {
    return header.shape(tensor(name));
  }

  /**
   * Reads a tensor of floating numbers in float32; F64 is rounded to nearest.
   *
   * @param name one of {@link #names()}
   * @return its values, row-major, owned by the caller
   * @throws IllegalArgumentException if there is no such tensor
   * @throws GatefuseException with {@link Code#BAD_FILE} if its type is none of F64, F32, F16,
   *     BF16, or it is too large for one array; with {@link Code#IO_FAILED} if reading fails; with
   *     {@link Code#OUT_OF_MEMORY} if there is no memory for it
   */
  public float[] floats(String name) {
    return read(floating(name), float[]::new, Safetensors::takeFloats);
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
    return read(floating(name), double[]::new, Safetensors::takeDoubles);
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
    int tensor = tensor(name);
    if (header.dtype(tensor) != Dtype.I64) {
      throw wrongDtype(tensor, "I64");
    }
    return read(tensor, long[]::new, Safetensors::takeLongs);
  }

  /**
   * Reads the parameters of a network.
   *
   * <p>These are the tensors under the prefix that are named like recurrent parameters ({@code
   * weight_ih_l0}, {@code bias_hh_l1_reverse}), without the prefix, and {@value RnnSpec#EMBEDDING},
   * {@value RnnSpec#HEAD_WEIGHT} and {@value RnnSpec#HEAD_BIAS}, which never have one. Other
   * tensors are left alone. F64 stays float64, all else becomes float32. Each tensor that is taken
   * is allocated twice, one after the other: as it is read, and as the weights' own copy.
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
    Matcher recurrent = RECURRENT.matcher("");
    for (int tensor = 0; tensor < header.tensors().count(); tensor++) {
      if (header.startsWith(tensor, prefix)) {
        String name = header.tensors().name(tensor);
        if (recurrent.reset(name).region(prefix.length(), name.length()).matches()) {
          found = true;
          add(builder, name, name.substring(prefix.length()));
        }
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
      throw bad(HeaderText.shown(name) + ": shape: expected dimensions below 2^31, got " + size);
    }
    return (int) size;
  }

  private String someNames() {
    int shown = Math.min(8, header.tensors().count());
    return IntStream.range(0, shown).mapToObj(i -> '"' + header.shown(i) + '"').toList()
        + (shown < header.tensors().count() ? " and others" : "");
  }

  /** Closes the file; reading afterwards is an {@link IllegalStateException}. Idempotent. */
  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw failed(path, "closed", e);
    }
  }

  /** Takes all values out of a buffer, into an array from element i; the next i. */
  private interface Taker<A> {
    int take(ByteBuffer buffer, Dtype dtype, A out, int i);
  }

  private static int takeFloats(ByteBuffer buffer, Dtype dtype, float[] out, int i) {
    int next = i;
    while (buffer.hasRemaining()) {
      out[next++] = (float) number(buffer, dtype);
    }
    return next;
  }

  private static int takeDoubles(ByteBuffer buffer, Dtype dtype, double[] out, int i) {
    int next = i;
    while (buffer.hasRemaining()) {
      out[next++] = number(buffer, dtype);
    }
    return next;
  }

  private static int takeLongs(ByteBuffer buffer, Dtype dtype, long[] out, int i) {
    int next = i;
    while (buffer.hasRemaining()) {
      out[next++] = buffer.getLong();
    }
    return next;
  }

  /** Reads a tensor block by block. A block holds whole values: its size is a multiple of all. */
  private <A> A read(int tensor, IntFunction<A> array, Taker<A> taker) {
    A out = allocate(tensor, array);
    long position = dataStart + header.begin(tensor);
    long end = dataStart + header.end(tensor);
    ByteBuffer buffer = spare.getAndSet(null);
    buffer = buffer == null ? buffer(BLOCK) : buffer;
    for (int i = 0; position < end; position += buffer.limit()) {
      buffer.clear().limit((int) Math.min(BLOCK, end - position));
      fill(buffer, position);
      i = taker.take(buffer, header.dtype(tensor), out, i);
    }
    spare.set(buffer);
    return out;
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
      throw failed(path, "read", e);
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

  /** The number of a tensor that must be of floating numbers. */
  private int floating(String name) {
    int tensor = tensor(name);
    if (!header.dtype(tensor).floating()) {
      throw wrongDtype(tensor, "F64, F32, F16 or BF16");
    }
    return tensor;
  }

  private GatefuseException wrongDtype(int tensor, String expected) {
    return bad(
        header.shown(tensor) + ": expected dtype " + expected + ", got " + header.dtype(tensor));
  }

  /** An array for a tensor, whose bytes the file is known to hold. */
  private <A> A allocate(int tensor, IntFunction<A> array) {
    long count = (header.end(tensor) - header.begin(tensor)) / header.dtype(tensor).bytes();
    if (count > Integer.MAX_VALUE - 8) {
      throw bad(
          header.shown(tensor) + ": expected fewer than 2^31-8 values for one array, got " + count);
    }
    try {
      return array.apply((int) count);
    } catch (OutOfMemoryError e) {
      throw new GatefuseException(
          Code.OUT_OF_MEMORY,
          (path + ": " + header.shown(tensor) + ": expected heap for " + count)
              + " values, got none; raise -Xmx",
          e);
    }
  }

  private int tensor(String name) {
    int tensor = header.tensors().find(name);
    if (tensor < 0) {
      throw new IllegalArgumentException(
          path + ": expected a tensor \"" + HeaderText.shown(name) + "\", got " + someNames());
    }
    return tensor;
  }

  /** A failure of the file system, not of what the file holds. */
  static GatefuseException failed(Path path, String verb, IOException e) {
    String reason = e.toString();
    if (e instanceof NoSuchFileException) {
      reason = "no such file or directory";
    } else if (e instanceof AccessDeniedException) {
      reason = "permission denied";
    }
    return new GatefuseException(Code.IO_FAILED, path + ": cannot be " + verb + ": " + reason, e);
  }

  private GatefuseException bad(String message) {
    return new GatefuseException(Code.BAD_FILE, path + ": " + message);
  }
}
