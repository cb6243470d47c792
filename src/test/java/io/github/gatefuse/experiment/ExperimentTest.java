// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Cell;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.tasks.CopyTask;
import io.github.gatefuse.tasks.Goal;
import io.github.gatefuse.tasks.HeldOut;
import io.github.gatefuse.tasks.SupervisedTask;
import io.github.gatefuse.tasks.Task;
import io.github.gatefuse.tasks.Variant;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.BatchSource;
import io.github.gatefuse.training.Loss;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExperimentTest {
  /** A copy task whose data are broken for GRUs: their inputs are all NaN. */
  private record BrokenForGru(CopyTask whole, boolean broken) implements SupervisedTask {
    @Override
    public String id() {
      return "broken";
    }

    @Override
    public String description() {
      return "Broken for some.";
    }

    /** Networks of other sizes cannot read the batches; that fails before the first step. */
    @Override
    public RnnSpec network(Cell cell, int hiddenSize) {
      RnnSpec spec = whole.network(cell, hiddenSize);
      return cell == Cell.GRU ? RnnSpec.of(cell, 7, hiddenSize).withOutputs(10) : spec;
    }

    @Override
    public int steps() {
      return whole.steps();
    }

    @Override
    public Loss loss() {
      return whole.loss();
    }

    @Override
    public Goal goal() {
      return whole.goal();
    }

    @Override
    public BatchSource training(long seed, int sequences) {
      return index -> {
        Batch batch = whole.training(seed, sequences).batch(index);
        if (broken && index == 2) {
          batch.inputs()[5] = Float.NaN;
        }
        return batch;
      };
    }

    @Override
    public HeldOut heldOut(int sequences) {
      return whole.heldOut(sequences);
    }
  }

  @TempDir Path folder;
  private final List<String> ended = new ArrayList<>();
  private int stepsToLive = Integer.MAX_VALUE;

  private List<String> run(Task task, boolean figures, Variant... variants) {
    Plan plan =
        new Plan(
            task,
            List.of(variants),
            List.of(1L, 2L),
            4,
            100,
            5,
            Double.POSITIVE_INFINITY,
            1e-3,
            Regularization.NONE,
            RnnOptions.DEFAULT,
            1);
    Watcher watcher =
        new Watcher() {
          @Override
          public void progress(int run, double share, String text) {
            assertTrue(share > 0 && share <= 1);
            if (--stepsToLive == 0) {
              throw new Killed();
            }
          }

          @Override
          public void ended(String text) {
            ended.add(text);
          }
        };
    return new Experiment(plan, folder, "command --x", Map.of("cpu", "some"), watcher, figures)
        .run();
  }

  private String read(String name) throws IOException {
    return Files.readString(folder.resolve(name));
  }

  @Test
  void aFolderTellsAll() throws IOException {
    assertEquals(List.of(), run(new CopyTask(2), true, Variant.PLAIN, Variant.UR));
    assertEquals(4, ended.size());
    List<String> rows = read("results.csv").lines().toList();
    assertEquals(5, rows.size());
    assertTrue(rows.get(1).startsWith("--,1,lstm_tied,"), rows.get(1));
    assertTrue(rows.get(4).startsWith("UR,2,lstm_refine,"), rows.get(4));
    // Steps 0 to 5, one evaluation after each.
    assertEquals(7, read("runs/ur-2.csv").lines().count());
    String report = read("report.md");
    for (String part : List.of("    command --x\n", "| UR | lstm_refine |", "| cpu | some |")) {
      assertTrue(report.contains(part), report);
    }
    for (String figure : List.of("curves", "gates-after", "time-scales-before", "saturation")) {
      assertTrue(report.contains("(" + figure + ".png)"), figure);
      assertTrue(read(figure + ".svg").contains("<svg"), figure);
      byte[] png = Files.readAllBytes(folder.resolve(figure + ".png"));
      assertEquals("PNG", new String(png, 1, 3, java.nio.charset.StandardCharsets.US_ASCII));
    }
  }

  @Test
  void aDivergedRunIsToldAndTheOthersGoOn() throws IOException {
    run(new BrokenForGru(new CopyTask(2), true), false, Variant.UR, Variant.GRU, Variant.LSTM);
    assertEquals(6, ended.size());
    List<String> rows = read("results.csv").lines().toList();
    assertTrue(rows.get(1).contains(",diverged,2,"), rows.get(1));
    assertTrue(rows.get(2).contains(",failed,0,"), rows.get(2));
    assertTrue(read("report.md").contains("2 diverged"), read("report.md"));
    assertTrue(read("report.md").contains("- LSTM, seed 2 diverged after 2 steps"), "reason");
  }

  @Test
  void whereNothingRunsThatIsAnError() {
    GatefuseException e =
        assertThrows(
            GatefuseException.class,
            () -> run(new BrokenForGru(new CopyTask(2), false), false, Variant.GRU));
    assertTrue(e.getMessage().startsWith("no run could be trained"), e.getMessage());
  }

  @Test
  void theSameSeedGivesTheSameNumbers() throws IOException {
    Path other = folder.resolve("other");
    folder = folder.resolve("one");
    run(new CopyTask(2), false, Variant.UR);
    String first = withoutTimes(read("runs/ur-1.csv"));
    folder = other;
    run(new CopyTask(2), false, Variant.UR);
    assertEquals(first, withoutTimes(read("runs/ur-1.csv")));
  }

  /** Stops like a process that is killed: nothing catches it. */
  private static final class Killed extends Error {
    private static final long serialVersionUID = 1;
  }

  /** Every step is one at which it may end: in the first run, the last, and in between. */
  @Test
  void goesOnToTheSameBitsWhereverItWasKilled() throws IOException {
    Path all = folder;
    folder = all.resolve("straight");
    run(new CopyTask(2), true, Variant.UR, Variant.GRU);
    assertTrue(Files.notExists(folder.resolve("unfinished")));
    Path straight = folder;
    folder = all.resolve("broken");
    int kills = 0;
    for (boolean complete = false; !complete; ) {
      stepsToLive = 3;
      try {
        run(new CopyTask(2), true, Variant.UR, Variant.GRU);
        complete = true;
      } catch (Killed e) {
        kills++;
        assertTrue(Files.exists(folder.resolve("unfinished/settings")));
      }
    }
    // Four runs of five steps; each life takes three, of which the last one is lost.
    assertEquals(9, kills);
    assertTrue(Files.notExists(folder.resolve("unfinished")));
    for (String run : List.of("ur-1", "gru-1", "ur-2", "gru-2")) {
      String name = "runs/" + run + ".csv";
      assertEquals(
          withoutTimes(Files.readString(straight.resolve(name))), withoutTimes(read(name)));
    }
    assertEquals(
        withoutSeconds(Files.readString(straight.resolve("results.csv"))),
        withoutSeconds(read("results.csv")));
    for (String figure : List.of("gates-after.svg", "gradients-after.svg", "curves.svg")) {
      assertEquals(Files.readString(straight.resolve(figure)), read(figure), figure);
    }
  }

  /** A finished run is not repeated: of each nothing is left to do but to judge it. */
  @Test
  void finishedRunsTakeNoSteps() throws IOException {
    stepsToLive = 8; // The third step of the second run is lost: three of its five are left.
    assertThrows(Killed.class, () -> run(new CopyTask(2), false, Variant.UR, Variant.GRU));
    stepsToLive = 3 + 2 * 5 + 1; // Those, and those of two more runs: one more would kill.
    run(new CopyTask(2), false, Variant.UR, Variant.GRU);
    assertEquals(1, stepsToLive);
  }

  @Test
  void aFolderOfSomethingElseIsRefused() throws IOException {
    stepsToLive = 3;
    assertThrows(Killed.class, () -> run(new CopyTask(2), false, Variant.UR));
    stepsToLive = Integer.MAX_VALUE;
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> run(new CopyTask(2), false, Variant.GRU));
    assertTrue(
        e.getMessage().endsWith("other settings: expected variants: UR, got variants: GRU"),
        e.getMessage());
    e = assertThrows(IllegalArgumentException.class, () -> run(new CopyTask(3), false, Variant.UR));
    assertTrue(e.getMessage().contains("a delay of 2 steps"), e.getMessage());
    run(new CopyTask(2), false, Variant.UR);
    e = assertThrows(IllegalArgumentException.class, () -> run(new CopyTask(2), false, Variant.UR));
    assertTrue(e.getMessage().contains("expected a new or empty folder"), e.getMessage());
  }

  private static String withoutSeconds(String csv) {
    return csv.replaceAll("(?m)^((?:[^,]*,){6})[^,]*,", "$1");
  }

  private static String withoutTimes(String csv) {
    return csv.replaceAll("(?m)^(\\d+),[^,]*,", "$1,");
  }
}
