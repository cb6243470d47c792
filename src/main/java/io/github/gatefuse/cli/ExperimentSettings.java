// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.experiment.Plan;
import io.github.gatefuse.tasks.AddingTask;
import io.github.gatefuse.tasks.CopyTask;
import io.github.gatefuse.tasks.ImageTask;
import io.github.gatefuse.tasks.MatchTask;
import io.github.gatefuse.tasks.ProgramTask;
import io.github.gatefuse.tasks.Task;
import io.github.gatefuse.tasks.TextTask;
import io.github.gatefuse.tasks.Variant;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/**
 * What {@code experiment} was asked for, checked before anything is trained. Immutable.
 *
 * @param plan what is compared
 * @param out where the results go
 * @param command how the command was called
 */
record ExperimentSettings(Plan plan, Path out, String command) {
  private static final String NAMES =
      "adding, copy, mnist, mnist-rows, mnist-permuted, cifar10, text, program or match";

  private static final int MOST_VALUES = Integer.MAX_VALUE / Float.BYTES;

  static ExperimentSettings of(Arguments arguments) {
    if (arguments.operands().size() != 1) {
      throw new CommandException(
          "experiment: expected one task, "
              + NAMES
              + "; got "
              + (arguments.operands().isEmpty() ? "none" : arguments.operands()));
    }
    String name = arguments.operands().get(0);
    if (arguments.has("--steps") && arguments.has("--minutes")) {
      throw new CommandException("--steps and --minutes: expected one of them, got both");
    }
    try {
      Path out = Source.path(arguments.value("--out").orElse("experiment-" + name));
      return new ExperimentSettings(plan(name, arguments), out, command(arguments));
    } catch (IllegalArgumentException e) {
      throw new CommandException(e.getMessage(), e);
    }
  }

  private static Plan plan(String name, Arguments arguments) {
    boolean byTime = arguments.has("--minutes");
    Plan plan =
        new Plan(
            task(name, arguments),
            variants(arguments.value("--variants").orElse("LSTM,UR")),
            seeds(arguments.value("--seeds").orElse("1")),
            arguments.integer("--hidden", 1, 16384, 128),
            arguments.integer("--batch", 1, 65536, 32),
            byTime ? Long.MAX_VALUE : arguments.integer("--steps", 1, Integer.MAX_VALUE, 2000),
            byTime ? arguments.real("--minutes", 0.001, 1e6, 1) : Double.POSITIVE_INFINITY,
            arguments.real("--rate", 1e-12, 1e3, 1e-3),
            Rates.of(arguments),
            options(arguments.value("--backend").orElse(Backend.AUTO.id())),
            arguments.integer("--threads", 1, 1024, 0));
    checkSize(plan);
    for (Variant variant : plan.variants()) {
      plan.regularization().check(variant.network(plan.task(), plan.hidden()));
    }
    // What does not fit the data is found before the first run, not in each.
    plan.task().practice(plan.seeds().get(0), plan.sequences());
    return plan;
  }

  /** The largest buffers are those of inputs, hidden states and outputs of a whole batch. */
  private static void checkSize(Plan plan) {
    RnnSpec spec = plan.task().network(Cell.LSTM, plan.hidden());
    int widest = Math.max(plan.hidden(), Math.max(spec.inputSize(), spec.outputs()));
    double values = (double) plan.task().steps() * plan.sequences() * widest;
    if (values > MOST_VALUES) {
      throw new CommandException(
          "--batch: expected sequences that fit a buffer of %d values, got %d of %d steps and %d"
                  .formatted(MOST_VALUES, plan.sequences(), plan.task().steps(), widest)
              + " values a step");
    }
  }

  private static RnnOptions options(String backend) {
    try {
      return RnnOptions.of(Backend.of(backend));
    } catch (IllegalArgumentException e) {
      throw new CommandException("--" + e.getMessage(), e);
    }
  }

  private static Task task(String name, Arguments arguments) {
    return switch (name) {
      case "adding" -> new AddingTask(arguments.integer("--length", 2, 1 << 20, 200));
      case "copy" -> new CopyTask(arguments.integer("--delay", 1, 1 << 20, 100));
      case "mnist" -> ImageTask.mnist(data(name, arguments));
      case "mnist-rows" -> ImageTask.mnistRows(data(name, arguments));
      case "mnist-permuted" -> ImageTask.mnistPermuted(data(name, arguments));
      case "cifar10" -> ImageTask.cifar10(data(name, arguments));
      case "text" ->
          TextTask.of(
              List.of(data(name, arguments)), arguments.integer("--length", 1, 1 << 20, 100));
      case "program" ->
          new ProgramTask(
              arguments.integer("--length", 1, 8, 3), arguments.integer("--nesting", 1, 5, 2));
      case "match" -> new MatchTask(arguments.integer("--delay", 1, 1 << 20, 20));
      default ->
          throw new CommandException("experiment: expected a task, " + NAMES + "; got " + name);
    };
  }

  private static Path data(String name, Arguments arguments) {
    return Source.path(
        arguments
            .value("--data")
            .orElseThrow(
                () -> new CommandException("--data: expected where the data of " + name + " lie")));
  }

  private static List<Variant> variants(String list) {
    List<Variant> variants = Stream.of(list.split(",")).map(Variant::of).toList();
    if (variants.stream().distinct().count() < variants.size()) {
      throw new CommandException("--variants: expected each once, got " + list);
    }
    return variants;
  }

  private static List<Long> seeds(String text) {
    try {
      if (text.contains(",")) {
        List<Long> seeds = Stream.of(text.split(",")).map(Long::valueOf).toList();
        if (!seeds.isEmpty() && seeds.stream().distinct().count() == seeds.size()) {
          return seeds;
        }
      } else if (Integer.parseInt(text) >= 1 && Integer.parseInt(text) <= 1000) {
        return LongStream.rangeClosed(1, Integer.parseInt(text)).boxed().toList();
      }
    } catch (NumberFormatException e) {
      // Falls through to the same message.
    }
    throw new CommandException(
        "--seeds: expected a number from 1 to 1000, or different seeds separated by commas, got "
            + text);
  }

  private static String command(Arguments arguments) {
    StringBuilder out = new StringBuilder("bin/gatefuse experiment");
    for (String word : arguments.words()) {
      boolean plain = word.matches("[A-Za-z0-9_./,:=+-]+");
      out.append(' ').append(plain ? word : "'" + word.replace("'", "'\\''") + "'");
    }
    return out.toString();
  }
}
