// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.serving.Output;
import io.github.gatefuse.serving.Request;
import java.io.Serializable;
import org.apache.spark.api.java.function.MapFunction;

/**
 * Makes an element's request.
 *
 * @param <IN> the element
 */
@FunctionalInterface
interface Sequences<IN> extends Serializable {
  /** What a byte model reads before the first byte of a line, and predicts after the last. */
  int LINE_FEED = '\n';

  /** The outputs and the vocabulary of a byte model. */
  int BYTES = 256;

  /**
   * Makes a request.
   *
   * @throws InvalidRow if the element has no sequence
   * @throws Exception whatever a function of the user's throws
   */
  Request request(IN element) throws Exception;

  static <IN> Sequences<IN> ofFeatures(MapFunction<IN, float[]> extractor) {
    return element -> Request.of(present(extractor.call(element), "features"));
  }

  static <IN> Sequences<IN> ofTokens(MapFunction<IN, int[]> extractor) {
    return element -> Request.of(present(extractor.call(element), "tokens"));
  }

  static <IN> Sequences<IN> ofBytes(MapFunction<IN, byte[]> extractor, Output output) {
    return element -> bytes(present(extractor.call(element), "bytes"), output);
  }

  private static <T> T present(T values, String what) {
    if (values == null) {
      throw new InvalidRow(what + ": expected an array, got null");
    }
    return values;
  }

  /** A line feed and the bytes; and if they are to be predicted, the bytes and a line feed. */
  static Request bytes(byte[] line, Output output) {
    int[] tokens = new int[line.length + 1];
    int[] targets = new int[line.length + 1];
    tokens[0] = LINE_FEED;
    targets[line.length] = LINE_FEED;
    for (int i = 0; i < line.length; i++) {
      tokens[i + 1] = line[i] & 0xFF;
      targets[i] = line[i] & 0xFF;
    }
    Request request = Request.of(tokens);
    return output == Output.TARGET_LOG_PROBABILITIES ? request.withTargets(targets) : request;
  }

  /** Whether a network gives probabilities of the bytes that come next. */
  static boolean isByteModel(RnnSpec spec) {
    return spec.vocabulary() == BYTES && spec.outputs() == BYTES && !spec.bidirectional();
  }
}
