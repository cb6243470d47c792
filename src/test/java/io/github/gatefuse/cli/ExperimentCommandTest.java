// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.cli.CommandLine.Outcome;
import io.github.gatefuse.tasks.ImageFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExperimentCommandTest {
  @TempDir Path folder;

  private Outcome run(String... words) {
    List<String> all = new ArrayList<>(List.of("experiment", "--out", out().toString()));
    all.addAll(List.of("--hidden", "4", "--batch", "5", "--steps", "3", "--no-figures"));
    all.addAll(List.of(words));
    return CommandLine.run(all.toArray(String[]::new));
  }

  private Path out() {
    return folder.resolve("results");
  }

  private String report() throws IOException {
    return Files.readString(out().resolve("report.md"));
  }

  @Test
  void variantsAreComparedOverSeeds() throws IOException {
    Outcome outcome = run("adding", "--length", "8", "--variants", "LSTM,-R", "--seeds", "2");
    assertEquals(0, outcome.code(), outcome.err());
    assertEquals("", outcome.err());
    List<String> lines = outcome.out().lines().toList();
    assertEquals(5, lines.size(), outcome.out());
    assertTrue(lines.get(0).startsWith("LSTM   seed 1  loss "), lines.get(0));
    assertEquals("report: " + out().resolve("report.md"), lines.get(4));
    assertTrue(report().contains("--length 8 --variants LSTM,-R --seeds 2\n"), report());
    assertTrue(report().contains("| seeds | 1, 2 |"), report());
    assertTrue(Files.notExists(out().resolve("curves.png")));
  }

  @Test
  void whatIsLeftToChanceIsInTheReport() throws IOException {
    assertEquals(0, run("adding", "--length", "8", "--variants", "UR").code());
    assertTrue(report().contains("| left to chance | nothing |"), report());
    Path more = folder.resolve("more");
    List<String> words = new ArrayList<>(List.of("adding", "--length", "8", "--variants", "UR"));
    words.addAll(List.of("--zoneout", "0.2,0.1", "--recurrent-dropout", "0.3"));
    words.addAll(List.of("--out", more.toString()));
    Outcome outcome = run(words.toArray(String[]::new));
    assertEquals(0, outcome.code(), outcome.err());
    String report = Files.readString(more.resolve("report.md"));
    String row = "| left to chance | zoneout_h 0.2, zoneout_c 0.1, recurrent_dropout 0.3 |";
    assertTrue(report.contains(row), report);
    assertNotEquals(loss(out()), loss(more));
  }

  private static double loss(Path results) throws IOException {
    List<String> lines = Files.readAllLines(results.resolve("results.csv"));
    return Double.parseDouble(
        lines.get(1).split(",")[List.of(lines.get(0).split(",")).indexOf("loss")]);
  }

  @Test
  void timeMayEndARunAndASeedBeChosen() {
    List<String> words = new ArrayList<>(List.of("experiment", "copy", "--delay", "2"));
    words.addAll(List.of("--minutes", "0.003", "--hidden", "4", "--variants", "UR"));
    words.addAll(List.of("--seeds", "4,", "--out", out().toString(), "--no-figures"));
    Outcome outcome = CommandLine.run(words.toArray(String[]::new));
    assertEquals(0, outcome.code(), outcome.err());
    assertTrue(outcome.out().contains("UR     seed 4  loss "), outcome.out());
  }

  @Test
  void imagesAndTextComeFromFiles() throws IOException {
    ImageFiles.mnist(folder, "t10k", 20, true);
    Outcome images = run("mnist-rows", "--data", folder.toString(), "--variants", "UR-GRU");
    assertEquals(0, images.code(), images.err());
    assertTrue(report().contains("only the test set's 20 images are there"), report());

    Path text = Files.writeString(folder.resolve("text"), "to be or not to be. ".repeat(40));
    Outcome bytes =
        run(
            "text",
            "--data",
            text.toString(),
            "--length",
            "10",
            "--out",
            folder.resolve("more").toString());
    assertEquals(0, bytes.code(), bytes.err());
    assertTrue(bytes.out().contains("UR     seed 1  bits per byte "), bytes.out());
  }

  @Test
  void programsAndRoomsComeFromSeeds() throws IOException {
    Outcome programs = run("program", "--length", "1", "--nesting", "1", "--variants", "UR");
    assertEquals(0, programs.code(), programs.err());
    assertTrue(report().contains("on numbers of up to 1 digits"), report());
    Path more = folder.resolve("more");
    Outcome rooms = run("match", "--delay", "1", "--variants", "GRU", "--out", more.toString());
    assertEquals(0, rooms.code(), rooms.err());
    assertTrue(rooms.out().contains("GRU    seed 1  success rate "), rooms.out());
  }

  @Test
  void whatIsThereIsNotOverwritten() throws IOException {
    Files.createDirectory(out());
    Files.writeString(out().resolve("report.md"), "mine");
    Outcome outcome = run("copy", "--delay", "2");
    assertEquals(2, outcome.code());
    assertTrue(outcome.err().contains("expected a new or empty folder"), outcome.err());
    assertEquals("mine", report());
  }

  @Test
  void anUnfinishedExperimentOfOtherSettingsIsLeftAlone() throws IOException {
    Path unfinished = Files.createDirectories(out().resolve("unfinished"));
    Files.writeString(unfinished.resolve("settings"), "task: copy\nelse\n");
    Outcome outcome = run("copy", "--delay", "2");
    assertEquals(2, outcome.code());
    assertTrue(
        outcome.err().contains("holds an unfinished experiment of other settings: expected else"),
        outcome.err());
    assertTrue(outcome.err().endsWith("; see --out\n"), outcome.err());
    assertTrue(Files.notExists(out().resolve("runs")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "| expected one task",
        "sorting | expected a task, adding, copy",
        "copy adding | expected one task",
        "mnist | --data: expected where the data of mnist lie",
        "mnist --data /nowhere | expected a folder with train-images-idx3-ubyte",
        "text --data /nowhere | cannot read",
        "copy --variants LSTM,XX | expected one of --, C-",
        "copy --variants UR,UR | expected each once",
        "copy --seeds 0 | --seeds: expected a number from 1 to 1000",
        "copy --seeds 3,3 | different seeds",
        "copy --rate x | --rate: expected a number from",
        "copy --rate NaN | --rate: expected a number from",
        "copy --minutes 1 | --steps and --minutes: expected one of them",
        "copy --zoneout 1 | --zoneout: expected a rate from 0 to below 1, got 1",
        "copy --zoneout 0,0,0 | --zoneout: expected H or H,C, got 0,0,0",
        "copy --recurrent-dropout x | --recurrent-dropout: expected a rate from 0 to below 1, got x",
        "copy --variants LSTM,GRU --zoneout 0,0.1 | since a gru has no cell state, got 0.1",
        "copy --backend abacus | --backend: expected",
        "copy --delay 1000000 --batch 60000 | got 60000 of 1000020 steps",
        "copy --delay 0 | --delay: expected a whole number from 1",
      })
  void wrongOptionsAreRefused(String words, String part) {
    Outcome outcome = run(words == null ? new String[0] : words.split(" "));
    assertEquals(2, outcome.code(), outcome.err());
    assertTrue(outcome.err().contains(part), outcome.err());
    assertEquals(1, outcome.err().lines().count());
    assertTrue(Files.notExists(out()));
  }

  @Test
  void progressTellsTheTimeLeft() {
    assertEquals(
        "[############            ]  50%  run 2 of 2: UR seed 1, 1:00 left",
        ExperimentProgress.line(1, 2, 0.0, "UR seed 1", 60));
  }
}
