// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import java.io.Serializable;

/**
 * Makes a result of an event and of what the network says about it.
 *
 * @param <IN> the event
 * @param <OUT> the result
 */
@FunctionalInterface
public interface ResultBuilder<IN, OUT> extends Serializable {
  /**
   * Makes a result.
   *
   * @param event the event that was scored
   * @param outputs one step's outputs as {@link Output} says; overwritten after the call, so keep a
   *     copy
   * @return the result; null, if there is nothing to send on
   */
  OUT result(IN event, float[] outputs);
}
