// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import java.io.Serializable;

/**
 * Makes a result of an element and of what the network says about it.
 *
 * @param <IN> the element
 * @param <OUT> the result
 */
@FunctionalInterface
public interface ResultBuilder<IN, OUT> extends Serializable {
  /**
   * Makes a result.
   *
   * @param element that was scored
   * @param outputs as the scorer's {@link io.github.gatefuse.serving.Output} says, the result's own
   *     from now on; null for an element that could not be scored, with {@link Invalid#KEEP}
   * @return the result; null, if there is nothing to send on
   */
  OUT result(IN element, float[] outputs);
}
