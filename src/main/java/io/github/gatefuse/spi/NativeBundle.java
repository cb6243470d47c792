// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

/**
 * A jar of native libraries, as a service. On the module path this is what makes such a jar take
 * part: no module requires it, but the modules that provide a used service are resolved. On the
 * class path nothing depends on it.
 *
 * <p>Implementations are thread-safe.
 */
public interface NativeBundle {
  /**
   * The platform that the libraries are for.
   *
   * @return JavaCPP's name of it, such as {@code linux-x86_64}
   */
  String platform();
}
