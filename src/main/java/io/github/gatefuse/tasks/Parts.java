// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.training.Batch;

/** Cuts a fixed number of sequences into batches. */
final class Parts {
  /** Makes a batch of some of the sequences. */
  interface Maker {
    Batch batch(int first, int count);
  }

  private Parts() {}

  /** Batches of so many sequences; the last one may have fewer. */
  static HeldOut of(int total, int sequences, Maker maker) {
    long count = (total + (long) sequences - 1) / sequences;
    return new HeldOut(
        index -> {
          int first = (int) (index % count) * sequences;
          return maker.batch(first, Math.min(sequences, total - first));
        },
        count);
  }
}
