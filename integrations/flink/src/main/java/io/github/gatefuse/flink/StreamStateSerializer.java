// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * Writes the state of one key: h of all layers, then c of all layers if the cell has one, each [L,
 * H], as big-endian float32. What a model's states have in common, its fingerprint and their
 * length, is in the {@link StreamStateSnapshot} beside them, once for all.
 *
 * <p>Immutable and thread-safe.
 */
public final class StreamStateSerializer extends TypeSerializer<float[]> {
  private static final long serialVersionUID = 1;

  /** Of the model whose states they are. */
  private final byte[] fingerprint;

  /** The values of a state. */
  private final int length;

  /**
   * A serializer of the states of one model.
   *
   * @param fingerprint of the model, as {@link io.github.gatefuse.Rnn#fingerprint} gives it; copied
   * @param length the values of a state
   */
  public StreamStateSerializer(byte[] fingerprint, int length) {
    this.fingerprint = fingerprint.clone();
    this.length = length;
  }

  byte[] fingerprint() {
    return fingerprint.clone();
  }

  int length() {
    return length;
  }

  @Override
  public boolean isImmutableType() {
    return false;
  }

  @Override
  public TypeSerializer<float[]> duplicate() {
    return this;
  }

  @Override
  public float[] createInstance() {
    return new float[length];
  }

  @Override
  public float[] copy(float[] from) {
    return from.clone();
  }

  @Override
  public float[] copy(float[] from, float[] reuse) {
    return copy(from);
  }

  @Override
  public int getLength() {
    return Float.BYTES * length;
  }

  @Override
  public void serialize(float[] state, DataOutputView target) throws IOException {
    if (state.length != length) {
      throw new IOException("state: expected " + length + " floats, got " + state.length);
    }
    ByteBuffer bytes = ByteBuffer.allocate(getLength());
    bytes.asFloatBuffer().put(state);
    target.write(bytes.array());
  }

  @Override
  public float[] deserialize(DataInputView source) throws IOException {
    byte[] bytes = new byte[getLength()];
    source.readFully(bytes);
    float[] state = new float[length];
    ByteBuffer.wrap(bytes).asFloatBuffer().get(state);
    return state;
  }

  @Override
  public float[] deserialize(float[] reuse, DataInputView source) throws IOException {
    return deserialize(source);
  }

  @Override
  public void copy(DataInputView source, DataOutputView target) throws IOException {
    target.write(source, getLength());
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof StreamStateSerializer that
        && length == that.length
        && Arrays.equals(fingerprint, that.fingerprint);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(fingerprint) + length;
  }

  @Override
  public TypeSerializerSnapshot<float[]> snapshotConfiguration() {
    return new StreamStateSnapshot(this);
  }

  /**
   * Whose states it writes.
   *
   * @return the model's fingerprint and the length in words
   */
  @Override
  public String toString() {
    return "model "
        + HexFormat.of().formatHex(fingerprint)
        + " with states of "
        + length
        + " floats";
  }
}
