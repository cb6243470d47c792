// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.nio.FloatBuffer;

/** What is timed: a network ready to run, on buffers made before. One thread at a time. */
interface Contender extends AutoCloseable {
  /** Names it within a shape and number of threads; no tabs. */
  String name();

  /** How it runs, in one line; no tabs. */
  String path();

  /** One call of the library, from input to output in memory that Java sees. */
  void run();

  /** What the last run wrote, [T, B, H]. */
  FloatBuffer output();

  @Override
  void close();
}
