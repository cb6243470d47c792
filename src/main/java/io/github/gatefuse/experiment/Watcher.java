// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

/** Somebody who is told how far an experiment is. */
public interface Watcher {
  /**
   * Told after every step.
   *
   * @param run which run, 0 for the first
   * @param share how much of this run is done, 0 to 1
   * @param text what runs and how it goes
   */
  void progress(int run, double share, String text);

  /**
   * Told when a run has ended.
   *
   * @param text one line
   */
  void ended(String text);
}
