// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.Objects;

/**
 * What computes an {@link Rnn}, in what numbers and on which device.
 *
 * <p>Immutable and thread-safe.
 *
 * @param backend what computes; {@link Backend#AUTO} takes the best that runs here and has the
 *     precision and the device
 * @param precision what the operands of matrix products are rounded to
 * @param device the number of the backend's device, from 0 on; see {@link DeviceReport#devices}
 */
public record RnnOptions(Backend backend, Precision precision, int device) {
  /** The best backend that runs here, in float32, on its first device. */
  public static final RnnOptions DEFAULT = new RnnOptions(Backend.AUTO, Precision.FLOAT32, 0);

  /**
   * Checks every component.
   *
   * @param backend not null
   * @param precision not null
   * @param device at least 0
   * @throws IllegalArgumentException if the device is below 0
   */
  public RnnOptions {
    Objects.requireNonNull(backend, "backend");
    Objects.requireNonNull(precision, "precision");
    if (device < 0) {
      throw new IllegalArgumentException("device: expected at least 0, got " + device);
    }
  }

  /**
   * A backend in float32, on its first device.
   *
   * @param backend what computes
   * @return the options
   */
  public static RnnOptions of(Backend backend) {
    return DEFAULT.withBackend(backend);
  }

  /**
   * The same with another backend.
   *
   * @param value what computes
   * @return new options
   */
  public RnnOptions withBackend(Backend value) {
    return new RnnOptions(value, precision, device);
  }

  /**
   * The same with another precision.
   *
   * @param value what the operands of matrix products are rounded to
   * @return new options
   */
  public RnnOptions withPrecision(Precision value) {
    return new RnnOptions(backend, value, device);
  }

  /**
   * The same on another device.
   *
   * @param value its number, from 0 on
   * @return new options
   */
  public RnnOptions withDevice(int value) {
    return new RnnOptions(backend, precision, value);
  }
}
