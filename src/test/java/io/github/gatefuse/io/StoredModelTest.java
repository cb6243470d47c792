// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.Weights;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StoredModelTest {
  @TempDir Path folder;

  private Path write(String prefix, RnnSpec spec, Map<String, String> metadata) {
    SafetensorsWriter writer = SafetensorsWriter.create();
    metadata.forEach(writer::metadata);
    writer.add(prefix, WeightInit.uniform().weights(spec, 3));
    Path file = folder.resolve("model.safetensors");
    writer.write(file);
    return file;
  }

  private static StoredModel read(Path path, Cell cell) {
    try (Safetensors file = Safetensors.open(path)) {
      return StoredModel.read(file, Optional.ofNullable(cell));
    }
  }

  @Test
  void layersDirectionsEmbeddingAndHeadAreInTheShapes() {
    RnnSpec plain = RnnSpec.of(Cell.GRU, 3, 8);
    List<RnnSpec> specs =
        List.of(
            plain,
            plain.withLayers(3).withBidirectional(true),
            plain.withVocabulary(11),
            plain.withBidirectional(true).withOutputs(5));
    for (RnnSpec spec : specs) {
      assertEquals(spec, read(write("", spec, Map.of("cell", "gru")), null).spec());
      assertEquals(spec, read(write("a.b.", spec, Map.of()), Cell.GRU).spec());
    }
  }

  @Test
  void theNetworkIsThatOfTheFile() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM, 2, 4).withLayers(2);
    Weights weights = WeightInit.uniform().weights(spec, 3);
    Path file = write("rnn.", spec, Map.of("cell", "lstm", "zoneout_c", "0.25"));
    StoredModel model = read(file, null);
    assertEquals(Regularization.NONE.withZoneout(0, 0.25), model.regularization());
    try (Rnn stored = model.create(RnnOptions.of(Backend.REFERENCE));
        Rnn made = Rnn.create(spec, weights, Backend.REFERENCE)) {
      assertArrayEquals(made.fingerprint(), stored.fingerprint());
    }
  }

  private static void assertRefused(String message, Path file, Cell cell) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> read(file, cell));
    assertEquals(message, e.getMessage());
  }

  /** What a hostile file says does not act on a terminal, and does not fill it. */
  @Test
  void messagesShowLittleOfTheFileAndHarmlessly() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, 3, 8);
    String evil = "\u001b[31m" + "x".repeat(1000);
    String shown = "\\x1b[31m" + "x".repeat(75) + "...";
    assertRefused(
        "metadata zoneout_h: expected a rate from 0 to below 1, got " + shown,
        write("", spec, Map.of("cell", "gru", "zoneout_h", evil)),
        null);
    Path file = write("", spec, Map.of("cell", evil));
    String message =
        assertThrows(IllegalArgumentException.class, () -> read(file, null)).getMessage();
    assertTrue(message.endsWith(shown), message);
    SafetensorsWriter.create().add(evil + "weight_ih_l0", new float[2], 2).write(file);
    assertRefused(shown + ": expected a matrix, got the shape [2]", file, null);
    SafetensorsWriter writer = SafetensorsWriter.create();
    for (int i = 0; i < 10; i++) {
      writer.add((char) ('a' + i) + "\u001b.weight_ih_l0", new float[0], 0);
    }
    writer.write(file);
    assertRefused(
        "expected one tensor whose name ends with weight_ih_l0, got "
            + "abcdefgh".chars().mapToObj(c -> (char) c + "\\x1b.weight_ih_l0").toList()
            + " and others",
        file,
        null);
  }

  @Test
  void whatIsNoNetworkIsRefused() {
    Path file = folder.resolve("other.safetensors");
    SafetensorsWriter.create().add("bias", new float[2], 2).write(file);
    assertRefused("expected one tensor whose name ends with weight_ih_l0, got []", file, Cell.GRU);
    SafetensorsWriter.create().add("weight_ih_l0", new float[2], 2).write(file);
    assertRefused("weight_ih_l0: expected a matrix, got the shape [2]", file, Cell.GRU);
    SafetensorsWriter.create().add("weight_ih_l0", new float[6], 3, 2).write(file);
    assertRefused("weight_hh_l0: expected a matrix, got no such tensor", file, Cell.GRU);
    assertRefused(
        "cell: the file's metadata says gru, the option cell lstm",
        write("", RnnSpec.of(Cell.GRU, 3, 8), Map.of("cell", "gru")),
        Cell.LSTM);
  }
}
