// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.RnnSpec;
import java.time.Duration;
import java.util.Objects;

/**
 * A sequence for a {@link Batcher}, from a state of zeros.
 *
 * <p>Immutable but for the arrays, which are used in place: nobody may change them until the answer
 * is there. Those of a request that was cancelled, or whose time was up, may be read until the
 * batcher is closed.
 */
public final class Request {
  private final float[] x;
  private final int[] tokens;
  private final int[] targets;
  private final Duration timeout;

  private Request(float[] x, int[] tokens, int[] targets, Duration timeout) {
    this.x = x;
    this.tokens = tokens;
    this.targets = targets;
    this.timeout = timeout;
  }

  /**
   * A sequence for a network without an embedding.
   *
   * @param x [T, I], at least one step, all of it finite
   * @return a request
   */
  public static Request of(float[] x) {
    return new Request(Objects.requireNonNull(x, "x"), null, null, null);
  }

  /**
   * A sequence for a network with an embedding.
   *
   * @param tokens [T], at least one, each 0 to V-1
   * @return a request
   */
  public static Request of(int[] tokens) {
    return new Request(null, Objects.requireNonNull(tokens, "tokens"), null, null);
  }

  /**
   * The same with targets, for {@link Output#TARGET_LOG_PROBABILITIES}.
   *
   * @param value [T], each 0 to O-1
   * @return a new request
   */
  public Request withTargets(int[] value) {
    return new Request(x, tokens, Objects.requireNonNull(value, "targets"), timeout);
  }

  /**
   * The same with a deadline: where there is no answer within that time of its submission, it fails
   * with {@link ServingException.Reason#DEADLINE_EXCEEDED}.
   *
   * @param value above zero
   * @return a new request
   * @throws IllegalArgumentException if it is not above zero
   */
  public Request withTimeout(Duration value) {
    if (value.isNegative() || value.isZero()) {
      throw new IllegalArgumentException("timeout: expected more than zero, got " + value);
    }
    return new Request(x, tokens, targets, value);
  }

  float[] x() {
    return x;
  }

  int[] tokens() {
    return tokens;
  }

  int[] targets() {
    return targets;
  }

  /** null for none. */
  Duration timeout() {
    return timeout;
  }

  /**
   * Holds it against a network.
   *
   * @return T
   * @throws IllegalArgumentException saying what does not fit
   */
  int check(RnnSpec spec, Output output) {
    boolean wantsTokens = spec.vocabulary() > 0;
    if (wantsTokens != (tokens != null)) {
      throw new IllegalArgumentException(
          wantsTokens
              ? "request: expected tokens, since the network has an embedding; got x"
              : "request: expected x, since the network has no embedding; got tokens");
    }
    int steps = wantsTokens ? tokens.length : x.length / spec.inputSize();
    if (!wantsTokens && x.length % spec.inputSize() != 0) {
      throw new IllegalArgumentException(
          ("x: expected [T, I=" + spec.inputSize() + "], a multiple of " + spec.inputSize())
              + (" values, got " + x.length));
    }
    if (steps < 1) {
      throw new IllegalArgumentException("request: expected at least one step, got none");
    }
    if (wantsTokens) {
      checkRange("tokens", tokens, spec.vocabulary());
    } else {
      checkFinite(spec.inputSize());
    }
    checkTargets(spec, output, steps);
    if (!output.last() && (long) steps * output.width(spec) > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          ("request: expected an answer of at most 2^31-1 values, got T=" + steps)
              + (" x " + output.width(spec)));
    }
    return steps;
  }

  private void checkFinite(int width) {
    int bad = Finite.firstOther(x);
    if (bad >= 0) {
      throw new IllegalArgumentException(
          ("x[t=" + bad / width + ", i=" + bad % width + "]: expected a finite number, got ")
              + x[bad]);
    }
  }

  private void checkTargets(RnnSpec spec, Output output, int steps) {
    if (output.needsTargets() != (targets != null)) {
      throw new IllegalArgumentException(
          "targets: expected "
              + (targets == null ? "[T=" + steps + "]" : "none")
              + " for "
              + output
              + (targets == null ? ", got none" : ", got some"));
    }
    if (targets == null) {
      return;
    }
    if (targets.length != steps) {
      throw new IllegalArgumentException(
          "targets: expected [T=" + steps + "], got " + targets.length);
    }
    checkRange("targets", targets, spec.outputs());
  }

  private static void checkRange(String name, int[] values, int end) {
    for (int t = 0; t < values.length; t++) {
      if (values[t] < 0 || values[t] >= end) {
        throw new IllegalArgumentException(
            name + "[t=" + t + "]: expected 0 to " + (end - 1) + ", got " + values[t]);
      }
    }
  }
}
