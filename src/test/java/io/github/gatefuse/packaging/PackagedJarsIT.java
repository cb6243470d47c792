// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.packaging;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The packaged jars, used from outside: by a program of its own in a JVM of its own. */
class PackagedJarsIT {
  private static final Path TARGET = Path.of(System.getProperty("gatefuse.test.jars"));
  private static final String NAME = "gatefuse-" + System.getProperty("gatefuse.test.version");
  private static final Path MAIN = TARGET.resolve(NAME + ".jar");
  private static final Path NATIVES = TARGET.resolve(NAME + "-linux-x86_64.jar");
  private static final Path GPU = TARGET.resolve(NAME + "-linux-x86_64-gpu.jar");
  private static final String GPU_LIBRARY =
      "io/github/gatefuse/binding/linux-x86_64-gpu/libgatefuse_cuda.so";
  private static final Path FAKES = Path.of(System.getProperty("gatefuse.test.fakes"));
  private static final String CONSUMER = "io.github.gatefuse.example.Consumer";
  private static final String OPERATORS = "io.github.gatefuse.example.OperatorLibrary";
  private static final String CACHE = "-Dorg.bytedeco.javacpp.cachedir=";

  @TempDir static Path compiled;

  /** A new one for each test, so that the libraries are those of these jars. */
  @TempDir Path cache;

  private record Result(int status, String output) {}

  @BeforeAll
  static void compileTheConsumer() throws Exception {
    List<String> command = new ArrayList<>(List.of(tool("javac"), "--release", "17"));
    command.addAll(List.of("-Xlint:all", "-Werror", "-d", compiled.toString()));
    command.addAll(List.of("--module-path", path(withNatives())));
    try (Stream<Path> sources = Files.walk(Path.of("src/it/java"))) {
      sources.map(Path::toString).filter(s -> s.endsWith(".java")).forEach(command::add);
    }
    assertEquals(new Result(0, ""), run(command));
  }

  @Test
  void runsOnTheClassPath() throws Exception {
    assertEquals(new Result(0, "cpu agrees"), onClassPath(withNatives(), "cpu", CACHE + cache));
  }

  @Test
  void runsOnTheModulePath() throws Exception {
    assertEquals(new Result(0, "cpu agrees"), onModulePath(withNatives(), "cpu"));
  }

  @Test
  void runsInTwoClassLoadersOfOneJvm() throws Exception {
    List<Path> both = new ArrayList<>(withNatives());
    both.add(compiled);
    List<String> command = new ArrayList<>(List.of(tool("java"), CACHE + cache));
    command.addAll(List.of("-cp", compiled.toString(), "io.github.gatefuse.example.TwoLoaders"));
    command.addAll(List.of(path(both), "cpu"));
    assertEquals(new Result(0, "cpu agrees\ncpu agrees\n2 class loaders"), run(command));
  }

  /** It lies beside the library that it stands on. */
  @Test
  void givesOnnxRuntimeALibraryThatLoads() throws Exception {
    Result expected = new Result(0, "libgatefuse_onnxruntime.so");
    List<Path> all = new ArrayList<>(withNatives());
    all.add(compiled);
    List<String> command = new ArrayList<>(List.of(tool("java"), CACHE + cache));
    command.addAll(List.of("-cp", path(all), OPERATORS));
    assertEquals(expected, run(command));
    command = new ArrayList<>(List.of(tool("java"), CACHE + cache));
    command.addAll(List.of("-p", path(all), "-m", "io.github.gatefuse.example/" + OPERATORS));
    assertEquals(expected, run(command));
  }

  @Test
  void isTheReferenceWithoutNatives() throws Exception {
    assertEquals(new Result(0, "reference agrees"), onModulePath(withoutNatives(), "auto"));
    assertEquals(
        new Result(0, "reference agrees"), onClassPath(withoutNatives(), "auto", CACHE + cache));
  }

  @Test
  void namesTheMissingJar() throws Exception {
    Result result = onClassPath(withoutNatives(), "cpu", CACHE + cache);
    assertEquals(1, result.status, result.output);
    assertTrue(result.output.contains("with classifier linux-x86_64"), result.output);
  }

  @Test
  void namesThePropertyThatMovesTheCache() throws Exception {
    String file = Files.createFile(cache.resolve("file")).toString();
    Result result =
        onClassPath(
            withNatives(),
            "cpu",
            CACHE + file + "/x",
            "-Duser.home=" + file,
            "-Djava.io.tmpdir=" + file);
    assertEquals(1, result.status, result.output);
    assertTrue(
        result.output.contains("set -Dorg.bytedeco.javacpp.cachedir=<folder>"), result.output);
  }

  @Test
  void keepsNativesOutOfTheMainJar() throws Exception {
    assertEquals(List.of(), libraries(MAIN));
    assertEquals(
        List.of(
            "io/github/gatefuse/binding/linux-x86_64/libgatefuse.so",
            "io/github/gatefuse/binding/linux-x86_64/libgatefuse_onnxruntime.so",
            "io/github/gatefuse/binding/linux-x86_64/libjnigatefuse.so"),
        libraries(NATIVES));
  }

  @Test
  void namesTheMissingGpuJar() throws Exception {
    Result result = onClassPath(withNatives(), "cuda", CACHE + cache);
    assertEquals(1, result.status, result.output);
    assertTrue(result.output.contains("with classifier linux-x86_64-gpu"), result.output);
  }

  /** A fake library in the place of the real one: it computes nothing, so it is seen to run. */
  @Test
  void takesTheCudaLibraryFromAJarOfItsOwn() throws Exception {
    Path jar = compiled.resolveSibling("fake-gpu.jar");
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
      out.putNextEntry(new JarEntry(GPU_LIBRARY));
      Files.copy(FAKES.resolve("libfake_device.so"), out);
    }
    List<Path> jars = new ArrayList<>(withNatives());
    jars.add(jar);
    Result result = onClassPath(jars, "cuda", CACHE + cache);
    assertEquals(0, result.status, result.output);
    assertTrue(result.output.startsWith("cuda differs"), result.output);
    assertEquals("cuda differs", onClassPath(jars, "auto", CACHE + cache).output.substring(0, 12));
  }

  /** Present where the CUDA backend was built, which a GPU is not needed for. */
  @Test
  void theGpuJarRunsOrSaysWhyNot() throws Exception {
    assumeTrue(Files.exists(GPU), "the CUDA backend was not built");
    assertEquals(List.of(GPU_LIBRARY), libraries(GPU));
    List<Path> jars = new ArrayList<>(withNatives());
    jars.add(GPU);
    Result onModules = onModulePath(jars, "cuda");
    for (Result result : List.of(onClassPath(jars, "cuda", CACHE + cache), onModules)) {
      boolean says =
          result.status == 1
              && result.output.contains("CUDA backend: ")
              && !result.output.contains("expected the jar");
      assertTrue(says || result.equals(new Result(0, "cuda agrees")), result.output);
    }
    assertEquals(0, onModulePath(jars, "auto").status);
  }

  private static List<String> libraries(Path jar) throws IOException {
    try (JarFile file = new JarFile(jar.toFile())) {
      return file.stream().map(e -> e.getName()).filter(n -> n.endsWith(".so")).sorted().toList();
    }
  }

  private static List<Path> withoutNatives() throws IOException {
    try (Stream<Path> lib = Files.list(TARGET.resolve("lib"))) {
      return Stream.concat(Stream.of(MAIN), lib.sorted()).toList();
    }
  }

  private static List<Path> withNatives() throws IOException {
    List<Path> all = new ArrayList<>(withoutNatives());
    all.add(NATIVES);
    return all;
  }

  private static Result onClassPath(List<Path> jars, String backend, String... options)
      throws Exception {
    List<Path> all = new ArrayList<>(jars);
    all.add(compiled);
    List<String> command = new ArrayList<>(List.of(tool("java")));
    command.addAll(List.of(options));
    command.addAll(List.of("-cp", path(all), CONSUMER, backend));
    return run(command);
  }

  private Result onModulePath(List<Path> jars, String backend) throws Exception {
    List<Path> all = new ArrayList<>(jars);
    all.add(compiled);
    List<String> command = new ArrayList<>(List.of(tool("java"), CACHE + cache));
    command.addAll(List.of("-p", path(all), "-m", "io.github.gatefuse.example/" + CONSUMER));
    command.add(backend);
    return run(command);
  }

  /** Output and errors together, without slf4j's remarks that nobody listens. */
  private static Result run(List<String> command) throws Exception {
    Path output = Files.createTempFile(compiled.getParent(), "output", ".txt");
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    if (!process.waitFor(2, TimeUnit.MINUTES)) {
      process.destroyForcibly();
    }
    String text =
        Files.readAllLines(output).stream()
            .filter(line -> !line.startsWith("SLF4J"))
            .collect(Collectors.joining("\n"));
    return new Result(process.waitFor(), text);
  }

  private static String tool(String name) {
    return Path.of(System.getProperty("java.home"), "bin", name).toString();
  }

  private static String path(List<Path> entries) {
    return entries.stream().map(Path::toString).collect(Collectors.joining(File.pathSeparator));
  }
}
