// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Weights;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendSession;
import org.bytedeco.javacpp.Pointer;

/**
 * A network whose recurrent weights lie in the device's memory, packed once. The embedding and the
 * head stay on the host. Immutable and thread-safe.
 */
final class CudnnModel implements BackendModel {
  private final Cudnn cudnn;
  private final CudnnDevice device;
  private final RnnSpec spec;
  private final float[] embedding;
  private final LinearHead head;
  private final Scope scope;
  private final Pointer weights;
  private final long weightBytes;

  private CudnnModel(Cudnn cudnn, CudnnDevice device, RnnSpec spec, Weights weights, Scope scope) {
    this.cudnn = cudnn;
    this.device = device;
    this.spec = spec;
    this.scope = scope;
    embedding = spec.vocabulary() > 0 ? weights.floats(RnnSpec.EMBEDDING) : null;
    head = spec.outputs() > 0 ? new LinearHead(spec, weights) : null;
    try (Scope packing = new Scope()) {
      Network network = new Network(cudnn, spec, packing);
      weightBytes = network.weightBytes();
      this.weights = scope.add(cudnn.allocate(weightBytes)).pointer();
      new WeightPacking(cudnn, spec, weights, network, this.weights, weightBytes, packing).run();
    }
  }

  /**
   * Packs the weights.
   *
   * @throws IllegalArgumentException if cuDNN has no such cell
   */
  static CudnnModel create(Cudnn cudnn, CudnnDevice device, RnnSpec spec, Weights weights) {
    CellMode.of(spec);
    Scope scope = new Scope();
    try {
      return new CudnnModel(cudnn, device, spec, weights, scope);
    } catch (RuntimeException | Error e) {
      scope.closeAfter(e);
      throw e;
    }
  }

  @Override
  public BackendSession session(SessionOptions options) {
    Scope session = new Scope();
    try {
      return new CudnnSession(this, options, session);
    } catch (RuntimeException | Error e) {
      session.closeAfter(e);
      throw e;
    }
  }

  Cudnn cudnn() {
    return cudnn;
  }

  CudnnDevice device() {
    return device;
  }

  RnnSpec spec() {
    return spec;
  }

  /** [V, I]; null for a network without. */
  float[] embedding() {
    return embedding;
  }

  /** Null for a network without. */
  LinearHead head() {
    return head;
  }

  /** cuDNN's weight space. */
  Pointer weights() {
    return weights;
  }

  long weightBytes() {
    return weightBytes;
  }

  @Override
  public long bytes() {
    long host = embedding == null ? 0 : Float.BYTES * (long) embedding.length;
    return weightBytes + host + (head == null ? 0 : head.bytes());
  }

  @Override
  public void close() {
    scope.add(cudnn::useDevice); // Before all others, which are closed even if this fails.
    scope.close();
  }
}
