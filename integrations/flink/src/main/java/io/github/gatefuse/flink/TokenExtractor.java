// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import java.io.Serializable;

/**
 * Takes a token out of an event, for a network with an embedding.
 *
 * @param <IN> the event
 */
@FunctionalInterface
public interface TokenExtractor<IN> extends Serializable {
  /**
   * Takes one step's token.
   *
   * @param event from the stream, not to be changed
   * @return 0 to V-1
   */
  int token(IN event);
}
