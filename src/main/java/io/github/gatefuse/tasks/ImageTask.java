// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.BatchSource;
import io.github.gatefuse.training.Loss;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Images read as sequences, whose class is told at the last step.
 *
 * <p>Values are between 0 and 1. The training set is gone through in another order in each epoch;
 * what does not fill a batch at an epoch's end is left out of it.
 *
 * <p>Immutable and thread-safe.
 */
public final class ImageTask implements SupervisedTask {
  private static final int CLASSES = 10;

  /** One for all trainings, so that all learn the same task. */
  private static final long PERMUTATION_SEED = 92916;

  private final String id;
  private final String text;
  private final ImageData data;
  private final int steps;
  private final int inputs;

  /** The place in the image of each value of a sequence. */
  private final int[] order;

  private ImageTask(String id, String text, ImageData data, int steps, int[] order) {
    this.id = id;
    this.text = text;
    this.data = data;
    this.steps = steps;
    this.inputs = data.training().pixels() * data.training().channels() / steps;
    this.order = order;
  }

  /**
   * MNIST pixel by pixel: 784 steps of one value.
   *
   * @param folder with the IDX files
   * @return the task {@code mnist}
   * @throws io.github.gatefuse.GatefuseException if a file is missing or not as it must be
   */
  public static ImageTask mnist(Path folder) {
    return plain("mnist", "MNIST, pixel by pixel.", Mnist.read(folder), Mnist.SIDE * Mnist.SIDE);
  }

  /**
   * MNIST row by row: 28 steps of 28 values.
   *
   * @param folder with the IDX files
   * @return the task {@code mnist-rows}
   * @throws io.github.gatefuse.GatefuseException if a file is missing or not as it must be
   */
  public static ImageTask mnistRows(Path folder) {
    return plain("mnist-rows", "MNIST, row by row.", Mnist.read(folder), Mnist.SIDE);
  }

  /**
   * MNIST pixel by pixel in one random order, the same for all images and trainings.
   *
   * @param folder with the IDX files
   * @return the task {@code mnist-permuted}
   * @throws io.github.gatefuse.GatefuseException if a file is missing or not as it must be
   */
  public static ImageTask mnistPermuted(Path folder) {
    ImageData data = Mnist.read(folder);
    int pixels = data.training().pixels();
    int[] order = Draw.of(PERMUTATION_SEED, 0).permutation(pixels);
    String text = "MNIST, pixel by pixel in a random order that is the same for all images.";
    return new ImageTask("mnist-permuted", text, data, pixels, order);
  }

  /**
   * CIFAR-10 pixel by pixel: 1,024 steps of red, green and blue.
   *
   * @param folder with the files of the binary version
   * @return the task {@code cifar10}
   * @throws io.github.gatefuse.GatefuseException if a file is missing or not as it must be
   */
  public static ImageTask cifar10(Path folder) {
    ImageData data = Cifar10.read(folder);
    return plain("cifar10", "CIFAR-10, pixel by pixel.", data, data.training().pixels());
  }

  private static ImageTask plain(String id, String text, ImageData data, int steps) {
    int[] order = new int[data.training().pixels() * data.training().channels()];
    Arrays.setAll(order, i -> i);
    return new ImageTask(id, text, data, steps, order);
  }

  @Override
  public String id() {
    return id;
  }

  @Override
  public String description() {
    return text + " " + data.origin();
  }

  @Override
  public RnnSpec network(Cell cell, int hiddenSize) {
    return RnnSpec.of(cell, inputs, hiddenSize).withOutputs(CLASSES);
  }

  @Override
  public int steps() {
    return steps;
  }

  @Override
  public Loss loss() {
    return Loss.CROSS_ENTROPY;
  }

  @Override
  public Goal goal() {
    return Goal.open(Metric.ACCURACY, 1.0 / CLASSES);
  }

  @Override
  public BatchSource training(long seed, int sequences) {
    Images images = data.training();
    if (sequences > images.count()) {
      throw new IllegalArgumentException(
          "%s: expected a batch of at most the %d images to learn from, got %d"
              .formatted(id, images.count(), sequences));
    }
    long inEpoch = images.count() / sequences;
    Epochs epochs = new Epochs(seed, images.count());
    return index -> {
      int first = (int) (index % inEpoch) * sequences;
      int[] shuffled = epochs.order(index / inEpoch);
      return batch(images, Arrays.copyOfRange(shuffled, first, first + sequences));
    };
  }

  @Override
  public HeldOut heldOut(int sequences) {
    Images images = data.heldOut();
    return Parts.of(
        images.count(),
        sequences,
        (first, count) -> {
          int[] numbers = new int[count];
          Arrays.setAll(numbers, i -> first + i);
          return batch(images, numbers);
        });
  }

  private Batch batch(Images images, int[] numbers) {
    int sequences = numbers.length;
    float[] x = new float[steps * sequences * inputs];
    int[] classes = new int[steps * sequences];
    for (int b = 0; b < sequences; b++) {
      int begin = numbers[b] * steps * inputs;
      for (int t = 0; t < steps; t++) {
        classes[t * sequences + b] = images.labels()[numbers[b]];
        for (int i = 0; i < inputs; i++) {
          int value = images.values()[begin + order[t * inputs + i]] & 0xff;
          x[(t * sequences + b) * inputs + i] = value / 255f;
        }
      }
    }
    return Batch.of(steps, sequences, x, classes).withLastStepOnly();
  }

  /** The order of each epoch; the last one asked for is kept. */
  private static final class Epochs {
    private record Order(long epoch, int[] numbers) {}

    private final long seed;
    private final int count;
    private volatile Order last = new Order(-1, null);

    Epochs(long seed, int count) {
      this.seed = seed;
      this.count = count;
    }

    int[] order(long epoch) {
      Order order = last;
      if (order.epoch != epoch) {
        order = new Order(epoch, Draw.of(seed, epoch).permutation(count));
        last = order;
      }
      return order.numbers;
    }
  }
}
