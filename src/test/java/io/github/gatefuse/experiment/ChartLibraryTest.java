// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ChartLibraryTest {
  @Test
  void nothingIsMissingInTests() {
    assertEquals(Optional.empty(), ChartLibrary.missing());
  }

  @Test
  void withoutItsJarASentenceSaysWhatIsMissing() throws Exception {
    URL own = ChartLibrary.class.getProtectionDomain().getCodeSource().getLocation();
    try (URLClassLoader alone =
        new URLClassLoader(new URL[] {own}, ClassLoader.getPlatformClassLoader())) {
      Class<?> library = alone.loadClass(ChartLibrary.class.getName());
      String said = library.getMethod("missing").invoke(null).toString();
      assertTrue(said.contains("XChart (org.knowm.xchart:xchart) is not on the class path"), said);
    }
  }

  @Test
  void aFigureThatCannotBeWrittenIsASentence() {
    Figure.Axis axis = new Figure.Axis("", false);
    double[] points = {0, 1};
    Figure figure =
        new Figure(
            "name",
            "",
            "",
            axis,
            axis,
            List.of(new Figure.Line("", points, points, 0, Figure.Style.SOLID)));
    Optional<String> said = ChartLibrary.draw(figure, Path.of("/nowhere/at/all"));
    assertTrue(said.orElseThrow().startsWith("the figure name could not be drawn"), said::get);
  }
}
