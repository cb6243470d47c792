// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.training.Batch;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * Lines of files as batches for a byte model, as {@link ScoreCommand} scores them: each is a
 * sequence by itself, that begins after a line feed and ends with one. Longer lines go in pieces.
 *
 * <p>Every pass over the lines is in another order. Lines of a batch are of like lengths: those of
 * a window are sorted. Thread-safe; what it gives never changes.
 */
final class LineBatches {
  private static final byte LINE_FEED = '\n';
  private static final int WINDOW_BATCHES = 16;
  private static final int HELD_OUT_SHARE = 20;

  /** All bytes; a piece is the bytes between two of the begins, and what it predicts one more. */
  private final byte[] bytes;

  private final int[] begins;
  private final int[] ends;
  private final int batch;
  private final long seed;

  /** That of the last batch, which most often is that of the next one, too. */
  private volatile Pass last;

  private LineBatches(byte[] bytes, int[] begins, int[] ends, int batch, long seed) {
    this.bytes = bytes;
    this.begins = begins;
    this.ends = ends;
    this.batch = batch;
    this.seed = seed;
  }

  /** The order of the pieces in a pass over them; nobody writes to it. */
  private record Pass(long number, int[] order) {}

  /** What is learnt from, and every twentieth piece, which is held out. */
  record Split(LineBatches training, LineBatches heldOut) {}

  /**
   * Reads files.
   *
   * @param longest bytes of a piece
   * @param batch pieces of a batch
   * @throws CommandException if a file cannot be read, or there are not enough lines
   */
  static Split read(List<Path> files, int longest, int batch, long seed) {
    byte[] bytes = readAll(files);
    List<int[]> pieces = pieces(bytes, longest);
    Random random = new Random(seed);
    List<int[]> training = new ArrayList<>();
    List<int[]> heldOut = new ArrayList<>();
    for (int[] piece : pieces) {
      (random.nextInt(HELD_OUT_SHARE) == 0 ? heldOut : training).add(piece);
    }
    if (training.isEmpty() || heldOut.isEmpty()) {
      throw new CommandException(
          "train: expected enough lines to learn from and to hold out (some dozens), got "
              + pieces.size());
    }
    return new Split(
        of(bytes, training, batch, seed), of(bytes, heldOut, Math.min(batch, heldOut.size()), 0));
  }

  private static LineBatches of(byte[] bytes, List<int[]> pieces, int batch, long seed) {
    int[] begins = pieces.stream().mapToInt(piece -> piece[0]).toArray();
    int[] ends = pieces.stream().mapToInt(piece -> piece[1]).toArray();
    return new LineBatches(bytes, begins, ends, batch, seed);
  }

  /** All files one after another, each with a line feed at its end. */
  private static byte[] readAll(List<Path> files) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (Path file : files) {
      try (InputStream in = Files.newInputStream(file)) {
        long size = Files.size(file);
        if (all.size() + size > Integer.MAX_VALUE - 64) {
          throw new CommandException(
              "train: expected less than 2 GiB of text, got more at " + file);
        }
        in.transferTo(all);
        all.write(LINE_FEED);
      } catch (IOException e) {
        throw new CommandException(file + ": cannot read: " + e.getMessage(), e);
      }
    }
    return all.toByteArray();
  }

  private static List<int[]> pieces(byte[] bytes, int longest) {
    List<int[]> pieces = new ArrayList<>();
    int begin = 0;
    for (int i = 0; i < bytes.length; i++) {
      boolean ends = bytes[i] == LINE_FEED;
      if (ends && i > begin || i - begin == longest) {
        pieces.add(new int[] {begin, i});
        begin = i;
      }
      if (ends) {
        begin = i + 1;
      }
    }
    return pieces;
  }

  /** The number of pieces. */
  int size() {
    return begins.length;
  }

  /** The number of batches of a pass over all pieces; what does not fill a batch waits. */
  long batches() {
    return Math.max(1, size() / batch);
  }

  /** The batch of that number. */
  Batch batch(long index) {
    long pass = index / batches();
    int[] chosen = chosen(pass, (int) (index % batches()));
    int steps = IntStream.of(chosen).map(this::length).max().getAsInt();
    int[] tokens = new int[steps * chosen.length];
    int[] classes = new int[steps * chosen.length];
    int[] lengths = new int[chosen.length];
    for (int b = 0; b < chosen.length; b++) {
      int piece = chosen[b];
      lengths[b] = length(piece);
      for (int t = 0; t < lengths[b]; t++) {
        tokens[t * chosen.length + b] = t == 0 ? LINE_FEED : at(piece, t - 1);
        classes[t * chosen.length + b] = at(piece, t);
      }
    }
    return Batch.of(steps, chosen.length, tokens, classes).withLengths(lengths);
  }

  /** The pieces of a batch: the lines of a window of batches are sorted and dealt out again. */
  private int[] chosen(long pass, int number) {
    int[] order = order(pass);
    int window = number / WINDOW_BATCHES;
    int first = window * WINDOW_BATCHES * batch;
    int last = (int) Math.min(first + WINDOW_BATCHES * batch, batches() * batch);
    Integer[] sorted =
        IntStream.range(first, Math.min(last, order.length))
            .mapToObj(i -> order[i])
            .sorted(Comparator.comparingInt(this::length).thenComparingInt(i -> i))
            .toArray(Integer[]::new);
    int begin = dealt(pass, window, sorted.length / batch)[number % WINDOW_BATCHES] * batch;
    return Arrays.stream(sorted, begin, Math.min(begin + batch, sorted.length))
        .mapToInt(i -> i)
        .toArray();
  }

  private int[] dealt(long pass, int window, int count) {
    return permutation(Math.max(1, count), seed * 31 + pass * 1_000_003 + window + 1);
  }

  private int[] order(long pass) {
    Pass known = last;
    if (known == null || known.number != pass) {
      known = new Pass(pass, permutation(size(), seed * 31 + pass * 1_000_003));
      last = known;
    }
    return known.order;
  }

  private static int[] permutation(int count, long seed) {
    Random random = new Random(seed);
    int[] order = IntStream.range(0, count).toArray();
    for (int i = count - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int kept = order[i];
      order[i] = order[j];
      order[j] = kept;
    }
    return order;
  }

  /** Predictions of a piece: its bytes, and the line feed after it. */
  private int length(int piece) {
    return ends[piece] - begins[piece] + 1;
  }

  /** What is predicted at a place. */
  private int at(int piece, int t) {
    int i = begins[piece] + t;
    return i == ends[piece] ? LINE_FEED : bytes[i] & 0xff;
  }
}
