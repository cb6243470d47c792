// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import static org.bytedeco.cuda.global.cudnn.CUDNN_GRU;
import static org.bytedeco.cuda.global.cudnn.CUDNN_LSTM;
import static org.bytedeco.cuda.global.cudnn.CUDNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED;
import static org.bytedeco.cuda.global.cudnn.CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED;

import java.nio.ByteBuffer;

/**
 * cuDNN's recurrent networks as its documentation describes them, in plain loops over a weight
 * space: linear layers by number, pseudo-layers forward before reverse. Shares no code with the
 * library. Immutable.
 */
final class FakeRnn {
  /** Between any two tensors of the weight space, so that nobody can take them for neighbours. */
  private static final int GAP = 3;

  /** Where a linear layer's tensors begin, in floats. */
  record Place(int matrix, int bias) {}

  /** The states [slots, B, H]; the initial ones null for zeros, c null for a GRU. */
  record State(ByteBuffer h0, ByteBuffer hn, ByteBuffer c0, ByteBuffer cn) {}

  private final boolean lstm;
  private final int inputSize;
  private final int hidden;
  private final int layers;
  private final int directions;
  private final Place[][] places;
  private final int weights;

  FakeRnn(int cellMode, int inputSize, int hidden, int layers, int directions) {
    FakeMemory.require(cellMode == CUDNN_LSTM || cellMode == CUDNN_GRU, "LSTM or GRU");
    lstm = cellMode == CUDNN_LSTM;
    this.inputSize = inputSize;
    this.hidden = hidden;
    this.layers = layers;
    this.directions = directions;
    places = new Place[layers * directions][2 * gates()];
    weights = lay();
  }

  /** The last layer comes first, and biases before matrices: an order that cuDNN does not have. */
  private int lay() {
    int at = GAP;
    for (int slot = places.length - 1; slot >= 0; slot--) {
      for (int linear = 0; linear < places[slot].length; linear++) {
        int matrix = at + hidden + GAP;
        places[slot][linear] = new Place(matrix, at);
        at = matrix + hidden * columns(slot, linear) + GAP;
      }
    }
    return at;
  }

  private int gates() {
    return lstm ? 4 : 3;
  }

  boolean hasCell() {
    return lstm;
  }

  int inputSize() {
    return inputSize;
  }

  int hidden() {
    return hidden;
  }

  int outputSize() {
    return directions * hidden;
  }

  int slots() {
    return layers * directions;
  }

  /** The floats of the weight space. */
  int weights() {
    return weights;
  }

  Place place(int pseudoLayer, int linearLayer) {
    return places[pseudoLayer][linearLayer];
  }

  /** The width of a linear layer's matrix. */
  int columns(int pseudoLayer, int linearLayer) {
    if (linearLayer >= gates()) {
      return hidden;
    }
    return pseudoLayer < directions ? inputSize : outputSize();
  }

  /** Runs all layers. */
  void forward(
      ByteBuffer weightSpace,
      FakeCudnn.Data x,
      ByteBuffer in,
      FakeCudnn.Data y,
      ByteBuffer out,
      State state) {
    double[][][] values = new double[x.batch()][][];
    for (int b = 0; b < x.batch(); b++) {
      values[b] = read(x, in, b);
      for (int layer = 0; layer < layers; layer++) {
        double[][] next = new double[x.lengths()[b]][outputSize()];
        for (int direction = 0; direction < directions; direction++) {
          Sequence one = new Sequence(weightSpace, layer * directions + direction);
          one.run(values[b], next, direction, state, b, x.batch());
        }
        values[b] = next;
      }
      write(y, out, b, values[b]);
    }
  }

  private static int at(FakeCudnn.Data data, int t, int b) {
    FakeMemory.require(
        data.layout() == CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED
            || data.layout() == CUDNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED,
        "a layout with padding");
    boolean batchMajor = data.layout() == CUDNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED;
    int row = batchMajor ? b * data.steps() + t : t * data.batch() + b;
    return Float.BYTES * row * data.width();
  }

  private static double[][] read(FakeCudnn.Data x, ByteBuffer in, int b) {
    double[][] values = new double[x.lengths()[b]][x.width()];
    for (int t = 0; t < values.length; t++) {
      for (int i = 0; i < x.width(); i++) {
        values[t][i] = in.getFloat(at(x, t, b) + Float.BYTES * i);
      }
    }
    return values;
  }

  private static void write(FakeCudnn.Data y, ByteBuffer out, int b, double[][] values) {
    for (int t = 0; t < y.steps(); t++) {
      for (int i = 0; i < y.width(); i++) {
        boolean valid = t < values.length;
        if (valid || y.fill() != null) {
          out.putFloat(at(y, t, b) + Float.BYTES * i, valid ? (float) values[t][i] : y.fill());
        }
      }
    }
  }

  /** One sequence through one pseudo-layer. */
  private final class Sequence {
    private final ByteBuffer weightSpace;
    private final int slot;
    private double[] h;
    private double[] c;

    Sequence(ByteBuffer weightSpace, int slot) {
      this.weightSpace = weightSpace;
      this.slot = slot;
    }

    void run(double[][] x, double[][] y, int direction, State state, int b, int batch) {
      int at = Float.BYTES * (slot * batch + b) * hidden;
      h = load(state.h0, at);
      c = load(state.c0, at);
      for (int n = 0; n < x.length; n++) {
        int t = direction == 0 ? n : x.length - 1 - n;
        if (lstm) {
          stepLstm(x[t]);
        } else {
          stepGru(x[t]);
        }
        System.arraycopy(h, 0, y[t], direction * hidden, hidden);
      }
      store(state.hn, at, h);
      if (lstm) {
        store(state.cn, at, c);
      }
    }

    private double[] load(ByteBuffer from, int at) {
      double[] values = new double[hidden];
      for (int j = 0; from != null && j < hidden; j++) {
        values[j] = from.getFloat(at + Float.BYTES * j);
      }
      return values;
    }

    private void store(ByteBuffer to, int at, double[] values) {
      for (int j = 0; j < hidden; j++) {
        to.putFloat(at + Float.BYTES * j, (float) values[j]);
      }
    }

    /** Row j of a linear layer: its matrix times v, and its bias. */
    private double linear(int layer, int j, double[] v) {
      Place place = places[slot][layer];
      double sum = weightSpace.getFloat(Float.BYTES * (place.bias() + j));
      for (int k = 0; k < v.length; k++) {
        int at = place.matrix() + j * v.length + k;
        sum += weightSpace.getFloat(Float.BYTES * at) * v[k];
      }
      return sum;
    }

    private static double sigmoid(double a) {
      return 1 / (1 + Math.exp(-a));
    }

    private void stepLstm(double[] x) {
      double[] next = new double[hidden];
      for (int j = 0; j < hidden; j++) {
        double i = sigmoid(linear(0, j, x) + linear(4, j, h));
        double f = sigmoid(linear(1, j, x) + linear(5, j, h));
        double candidate = Math.tanh(linear(2, j, x) + linear(6, j, h));
        double o = sigmoid(linear(3, j, x) + linear(7, j, h));
        c[j] = f * c[j] + i * candidate;
        next[j] = o * Math.tanh(c[j]);
      }
      h = next;
    }

    private void stepGru(double[] x) {
      double[] next = new double[hidden];
      for (int j = 0; j < hidden; j++) {
        double r = sigmoid(linear(0, j, x) + linear(3, j, h));
        double i = sigmoid(linear(1, j, x) + linear(4, j, h));
        double candidate = Math.tanh(linear(2, j, x) + r * linear(5, j, h));
        next[j] = (1 - i) * candidate + i * h[j];
      }
      h = next;
    }
  }
}
