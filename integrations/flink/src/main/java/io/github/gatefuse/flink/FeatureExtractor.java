// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import java.io.Serializable;

/**
 * Takes what the network reads out of an event.
 *
 * @param <IN> the event
 */
@FunctionalInterface
public interface FeatureExtractor<IN> extends Serializable {
  /**
   * Takes one step's input.
   *
   * @param event from the stream, not to be changed
   * @return x, [I], finite; copied before the next call
   */
  float[] features(IN event);
}
