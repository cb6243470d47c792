// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import org.bytedeco.javacpp.Pointer;

/**
 * Something of CUDA or cuDNN that is destroyed once. Closed by one thread.
 *
 * @param cudnn the functions
 * @param kind what it is
 * @param pointer what the functions know it by
 */
record Owned(Cudnn cudnn, CudnnApi.Kind kind, Pointer pointer) implements Closing {
  @Override
  public void close() {
    cudnn.destroy(kind, pointer);
  }
}
