// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.BatchSource;
import io.github.gatefuse.training.Loss;
import java.util.OptionalDouble;

/**
 * "Learning to Execute" (Zaremba and Sutskever 2014): a program is read character by character, and
 * what it prints is told digit by digit.
 *
 * <p>Behind the program stands a sign; there the first digit is to be told, and then at each digit
 * the next one, the network reading the right one, until the full stop that ends the number. Only
 * these places count. A quarter of all programs, by their hash, is held out and never learnt from.
 *
 * <p>Immutable and thread-safe.
 */
public final class ProgramTask implements SupervisedTask {
  private static final String READ = "0123456789abcdefghijklmnopqrstuvwxyz+-*=<>(): \n#";
  private static final String TOLD = "0123456789-.";
  private static final int HELD_OUT = 500;
  private static final int MOST_DIGITS = 20;

  private final int length;
  private final int nesting;
  private final ProgramGenerator generator;

  /**
   * Makes the task.
   *
   * @param length the most digits of a number in a program, 1 to 8
   * @param nesting the operations of a program, 1 to 5
   * @throws IllegalArgumentException if one is beyond that
   */
  public ProgramTask(int length, int nesting) {
    if (length < 1 || length > 8 || nesting < 1 || nesting > 5) {
      throw new IllegalArgumentException(
          "program: expected a length of 1 to 8 digits and a nesting of 1 to 5, got %d and %d"
              .formatted(length, nesting));
    }
    this.length = length;
    this.nesting = nesting;
    this.generator = new ProgramGenerator(length, nesting);
  }

  @Override
  public String id() {
    return "program";
  }

  @Override
  public String description() {
    return ("Program: what a program of %d operations on numbers of up to %d digits prints, told"
            + " digit by digit, each with the right ones before it in sight. Programs that are held"
            + " out are never learnt from.")
        .formatted(nesting, length);
  }

  @Override
  public RnnSpec network(Cell cell, int hiddenSize) {
    return RnnSpec.of(cell, Math.min(hiddenSize, READ.length()), hiddenSize)
        .withVocabulary(READ.length())
        .withOutputs(TOLD.length());
  }

  @Override
  public int steps() {
    return generator.longest() + 1 + MOST_DIGITS;
  }

  @Override
  public Loss loss() {
    return Loss.CROSS_ENTROPY;
  }

  @Override
  public Goal goal() {
    return new Goal(Metric.ACCURACY, OptionalDouble.empty(), OptionalDouble.of(0.99));
  }

  @Override
  public BatchSource training(long seed, int sequences) {
    return index -> batch(seed, index * sequences, sequences, false);
  }

  @Override
  public HeldOut heldOut(int sequences) {
    return Parts.of(
        HELD_OUT, sequences, (first, count) -> batch(Draw.HELD_OUT, first, count, true));
  }

  private Batch batch(long seed, long first, int sequences, boolean heldOut) {
    String[] programs = new String[sequences];
    String[] answers = new String[sequences];
    int[] lengths = new int[sequences];
    int longest = 0;
    for (int b = 0; b < sequences; b++) {
      programs[b] = program(Draw.of(seed, first + b), heldOut) + "#";
      answers[b] = Interpreter.run(programs[b].substring(0, programs[b].length() - 1)) + ".";
      lengths[b] = programs[b].length() + answers[b].length() - 1;
      longest = Math.max(longest, lengths[b]);
    }
    int[] tokens = new int[longest * sequences];
    int[] classes = new int[longest * sequences];
    float[] weights = new float[longest * sequences];
    for (int b = 0; b < sequences; b++) {
      String all = programs[b] + answers[b];
      int begin = programs[b].length() - 1;
      for (int t = 0; t < lengths[b]; t++) {
        int place = t * sequences + b;
        tokens[place] = READ.indexOf(all.charAt(t));
        if (t >= begin) {
          classes[place] = TOLD.indexOf(all.charAt(t + 1));
          weights[place] = 1;
        }
      }
    }
    return Batch.of(longest, sequences, tokens, classes).withLengths(lengths).withWeights(weights);
  }

  private String program(Draw draw, boolean heldOut) {
    while (true) {
      String program = generator.program(draw);
      if (isHeldOut(program) == heldOut) {
        return program;
      }
    }
  }

  static boolean isHeldOut(String program) {
    return Draw.of(program.hashCode(), 0).below(4) == 0;
  }
}
