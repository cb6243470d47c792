// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.Devices;
import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.Weights;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** {@code gatefuse info}: what runs on this machine, and why not more. */
final class InfoCommand implements Command {
  private static final String DESCRIPTION =
      """
      Prints the version, the machine, each backend with the reason where it does not run, and
      which of them is picked automatically. Each backend that runs is tried with a small network.
      """;

  /**
   * What is known of a backend.
   *
   * @param path how a small network runs on it; null where the backend does not run
   */
  private record Finding(DeviceReport report, ExecutionPath path) {
    Map<String, Object> json() {
      Map<String, Object> out = new LinkedHashMap<>();
      out.put("backend", report.backend().id());
      out.put("available", report.available());
      out.put("devices", report.devices());
      out.put("reason", report.reason());
      out.put("path", path == null ? null : ScoreSummary.json(path));
      return out;
    }

    String text() {
      String first = "  " + report + "\n";
      return path == null ? first : first + "    runs as " + path + "\n";
    }
  }

  @Override
  public String name() {
    return "info";
  }

  @Override
  public String usage() {
    return "info [OPTION...]";
  }

  @Override
  public String description() {
    return DESCRIPTION;
  }

  @Override
  public List<Option> options() {
    return List.of(
        Option.flag("--json", "print JSON"),
        Option.flag("--debug", "show where an error came from"),
        Option.flag("--help", "show this help"));
  }

  @Override
  public void run(Arguments arguments, Console console) {
    arguments.expectNoOperands();
    List<Finding> findings = Devices.report().stream().map(InfoCommand::finding).toList();
    ExecutionPath automatic = pathOf(Backend.AUTO);
    String why = why(findings, automatic);
    Map<String, Object> machine = Machine.facts();
    console
        .out()
        .print(
            arguments.has("--json")
                ? Json.of(json(machine, findings, automatic, why)) + "\n"
                : text(machine, findings, automatic, why));
  }

  private static Finding finding(DeviceReport report) {
    if (!report.available()) {
      return new Finding(report, null);
    }
    try {
      return new Finding(report, pathOf(report.backend()));
    } catch (GatefuseException e) {
      String reason = "a small network failed on it: " + e.getMessage();
      return new Finding(DeviceReport.missing(report.backend(), reason), null);
    }
  }

  private static ExecutionPath pathOf(Backend backend) {
    RnnSpec spec = RnnSpec.of(Cell.LSTM, 1, 1);
    Weights.Builder weights = Weights.builder();
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      weights.add(parameter.name(), new float[(int) parameter.count()], parameter.shape());
    }
    try (Rnn model = Rnn.create(spec, weights.build(), backend);
        Session session = model.session(1, 1)) {
      session.forward(1, 1, new float[1]);
      return session.path();
    } catch (IllegalArgumentException e) {
      // The network is sound, so it is a system property that is not.
      throw new CommandException(e.getMessage());
    }
  }

  /** Why the backend that AUTO picked, and none of those that are tried before it. */
  private static String why(List<Finding> findings, ExecutionPath automatic) {
    if (System.getProperty("gatefuse.backend") != null) {
      return "the system property gatefuse.backend says so";
    }
    List<String> reasons = new ArrayList<>();
    for (Backend backend : List.of(Backend.CUDA, Backend.CPU)) {
      if (backend == automatic.backend()) {
        break;
      }
      if (findings.stream().noneMatch(f -> f.path != null && f.report.backend() == backend)) {
        reasons.add(backend.id() + " does not run here");
      }
    }
    if (!automatic.reason().isEmpty()) {
      reasons.add(automatic.reason());
    }
    return String.join("; ", reasons);
  }

  private static Map<String, Object> json(
      Map<String, Object> machine, List<Finding> findings, ExecutionPath automatic, String why) {
    Map<String, Object> out = new LinkedHashMap<>(machine);
    out.put("native_libraries", Machine.nativeLibraries());
    out.put("backends", findings.stream().map(Finding::json).toList());
    out.put("auto", automatic.backend().id());
    out.put("auto_reason", why);
    return out;
  }

  private static String text(
      Map<String, Object> machine, List<Finding> findings, ExecutionPath automatic, String why) {
    StringBuilder out = new StringBuilder();
    machine.forEach((name, value) -> out.append(String.format("%-15s%s%n", name, value)));
    out.append("\nbackends\n");
    findings.forEach(finding -> out.append(finding.text()));
    out.append("\nnative libraries\n");
    List<String> libraries = Machine.nativeLibraries();
    libraries.forEach(library -> out.append("  ").append(library).append('\n'));
    out.append(libraries.isEmpty() ? "  none loaded\n" : "");
    out.append("\nauto picks     ").append(automatic.backend().id());
    return out.append(why.isEmpty() ? "\n" : ": " + why + "\n").toString();
  }
}
