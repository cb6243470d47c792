// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

/**
 * How far the outputs of a network are from what they should be: the mean over places, weighted as
 * {@link Batch#weights()} says.
 *
 * <p>Immutable and thread-safe.
 */
public enum Loss {
  /** -log of the right class's probability in nats, the outputs being logits. */
  CROSS_ENTROPY,
  /** The mean over the outputs of the squares of their differences. */
  MEAN_SQUARED_ERROR
}
