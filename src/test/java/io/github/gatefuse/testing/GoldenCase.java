// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.testing;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.io.Safetensors;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * A golden vector file: a network, its inputs, and the outputs that PyTorch gave in float64.
 *
 * <p>The files come from the test resources, or from the directory that the system property {@value
 * #DIRECTORY} names. What a case holds follows from its metadata alone, so any directory will do.
 *
 * @param name the file's name without its ending, such as {@code lstm_refine.stack}
 * @param spec the network
 * @param weights its parameters, float64
 * @param steps T
 * @param batch B
 * @param x [T, B, I]
 * @param h0 [L*D, B, H]
 * @param c0 [L*D, B, H]; null for cells without a cell state
 * @param lengths [B]
 * @param y [T, B, D*H]
 * @param hn [L*D, B, H]
 * @param cn [L*D, B, H]; null for cells without a cell state
 * @param path where the file is, for the cotangents and gradients that it holds as well
 */
public record GoldenCase(
    String name,
    RnnSpec spec,
    Weights weights,
    int steps,
    int batch,
    double[] x,
    double[] h0,
    double[] c0,
    int[] lengths,
    double[] y,
    double[] hn,
    double[] cn,
    Path path) {

  /** The system property that names a directory to take in place of the test resources. */
  public static final String DIRECTORY = "gatefuse.golden.dir";

  private static final String ENDING = ".safetensors";

  /** All cases, by name; there is at least one. */
  public static List<GoldenCase> all() {
    Path directory = directory();
    try (Stream<Path> files = Files.list(directory)) {
      List<GoldenCase> cases =
          files.filter(f -> f.toString().endsWith(ENDING)).sorted().map(GoldenCase::read).toList();
      if (cases.isEmpty()) {
        throw new IllegalStateException(directory + ": expected *" + ENDING + ", got none");
      }
      return cases;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The case of that name in the directory. */
  public static GoldenCase named(String name) {
    return read(directory().resolve(name + ENDING));
  }

  /** Where the files are. */
  public static Path directory() {
    String named = System.getProperty(DIRECTORY, "");
    if (!named.isEmpty()) {
      return Path.of(named);
    }
    URL resources = GoldenCase.class.getResource("/golden");
    try {
      return Path.of(
          resources == null ? new URI("file:/golden-resources-missing") : resources.toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Reads a file. */
  public static GoldenCase read(Path path) {
    try (Safetensors file = Safetensors.open(path)) {
      Map<String, String> meta = file.metadata();
      RnnSpec spec = spec(meta);
      boolean cellState = spec.cell().hasCellState();
      String fileName = path.getFileName().toString();
      return new GoldenCase(
          fileName.substring(0, fileName.length() - ENDING.length()),
          spec,
          file.weights(""),
          number(meta, "T"),
          number(meta, "B"),
          file.doubles("x"),
          file.doubles("h0"),
          cellState ? file.doubles("c0") : null,
          Arrays.stream(file.longs("lengths")).mapToInt(Math::toIntExact).toArray(),
          file.doubles("y"),
          file.doubles("hn"),
          cellState ? file.doubles("cn") : null,
          path);
    }
  }

  private static RnnSpec spec(Map<String, String> meta) {
    Cell cell = Cell.of(meta.get("cell"));
    RnnSpec spec =
        RnnSpec.of(cell, number(meta, "I"), number(meta, "H"))
            .withLayers(number(meta, "layers"))
            .withBidirectional(number(meta, "directions") == 2);
    return cell.hasChunkedBlocks() ? spec.withChunk(number(meta, "chunk")) : spec;
  }

  private static int number(Map<String, String> meta, String key) {
    return Integer.parseInt(meta.get(key));
  }

  /** The largest difference of two arrays of one length; NaN if any value is. */
  public static double maxDifference(double[] expected, double[] actual) {
    if (expected.length != actual.length) {
      throw new AssertionError("expected " + expected.length + " values, got " + actual.length);
    }
    double largest = 0;
    for (int i = 0; i < expected.length; i++) {
      largest = Math.max(largest, Math.abs(expected[i] - actual[i]));
    }
    return largest;
  }

  /** The values of a float array. */
  public static double[] widen(float[] values) {
    double[] out = new double[values.length];
    Arrays.setAll(out, i -> values[i]);
    return out;
  }

  /** The values of a double array, rounded to float. */
  public static float[] narrow(double[] values) {
    float[] out = new float[values.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = (float) values[i];
    }
    return out;
  }

  @Override
  public String toString() {
    return name;
  }
}
