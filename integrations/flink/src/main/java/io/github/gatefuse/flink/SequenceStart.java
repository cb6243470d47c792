// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import java.io.Serializable;

/**
 * Says with which events a key's state begins anew.
 *
 * @param <IN> the event
 */
@FunctionalInterface
public interface SequenceStart<IN> extends Serializable {
  /**
   * Whether a sequence begins.
   *
   * @param event from the stream, not to be changed
   * @return true, if the event is scored from a state of zeros
   */
  boolean begins(IN event);
}
