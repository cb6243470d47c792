// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import java.util.Arrays;

/**
 * The number formats of the safetensors format, by the names that files use.
 *
 * <p>Immutable and thread-safe.
 */
public enum Dtype {
  /** Truth value, one byte. */
  BOOL(1),
  /** Unsigned 8-bit integer. */
  U8(1),
  /** Signed 8-bit integer. */
  I8(1),
  /** 8-bit float with 5 exponent bits. */
  F8_E5M2(1),
  /** 8-bit float with 4 exponent bits. */
  F8_E4M3(1),
  /** Signed 16-bit integer. */
  I16(2),
  /** Unsigned 16-bit integer. */
  U16(2),
  /** IEEE half precision. */
  F16(2),
  /** The upper half of an IEEE single. */
  BF16(2),
  /** Signed 32-bit integer. */
  I32(4),
  /** Unsigned 32-bit integer. */
  U32(4),
  /** IEEE single precision. */
  F32(4),
  /** Signed 64-bit integer. */
  I64(8),
  /** Unsigned 64-bit integer. */
  U64(8),
  /** IEEE double precision. */
  F64(8);

  private final int bytes;

  Dtype(int bytes) {
    this.bytes = bytes;
  }

  /**
   * The size of one value.
   *
   * @return bytes, 1 to 8
   */
  public int bytes() {
    return bytes;
  }

  /** Whether values of this type can be read as float or double. */
  boolean floating() {
    return this == F16 || this == BF16 || this == F32 || this == F64;
  }

  /** Finds a type by name; null if there is none. */
  static Dtype find(String name) {
    return Arrays.stream(values()).filter(d -> d.name().equals(name)).findFirst().orElse(null);
  }
}
