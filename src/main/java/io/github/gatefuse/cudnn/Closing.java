// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

/** A close that fails, if it fails, with an exception that needs no declaration. */
interface Closing extends AutoCloseable {
  @Override
  void close();
}
