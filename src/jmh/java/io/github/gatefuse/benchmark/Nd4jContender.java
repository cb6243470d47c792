// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Weights;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Properties;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.CustomOp;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.factory.Nd4j;

/**
 * The native LSTM of ND4J, which is what Deeplearning4j calculates with. Deeplearning4j's own LSTM
 * layer goes through the steps in Java and takes several times as long. Input, weights and output
 * are arrays made once. One thread at a time.
 */
final class Nd4jContender implements Contender {
  /** Of the operator's arguments: the order of axes, directions, gates' activation, cell's. */
  private static final int TIME_MAJOR = 0;

  private static final int FORWARD = 0;
  private static final int SIGMOID = 2;
  private static final int TANH = 0;

  private static final String PROPERTIES = "/META-INF/maven/org.nd4j/nd4j-api/pom.properties";

  private final INDArray output;
  private final CustomOp operator;

  Nd4jContender(Shape shape) {
    int hidden = shape.size();
    Weights weights = shape.weights(Cell.LSTM);
    float[] input = new float[shape.count()];
    shape.input().get(input);
    output = Nd4j.create(DataType.FLOAT, shape.steps(), shape.batch(), hidden);
    operator =
        DynamicCustomOp.builder("lstmLayer")
            .addInputs(
                array(input, shape.steps(), shape.batch(), hidden),
                matrix(weights.floats("weight_ih_l0"), hidden),
                matrix(weights.floats("weight_hh_l0"), hidden),
                array(bias(weights, hidden), 4L * hidden))
            .addOutputs(output)
            .addIntegerArguments(TIME_MAJOR, FORWARD, SIGMOID, TANH, TANH)
            .addFloatingPointArguments(0.0) // values of cells are not cut off
            // There are biases, but neither lengths, states nor peepholes; all of h comes out, and
            // neither the last h nor the last c.
            .addBooleanArguments(true, false, false, false, false, true, false, false)
            .build();
  }

  /** The order of gates is the same: input, forget, candidate, output. */
  private static INDArray matrix(float[] rows, int columns) {
    return array(rows, 4L * columns, columns).transpose().dup('c');
  }

  private static float[] bias(Weights weights, int hidden) {
    float[] sum = weights.floats("bias_ih_l0").clone();
    float[] other = weights.floats("bias_hh_l0");
    for (int i = 0; i < 4 * hidden; i++) {
      sum[i] += other[i];
    }
    return sum;
  }

  private static INDArray array(float[] values, long... dimensions) {
    return Nd4j.createFromArray(values).reshape(dimensions);
  }

  @Override
  public String name() {
    return "ND4J lstmLayer";
  }

  @Override
  public String path() {
    return "ND4J "
        + version()
        + ", "
        + Nd4j.getExecutioner().getEnvironmentInformation().getProperty("blas.vendor")
        + ", threads "
        + Nd4j.getEnvironment().maxThreads();
  }

  private static String version() {
    Properties properties = new Properties();
    try (InputStream in = Nd4j.class.getResourceAsStream(PROPERTIES)) {
      properties.load(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return properties.getProperty("version");
  }

  @Override
  public void run() {
    Nd4j.exec(operator);
  }

  @Override
  public FloatBuffer output() {
    return output.data().pointer().asByteBuffer().order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  @Override
  public void close() {
    output.close();
    operator.inputArguments().forEach(INDArray::close);
  }
}
