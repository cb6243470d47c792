// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.Cell;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.BatchSource;
import io.github.gatefuse.training.Loss;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * A language model of bytes: each byte is to be told from those before it.
 *
 * <p>The files, in the order given, are one text; its last tenth is held out. A batch reads B
 * places of the text side by side, T bytes of each, and the next batch goes on where it ended: the
 * state is carried on and the gradient is not (truncated back-propagation through time). At an
 * epoch's end all begin again, at other places.
 *
 * <p>Immutable and thread-safe.
 */
public final class TextTask implements SupervisedTask {
  private static final int BYTES = 256;
  private static final int WIDEST_EMBEDDING = 64;
  private static final int MOST_BYTES = 1 << 30;

  private final List<Path> files;
  private final byte[] training;
  private final byte[] heldOut;
  private final int window;

  private TextTask(List<Path> files, byte[] training, byte[] heldOut, int window) {
    this.files = files;
    this.training = training;
    this.heldOut = heldOut;
    this.window = window;
  }

  /**
   * Reads files.
   *
   * @param paths any files; of a folder those that lie in it, by name, hidden ones left out
   * @param window T, the bytes of a sequence through which gradients go back, at least 1
   * @return the task
   * @throws GatefuseException if a file cannot be read, or all together are too short
   */
  public static TextTask of(List<Path> paths, int window) {
    if (window < 1) {
      throw new IllegalArgumentException("text: expected a length of at least 1, got " + window);
    }
    List<Path> files = paths.stream().flatMap(path -> files(path).stream()).toList();
    byte[] all = new byte[0];
    for (Path file : files) {
      byte[] bytes = DataFile.read(file, MOST_BYTES - all.length);
      int end = all.length;
      all = Arrays.copyOf(all, end + bytes.length);
      System.arraycopy(bytes, 0, all, end, bytes.length);
    }
    int held = all.length / 10;
    if (held < window + 1) {
      throw new GatefuseException(
          Code.BAD_FILE,
          "%s: expected at least %d bytes, so that a tenth holds a sequence of %d, got %d"
              .formatted(paths, 10L * (window + 1), window, all.length));
    }
    int begin = all.length - held;
    return new TextTask(
        files, Arrays.copyOf(all, begin), Arrays.copyOfRange(all, begin, all.length), window);
  }

  private static List<Path> files(Path path) {
    if (!Files.isDirectory(path)) {
      return List.of(path);
    }
    try (Stream<Path> all = Files.list(path)) {
      return all.filter(Files::isRegularFile)
          .filter(file -> !file.getFileName().toString().startsWith("."))
          .sorted()
          .toList();
    } catch (IOException | UncheckedIOException e) {
      throw new GatefuseException(Code.IO_FAILED, path + ": cannot read: " + e, e);
    }
  }

  @Override
  public String id() {
    return "text";
  }

  @Override
  public String description() {
    List<String> names = new ArrayList<>();
    for (Path file : files) {
      names.add(String.valueOf(file.getFileName()));
    }
    String listed = names.size() <= 5 ? String.join(", ", names) : names.size() + " files";
    return ("Text: a model of the bytes of %s; the first %d bytes are learnt from, the last %d are"
            + " held out. The baseline is a model that knows how often each byte is.")
        .formatted(listed, training.length, heldOut.length);
  }

  @Override
  public RnnSpec network(Cell cell, int hiddenSize) {
    return RnnSpec.of(cell, Math.min(hiddenSize, WIDEST_EMBEDDING), hiddenSize)
        .withVocabulary(BYTES)
        .withOutputs(BYTES);
  }

  @Override
  public int steps() {
    return window;
  }

  @Override
  public Loss loss() {
    return Loss.CROSS_ENTROPY;
  }

  @Override
  public Goal goal() {
    return Goal.open(Metric.BITS_PER_BYTE, frequencyBits());
  }

  /**
   * The bits for each held-out byte by the frequencies of those learnt from, each seen once more.
   */
  private double frequencyBits() {
    long[] seen = new long[BYTES];
    Arrays.fill(seen, 1);
    for (byte b : training) {
      seen[b & 0xff]++;
    }
    double nats = 0;
    for (byte b : heldOut) {
      nats -= Math.log((double) seen[b & 0xff] / (training.length + BYTES));
    }
    return nats / heldOut.length / Math.log(2);
  }

  @Override
  public BatchSource training(long seed, int sequences) {
    long windows = windows(training, sequences);
    long slack = training.length - 1 - windows * window * sequences;
    return index -> {
      long epoch = index / windows;
      int begin = Draw.of(seed, epoch).below((int) slack + 1);
      return batch(training, begin, windows, index % windows, sequences);
    };
  }

  /** All but the last few bytes, by as many sequences side by side as are asked for and fit. */
  @Override
  public HeldOut heldOut(int sequences) {
    int most = Math.min(sequences, (heldOut.length - 1) / window);
    long windows = windows(heldOut, most);
    return new HeldOut(index -> batch(heldOut, 0, windows, index % windows, most), windows);
  }

  private long windows(byte[] text, int sequences) {
    long windows = (text.length - 1) / ((long) sequences * window);
    if (windows < 1) {
      throw new IllegalArgumentException(
          "text: expected at least %d bytes to learn from, for %d sequences of %d, got %d"
              .formatted((long) sequences * window + 1, sequences, window, text.length));
    }
    return windows;
  }

  private Batch batch(byte[] text, int begin, long windows, long number, int sequences) {
    int[] tokens = new int[window * sequences];
    int[] classes = new int[window * sequences];
    for (int b = 0; b < sequences; b++) {
      int from = (int) (begin + (b * windows + number) * window);
      for (int t = 0; t < window; t++) {
        tokens[t * sequences + b] = text[from + t] & 0xff;
        classes[t * sequences + b] = text[from + t + 1] & 0xff;
      }
    }
    return Batch.of(window, sequences, tokens, classes).withContinues(number != 0);
  }
}
