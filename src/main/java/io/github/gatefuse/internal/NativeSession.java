// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.Backend;
import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.binding.GatefuseNative;
import io.github.gatefuse.binding.gf_session;
import io.github.gatefuse.spi.BackendBackwardCall;
import io.github.gatefuse.spi.BackendCall;
import io.github.gatefuse.spi.BackendSession;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;

/** A session of the C interface. One thread at a time. */
final class NativeSession implements BackendSession {
  private final RnnSpec spec;
  private final gf_session handle;
  private final boolean hasStreams;

  /** The x or the tokens that the last forward call read, for the way back; null before. */
  private Pointer lastInput;

  NativeSession(RnnSpec spec, gf_session handle, boolean hasStreams) {
    this.spec = spec;
    this.handle = handle;
    this.hasStreams = hasStreams;
  }

  @Override
  public BackendCall call() {
    return new NativeCall(spec, this, hasStreams);
  }

  @Override
  public BackendBackwardCall backward() {
    return new NativeBackwardCall(spec, this, hasStreams);
  }

  gf_session handle() {
    return handle;
  }

  void remember(Pointer input) {
    lastInput = input;
  }

  Pointer lastInput() {
    return lastInput;
  }

  @Override
  public ExecutionPath path() {
    return path(
        Native.describe((text, size) -> GatefuseNative.gf_session_path(handle, text, size)));
  }

  static ExecutionPath path(Map<String, String> facts) {
    Map<String, String> rest = new LinkedHashMap<>(facts);
    return new ExecutionPath(
        Backend.of(take(rest, "backend", "cpu")),
        take(rest, "device", ""),
        take(rest, "instruction_set", ""),
        take(rest, "precision", ""),
        Integer.parseInt(take(rest, "threads", "1")),
        take(rest, "reason", ""),
        rest);
  }

  private static String take(Map<String, String> facts, String key, String otherwise) {
    String value = facts.remove(key);
    return value == null ? otherwise : value;
  }

  @Override
  public void synchronize() {
    Native.check(GatefuseNative.gf_session_synchronize(handle));
  }

  @Override
  public long bytes() {
    return GatefuseNative.gf_session_bytes(handle);
  }

  @Override
  public void close() {
    GatefuseNative.gf_session_destroy(handle);
  }
}
