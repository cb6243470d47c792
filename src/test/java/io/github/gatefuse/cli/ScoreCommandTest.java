// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Backend;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.Devices;
import io.github.gatefuse.Precision;
import io.github.gatefuse.cli.CommandLine.Outcome;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class ScoreCommandTest {
  private static final Path MODELS = Path.of("models");

  @TempDir Path folder;
  private String model;

  @BeforeEach
  void writeModel() {
    model = TinyModel.write(folder).toString();
  }

  private String file(String name, String latin1) throws IOException {
    return Files.write(folder.resolve(name), latin1.getBytes(ISO_8859_1)).toString();
  }

  /** Scores with the tiny model. */
  private Outcome score(String... args) {
    return CommandLine.run(withModel(args));
  }

  private String[] withModel(String... args) {
    List<String> all = new ArrayList<>(List.of("score", "--model", model));
    all.addAll(List.of(args));
    return all.toArray(String[]::new);
  }

  private Map<String, Object> json(String... args) {
    Outcome outcome =
        score(Stream.concat(Stream.of("--json"), Stream.of(args)).toArray(String[]::new));
    assertEquals(0, outcome.code(), outcome.err());
    assertEquals("", outcome.err());
    return JsonReader.readObject(outcome.out());
  }

  static List<Backend> available() {
    return Devices.report().stream()
        .filter(DeviceReport::available)
        .map(DeviceReport::backend)
        .filter(backend -> backend != Backend.CUDNN)
        .toList();
  }

  @ParameterizedTest
  @MethodSource("available")
  void theModelThatComesAlongGivesTheExpectedScores(Backend backend) throws IOException {
    List<Map<String, Object>> expected =
        JsonReader.objects(JsonReader.read(Files.readString(MODELS.resolve("expected.json"))));
    StringBuilder text = new StringBuilder();
    expected.forEach(line -> text.append(line.get("line_utf8")).append('\n'));
    Path file = Files.writeString(folder.resolve("lines"), text);
    Outcome outcome =
        CommandLine.run(
            "score",
            "--per-line",
            "--model=" + MODELS.resolve("bytes-ur-lstm-256.safetensors"),
            "--backend=" + backend.id(),
            file.toString());
    assertEquals(0, outcome.code(), outcome.err());
    List<String[]> rows = outcome.rows();
    assertEquals(expected.size(), rows.size());
    for (int i = 0; i < rows.size(); i++) {
      byte[] line = ((String) expected.get(i).get("line_utf8")).getBytes(UTF_8);
      double bits = (Double) expected.get(i).get("bits_per_byte");
      assertEquals(line.length, Integer.parseInt(rows.get(i)[2]));
      assertEquals(bits, Double.parseDouble(rows.get(i)[3]), 1e-4);
    }
  }

  @Test
  void theWholeIsTheMeanOverAllPredictions() throws IOException {
    String text = file("text", "one\n\nthree and more\nlast");
    Map<String, Object> summary = json(text);
    double bits = 0;
    double predictions = 0;
    for (String[] row : score("--per-line", text).rows()) {
      double n = Double.parseDouble(row[2]) + 1;
      bits += n * Double.parseDouble(row[3]);
      predictions += n;
    }
    assertEquals(4.0, summary.get("lines"));
    assertEquals(24.0, summary.get("bytes"));
    assertEquals(25.0, summary.get("predictions"));
    assertEquals(25, predictions);
    assertEquals(bits / predictions, (Double) summary.get("bits_per_byte"), 1e-6);
  }

  @Test
  void anEmptyFileHasNoLines() throws IOException {
    String empty = file("empty", "");
    Map<String, Object> summary = json(empty);
    assertEquals(0.0, summary.get("lines"));
    assertEquals(0.0, summary.get("bytes"));
    assertNull(summary.get("bits_per_byte"));
    assertEquals(List.of(), summary.get("surprising"));
    Outcome text = score(empty);
    assertEquals(0, text.code());
    assertTrue(text.out().startsWith("bits per byte  none: no lines\n"), text.out());
  }

  @Test
  void emptyLinesCountButAreNotShown() throws IOException {
    Map<String, Object> summary = json(file("blank", "\n\na\n"));
    assertEquals(3.0, summary.get("lines"));
    List<Map<String, Object>> shown = JsonReader.objects(summary.get("surprising"));
    assertEquals(1, shown.size());
    assertEquals(3.0, shown.get(0).get("line"));
  }

  @Test
  void theLastLineNeedsNoLineFeed() throws IOException {
    String with = score("--per-line", file("a", "x\nyz\n")).out();
    String without = score("--per-line", file("a", "x\nyz")).out();
    assertEquals(with, without);
  }

  @Test
  void aCarriageReturnIsAByteOfItsLine() throws IOException {
    List<String[]> rows = score("--per-line", file("crlf", "abc\r\nd\re\n")).rows();
    assertEquals(2, rows.size());
    assertEquals("4", rows.get(0)[2]);
    assertEquals("3", rows.get(1)[2]);
  }

  @Test
  void anyBytesAreALine() throws IOException {
    StringBuilder all = new StringBuilder();
    for (char c = 0; c < 256; c++) {
      all.append(c == '\n' ? "" : c);
    }
    Map<String, Object> summary = json(file("binary", all.toString()));
    assertEquals(1.0, summary.get("lines"));
    String text = (String) JsonReader.objects(summary.get("surprising")).get(0).get("text");
    assertTrue(text.startsWith("\\x00\\x01\\x02"), text);
    assertTrue(text.endsWith("…"), text);
  }

  @Test
  void standardInputIsScoredLikeAFile() throws IOException {
    String text = "from a pipe\nand more";
    String[] args = withModel("--per-line", "-");
    Outcome piped = CommandLine.runWithInput(text.getBytes(ISO_8859_1), args);
    Outcome fromFile = score("--per-line", file("f", text));
    assertEquals(0, piped.code());
    assertEquals("-,1,11", piped.out().lines().skip(1).findFirst().orElseThrow().substring(0, 6));
    List<String> scores = fromFile.rows().stream().map(row -> row[3]).toList();
    assertEquals(scores, piped.rows().stream().map(row -> row[3]).toList());
  }

  @Test
  void perLineRowsKeepTheOrderOfFilesAndLines() throws IOException {
    String first = file("plain", "a longer line\nb\n\n");
    String second = file("with, \"quotes\"", "c\n");
    Outcome outcome = score("--per-line", first, second, first);
    String quoted = '"' + second.replace("\"", "\"\"") + '"';
    List<String> places =
        outcome.out().lines().map(line -> line.substring(0, line.lastIndexOf(','))).toList();
    assertEquals(
        List.of(
            "file,line,bytes",
            first + ",1,13",
            first + ",2,1",
            first + ",3,0",
            quoted + ",1,1",
            first + ",1,13",
            first + ",2,1",
            first + ",3,0"),
        places);
    assertTrue(outcome.err().startsWith("bits per byte  "), outcome.err());
  }

  @Test
  void perLineRowsGoToAFileAndTheSummaryToStandardOutput() throws IOException {
    String text = file("text", "a\nb\n");
    Path csv = folder.resolve("out.csv");
    Outcome outcome = score("--per-line=" + csv, text);
    assertEquals(0, outcome.code(), outcome.err());
    assertEquals(score("--per-line", text).out(), Files.readString(csv));
    assertTrue(outcome.out().startsWith("bits per byte  "), outcome.out());
    assertEquals("", outcome.err());
  }

  @Test
  void theMostSurprisingLinesAreThoseOfTheHighestScores() throws IOException {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 50; i++) {
      text.append((char) ('!' + i)).append((char) ('0' + i % 7)).append('\n');
    }
    String file = file("text", text.append("!0\n").toString());
    List<String[]> rows = new ArrayList<>(score("--per-line", file).rows());
    rows.sort(Comparator.comparingDouble((String[] row) -> Double.parseDouble(row[3])).reversed());
    List<Map<String, Object>> shown =
        JsonReader.objects(json("--top", "7", file).get("surprising"));
    assertEquals(7, shown.size());
    for (int i = 0; i < 7; i++) {
      assertEquals(Double.parseDouble(rows.get(i)[1]), shown.get(i).get("line"));
      assertEquals(file, shown.get(i).get("file"));
    }
    assertEquals(10, JsonReader.objects(json(file).get("surprising")).size());
    assertEquals(51, JsonReader.objects(json("--top=60", file).get("surprising")).size());
    assertFalse(score("--top=0", file).out().contains("surprising"));
  }

  @Test
  void linesAreShownWithFileNumberAndEscapes() throws IOException {
    String file = file("log", "a\u001b[31m\tb\n");
    String last = score(file).out().lines().reduce((a, b) -> b).orElseThrow();
    assertTrue(last.endsWith("  " + file + ":1  a\\x1b[31m\\tb"), last);
  }

  @Test
  void optionsOfSpeedDoNotShow() throws IOException {
    String text = file("text", "short\n" + "long ".repeat(100) + "\nmore\n");
    String expected = score("--per-line", text).out();
    assertEquals(expected, score("--per-line", "--batch=1", text).out());
    assertEquals(expected, score("--per-line", "--threads=1", text).out());
    assertEquals(expected, score("--per-line", "--max-line=3", text).out());
    assertEquals(expected, score("--per-line", "--no-progress", "--debug", text).out());
  }

  @Test
  void aLineBeyondMaxLineIsShownByItsBeginning() throws IOException {
    String text = file("text", "long ".repeat(300) + "\n");
    Object whole = json(text).get("surprising");
    assertEquals(whole, json("--max-line=700", text).get("surprising"));
    assertEquals(whole, json("--max-line=2", text).get("surprising"));
  }

  @Test
  void jsonNamesTheModelAndThePath() throws IOException {
    Map<String, Object> summary = json("--backend=reference", "--threads=1", file("t", "a\n"));
    assertEquals(model, summary.get("model"));
    assertTrue((Double) summary.get("seconds") > 0);
    assertEquals("reference", ((Map<?, ?>) summary.get("path")).get("backend"));
  }

  @Test
  void aPrecisionIsChosenOrRefusedByTheBackend() throws IOException {
    String file = file("t", "some text\n");
    Map<String, Object> half = json("--backend=reference", "--precision=bfloat16", file);
    assertEquals("bfloat16", ((Map<?, ?>) half.get("path")).get("precision"));
    Map<String, Object> full = json("--backend=reference", file);
    double difference =
        Math.abs((Double) half.get("bits_per_byte") - (Double) full.get("bits_per_byte"));
    assertTrue(difference > 0 && difference < 0.1, "difference " + difference);
    if (available().contains(Backend.CPU)) {
      assertRefused(
          score("--backend=cpu", "--precision=tf32", file),
          "precision: expected float32, bfloat16, int8 on the cpu backend, got tf32");
    }
  }

  /** The command is refused with one line, before anything is written. */
  private static void assertRefused(Outcome outcome, String message) {
    assertEquals(2, outcome.code(), outcome.err());
    assertEquals("gatefuse: " + message + "\n", outcome.err());
    assertEquals("", outcome.out());
  }

  @Test
  void badOperandsAreRefusedBeforeAnythingIsScored() throws IOException {
    String good = file("good", "a\n");
    String missing = folder.resolve("missing").toString();
    assertRefused(score("--per-line", good, missing), missing + ": no such file");
    assertRefused(
        score("--per-line", good, folder.toString()),
        folder + ": expected a file, got a directory");
    assertRefused(score(), "score: expected a FILE, or - for standard input; got none");
    assertRefused(score("-", "-"), "-: standard input can be read only once");
  }

  @Test
  void badOptionsAreRefused() throws IOException {
    String file = file("good", "a\n");
    assertRefused(score("--fast", file), "unknown option --fast; see gatefuse score --help");
    assertRefused(
        score("--top", "x", file), "--top: expected a whole number from 0 to 1000000, got x");
    assertRefused(
        score("--batch=0", file), "--batch: expected a whole number from 1 to 4096, got 0");
    assertRefused(score(file, "--top"), "--top: expected a value: --top N, got none");
    assertRefused(score("--json=1", file), "--json: expected no value, got --json=1");
    assertRefused(
        score("--backend=gpu", file),
        "--backend: expected one of auto, reference, cpu, cuda, cudnn; got gpu");
    assertRefused(
        score("--precision=half", file),
        "--precision: expected one of float32, tf32, bfloat16, float16, int8; got half");
    assertRefused(
        score("--json", "--per-line", file),
        "--json and --per-line: both write to standard output; expected --per-line=FILE");
  }

  @Test
  void whatIsReadIsNotOverwritten() throws IOException {
    String file = file("good", "a\n");
    assertRefused(
        score("--per-line=" + file, file),
        "--per-line=" + file + ": would overwrite what is to be scored");
    assertRefused(
        score("--per-line=" + model, file), "--per-line=" + model + ": would overwrite the model");
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of(file));
    assertRefused(
        score("--per-line=" + link, file),
        "--per-line=" + link + ": would overwrite what is to be scored");
    assertEquals("a\n", Files.readString(Path.of(file)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "no model at all, but long enough for a header's length"})
  void aFileThatIsNoModelIsRefused(String content) throws IOException {
    model = file("bad", content);
    Outcome outcome = score(file("good", "a\n"));
    assertEquals(2, outcome.code());
    assertTrue(outcome.err().startsWith("gatefuse: " + model + ": "), outcome.err());
    assertEquals(1, outcome.err().lines().count(), outcome.err());
  }

  @Test
  void whatAHostileModelSaysIsShownHarmless() throws IOException {
    String text = "\u001b]0;owned\u0007\ngatefuse: all is well\u202e";
    model = TinyModel.write(folder.resolve("m"), TinyModel.SPEC, Map.of("bos", text)).toString();
    assertRefused(
        score(file("good", "a\n")),
        model
            + ": metadata bos: expected 10, the line feed; got"
            + " \\x1b]0;owned\\x07 gatefuse: all is well\\u{202e}");
  }

  @Test
  void aModelThatCannotBeReadIsRefused() throws IOException {
    String file = file("good", "a\n");
    model = folder.toString();
    assertRefused(score(file), folder + ": expected a file, got a directory");
    model = folder.resolve("missing").toString();
    assertRefused(score(file), model + ": no such file");
  }

  @Test
  void aStackTraceIsShownOnlyOnDemand() {
    String missing = folder.resolve("missing").toString();
    assertEquals(1, score(missing).err().lines().count());
    Outcome debug = score("--debug", missing);
    assertEquals(2, debug.code());
    assertTrue(debug.err().contains("\tat io.github.gatefuse.cli."), debug.err());
  }

  /** An output that takes some bytes and then fails. */
  private static OutputStream failing(String message) {
    return new OutputStream() {
      @Override
      public void write(int b) throws IOException {
        throw new IOException(message);
      }
    };
  }

  @Test
  void aFullDiskIsAnError() throws IOException {
    String file = file("good", "a\n");
    String[] args = withModel(file);
    Outcome outcome = CommandLine.runTo(failing("No space left on device"), args);
    assertRefused(outcome, "standard output: cannot write: No space left on device");
  }

  @Test
  void aReaderThatWentAwayIsNoError() throws IOException {
    String[] args = withModel("--per-line", file("good", "a\n"));
    Outcome outcome = CommandLine.runTo(failing("Broken pipe"), args);
    assertEquals(141, outcome.code());
    assertEquals("", outcome.err());
  }

  @Test
  void anOutputFileThatCannotBeOpenedIsRefused() throws IOException {
    String file = file("good", "a\n");
    Outcome outcome = score("--per-line=" + folder, file);
    assertEquals(2, outcome.code());
    assertTrue(outcome.err().startsWith("gatefuse: " + folder + ": cannot write: "), outcome.err());
    assertEquals("", outcome.out());
  }

  @Test
  void aBackendThatDoesNotRunIsRefused() throws IOException {
    String file = file("good", "a\n");
    for (DeviceReport report : Devices.report()) {
      Outcome outcome = score("--backend=" + report.backend().id(), file);
      if (report.available() && report.backend() != Backend.CUDNN) {
        assertEquals(0, outcome.code(), outcome.err());
      } else {
        assertEquals(2, outcome.code(), outcome.err());
        assertEquals(1, outcome.err().lines().count(), outcome.err());
      }
    }
  }

  @Test
  void withoutTheLauncherAModelMustBeNamed() {
    Outcome outcome = CommandLine.run("score", "-");
    assertRefused(outcome, "--model: expected a FILE, since gatefuse.home is not set");
  }

  @Test
  void helpNamesEveryPrecision() {
    String help = CommandLine.run("score", "--help").out();
    String line = help.lines().dropWhile(l -> !l.contains("--precision")).limit(2).toList() + "";
    for (Precision precision : Precision.values()) {
      assertTrue(line.contains(precision.id()), precision + ": " + line);
    }
  }

  @Test
  void helpNamesEveryOption() {
    Outcome outcome = CommandLine.run("score", "--help");
    assertEquals(0, outcome.code());
    for (Option option : new ScoreCommand().options()) {
      assertTrue(outcome.out().contains("  " + option.usage()), option.name());
    }
    assertArrayEquals(
        outcome.out().split("\n"), CommandLine.run("help", "score").out().split("\n"));
  }
}
