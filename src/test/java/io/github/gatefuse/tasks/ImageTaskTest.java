// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.BatchSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ImageTaskTest {
  @TempDir Path folder;

  @Test
  void pixelsAreStepsAndTheClassIsToldAtTheLast() throws IOException {
    ImageFiles.mnist(folder, "train", 12, true);
    ImageFiles.mnist(folder, "t10k", 5, false);
    ImageTask task = ImageTask.mnist(folder);
    Batch batch = task.heldOut(3).source().batch(1);
    assertEquals(784, batch.steps());
    assertEquals(2, batch.sequences());
    for (int b = 0; b < 2; b++) {
      for (int t = 0; t < 784; t++) {
        assertEquals(ImageFiles.pixel(3 + b, t) / 255f, batch.inputs()[t * 2 + b]);
        assertEquals(t == 783 ? 1 : 0, batch.weight(t, b));
      }
      assertEquals(3 + b, batch.classes()[783 * 2 + b]);
    }
    assertTrue(task.description().contains("12 images of the training set"), task.description());
  }

  @Test
  void rowsAreStepsOfManyValues() throws IOException {
    ImageFiles.mnist(folder, "train", 10, false);
    ImageFiles.mnist(folder, "t10k", 2, false);
    Batch batch = ImageTask.mnistRows(folder).heldOut(2).source().batch(0);
    assertEquals(28, batch.steps());
    assertEquals(ImageFiles.pixel(1, 5 * 28 + 9) / 255f, batch.inputs()[(5 * 2 + 1) * 28 + 9]);
  }

  @Test
  void thePermutationIsOneForAll() throws IOException {
    ImageFiles.mnist(folder, "train", 10, false);
    ImageFiles.mnist(folder, "t10k", 2, false);
    float[] plain = inputs(ImageTask.mnist(folder));
    float[] permuted = inputs(ImageTask.mnistPermuted(folder));
    assertArrayEquals(permuted, inputs(ImageTask.mnistPermuted(folder)));
    assertTrue(!Arrays.equals(plain, permuted));
    Arrays.sort(plain);
    Arrays.sort(permuted);
    assertArrayEquals(plain, permuted);
  }

  private static float[] inputs(ImageTask task) {
    return task.heldOut(1).source().batch(1).inputs();
  }

  @Test
  void anEpochShowsEveryImageOnceInItsOwnOrder() throws IOException {
    ImageFiles.mnist(folder, "train", 7, false);
    ImageFiles.mnist(folder, "t10k", 8, false);
    ImageTask task = ImageTask.mnistRows(folder);
    BatchSource source = task.training(1, 2);
    Set<Integer> seen = new TreeSet<>();
    for (int i = 0; i < 3; i++) {
      Batch batch = source.batch(i);
      seen.add(batch.classes()[27 * 2]);
      seen.add(batch.classes()[27 * 2 + 1]);
    }
    assertEquals(6, seen.size());
    Batches.assertPure(task, 2);
    Batches.assertHeldOutAlike(task, 28);
    assertThrows(IllegalArgumentException.class, () -> task.training(1, 8));
  }

  @Test
  void aLoneTestSetIsSplitAndThatIsSaid() throws IOException {
    ImageFiles.mnist(folder, "t10k", 10, true);
    ImageTask task = ImageTask.mnistRows(folder);
    Batch learnt = task.training(1, 8).batch(0);
    Batch heldOut = task.heldOut(10).source().batch(0);
    Set<Integer> all = new TreeSet<>();
    for (int b = 0; b < 8; b++) {
      all.add(learnt.classes()[b]);
    }
    all.add(heldOut.classes()[0]);
    all.add(heldOut.classes()[1]);
    assertEquals(10, all.size());
    assertEquals(2, heldOut.sequences());
    assertTrue(task.description().contains("not comparable"), task.description());
  }

  @Test
  void aPixelOfCifarIsRedGreenAndBlue() throws IOException {
    Files.write(folder.resolve("test_batch.bin"), ImageFiles.cifar(3));
    for (int i = 1; i <= 5; i++) {
      Files.write(folder.resolve("data_batch_" + i + ".bin"), ImageFiles.cifar(2));
    }
    ImageTask task = ImageTask.cifar10(folder);
    Batch batch = task.heldOut(2).source().batch(0);
    assertEquals(1024, batch.steps());
    for (int t = 0; t < 1024; t++) {
      for (int c = 0; c < 3; c++) {
        float expected = ImageFiles.pixel(1, 3 * t + c) / 255f;
        assertEquals(expected, batch.inputs()[(t * 2 + 1) * 3 + c]);
      }
    }
    assertEquals(10, task.training(1, 10).batch(0).sequences());
    Files.delete(folder.resolve("data_batch_3.bin"));
    assertRefused("got 4 of 5", () -> ImageTask.cifar10(folder));
  }

  @Test
  void wrongFilesAreErrorsThatSayWhatIsWrong() throws IOException {
    assertRefused("got nothing of that name", () -> ImageTask.mnist(folder.resolve("nowhere")));
    assertRefused("got no t10k files", () -> ImageTask.mnist(folder));
    assertRefused("got no test_batch.bin", () -> ImageTask.cifar10(folder));
    ImageFiles.mnist(folder, "t10k", 4, false);
    Path images = folder.resolve("t10k-images-idx3-ubyte");
    Path labels = folder.resolve("t10k-labels-idx1-ubyte");
    byte[] good = Files.readAllBytes(images);
    assertRefused("got a file", () -> ImageTask.mnist(images));

    Files.write(images, new byte[5]);
    assertRefused("expected an IDX header of 16 bytes, got 5", this::read);
    Files.write(images, new byte[0]);
    assertRefused("got 0 bytes in all", this::read);
    Files.write(images, Files.readAllBytes(labels));
    assertRefused("expected an IDX header", this::read);
    Files.write(images, "<html>Not Found, this is a page</html>".getBytes());
    assertRefused("which begins with 00000803, got 3c68746d", this::read);
    Files.write(images, Arrays.copyOf(good, good.length - 1));
    assertRefused("got 3135", this::read);
    Files.write(images, Arrays.copyOf(good, good.length + 1));
    assertRefused("got 3137", this::read);
    Files.write(images, new byte[] {0x1f, (byte) 0x8b, 8, 0, 0});
    assertRefused("expected a whole gzip file", this::read);
    Files.write(images, new byte[] {0x1f, (byte) 0x8b, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    assertRefused("expected a whole gzip file", this::read);
    Files.write(images, ImageFiles.idx(new byte[0], -1, -1, -1));
    assertRefused("4294967295", this::read);
    Files.write(images, ImageFiles.idx(new byte[4 * 9], 4, 3, 3));
    assertRefused("got 3 by 3", this::read);
    Files.write(images, ImageFiles.idx(new byte[0], 0, 28, 28));
    assertRefused("at least one", this::read);

    Files.write(images, good);
    Files.write(labels, ImageFiles.idx(new byte[] {1, 2, 3}, 3));
    assertRefused("expected 4 labels", this::read);
    Files.write(labels, ImageFiles.idx(new byte[] {1, 2, 3, (byte) 200}, 4));
    assertRefused("label 3: expected 0 to 9, got 200", this::read);
    Files.delete(labels);
    assertRefused("expected images and labels of t10k", this::read);
    Files.createDirectory(labels);
    assertRefused("got a directory", this::read);
  }

  @Test
  void wrongFilesOfCifarAreErrorsToo() throws IOException {
    Path file = folder.resolve("test_batch.bin");
    byte[] good = ImageFiles.cifar(2);
    Files.write(file, Arrays.copyOf(good, good.length - 1));
    assertRefused("expected records of 3073 bytes, at least one, got 6145", this::cifar);
    Files.write(file, new byte[0]);
    assertRefused("got 0 bytes", this::cifar);
    good[3073] = 10;
    Files.write(file, good);
    assertRefused("label 1: expected 0 to 9, got 10", this::cifar);
  }

  private void read() {
    ImageTask.mnist(folder);
  }

  private void cifar() {
    ImageTask.cifar10(folder);
  }

  private void assertRefused(String part, Runnable action) {
    GatefuseException e = assertThrows(GatefuseException.class, action::run);
    assertTrue(e.getMessage().contains(part), e.getMessage());
    assertTrue(e.getMessage().startsWith(folder.toString()), e.getMessage());
  }
}
