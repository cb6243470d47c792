// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.onnxruntime;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.internal.WholeFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Moves the LSTM and GRU nodes of an ONNX model to GateFuse's operators, which ONNX Runtime then
 * runs in place of its own.
 *
 * <p>It edits the bytes of the file. A node that moves gets the domain {@link GatefuseOrt#DOMAIN}
 * and loses a list of activations that says what holds anyway, and the model imports that domain.
 * All else stays as it is, byte for byte, weights above all. Nodes in the bodies of other nodes
 * (If, Loop, Scan) and of the model's functions move, too.
 *
 * <p>A node stays with ONNX Runtime, and {@link Result#kept} says why, where it has what GateFuse's
 * operators do not: peepholes, clip, input_forget, other activations, other types than float32,
 * attributes that the standard does not know.
 *
 * <p>Files may be hostile: what is no ONNX model is an error that says where, found in time
 * proportional to the file's size.
 *
 * <p>Stateless and thread-safe.
 */
public final class OnnxRewriter {
  private OnnxRewriter() {}

  /**
   * A model whose nodes have been moved. Immutable, as long as nobody writes to its array.
   *
   * @param model the file
   * @param moved the nodes that GateFuse runs now, such as {@code LSTM "encoder"}
   * @param kept the nodes that stay with ONNX Runtime, and why
   */
  public record Result(byte[] model, List<String> moved, List<Kept> kept) {}

  /**
   * A node that stays. Immutable.
   *
   * @param node such as {@code LSTM "encoder"}
   * @param reason what of it GateFuse does not have
   */
  public record Kept(String node, String reason) {}

  /**
   * Rewrites a model.
   *
   * @param model the bytes of an ONNX file, read only
   * @return the same model with its nodes moved; a new array
   * @throws GatefuseException BAD_FILE for bytes that are no ONNX model
   * @throws IllegalArgumentException for a model without LSTM and GRU nodes, or with a node of
   *     GateFuse's own domain whose operator or attributes it does not have
   */
  public static Result rewrite(byte[] model) {
    return new ModelRewriting(model).run();
  }

  /**
   * Rewrites a file, as a whole or not at all. Data that the model keeps in other files is found
   * relative to its folder, so the new file belongs into the same one.
   *
   * @param from an ONNX file of at most 2 GiB, which is also the most that the format allows
   * @param to the file to write, or to replace; it may be {@code from}
   * @return what was written
   * @throws GatefuseException IO_FAILED if a file cannot be read or written; BAD_FILE as in {@link
   *     #rewrite(byte[])}
   * @throws IllegalArgumentException as in {@link #rewrite(byte[])}
   */
  public static Result rewrite(Path from, Path to) {
    try {
      Result result = rewrite(Files.readAllBytes(from));
      WholeFile.write(to, result.model());
      return result;
    } catch (IOException | OutOfMemoryError e) {
      throw new GatefuseException(Code.IO_FAILED, from + " to " + to + ": " + e.getMessage(), e);
    }
  }
}
