// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSchemaCompatibility;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * What a checkpoint keeps of a {@link StreamStateSerializer}. Version 1: the model's fingerprint
 * (32 bytes) and the length of a state (a big-endian int).
 *
 * <p>Not thread-safe.
 */
public final class StreamStateSnapshot implements TypeSerializerSnapshot<float[]> {
  private static final int VERSION = 1;
  private static final int FINGERPRINT_BYTES = 32;

  private StreamStateSerializer serializer;

  /** For Flink, which then reads it. */
  public StreamStateSnapshot() {}

  StreamStateSnapshot(StreamStateSerializer serializer) {
    this.serializer = serializer;
  }

  @Override
  public int getCurrentVersion() {
    return VERSION;
  }

  @Override
  public void writeSnapshot(DataOutputView out) throws IOException {
    out.write(serializer.fingerprint());
    out.writeInt(serializer.length());
  }

  @Override
  public void readSnapshot(int version, DataInputView in, ClassLoader loader) throws IOException {
    if (version != VERSION) {
      throw new IOException("GateFuse state: expected version " + VERSION + ", got " + version);
    }
    byte[] fingerprint = new byte[FINGERPRINT_BYTES];
    in.readFully(fingerprint);
    int length = in.readInt();
    if (length < 1) {
      throw new IOException("GateFuse state: expected a length of at least 1, got " + length);
    }
    serializer = new StreamStateSerializer(fingerprint, length);
  }

  @Override
  public TypeSerializer<float[]> restoreSerializer() {
    return serializer;
  }

  /**
   * Refuses the states of another model. It throws, since Flink's own words for a refusal do not
   * name the models in every case.
   *
   * @param old what the checkpoint kept
   * @return compatible
   * @throws IllegalStateException if the states are another model's
   */
  @Override
  public TypeSerializerSchemaCompatibility<float[]> resolveSchemaCompatibility(
      TypeSerializerSnapshot<float[]> old) {
    if (old instanceof StreamStateSnapshot that && serializer.equals(that.serializer)) {
      return TypeSerializerSchemaCompatibility.compatibleAsIs();
    }
    throw new IllegalStateException(
        "GateFuse state: expected that of "
            + serializer
            + ", got that of "
            + (old instanceof StreamStateSnapshot that ? that.serializer : old));
  }
}
