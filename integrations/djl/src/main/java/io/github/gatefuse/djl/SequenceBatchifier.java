// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.translate.Batchifier;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Set;

/**
 * Makes one ragged batch of sequences of several lengths, and gives each its own part of the
 * outputs, at its own length. A sequence gets the same bits as alone.
 *
 * <p>A Translator with this batchifier gives for one sequence {@code x} [T, I] or {@code tokens}
 * [T]; if it also gives {@code targets} [T], {@code h0} or {@code c0} [L*D, H], all have names. It
 * gets {@code y} [T, D*H] and so on, {@code hn} [L*D, H]. It is for models in the layout {@code
 * batch}, the default.
 *
 * <p>Immutable and thread-safe.
 */
public final class SequenceBatchifier implements Batchifier {
  private static final long serialVersionUID = 1L;

  private static final Set<String> STATES =
      Set.of(Request.H0, Request.C0, Output.HN.id(), Output.CN.id());

  /** Makes a batchifier. */
  public SequenceBatchifier() {}

  /**
   * Makes a batch.
   *
   * @param inputs those of each sequence
   * @return each of them with B first and padded to the longest sequence, and {@code lengths}
   * @throws IllegalArgumentException if the sequences do not have the same arrays, or arrays of one
   *     sequence have several lengths
   */
  @Override
  public NDList batchify(NDList[] inputs) {
    int[] lengths = new int[inputs.length];
    for (int i = 0; i < inputs.length; i++) {
      check(inputs[0], inputs[i], i);
      lengths[i] = Math.toIntExact(inputs[i].head().getShape().get(0));
    }
    int longest = Arrays.stream(lengths).max().orElse(0);
    NDList batch = new NDList();
    for (int kind = 0; kind < inputs[0].size(); kind++) {
      boolean state = STATES.contains(String.valueOf(inputs[0].get(kind).getName()));
      batch.add(stack(inputs, kind, state ? -1 : longest, lengths));
    }
    NDArray all = inputs[0].head().getManager().create(lengths);
    all.setName(inputs[0].head().getName() == null ? null : Request.LENGTHS);
    batch.add(1, all);
    return batch;
  }

  private static void check(NDList first, NDList sequence, int index) {
    boolean named = sequence.stream().allMatch(array -> array.getName() != null);
    if (sequence.isEmpty() || (sequence.size() > 1 && !named) || sequence.size() != first.size()) {
      throw new IllegalArgumentException(
          ("sequence "
                  + index
                  + ": expected one array, or as many as the first, each with a name, ")
              + ("got " + sequence.size()));
    }
    for (int kind = 0; kind < first.size(); kind++) {
      NDArray one = first.get(kind);
      NDArray other = sequence.get(kind);
      String name = String.valueOf(one.getName());
      boolean state = STATES.contains(name);
      Shape mine = other.getShape();
      boolean fits =
          name.equals(String.valueOf(other.getName()))
              && one.getDataType() == other.getDataType()
              && mine.dimension() == one.getShape().dimension()
              && mine.dimension() > 0
              && mine.slice(1).equals(one.getShape().slice(1))
              && mine.get(0) == (state ? one.getShape() : sequence.head().getShape()).get(0);
      if (!fits) {
        throw new IllegalArgumentException(
            ("sequence " + index + ": expected " + name + " " + one.getDataType())
                + (" like " + one.getShape() + ", of the length of its first array, got ")
                + (other.getName() + " " + other.getDataType() + mine));
      }
    }
  }

  /** Stacks arrays with so many rows for each; -1 for as many as they have. */
  private static NDArray stack(NDList[] inputs, int kind, int rows, int[] lengths) {
    NDArray first = inputs[0].get(kind);
    Shape rest = first.getShape().slice(1);
    long each = rows < 0 ? first.getShape().get(0) : rows;
    DataType type = first.getDataType();
    int stride = Math.toIntExact(each * rest.size() * type.getNumOfBytes());
    ByteBuffer all = GatefuseNDManager.direct(Math.multiplyExact(stride, inputs.length));
    for (int i = 0; i < inputs.length; i++) {
      all.position(i * stride).put(inputs[i].get(kind).toByteBuffer(true));
    }
    Shape shape = new Shape(inputs.length, each).addAll(rest);
    NDArray stacked = first.getManager().create(all.rewind(), shape, type);
    stacked.setName(first.getName());
    return stacked;
  }

  /**
   * Takes a batch apart.
   *
   * @param outputs of the model, with {@code lengths}
   * @return those of each sequence, without padding and without {@code lengths}
   */
  @Override
  public NDList[] unbatchify(NDList outputs) {
    NDArray lengthsArray = outputs.get(Request.LENGTHS);
    if (lengthsArray == null) {
      throw new IllegalArgumentException("outputs: expected lengths among them, got none");
    }
    int[] lengths = lengthsArray.toIntArray();
    NDList[] parts = new NDList[lengths.length];
    Arrays.setAll(parts, i -> new NDList());
    for (NDArray output : outputs) {
      if (output == lengthsArray) {
        continue;
      }
      boolean state = STATES.contains(output.getName());
      for (int i = 0; i < lengths.length; i++) {
        parts[i].add(part(output, i, state ? -1 : lengths[i]));
      }
    }
    return parts;
  }

  private static NDArray part(NDArray output, int index, int rows) {
    Shape shape = output.getShape();
    Shape own = rows < 0 ? shape.slice(1) : new Shape(rows).addAll(shape.slice(2));
    int bytes = output.getDataType().getNumOfBytes();
    ByteBuffer values = output.toByteBuffer(true);
    int begin = Math.toIntExact(index * shape.slice(1).size() * bytes);
    ByteBuffer slice = values.slice(begin, Math.toIntExact(own.size() * bytes));
    NDArray part =
        output.getManager().create(slice.order(ByteOrder.nativeOrder()), own, output.getDataType());
    part.setName(output.getName());
    return part;
  }
}
