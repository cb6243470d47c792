// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.internal.Printable;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.util.List;

/**
 * The command line: {@code gatefuse score}, {@code train}, {@code experiment}, {@code info}, {@code
 * version} and {@code help}.
 *
 * <p>Exit codes: {@link #OK}, {@link #DEFECT}, {@link #REFUSED}, {@link #BROKEN_PIPE}. Thread-safe;
 * it keeps no state.
 */
public final class Main {
  /** All went well. */
  static final int OK = 0;

  /** The program failed by a defect of its own. */
  static final int DEFECT = 1;

  /**
   * Usage, input, model, backend or output is not as it must be; one line on standard error says
   * how.
   */
  static final int REFUSED = 2;

  /**
   * The reader of standard output went away: what a shell shows for a program that SIGPIPE ended.
   */
  static final int BROKEN_PIPE = 141;

  private static final int LONGEST_MESSAGE = 2000;

  /** Set by the launcher, which alone can ask of standard error only. */
  private static final String TERMINAL_PROPERTY = "gatefuse.cli.terminal";

  private static final List<Command> COMMANDS =
      List.of(new ScoreCommand(), new TrainCommand(), new ExperimentCommand(), new InfoCommand());

  private Main() {}

  /**
   * Runs a command and ends the process with its exit code.
   *
   * @param args the words of the command line
   */
  public static void main(String[] args) {
    // Not System.out: a PrintStream swallows what went wrong.
    System.exit(run(args, System.in, new FileOutputStream(FileDescriptor.out), System.err));
  }

  /**
   * Runs a command.
   *
   * @param args the words of the command line
   * @param in standard input
   * @param out standard output; flushed, not closed
   * @param err standard error
   * @return the exit code
   */
  static int run(String[] args, InputStream in, OutputStream out, PrintStream err) {
    try {
      Output output = new Output("standard output", out);
      dispatch(List.of(args), new Console(in, output, err, Boolean.getBoolean(TERMINAL_PROPERTY)));
      output.flush();
      return OK;
    } catch (Output.BrokenPipe e) {
      return BROKEN_PIPE;
    } catch (RuntimeException | Error e) {
      int code = exitCode(e);
      err.println("gatefuse: " + printable(message(e)));
      if (List.of(args).contains("--debug")) {
        e.printStackTrace(err);
      }
      err.flush();
      return code;
    }
  }

  private static void dispatch(List<String> words, Console console) {
    String first = words.isEmpty() ? "" : words.get(0);
    switch (first) {
      case "" -> throw new CommandException("expected a command; see gatefuse help");
      case "version", "--version" -> console.out().println("gatefuse " + Version.text());
      case "help", "--help", "-h" -> help(words.subList(1, words.size()), console);
      default -> {
        Command command = command(first);
        List<String> rest = words.subList(1, words.size());
        if (rest.contains("--help") || rest.contains("-h")) {
          console.out().print(command.help());
        } else {
          command.run(Arguments.parse(first, command.options(), rest), console);
        }
      }
    }
  }

  private static Command command(String name) {
    return COMMANDS.stream()
        .filter(command -> command.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new CommandException("unknown command " + name + "; see gatefuse help"));
  }

  private static void help(List<String> topic, Console console) {
    if (!topic.isEmpty()) {
      console.out().print(command(topic.get(0)).help());
      return;
    }
    console
        .out()
        .print(
            """
            gatefuse runs gated recurrent networks, the refine gate first among them.

            Usage: gatefuse COMMAND [ARGUMENT...]

            Commands:
              score FILE...   how surprising each line of a file is to a byte model
              train FILE...   a byte model of the lines of files
              experiment TASK compare gates on a task, with a report and figures
              info            what runs on this machine, and why not more
              version         the version
              help [COMMAND]  this help, or that of a command

            Exit codes: 0 all went well, 1 a defect of this program, 2 usage or input is wrong.
            """);
  }

  /** What a failure means to whoever called the program. */
  static int exitCode(Throwable e) {
    if (e instanceof GatefuseException failure) {
      return switch (failure.code()) {
        case OUT_OF_MEMORY, BACKEND_UNAVAILABLE, IO_FAILED, BAD_FILE -> REFUSED;
        case BACKEND_FAILED, CONTEXT_LOST, INTERNAL -> DEFECT;
      };
    }
    return e instanceof CommandException || e instanceof OutOfMemoryError ? REFUSED : DEFECT;
  }

  /** One line of bounded length: what a message quotes from a file must not act on the terminal. */
  private static String printable(String message) {
    String line = Printable.of(message.replaceAll("\\s*\\R\\s*", " "));
    return line.length() <= LONGEST_MESSAGE ? line : line.substring(0, LONGEST_MESSAGE) + "...";
  }

  private static String message(Throwable e) {
    if (e instanceof OutOfMemoryError) {
      return "not enough memory ("
          + e.getMessage()
          + "); a smaller --max-line or --batch needs less";
    }
    if (e instanceof CommandException || e instanceof GatefuseException) {
      return e.getMessage();
    }
    return "internal error: " + e + "; --debug shows where";
  }
}
