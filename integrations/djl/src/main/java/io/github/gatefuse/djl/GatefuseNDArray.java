// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrayAdapter;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.internal.NDArrayEx;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;

/**
 * Values in direct memory of native byte order. Beyond reading and writing them it does what DJL's
 * stacking of inputs into a batch and its way back ask for, and no arithmetic.
 *
 * <p>Not thread-safe.
 */
final class GatefuseNDArray extends NDArrayAdapter {
  private ByteBuffer data;

  /**
   * Makes an array.
   *
   * @param data its values from 0 to the buffer's capacity, direct and of native byte order; the
   *     array's from now on
   */
  GatefuseNDArray(NDManager manager, ByteBuffer data, Shape shape, DataType dataType) {
    super(manager, null, shape, dataType, NDManager.nextUid());
    this.data = data;
  }

  /** The values themselves, whether or not a copy would do. */
  @Override
  public ByteBuffer toByteBuffer(boolean tryDirect) {
    return data.duplicate().order(ByteOrder.nativeOrder());
  }

  @Override
  public void intern(NDArray replaced) {
    data = replaced.toByteBuffer(true);
  }

  /** Only says who makes arrays out of this one; nobody has to free it. */
  @Override
  public void attach(NDManager manager) {
    this.manager = manager;
  }

  @Override
  public void detach() {
    attach(GatefuseNDManager.system());
  }

  @Override
  public NDArray reshape(Shape shape) {
    long[] sizes = shape.getShape().clone();
    for (int i = 0; i < sizes.length; i++) {
      if (sizes[i] == -1) {
        long others = LongStream.of(sizes).filter(n -> n != -1).reduce(1, (a, b) -> a * b);
        sizes[i] = this.shape.size() / Math.max(1, others);
      }
    }
    Shape target = new Shape(sizes);
    if (target.size() != this.shape.size()) {
      throw new IllegalArgumentException(
          "reshape: expected " + this.shape.size() + " values, got the shape " + shape);
    }
    return view(data, target);
  }

  @Override
  public NDArray expandDims(int axis) {
    int at = axis < 0 ? axis + shape.dimension() + 1 : axis;
    return view(data, shape.slice(0, at).add(1).addAll(shape.slice(at)));
  }

  @Override
  public NDArray squeeze(int[] axes) {
    List<Integer> gone =
        Arrays.stream(axes)
            .map(axis -> axis < 0 ? axis + shape.dimension() : axis)
            .boxed()
            .toList();
    for (int axis : gone) {
      if (shape.get(axis) != 1) {
        throw new IllegalArgumentException(
            "squeeze: expected size 1 of axis " + axis + ", got the shape " + shape);
      }
    }
    Shape rest = new Shape();
    for (int axis = 0; axis < shape.dimension(); axis++) {
      rest = gone.contains(axis) ? rest : rest.add(shape.get(axis));
    }
    return view(data, rest);
  }

  @Override
  public NDList split(long sections, int axis) {
    if (sections < 1 || shape.get(axis) % sections != 0) {
      throw new IllegalArgumentException(
          "split: expected a divisor of " + shape.get(axis) + ", got " + sections);
    }
    long part = shape.get(axis) / sections;
    return split(LongStream.range(1, sections).map(i -> i * part).toArray(), axis);
  }

  @Override
  public NDList split(long[] indices, int axis) {
    if (axis != 0) {
      throw new UnsupportedOperationException("split: expected axis 0, got " + axis);
    }
    NDList parts = new NDList(indices.length + 1);
    long begin = 0;
    for (int i = 0; i <= indices.length; i++) {
      long end = i < indices.length ? indices[i] : shape.get(0);
      parts.add(rows(begin, end));
      begin = end;
    }
    return parts;
  }

  /** The part from one index of the first axis to another, of the same memory. */
  NDArray rows(long begin, long end) {
    int row = shape.get(0) == 0 ? 0 : data.capacity() / Math.toIntExact(shape.get(0));
    ByteBuffer part = data.slice(Math.toIntExact(begin) * row, Math.toIntExact(end - begin) * row);
    return view(part.order(ByteOrder.nativeOrder()), new Shape(end - begin).addAll(shape.slice(1)));
  }

  private NDArray view(ByteBuffer part, Shape shape) {
    GatefuseNDArray view = new GatefuseNDArray(manager, part, shape, dataType);
    view.setName(name);
    return view;
  }

  /** What DJL asks of it, of some eighty functions, is to stack. */
  @Override
  public NDArrayEx getNDArrayInternal() {
    return (NDArrayEx)
        Proxy.newProxyInstance(
            NDArrayEx.class.getClassLoader(),
            new Class<?>[] {NDArrayEx.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("stack") && arguments[1].equals(0)) {
                return stack((NDList) arguments[0]);
              }
              throw new UnsupportedOperationException(
                  method.getName() + ": GateFuse's arrays do not have it; use another engine's");
            });
  }

  private NDArray stack(NDList others) {
    ByteBuffer all =
        GatefuseNDManager.direct(Math.multiplyExact(data.capacity(), others.size() + 1));
    all.put(toByteBuffer(true));
    for (NDArray other : others) {
      if (!other.getShape().equals(shape) || other.getDataType() != dataType) {
        throw new IllegalArgumentException(
            ("stack: expected all arrays to be " + dataType + shape + ", got ")
                + (other.getDataType().toString() + other.getShape())
                + "; SequenceBatchifier takes sequences of several lengths");
      }
      all.put(other.toByteBuffer());
    }
    return view(all.rewind(), new Shape(others.size() + 1).addAll(shape));
  }
}
