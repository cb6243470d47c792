// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.github.gatefuse.Backend;
import io.github.gatefuse.Devices;
import io.github.gatefuse.cli.CommandLine.Outcome;
import io.github.gatefuse.io.Safetensors;
import io.github.gatefuse.training.Batch;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** From text to a model that scores it, and what is refused. */
class TrainCommandTest {
  private static final String[] SMALL = {
    "--hidden", "16", "--embedding", "8", "--batch", "8", "--threads", "1"
  };

  @TempDir Path folder;
  private Path text;
  private Path model;

  @BeforeEach
  void write() throws IOException {
    text = folder.resolve("text.log");
    model = folder.resolve("model.safetensors");
    Random random = new Random(1);
    String lines =
        IntStream.range(0, 300)
            .mapToObj(i -> "abcabcabcabcabc ".repeat(1 + random.nextInt(3)) + "end\n")
            .collect(Collectors.joining());
    Files.writeString(text, lines);
  }

  private Outcome train(String... more) {
    List<String> words = new ArrayList<>(List.of("train", "--out", model.toString()));
    words.addAll(List.of(SMALL));
    words.addAll(List.of(more));
    words.add(text.toString());
    return CommandLine.run(words.toArray(String[]::new));
  }

  @Test
  void trainsAModelThatScores() throws IOException {
    Path metrics = folder.resolve("metrics.csv");
    Outcome outcome = train("--steps", "150", "--rate", "0.01", "--metrics", metrics.toString());
    assertEquals(0, outcome.code(), outcome.err());
    assertTrue(outcome.out().contains("lstm_refine, hidden 16"), outcome.out());
    assertTrue(outcome.out().matches("(?s).*\\d bits per byte on \\d+ held-out lines.*"));
    assertEquals(6, Files.readAllLines(metrics).size());
    Path other = folder.resolve("other.log");
    Files.writeString(other, "xyz!\n".repeat(20));
    double known = score(text);
    double unknown = score(other);
    assertTrue(known < 2, "bits per byte: " + known);
    assertTrue(unknown > known + 3, known + " and " + unknown);
  }

  private double score(Path file) {
    Outcome outcome =
        CommandLine.run("score", "--json", "--model", model.toString(), file.toString());
    assertEquals(0, outcome.code(), outcome.err());
    String value = outcome.out().replaceAll("(?s).*\"bits_per_byte\": ?([0-9.]+).*", "$1");
    return Double.parseDouble(value);
  }

  @Test
  void zoneoutGoesWithTheModel() {
    Outcome outcome =
        train(
            "--steps=20",
            "--layers=2",
            "--dropout=0.1",
            "--zoneout=0.1,0.25",
            "--recurrent-dropout=0.2");
    assertEquals(0, outcome.code(), outcome.err());
    try (Safetensors file = Safetensors.open(model)) {
      assertEquals("0.1", file.metadata().get("zoneout_h"));
      assertEquals("0.25", file.metadata().get("zoneout_c"));
      assertTrue(file.has("rnn.weight_hh_l1"));
    }
    outcome = CommandLine.run("score", "--model", model.toString(), text.toString());
    assertEquals(0, outcome.code(), outcome.err());
    assertTrue(outcome.out().contains("zoneout_h 0.1; zoneout_c 0.25"), outcome.out());
    assertFalse(outcome.out().contains("dropout"), outcome.out());
  }

  @Test
  void trainsOnCudaWithZoneout() {
    Assumptions.assumeTrue(
        Devices.report().stream().anyMatch(r -> r.backend() == Backend.CUDA && r.available()),
        "CUDA does not run here");
    Outcome outcome = train("--steps=1", "--backend=cuda", "--zoneout=0.1,0.25");
    assertEquals(0, outcome.code(), outcome.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--dropout=0.1 | --dropout: expected --layers of at least 2, since it is between layers, got 1",
        "--zoneout=1 | --zoneout: expected a rate from 0 to below 1, got 1",
        "--zoneout=0.1,x | --zoneout: expected a rate from 0 to below 1, got x",
        "--zoneout=0,0,0 | --zoneout: expected H or H,C, got 0,0,0",
        "--recurrent-dropout=-1 | --recurrent-dropout: expected a rate from 0 to below 1, got -1",
        "--layers=0 | --layers: expected a whole number from 1 to 64, got 0"
      })
  void refusesRegularization(String option, String message) {
    Outcome outcome = train("--steps", "1", option);
    assertEquals("gatefuse: " + message, outcome.err().strip());
  }

  @Test
  void refusesZoneoutOfACellStateThatIsNotThere() {
    Outcome outcome = train("--steps", "1", "--cell=gru", "--zoneout=0.1,0.1");
    assertEquals(
        "gatefuse: zoneoutCell: expected 0, since a gru has no cell state, got 0.1",
        outcome.err().strip());
  }

  @Test
  void goesOnFromACheckpointToTheSameModel() throws IOException {
    String checkpoint = folder.resolve("checkpoint").toString();
    assertEquals(0, train("--steps", "20").code());
    // The rate depends on the steps asked for, and so do the bits: the same command again.
    byte[] straight = Files.readAllBytes(model);
    assertEquals(0, train("--steps", "20", "--checkpoint", checkpoint).code());
    assertArrayEquals(straight, Files.readAllBytes(model));
    Files.delete(model);
    assertEquals(0, train("--steps", "20", "--checkpoint", checkpoint).code());
    assertArrayEquals(straight, Files.readAllBytes(model));
    Outcome other = train("--steps", "20", "--checkpoint", checkpoint, "--cell", "gru");
    assertEquals(2, other.code());
    assertTrue(other.err().contains("expected a checkpoint of"), other.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--steps 0 | --steps: expected a whole number from 1",
        "--steps 2 --minutes 1 | expected one of them, got both",
        "--minutes x | --minutes: expected a number from 0.001",
        "--cell tree | --cell",
        "--backend gpu | --backend",
        "--hidden 0 | --hidden",
        "--rate -1 | --rate: expected a number from",
        "--max-line 65536 --batch 128 | --batch: expected at most 31 with lines of 65536 bytes, got 128",
        "--hidden 65536 | --hidden 65536, --layers 1, --embedding 8: expected a network of at most 536870911 parameters, got",
      })
  void refuses(String options, String message) {
    Outcome outcome = train(options.strip().split(" "));
    assertEquals(2, outcome.code(), outcome.err());
    assertTrue(outcome.err().contains(message.strip()), outcome.err());
    assertTrue(Files.notExists(model));
  }

  @Test
  void helpNamesEveryBackendThatIsTaken() {
    for (String command : List.of("train", "experiment", "score")) {
      Outcome outcome = CommandLine.run(command, "--help");
      assertTrue(outcome.out().contains("reference, cpu, cuda or auto"), outcome.out());
    }
  }

  @Test
  void refusesFilesThatDoNotFit() throws IOException {
    Outcome none = CommandLine.run("train", "--out", model.toString());
    assertEquals("gatefuse: train: expected a FILE, got none\n", none.err());
    Outcome noModel = CommandLine.run("train", text.toString());
    assertEquals("gatefuse: --out: expected a MODEL, got none\n", noModel.err());
    Outcome same = CommandLine.run("train", "--out", text.toString(), text.toString());
    assertTrue(same.err().contains("would overwrite what is to be learnt from"), same.err());
    Outcome nowhere = CommandLine.run("train", "--out", folder + "/no/model", text.toString());
    assertTrue(nowhere.err().contains("expected a folder that exists"), nowhere.err());
    for (String option : List.of("--checkpoint", "--metrics")) {
      String missing = folder + "/no/file";
      Outcome refused = train("--steps", "1", option, missing);
      assertEquals(
          "gatefuse: %s: expected a folder that exists, got %s/no\n".formatted(missing, folder),
          refused.err());
      assertFalse(Files.exists(model));
      Outcome directory = train("--steps", "1", option, folder.toString());
      assertEquals("gatefuse: " + folder + ": expected a file, got a directory\n", directory.err());
    }
    Files.writeString(text, "a line\n");
    Outcome few = train("--steps", "1");
    assertTrue(few.err().contains("expected enough lines"), few.err());
  }

  @Test
  void noFileIsWrittenThatIsReadOrWrittenTwice() throws IOException {
    Path link = Files.createSymbolicLink(folder.resolve("link"), text);
    Path hard = Files.createLink(folder.resolve("hard"), text);
    Path toBe = Files.createSymbolicLink(folder.resolve("to-be"), model.getFileName());
    Path best = folder.resolve("text.best");
    Files.createSymbolicLink(best, text);
    byte[] before = Files.readAllBytes(text);
    String read = "what is to be learnt from";
    for (Path same : List.of(text, link, hard)) {
      refusesToOverwrite(read, "--out", same);
      refusesToOverwrite(read, "--metrics", same);
      refusesToOverwrite(read, "--checkpoint", same);
    }
    refusesToOverwrite(read, "--checkpoint", folder.resolve("text"));
    for (Path same : List.of(model, toBe, folder.resolve("no/../model.safetensors"))) {
      refusesToOverwrite("the model", "--metrics", same);
      refusesToOverwrite("the model", "--checkpoint", same);
    }
    Path other = folder.resolve("other");
    refusesToOverwrite("the checkpoint", "--metrics", other, "--checkpoint", other + "");
    refusesToOverwrite(
        "the checkpoint's best parameters",
        "--metrics",
        folder.resolve("other.best"),
        "--checkpoint",
        other + "");
    assertArrayEquals(before, Files.readAllBytes(text));
    assertTrue(Files.notExists(model) && Files.notExists(other));
  }

  private void refusesToOverwrite(String what, String option, Path path, String... more) {
    List<String> words = new ArrayList<>(List.of(more));
    words.addAll(List.of("--steps", "1", option, path.toString()));
    Outcome outcome = train(words.toArray(String[]::new));
    assertEquals(2, outcome.code(), option + " " + path);
    assertTrue(
        outcome.err().startsWith("gatefuse: " + option + "=" + path)
            && outcome.err().endsWith(": would overwrite " + what + "\n"),
        outcome.err());
  }

  /** Batches of a pass are of one order, which is drawn but once. */
  @Test
  void theOrderOfAPassIsKept() throws IOException {
    Path file = folder.resolve("many");
    Files.writeString(file, "a line\n".repeat(100_000));
    LineBatches lines = LineBatches.read(List.of(file), 40, 16, 5).training();
    lines.batch(0);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getThreadAllocatedBytes(Thread.currentThread().getId());
    Batch kept = lines.batch(1);
    long bytes = threads.getThreadAllocatedBytes(Thread.currentThread().getId()) - before;
    assertTrue(bytes < Integer.BYTES * lines.size(), "allocated " + bytes);
    lines.batch(lines.batches());
    assertArrayEquals(kept.tokens(), lines.batch(1).tokens());
  }

  /** Each pass has every piece once, but for what does not fill a batch. */
  @Test
  void dealsOutAllLines() throws IOException {
    Path file = folder.resolve("numbers");
    String numbers =
        IntStream.range(0, 1000)
            .mapToObj(i -> "n" + "x".repeat(i % 30) + i)
            .collect(Collectors.joining("\n"));
    Files.writeString(file, numbers + "\n\n\n" + "y".repeat(70));
    LineBatches.Split split = LineBatches.read(List.of(file), 40, 16, 5);
    LineBatches lines = split.training();
    assertEquals(1002, lines.size() + split.heldOut().size());
    for (int pass = 0; pass < 2; pass++) {
      List<String> seen = new ArrayList<>();
      for (long i = 0; i < lines.batches(); i++) {
        Batch batch = lines.batch(pass * lines.batches() + i);
        assertEquals(16, batch.sequences());
        for (int b = 0; b < 16; b++) {
          seen.add(line(batch, b));
        }
      }
      assertEquals(lines.batches() * 16, seen.size());
      assertEquals(seen.size(), seen.stream().distinct().count());
      assertTrue(seen.stream().allMatch(one -> one.length() <= 40));
    }
  }

  /** Reads a sequence back, holding what is predicted against what is read next. */
  private static String line(Batch batch, int b) {
    StringBuilder line = new StringBuilder();
    int expected = '\n';
    for (int t = 0; t < batch.length(b); t++) {
      assertEquals(expected, batch.tokens()[t * batch.sequences() + b]);
      expected = batch.classes()[t * batch.sequences() + b];
      line.append((char) expected);
    }
    assertEquals('\n', line.charAt(line.length() - 1));
    return new String(line.toString().getBytes(StandardCharsets.ISO_8859_1)).strip();
  }
}
