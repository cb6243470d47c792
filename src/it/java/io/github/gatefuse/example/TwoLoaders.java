// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.example;

import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Runs the {@link Consumer} twice in one JVM, each time in a class loader of its own, as two
 * applications of one server do. The first loader lives on while the second runs.
 */
public final class TwoLoaders {
  private TwoLoaders() {}

  /**
   * Runs.
   *
   * @param args the class path of both, and the backend
   * @throws Exception where either fails
   */
  public static void main(String[] args) throws Exception {
    List<URL> urls = new ArrayList<>();
    for (String entry : args[0].split(File.pathSeparator)) {
      urls.add(Path.of(entry).toUri().toURL());
    }
    List<ClassLoader> loaders = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      ClassLoader loader =
          new URLClassLoader(urls.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
      loaders.add(loader);
      Thread.currentThread().setContextClassLoader(loader);
      loader
          .loadClass("io.github.gatefuse.example.Consumer")
          .getMethod("main", String[].class)
          .invoke(null, (Object) new String[] {args[1]});
    }
    System.out.println(loaders.size() + " class loaders");
  }
}
