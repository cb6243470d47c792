// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.Precision;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.io.Safetensors;
import io.github.gatefuse.io.StoredModel;
import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;
import org.apache.spark.sql.SparkSession;

/**
 * A model as a job carries it: the bytes of a safetensors file, and how it is to be computed.
 *
 * @param bytes the whole file, never changed
 * @param key what the bytes and everything else of it is known by
 */
record ModelFile(byte[] bytes, Settings settings, Key key) implements Serializable {
  /**
   * How it is to be computed.
   *
   * @param cell null, where the file names it
   */
  record Settings(Cell cell, Backend backend, Precision precision) implements Serializable {
    RnnOptions options() {
      return RnnOptions.of(backend).withPrecision(precision);
    }
  }

  /** Equal for equal networks. */
  record Key(String sha256, Settings settings) implements Serializable {}

  static ModelFile of(byte[] bytes, Settings settings) {
    try {
      byte[] sha256 = MessageDigest.getInstance("SHA-256").digest(bytes);
      return new ModelFile(bytes, settings, new Key(HexFormat.of().formatHex(sha256), settings));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("SHA-256: expected every Java to have it", e);
    }
  }

  /**
   * Reads a file in any file system that Spark reaches.
   *
   * @throws IllegalArgumentException naming the file that cannot be read
   */
  static ModelFile read(SparkSession spark, String path, Settings settings) {
    org.apache.hadoop.fs.Path file = new org.apache.hadoop.fs.Path(path);
    try (InputStream in =
        file.getFileSystem(spark.sparkContext().hadoopConfiguration()).open(file)) {
      return of(in.readAllBytes(), settings);
    } catch (IOException e) {
      throw new IllegalArgumentException("model " + path + ": cannot read: " + e.getMessage(), e);
    }
  }

  /**
   * What is in the file.
   *
   * @throws IllegalArgumentException saying what is wrong with it
   */
  StoredModel parse() {
    try {
      Path file = Files.createTempFile("gatefuse-model", ".safetensors");
      try {
        Files.write(file, bytes);
        return parse(file);
      } finally {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("model: cannot write it to a temporary file", e);
    }
  }

  private StoredModel parse(Path file) {
    try (Safetensors tensors = Safetensors.open(file)) {
      return StoredModel.read(tensors, Optional.ofNullable(settings.cell()));
    } catch (GatefuseException | IllegalArgumentException e) {
      // The file is a temporary one, whose name would tell nobody anything.
      String message = e.getMessage().replace(file + ": ", "");
      throw new IllegalArgumentException("model: expected a stored network: " + message, e);
    }
  }
}
