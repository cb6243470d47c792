// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

/**
 * Batches by their numbers. The same number always gives the same batch: so a training that resumes
 * needs to know nothing but how far it came.
 *
 * <p>Implementations are thread-safe.
 */
@FunctionalInterface
public interface BatchSource {
  /**
   * A batch.
   *
   * @param index 0, 1, ... without an end: a source of finite data begins again, in another order
   *     perhaps
   * @return the batch of that number
   */
  Batch batch(long index);
}
