// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.BaseNDManager;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Makes arrays in direct memory, which the garbage collector frees: a manager owns no arrays, only
 * what is attached to it, such as a predictor's sessions.
 *
 * <p>Thread-safe.
 */
class GatefuseNDManager extends BaseNDManager {
  private GatefuseNDManager(NDManager parent) {
    super(parent, Device.cpu());
  }

  /** The manager above all others. */
  static NDManager system() {
    return SystemManager.INSTANCE;
  }

  private static final class SystemManager extends GatefuseNDManager implements SystemNDManager {
    static final SystemManager INSTANCE = new SystemManager();

    SystemManager() {
      super(null);
    }
  }

  static ByteBuffer direct(int bytes) {
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
  }

  @Override
  public final Engine getEngine() {
    return Engine.getEngine(GatefuseEngine.NAME);
  }

  @Override
  public ByteBuffer allocateDirect(int capacity) {
    return direct(capacity);
  }

  @Override
  public NDManager newSubManager(Device device) {
    GatefuseNDManager manager = new GatefuseNDManager(this);
    attachInternal(manager.uid, manager);
    return manager;
  }

  @Override
  public NDArray from(NDArray array) {
    if (array == null || array instanceof GatefuseNDArray) {
      return array;
    }
    NDArray copy = create(array.toByteBuffer(), array.getShape(), array.getDataType());
    copy.setName(array.getName());
    return copy;
  }

  @Override
  public NDArray create(Buffer data, Shape shape, DataType dataType) {
    int size = Math.toIntExact(shape.size());
    validateBuffer(data, dataType, size);
    ByteBuffer copy = direct(Math.multiplyExact(size, dataType.getNumOfBytes()));
    copyBuffer(data.duplicate(), copy);
    return new GatefuseNDArray(this, copy, shape, dataType);
  }
}
