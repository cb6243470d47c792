// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LineSplitterTest {
  private static final double LN_2 = Math.log(2);

  private static Rnn model;

  @BeforeAll
  static void create() {
    model = Rnn.create(TinyModel.SPEC, TinyModel.weights(TinyModel.SPEC), Backend.AUTO);
  }

  @AfterAll
  static void close() {
    model.close();
  }

  /** How lines are gathered and cut; none of it may show in a score. */
  private record Cut(int steps, int batch, int windowBytes, int maxLine) {
    static final Cut STANDARD = new Cut(Scorer.STEPS, 64, 1 << 20, 1 << 20);
  }

  private static List<LineScore> score(Cut cut, InputStream in) throws IOException {
    List<LineScore> lines = new ArrayList<>();
    SessionOptions options = SessionOptions.of(cut.steps, cut.batch);
    try (Scorer scorer = new Scorer(model, options, done -> {})) {
      Results results = (line, bytes, offset) -> lines.add(line);
      LineSplitter splitter = new LineSplitter(scorer, results, cut.windowBytes, cut.maxLine);
      splitter.read(in, 0);
      splitter.flush();
    }
    return lines;
  }

  private static List<LineScore> score(Cut cut, byte[] text) throws IOException {
    return score(cut, new ByteArrayInputStream(text));
  }

  /** Lines of all bytes: many short, some empty, a few longer than a call's steps. */
  private static byte[] text() {
    Random random = new Random(3);
    StringBuilder out = new StringBuilder();
    for (int line = 0; line < 150; line++) {
      int length = line % 40 == 7 ? 200 + random.nextInt(300) : random.nextInt(30);
      for (int i = 0; i < length; i++) {
        char c = (char) random.nextInt(256);
        out.append(c == '\n' ? 'x' : c);
      }
      out.append('\n');
    }
    return out.append("no line feed").toString().getBytes(ISO_8859_1);
  }

  @Test
  void scoresAreThoseOfEachLineAlone() throws IOException {
    String text = new String(text(), ISO_8859_1);
    List<LineScore> scores = score(Cut.STANDARD, text());
    String[] lines = text.split("\n");
    assertEquals(lines.length, scores.size());
    try (Session session = model.session(1000, 1)) {
      for (int i = 0; i < lines.length; i++) {
        int[] targets = (lines[i] + "\n").chars().toArray();
        int[] tokens = ("\n" + lines[i]).chars().toArray();
        float[] logs = session.score(tokens.length, 1, tokens, targets, null, null);
        double bits = 0;
        for (float log : logs) {
          bits -= log / LN_2;
        }
        assertEquals(new LineScore(0, i + 1, lines[i].length(), bits), scores.get(i));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "128, 64, 1048576, 20", // the longest lines are scored while they are read
    "128, 64, 1048576, 1",
    "128, 1, 1048576, 1048576",
    "128, 7, 1048576, 1048576",
    "1, 64, 1048576, 1048576", // every line in pieces
    "17, 5, 100, 1048576",
    "1000, 200, 1, 1048576", // each line by itself
    "13, 3, 50, 25"
  })
  void neitherBatchesNorWindowsNorPiecesShow(int steps, int batch, int windowBytes, int maxLine)
      throws IOException {
    List<LineScore> expected = score(Cut.STANDARD, text());
    assertEquals(expected, score(new Cut(steps, batch, windowBytes, maxLine), text()));
  }

  @Test
  void piecesOfTheStreamDoNotShow() throws IOException {
    InputStream single =
        new FilterInputStream(new ByteArrayInputStream(text())) {
          @Override
          public int read(byte[] bytes, int offset, int length) throws IOException {
            return super.read(bytes, offset, 1);
          }
        };
    assertEquals(score(Cut.STANDARD, text()), score(Cut.STANDARD, single));
  }

  @Test
  void linesOfSeveralStreamsAreKeptApart() throws IOException {
    List<LineScore> lines = new ArrayList<>();
    try (Scorer scorer = new Scorer(model, SessionOptions.of(8, 8), done -> {})) {
      LineSplitter splitter =
          new LineSplitter(scorer, (line, bytes, offset) -> lines.add(line), 1000, 1000);
      assertEquals(4, splitter.read(new ByteArrayInputStream("a\nbc".getBytes(ISO_8859_1)), 0));
      assertEquals(0, splitter.read(new ByteArrayInputStream(new byte[0]), 1));
      assertEquals(2, splitter.read(new ByteArrayInputStream("d\n".getBytes(ISO_8859_1)), 2));
      splitter.flush();
    }
    List<List<Long>> places = new ArrayList<>();
    for (LineScore line : lines) {
      places.add(List.of((long) line.file(), line.number(), line.bytes()));
    }
    assertEquals(List.of(List.of(0L, 1L, 1L), List.of(0L, 2L, 2L), List.of(2L, 1L, 1L)), places);
  }

  /** Gives bytes and sees how many of those given have not been scored yet: so many are held. */
  private static final class Gauge extends InputStream {
    private final byte[] text;
    private final AtomicLong scored;
    private int given;
    private long mostHeld;

    Gauge(byte[] text, AtomicLong scored) {
      this.text = text;
      this.scored = scored;
    }

    @Override
    public int read() {
      throw new AssertionError("expected reads of blocks");
    }

    @Override
    public int read(byte[] bytes, int offset, int length) {
      mostHeld = Math.max(mostHeld, given - scored.get());
      int count = Math.min(Math.min(length, 1000), text.length - given);
      System.arraycopy(text, given, bytes, offset, count);
      given += count;
      return count == 0 ? -1 : count;
    }
  }

  private static long mostHeld(byte[] text) throws IOException {
    AtomicLong scored = new AtomicLong();
    Gauge gauge = new Gauge(text, scored);
    try (Scorer scorer = new Scorer(model, SessionOptions.of(50, 16), scored::addAndGet)) {
      LineSplitter splitter = new LineSplitter(scorer, (line, bytes, offset) -> {}, 5000, 3000);
      splitter.read(gauge, 0);
      splitter.flush();
    }
    assertTrue(scored.get() >= text.length, "all is scored");
    return gauge.mostHeld;
  }

  @Test
  void whatIsHeldIsBoundedForManyLines() throws IOException {
    byte[] text = new byte[100_000];
    Arrays.fill(text, (byte) '\n');
    assertTrue(mostHeld(text) <= 5000 + 1000);
  }

  @Test
  void whatIsHeldIsBoundedForOneHugeLine() throws IOException {
    byte[] text = new byte[100_000];
    Arrays.fill(text, (byte) 'x');
    assertTrue(mostHeld(text) <= 3000 + 1000 + 50);
  }
}
