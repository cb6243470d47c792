// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ByteModelTest {
  @TempDir Path folder;

  private static RnnSpec bytes(RnnSpec spec) {
    return spec.withVocabulary(256).withOutputs(256);
  }

  private Path write(RnnSpec spec, Map<String, String> metadata) {
    return TinyModel.write(folder.resolve("model"), spec, metadata);
  }

  private static RnnSpec load(Path file, String cell) {
    try (ByteModel.Loaded model =
        ByteModel.load(file, Optional.ofNullable(cell), RnnOptions.of(Backend.REFERENCE))) {
      return model.rnn().spec();
    }
  }

  private void assertRefused(String message, RnnSpec spec, Map<String, String> metadata) {
    Path file = write(spec, metadata);
    CommandException e = assertThrows(CommandException.class, () -> load(file, null));
    assertEquals(file + ": " + message, e.getMessage());
  }

  @ParameterizedTest
  @EnumSource
  void shapesTellTheNetworkOfEveryCell(Cell cell) {
    RnnSpec spec = bytes(RnnSpec.of(cell, 3, 8).withLayers(2));
    if (cell.hasChunkedBlocks()) {
      spec = spec.withChunk(4);
    }
    assertEquals(spec, load(write(spec, Map.of("cell", cell.id())), null));
    assertEquals(spec, load(write(spec, Map.of()), cell.id()));
  }

  @Test
  void theCellIsInferredWhereOnlyOneFits() {
    RnnSpec spec = bytes(RnnSpec.of(Cell.ONLSTM, 3, 8));
    assertEquals(spec, load(write(spec, Map.of()), null));
  }

  @Test
  void theCellIsNotGuessed() {
    RnnSpec spec = bytes(RnnSpec.of(Cell.LSTM_REFINE, 3, 8));
    List<String> fitting =
        List.of(
            "lstm", "lstm_refine", "lstm_cumax_refine", "gru_refine", "gru_refine_reset_before");
    assertRefused(
        "cell: expected its name in the metadata or by the option cell, got neither; 32 rows for 8"
            + " units would fit "
            + fitting,
        spec,
        Map.of());
  }

  @Test
  void metadataAndOptionMustAgree() {
    Path file = write(bytes(RnnSpec.of(Cell.LSTM, 3, 8)), Map.of("cell", "lstm"));
    CommandException e = assertThrows(CommandException.class, () -> load(file, "lstm_refine"));
    assertEquals(
        file + ": cell: the file's metadata says lstm, the option cell lstm_refine",
        e.getMessage());
  }

  @Test
  void zoneoutIsInTheMetadata() {
    RnnSpec spec = bytes(RnnSpec.of(Cell.LSTM, 3, 8));
    Path file = write(spec, Map.of("cell", "lstm", "zoneout_h", "0.1", "dropout", "0.5"));
    try (ByteModel.Loaded model =
        ByteModel.load(file, Optional.empty(), RnnOptions.of(Backend.REFERENCE))) {
      assertEquals(Regularization.NONE.withZoneout(0.1, 0), model.regularization());
    }
    assertRefused(
        "metadata zoneout_c: expected a rate from 0 to below 1, got much",
        spec,
        Map.of("cell", "lstm", "zoneout_c", "much"));
    assertRefused(
        "zoneoutHidden: expected a rate from 0 to below 1, got 2.0",
        spec,
        Map.of("cell", "lstm", "zoneout_h", "2"));
    assertRefused(
        "zoneoutCell: expected 0, since a gru has no cell state, got 0.5",
        bytes(RnnSpec.of(Cell.GRU, 3, 8)),
        Map.of("cell", "gru", "zoneout_c", "0.5"));
  }

  @Test
  void whatIsNoByteModelIsRefused() {
    RnnSpec plain = RnnSpec.of(Cell.LSTM, 3, 8);
    Map<String, String> lstm = Map.of("cell", "lstm");
    assertRefused(
        "embedding.weight: expected 256 rows, one for each byte; got 0",
        plain.withOutputs(256),
        lstm);
    assertRefused(
        "head.weight: expected 256 rows, one for each byte; got 0",
        plain.withVocabulary(256),
        lstm);
    assertRefused(
        "embedding.weight: expected 256 rows, one for each byte; got 300",
        plain.withVocabulary(300).withOutputs(256),
        lstm);
    assertRefused(
        "head.weight: expected 256 rows, one for each byte; got 2",
        plain.withVocabulary(256).withOutputs(2),
        lstm);
    assertRefused(
        "expected a network of one direction, got two: the reverse one would see what it predicts",
        bytes(plain).withBidirectional(true),
        lstm);
    assertRefused(
        "metadata bos: expected 10, the line feed; got 0",
        bytes(plain),
        Map.of("cell", "lstm", "bos", "0"));
  }

  @Test
  void shapesThatDoNotFitTheCellAreRefused() {
    assertRefused(
        "weight_ih_l0: expected [24, 3], got [32, 3]",
        bytes(RnnSpec.of(Cell.LSTM, 3, 8)),
        Map.of("cell", "gru"));
  }
}
