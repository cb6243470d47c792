// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import ai.djl.Device;
import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Precision;
import io.github.gatefuse.RnnOptions;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * The options of a model, as {@code Criteria.optOption} gives them.
 *
 * @param cell the cell, where the file does not name it
 * @param network what computes it, and how
 * @param threads the most of a prediction; 0 for as many as the process may use
 * @param maxSteps the largest T; 0 for any
 * @param maxBatch the largest B; 0 for any
 * @param timeMajor whether T comes before B
 * @param outputs names of {@link Output}; empty for the usual ones
 */
record ModelOptions(
    Optional<Cell> cell,
    RnnOptions network,
    int threads,
    int maxSteps,
    int maxBatch,
    boolean timeMajor,
    List<String> outputs) {
  private static final List<String> NAMES =
      List.of(
          "backend", "precision", "threads", "maxSteps", "maxBatch", "layout", "outputs", "cell");

  /**
   * Reads options.
   *
   * @param device what the model was made for; null for nothing in particular
   * @throws IllegalArgumentException naming the option, what was expected and what came
   */
  static ModelOptions of(Map<String, ?> options, Device device) {
    for (String name : options.keySet()) {
      if (!NAMES.contains(name)) {
        throw new IllegalArgumentException("options: expected some of " + NAMES + ", got " + name);
      }
    }
    Values values = new Values(options);
    return new ModelOptions(
        Optional.ofNullable(values.get("cell", Cell::of, null)),
        network(values, device),
        values.count("threads"),
        values.count("maxSteps"),
        values.count("maxBatch"),
        values.get("layout", ModelOptions::isTimeMajor, false),
        values.get(
            "outputs",
            list -> Arrays.stream(list.split(",")).map(String::strip).toList(),
            List.of()));
  }

  private static RnnOptions network(Values values, Device device) {
    Backend asked = values.get("backend", Backend::of, Backend.AUTO);
    Precision precision = values.get("precision", Precision::of, Precision.FLOAT32);
    if (device == null) {
      return new RnnOptions(asked, precision, 0);
    }
    boolean gpu = device.isGpu();
    boolean fits =
        gpu
            ? asked == Backend.CUDA || asked == Backend.CUDNN
            : asked == Backend.CPU || asked == Backend.REFERENCE;
    if (asked != Backend.AUTO && !fits) {
      throw new IllegalArgumentException(
          ("option backend: expected auto or one of the device " + device + ", got ") + asked.id());
    }
    Backend ofDevice = gpu ? Backend.CUDA : Backend.CPU;
    return new RnnOptions(fits ? asked : ofDevice, precision, gpu ? device.getDeviceId() : 0);
  }

  private static boolean isTimeMajor(String layout) {
    return switch (layout) {
      case "batch" -> false;
      case "time" -> true;
      default -> throw new IllegalArgumentException("expected batch or time, got " + layout);
    };
  }

  private record Values(Map<String, ?> options) {
    <T> T get(String name, Function<String, T> parser, T absent) {
      Object value = options.get(name);
      if (value == null) {
        return absent;
      }
      try {
        return parser.apply(value.toString());
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException("option " + name + ": " + e.getMessage(), e);
      }
    }

    int count(String name) {
      return get(name, Values::atLeastOne, 0);
    }

    private static int atLeastOne(String text) {
      try {
        int value = Integer.parseInt(text);
        if (value >= 1) {
          return value;
        }
      } catch (NumberFormatException e) {
        // The same sentence serves.
      }
      throw new IllegalArgumentException("expected a whole number from 1 on, got " + text);
    }
  }
}
