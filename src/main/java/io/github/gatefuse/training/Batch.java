// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

import java.util.Objects;

/**
 * Sequences to learn from at one time, with what is to be predicted. T steps, B sequences, time
 * major: what belongs to step t of sequence b is at place {@code t * B + b}.
 *
 * <p>Arrays belong to whoever made the batch; nobody writes to them while it is in use. Past a
 * sequence's length nothing is read.
 *
 * @param steps T, at least 1
 * @param sequences B, at least 1
 * @param inputs [T, B, I], for a network without an embedding; else null
 * @param tokens [T, B], for a network with an embedding; else null
 * @param lengths [B], each 1 to T; null: all T
 * @param classes [T, B], the number of the right output; null where values are predicted
 * @param values [T, B, O], the right outputs; null where classes are predicted
 * @param weights [T, B], how much a place counts in the loss, 0 for not at all; null: 1 each
 * @param continues whether the sequences go on where those of the batch before ended: the network
 *     then begins with that batch's final state, through which no gradient goes back
 */
public record Batch(
    int steps,
    int sequences,
    float[] inputs,
    int[] tokens,
    int[] lengths,
    int[] classes,
    float[] values,
    float[] weights,
    boolean continues) {

  /**
   * Checks the sizes that are known without a network.
   *
   * @param steps T, at least 1
   * @param sequences B, at least 1
   * @param inputs [T, B, I], for a network without an embedding; else null
   * @param tokens [T, B], for a network with an embedding; else null
   * @param lengths [B], each 1 to T; null: all T
   * @param classes [T, B], the number of the right output; null where values are predicted
   * @param values [T, B, O], the right outputs; null where classes are predicted
   * @param weights [T, B], how much a place counts in the loss, 0 for not at all; null: 1 each
   * @param continues whether the sequences go on where those of the batch before ended: the network
   *     then begins with that batch's final state, through which no gradient goes back
   * @throws IllegalArgumentException in words, if one does not fit
   */
  public Batch {
    if (steps < 1 || sequences < 1 || (long) steps * sequences > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "batch: expected T and B of at least 1 and T*B below 2^31, got T=%d, B=%d"
              .formatted(steps, sequences));
    }
    if ((inputs == null) == (tokens == null)) {
      throw new IllegalArgumentException("batch: expected either inputs or tokens");
    }
    if ((classes == null) == (values == null)) {
      throw new IllegalArgumentException("batch: expected either classes or values");
    }
    int places = steps * sequences;
    checkMultiple("inputs", inputs == null ? places : inputs.length, places);
    checkMultiple("values", values == null ? places : values.length, places);
    check("tokens", tokens == null ? places : tokens.length, places);
    check("classes", classes == null ? places : classes.length, places);
    check("weights", weights == null ? places : weights.length, places);
    check("lengths", lengths == null ? sequences : lengths.length, sequences);
  }

  /**
   * Sequences of vectors whose classes are predicted.
   *
   * @param steps T
   * @param sequences B
   * @param inputs [T, B, I]
   * @param classes [T, B]
   * @return a batch of whole sequences in which every place counts
   */
  public static Batch of(int steps, int sequences, float[] inputs, int[] classes) {
    Objects.requireNonNull(inputs, "inputs");
    return new Batch(steps, sequences, inputs, null, null, classes, null, null, false);
  }

  /**
   * Sequences of vectors of which values are predicted.
   *
   * @param steps T
   * @param sequences B
   * @param inputs [T, B, I]
   * @param values [T, B, O]
   * @return a batch of whole sequences in which every place counts
   */
  public static Batch of(int steps, int sequences, float[] inputs, float[] values) {
    Objects.requireNonNull(inputs, "inputs");
    return new Batch(steps, sequences, inputs, null, null, null, values, null, false);
  }

  /**
   * Sequences of tokens whose classes are predicted.
   *
   * @param steps T
   * @param sequences B
   * @param tokens [T, B]
   * @param classes [T, B]; in a language model the next tokens
   * @return a batch of whole sequences in which every place counts
   */
  public static Batch of(int steps, int sequences, int[] tokens, int[] classes) {
    Objects.requireNonNull(tokens, "tokens");
    return new Batch(steps, sequences, null, tokens, null, classes, null, null, false);
  }

  /**
   * The same with lengths.
   *
   * @param value [B], each 1 to T; null: all T
   * @return a new batch
   */
  public Batch withLengths(int[] value) {
    return new Batch(steps, sequences, inputs, tokens, value, classes, values, weights, continues);
  }

  /**
   * The same with weights.
   *
   * @param value [T, B], at least 0; null: 1 each
   * @return a new batch
   */
  public Batch withWeights(float[] value) {
    return new Batch(steps, sequences, inputs, tokens, lengths, classes, values, value, continues);
  }

  /**
   * The same, counting only the last step of each sequence.
   *
   * @return a new batch
   */
  public Batch withLastStepOnly() {
    float[] last = new float[steps * sequences];
    for (int b = 0; b < sequences; b++) {
      last[(length(b) - 1) * sequences + b] = 1;
    }
    return withWeights(last);
  }

  /**
   * The same, going on where the batch before ended or beginning anew.
   *
   * @param value whether the sequences go on
   * @return a new batch
   */
  public Batch withContinues(boolean value) {
    return new Batch(steps, sequences, inputs, tokens, lengths, classes, values, weights, value);
  }

  /**
   * The length of a sequence.
   *
   * @param b 0 to B-1
   * @return 1 to T
   */
  public int length(int b) {
    return lengths == null ? steps : lengths[b];
  }

  /**
   * How much a place counts.
   *
   * @param t 0 to T-1
   * @param b 0 to B-1
   * @return 0 past the sequence's length
   */
  public float weight(int t, int b) {
    return t >= length(b) ? 0 : weights == null ? 1 : weights[t * sequences + b];
  }

  private static void check(String name, int got, int expected) {
    if (got != expected) {
      throw new IllegalArgumentException(
          "batch: expected %d %s, got %d".formatted(expected, name, got));
    }
  }

  private static void checkMultiple(String name, int got, int places) {
    if (got == 0 || got % places != 0) {
      throw new IllegalArgumentException(
          "batch: expected a multiple of T*B=%d %s, got %d".formatted(places, name, got));
    }
  }
}
