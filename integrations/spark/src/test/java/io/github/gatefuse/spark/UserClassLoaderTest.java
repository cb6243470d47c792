// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;

import io.github.gatefuse.Rnn;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.ml.Transformer;
import org.apache.spark.util.ChildFirstURLClassLoader;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Test;

/**
 * Two sessions of one process, each with jars of its own, as {@code userClassPathFirst} loads them.
 */
class UserClassLoaderTest {
  private static URL source(Class<?> type) {
    return type.getProtectionDomain().getCodeSource().getLocation();
  }

  private static URL jarOf(String resource) throws Exception {
    URL url = UserClassLoaderTest.class.getClassLoader().getResource(resource);
    return ((JarURLConnection) url.openConnection()).getJarFileURL();
  }

  private static URLClassLoader userLoader() throws Exception {
    URL[] jars = {
      source(LoaderProbe.class),
      source(GateFuseTransformer.class),
      source(Rnn.class),
      source(Loader.class),
      jarOf("io/github/gatefuse/binding/linux-x86_64/libgatefuse.so"),
      jarOf("org/bytedeco/javacpp/linux-x86_64/libjnijavacpp.so")
    };
    return new ChildFirstURLClassLoader(jars, UserClassLoaderTest.class.getClassLoader());
  }

  @Test
  void nativeLibraryLoadsInEachClassLoader() throws Exception {
    List<URLClassLoader> loaders = new ArrayList<>();
    float[] expected = LoaderProbe.run();
    for (int i = 0; i < 3; i++) {
      URLClassLoader loader = userLoader();
      loaders.add(loader);
      Class<?> probe = loader.loadClass(LoaderProbe.class.getName());
      assertNotSame(LoaderProbe.class, probe);
      assertNotSame(Rnn.class, loader.loadClass(Rnn.class.getName()));
      assertSame(Transformer.class, loader.loadClass(Transformer.class.getName()));
      assertArrayEquals(expected, (float[]) probe.getMethod("run").invoke(null), 0f);
    }
    for (URLClassLoader loader : loaders) {
      Class<?> probe = loader.loadClass(LoaderProbe.class.getName());
      assertArrayEquals(expected, (float[]) probe.getMethod("run").invoke(null), 0f);
      loader.close();
    }
  }
}
