// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.serving.ServingException.Reason;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * A stream's state as bytes, all little-endian: "GFSTREAM", the format's version (int), the
 * network's fingerprint (32 bytes), L*D and H (ints), 1 with and 0 without a cell state (int), h
 * [L*D, H], c [L*D, H] if there is one (floats), and the CRC-32C of all before (int).
 */
record StreamState(float[] h, float[] c) {
  private static final long MAGIC = 0x4d41455254534647L;
  private static final int VERSION = 1;
  private static final int FINGERPRINT_BYTES = 32;
  private static final int HEADER_BYTES = Long.BYTES + 4 * Integer.BYTES + FINGERPRINT_BYTES;

  byte[] encode(RnnSpec spec, byte[] fingerprint) {
    ByteBuffer bytes = ByteBuffer.allocate(size(spec)).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(MAGIC).putInt(VERSION).put(fingerprint);
    bytes.putInt(spec.slots()).putInt(spec.hiddenSize()).putInt(c == null ? 0 : 1);
    put(bytes, h);
    if (c != null) {
      put(bytes, c);
    }
    bytes.putInt(checksum(bytes));
    return bytes.array();
  }

  /** The size of a state of this network. */
  static int size(RnnSpec spec) {
    long values = (long) spec.slots() * spec.hiddenSize() * (spec.cell().hasCellState() ? 2 : 1);
    return Math.toIntExact(HEADER_BYTES + Float.BYTES * values + Integer.BYTES);
  }

  /**
   * Reads a state of this network.
   *
   * @throws ServingException with {@link Reason#BAD_STATE}, saying what is wrong
   */
  static StreamState decode(RnnSpec spec, byte[] fingerprint, byte[] from) {
    ByteBuffer bytes = ByteBuffer.wrap(from).order(ByteOrder.LITTLE_ENDIAN);
    if (from.length < HEADER_BYTES + Integer.BYTES || bytes.getLong() != MAGIC) {
      throw bad("expected bytes that a pool has exported, got " + from.length + " others");
    }
    int version = bytes.getInt();
    // The sum first: what it does not fit tells nothing.
    bytes.position(from.length - Integer.BYTES);
    int found = checksum(bytes);
    if (bytes.getInt() != found) {
      throw bad("the checksum does not fit: the bytes are damaged");
    }
    bytes.position(Long.BYTES + Integer.BYTES);
    if (version != VERSION) {
      throw bad("expected version " + VERSION + " of the format, got " + version);
    }
    byte[] model = new byte[FINGERPRINT_BYTES];
    bytes.get(model);
    if (!Arrays.equals(model, fingerprint)) {
      throw bad("it belongs to another network: specification or parameters differ");
    }
    int slots = bytes.getInt();
    int hidden = bytes.getInt();
    boolean hasCell = bytes.getInt() != 0;
    if (slots != spec.slots()
        || hidden != spec.hiddenSize()
        || hasCell != spec.cell().hasCellState()
        || from.length != size(spec)) {
      throw bad("expected " + size(spec) + " bytes of this network's state, got " + from.length);
    }
    float[] h = floats(bytes, slots * hidden);
    return new StreamState(h, hasCell ? floats(bytes, slots * hidden) : null);
  }

  private static ServingException bad(String why) {
    return new ServingException(Reason.BAD_STATE, "state of a stream: " + why);
  }

  /** Of all bytes before the position. */
  private static int checksum(ByteBuffer bytes) {
    CRC32C sum = new CRC32C();
    sum.update(bytes.array(), 0, bytes.position());
    return (int) sum.getValue();
  }

  private static void put(ByteBuffer bytes, float[] values) {
    bytes.asFloatBuffer().put(values);
    bytes.position(bytes.position() + Float.BYTES * values.length);
  }

  private static float[] floats(ByteBuffer bytes, int count) {
    float[] values = new float[count];
    bytes.asFloatBuffer().get(values);
    bytes.position(bytes.position() + Float.BYTES * count);
    return values;
  }
}
