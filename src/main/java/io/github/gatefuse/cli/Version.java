// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/** The version of this program, as Maven writes it into the jar. */
final class Version {
  private static final String RESOURCE =
      "/META-INF/maven/io.github.gatefuse/gatefuse/pom.properties";

  private Version() {}

  /** Such as {@code 1.0.0}; says so where the classes do not come from a jar. */
  static String text() {
    try (InputStream in = Version.class.getResourceAsStream(RESOURCE)) {
      if (in == null) {
        return "unknown (not run from a jar)";
      }
      Properties properties = new Properties();
      properties.load(in);
      return properties.getProperty("version", "unknown");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
