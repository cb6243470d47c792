// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * Tells networks apart: a SHA-256 of specification and parameters.
 *
 * <p>Immutable and thread-safe.
 */
final class Fingerprint {
  private static final int CHUNK = 1 << 14;

  private final byte[] digest;

  private Fingerprint(byte[] digest) {
    this.digest = digest;
  }

  static Fingerprint of(RnnSpec spec, Weights weights) {
    MessageDigest digest = sha256();
    digest.update(kind(spec).getBytes(StandardCharsets.UTF_8));
    ByteBuffer chunk = ByteBuffer.allocate(Float.BYTES * CHUNK).order(ByteOrder.LITTLE_ENDIAN);
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      // A missing bias is one of zeros.
      float[] values =
          weights.has(parameter.name())
              ? weights.floats(parameter.name())
              : new float[(int) parameter.count()];
      for (int first = 0; first < values.length; first += CHUNK) {
        int count = Math.min(CHUNK, values.length - first);
        chunk.asFloatBuffer().put(values, first, count);
        digest.update(chunk.array(), 0, Float.BYTES * count);
      }
    }
    return new Fingerprint(digest.digest());
  }

  /** Written out, so that what prints a specification may change. */
  private static String kind(RnnSpec spec) {
    return String.join(
        " ",
        spec.cell().id(),
        Integer.toString(spec.inputSize()),
        Integer.toString(spec.hiddenSize()),
        Integer.toString(spec.layers()),
        Integer.toString(spec.directions()),
        Integer.toString(spec.chunk()),
        Integer.toString(spec.vocabulary()),
        Integer.toString(spec.outputs()));
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  byte[] bytes() {
    return digest.clone();
  }
}
