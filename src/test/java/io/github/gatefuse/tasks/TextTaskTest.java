// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.BatchSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextTaskTest {
  @TempDir Path folder;
  private Path file;
  private byte[] text;

  @BeforeEach
  void write() throws IOException {
    text = new byte[1000];
    new java.util.Random(3).nextBytes(text);
    file = folder.resolve("some.bin");
    Files.write(file, text);
  }

  @Test
  void everyByteIsToldFromThoseBeforeIt() {
    TextTask task = TextTask.of(List.of(file), 7);
    BatchSource source = task.training(4, 3);
    long windows = 899 / 21;
    int begin = -1;
    for (long i = 0; i < windows; i++) {
      Batch batch = source.batch(i);
      assertEquals(i != 0, batch.continues());
      if (i == 0) {
        begin = find(batch);
      }
      for (int b = 0; b < 3; b++) {
        for (int t = 0; t < 7; t++) {
          int at = (int) (begin + b * windows * 7 + i * 7 + t);
          assertTrue(at + 1 < 900, "only what is not held out");
          assertEquals(text[at] & 0xff, batch.tokens()[t * 3 + b]);
          assertEquals(text[at + 1] & 0xff, batch.classes()[t * 3 + b]);
        }
      }
    }
    assertEquals(false, source.batch(windows).continues());
  }

  /** Where the first sequence of a batch lies in the text. */
  private int find(Batch batch) {
    for (int at = 0; at < 900; at++) {
      boolean is = true;
      for (int t = 0; t < batch.steps(); t++) {
        is &= (text[at + t] & 0xff) == batch.tokens()[t * batch.sequences()];
      }
      if (is) {
        return at;
      }
    }
    throw new AssertionError("not in the text");
  }

  @Test
  void theLastTenthIsHeldOut() {
    HeldOut heldOut = TextTask.of(List.of(file), 7).heldOut(50);
    assertEquals(1, heldOut.count());
    Batch batch = heldOut.source().batch(0);
    assertEquals(14, batch.sequences());
    assertEquals(text[900] & 0xff, batch.tokens()[0]);
    assertEquals(text[900 + 98] & 0xff, batch.classes()[6 * 14 + 13]);
  }

  @Test
  void batchesAreFunctionsOfSeedAndNumber() {
    TextTask task = TextTask.of(List.of(file), 4);
    // Those of an epoch differ by where the epoch begins, which two seeds may share.
    Batch one = task.training(1, 3).batch(200);
    Batches.assertSame(one, task.training(1, 3).batch(200));
  }

  @Test
  void theBaselineIsThatOfFrequencies() throws IOException {
    byte[] same = new byte[10_000];
    Files.write(file, same);
    double bits = TextTask.of(List.of(file), 7).goal().baseline().getAsDouble();
    assertEquals(-Math.log(9001.0 / 9256) / Math.log(2), bits, 1e-9);
  }

  @Test
  void aFolderIsItsFilesByName() throws IOException {
    Files.write(folder.resolve("another"), new byte[] {1, 2, 3});
    Files.write(folder.resolve(".hidden"), new byte[100]);
    Files.createDirectory(folder.resolve("folder"));
    TextTask task = TextTask.of(List.of(folder), 7);
    assertTrue(
        task.description().contains("bytes of another, some.bin; the first 903"),
        task.description());
  }

  @Test
  void whatIsMissingOrTooShortIsSaid() throws IOException {
    assertThrows(IllegalArgumentException.class, () -> TextTask.of(List.of(file), 0));
    TextTask task = TextTask.of(List.of(file), 7);
    assertThrows(IllegalArgumentException.class, () -> task.training(1, 900));
    Files.write(file, new byte[70]);
    GatefuseException shorter =
        assertThrows(GatefuseException.class, () -> TextTask.of(List.of(file), 7));
    assertTrue(shorter.getMessage().contains("at least 80 bytes"), shorter.getMessage());
    assertThrows(GatefuseException.class, () -> TextTask.of(List.of(folder.resolve("no")), 7));
  }
}
