// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.State;
import io.github.gatefuse.Weights;
import io.github.gatefuse.io.Safetensors;
import io.github.gatefuse.io.SafetensorsWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/**
 * Where a training stands, as a safetensors file: the parameters by their names, the moments of
 * Adam in the order of the parameters, the state that the next batch may go on from, and in the
 * metadata the network, the steps taken and notes of whoever saved it.
 *
 * @param weights the parameters
 * @param first Adam's running mean of the gradient
 * @param second that of its square
 * @param state the final state of the last batch; null for none
 * @param steps taken
 * @param notes further metadata
 */
record Checkpoint(
    Weights weights,
    float[] first,
    float[] second,
    State state,
    long steps,
    Map<String, String> notes) {
  private static final String FORMAT = "gatefuse-checkpoint";
  private static final String VERSION = "1";
  private static final String SPEC = "network";
  private static final String STEPS = "steps";
  private static final String NOTE = "note.";

  /** What stands before the names of the layers' parameters, as in files of models. */
  static final String LAYERS = "rnn.";

  private static final String FIRST = "adam.mean";
  private static final String SECOND = "adam.square";
  private static final String HIDDEN = "state.h";
  private static final String CELL = "state.c";

  void write(Path path, RnnSpec spec) {
    SafetensorsWriter writer =
        SafetensorsWriter.create()
            .metadata(FORMAT, VERSION)
            .metadata(SPEC, spec.toString())
            .metadata(STEPS, Long.toString(steps));
    notes.forEach((key, value) -> writer.metadata(NOTE + key, value));
    writer.add(LAYERS, weights);
    writer.add(FIRST, first, first.length).add(SECOND, second, second.length);
    if (state != null) {
      int[] shape = {state.slots(), state.batch(), state.hiddenSize()};
      writer.add(HIDDEN, state.hidden(), shape);
      if (state.hasCell()) {
        writer.add(CELL, state.cell(), shape);
      }
    }
    writer.write(path);
  }

  /**
   * Reads parameters that were written with the prefix {@link #LAYERS}.
   *
   * @throws IllegalArgumentException if they are those of another network
   */
  static Weights parameters(Safetensors file, RnnSpec spec) {
    Weights weights = file.weights(LAYERS);
    weights.check(spec);
    return weights;
  }

  /**
   * Reads a checkpoint.
   *
   * @throws IllegalArgumentException if it is that of another network
   * @throws GatefuseException if the file cannot be read or is no checkpoint
   */
  static Checkpoint read(Path path, RnnSpec spec) {
    try (Safetensors file = Safetensors.open(path)) {
      Map<String, String> metadata = file.metadata();
      String version = metadata.get(FORMAT);
      if (!VERSION.equals(version)) {
        throw bad(
            path,
            "expected a checkpoint of version "
                + VERSION
                + ", got "
                + (version == null ? "another kind of file" : "version " + version));
      }
      String network = metadata.get(SPEC);
      if (!spec.toString().equals(network)) {
        throw new IllegalArgumentException(
            path + ": expected a checkpoint of " + spec + ", got one of " + network);
      }
      int count = 0;
      for (RnnSpec.Parameter parameter : spec.parameters()) {
        count += (int) parameter.count();
      }
      return new Checkpoint(
          parameters(file, spec),
          floats(path, file, FIRST, count),
          floats(path, file, SECOND, count),
          state(path, file, spec),
          steps(path, metadata),
          notes(metadata));
    }
  }

  private static float[] floats(Path path, Safetensors file, String name, long... shape) {
    if (!file.has(name) || !Arrays.equals(file.shape(name), shape)) {
      throw bad(
          path,
          name
              + ": expected a tensor of shape "
              + Arrays.toString(shape)
              + ", got "
              + (file.has(name) ? Arrays.toString(file.shape(name)) : "none"));
    }
    return file.floats(name);
  }

  private static State state(Path path, Safetensors file, RnnSpec spec) {
    if (!file.has(HIDDEN)) {
      return null;
    }
    long[] shape = file.shape(HIDDEN);
    boolean good =
        shape.length == 3
            && shape[0] == spec.slots()
            && shape[1] >= 1
            && shape[1] <= Integer.MAX_VALUE
            && shape[2] == spec.hiddenSize();
    if (!good) {
      throw bad(
          path,
          "%s: expected the shape [L*D=%d, B, H=%d], got %s"
              .formatted(HIDDEN, spec.slots(), spec.hiddenSize(), Arrays.toString(shape)));
    }
    State state = State.zeros(spec, (int) shape[1]);
    state.set(
        floats(path, file, HIDDEN, shape),
        state.hasCell() ? floats(path, file, CELL, shape) : null);
    return state;
  }

  private static long steps(Path path, Map<String, String> metadata) {
    String text = metadata.getOrDefault(STEPS, "none");
    try {
      long steps = Long.parseLong(text);
      if (steps >= 0) {
        return steps;
      }
    } catch (NumberFormatException e) {
      // The same message as for a number out of range.
    }
    throw bad(path, STEPS + ": expected a whole number from 0, got " + text);
  }

  private static Map<String, String> notes(Map<String, String> metadata) {
    Map<String, String> notes = new TreeMap<>();
    metadata.forEach(
        (key, value) -> {
          if (key.startsWith(NOTE)) {
            notes.put(key.substring(NOTE.length()), value);
          }
        });
    return notes;
  }

  private static GatefuseException bad(Path path, String what) {
    return new GatefuseException(Code.BAD_FILE, path + ": " + what);
  }
}
