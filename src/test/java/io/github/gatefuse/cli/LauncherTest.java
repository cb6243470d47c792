// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The launcher in a checkout of its own, with a java that only tells how it was called. */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "bin/gatefuse is a shell script")
class LauncherTest {
  @TempDir Path folder;
  private Path home;

  private record Outcome(int code, List<String> out, String err) {}

  @BeforeEach
  void checkOut() throws IOException {
    home = Files.createDirectories(folder.toRealPath().resolve("a checkout"));
    Path launcher = Files.createDirectories(home.resolve("bin")).resolve("gatefuse");
    Files.copy(Path.of("bin", "gatefuse"), launcher);
    script(folder.resolve("jdk/bin/java"), "for word; do echo \"$word\"; done; exit 7");
    script(
        home.resolve("mvnw"),
        "echo noise; pwd; mkdir -p target/lib; touch target/gatefuse-1.jar"
            + " target/gatefuse-1-linux-x86_64.jar target/gatefuse-1-sources.jar target/lib/dep.jar"
            + " target/lib/slf4j-simple-2.jar");
  }

  private static void script(Path file, String body) throws IOException {
    Files.createDirectories(file.getParent());
    Files.writeString(file, "#!/bin/sh\n" + body + "\n");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private Outcome run(Path launcher, String... args) throws IOException, InterruptedException {
    return run(Map.of("JAVA_HOME", folder.resolve("jdk").toString()), launcher, args);
  }

  private Outcome run(Map<String, String> environment, Path launcher, String... args)
      throws IOException, InterruptedException {
    Path out = folder.resolve("out");
    Path err = folder.resolve("err");
    ProcessBuilder builder = new ProcessBuilder(launcher.toString());
    builder.command().addAll(List.of(args));
    builder.directory(folder.toFile()).redirectOutput(out.toFile()).redirectError(err.toFile());
    builder.environment().remove("JAVA_HOME");
    builder.environment().putAll(environment);
    int code = builder.start().waitFor();
    return new Outcome(code, Files.readAllLines(out, UTF_8), Files.readString(err));
  }

  @Test
  void theFirstUseBuildsOnce() throws IOException, InterruptedException {
    Path launcher = home.resolve("bin/gatefuse");
    Outcome first = run(launcher, "info");
    assertEquals("building (once)...\nnoise\n" + home + "\n", first.err());
    Outcome second = run(launcher, "info");
    assertEquals("", second.err());
    assertEquals(first.out(), second.out());
  }

  @Test
  void javaGetsTheJarsAndTheArgumentsAsTheyAre() throws IOException, InterruptedException {
    Outcome outcome = run(home.resolve("bin/gatefuse"), "score", "a  b", "*", "");
    List<String> words = outcome.out();
    assertEquals(7, outcome.code());
    int main = words.indexOf("io.github.gatefuse.cli.Main");
    assertEquals(List.of("score", "a  b", "*", ""), words.subList(main + 1, words.size()));
    String target = home.resolve("target").toString();
    assertEquals(
        target
            + "/gatefuse-1-linux-x86_64.jar:"
            + target
            + "/gatefuse-1.jar:"
            + target
            + "/lib/dep.jar",
        words.get(main - 1));
    assertTrue(words.contains("-Dgatefuse.home=" + home), words.toString());
    assertTrue(words.contains("-Dgatefuse.cli.terminal=false"), words.toString());
  }

  @Test
  void itFindsItselfThroughLinks() throws IOException, InterruptedException {
    Path bin = Files.createDirectories(folder.resolve("bin"));
    Path first = Files.createSymbolicLink(bin.resolve("gf"), home.resolve("bin/gatefuse"));
    Path second = Files.createSymbolicLink(folder.resolve("link"), Path.of("bin", "gf"));
    assertTrue(Files.isSymbolicLink(first));
    assertTrue(run(second).out().contains("-Dgatefuse.home=" + home));
  }

  @Test
  void aBuildThatFailsIsTold() throws IOException, InterruptedException {
    script(home.resolve("mvnw"), "exit 1");
    Outcome outcome = run(home.resolve("bin/gatefuse"));
    assertEquals(2, outcome.code());
    assertEquals("building (once)...\ngatefuse: the build failed; see above\n", outcome.err());
  }

  private void assertTooOld(Outcome outcome, String version) {
    assertEquals(2, outcome.code());
    assertEquals(
        "gatefuse: expected Java 17 or later, got " + version + "; install it or set JAVA_HOME\n",
        outcome.err());
    assertEquals(List.of(), outcome.out());
  }

  /** The environment of a user with that folder in front of the path, and no JAVA_HOME. */
  private static Map<String, String> path(Path first) {
    return Map.of("PATH", first + ":" + System.getenv("PATH"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"11.0.2", "1.8.0_292", "16"})
  void anOldJavaIsTold(String version) throws IOException, InterruptedException {
    Path release = folder.resolve("jdk/release");
    Files.writeString(
        release, "IMPLEMENTOR=\"X\"\nJAVA_VERSION=\"" + version + "\"\nOS=\"Linux\"\n");
    Path launcher = home.resolve("bin/gatefuse");
    assertTooOld(run(launcher, "info"), version);
    // On the path a java is often a link, and its version lies beside what it leads to.
    Path bin = Files.createDirectories(folder.resolve("bin"));
    Files.createSymbolicLink(bin.resolve("java"), folder.resolve("jdk/bin/java"));
    assertTooOld(run(path(bin), launcher, "info"), version);
  }

  @ParameterizedTest
  @ValueSource(strings = {"11.0.2", "1.8.0_292"})
  void anOldJavaWithoutAFileOfItsVersionIsAsked(String version)
      throws IOException, InterruptedException {
    Path bin = folder.resolve("some/bin");
    script(bin.resolve("java"), "echo 'openjdk version \"" + version + "\" 2019-01-15' >&2");
    script(bin.resolve("javac"), "echo 'javac " + version + "' >&2");
    assertTooOld(run(path(bin), home.resolve("bin/gatefuse"), "info"), version);
  }

  @ParameterizedTest
  @ValueSource(strings = {"17", "17.0.1", "21-ea", "100.1"})
  void aLaterJavaRuns(String version) throws IOException, InterruptedException {
    Files.writeString(folder.resolve("jdk/release"), "JAVA_VERSION=\"" + version + "\"\n");
    assertEquals(7, run(home.resolve("bin/gatefuse"), "info").code());
  }

  @Test
  void aMissingJavaIsTold() throws IOException, InterruptedException {
    Files.delete(folder.resolve("jdk/bin/java"));
    Outcome outcome = run(home.resolve("bin/gatefuse"));
    assertEquals(2, outcome.code());
    assertEquals(
        "gatefuse: no java found; install a JDK of version 17 or later, or set JAVA_HOME\n",
        outcome.err());
  }
}
