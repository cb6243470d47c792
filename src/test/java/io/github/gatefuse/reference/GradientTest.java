// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.reference.ReferenceNetwork.Cotangents;
import io.github.gatefuse.reference.ReferenceNetwork.Gradients;
import io.github.gatefuse.reference.ReferenceNetwork.Inputs;
import io.github.gatefuse.reference.ReferenceNetwork.Outputs;
import io.github.gatefuse.testing.Networks;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Holds the reference's gradients to differences of its outputs, on random networks. */
class GradientTest {
  private static final int NETWORKS = 40;

  /** Central differences are off by the third derivative times this squared. */
  private static final double STEP = 1e-5;

  /** Relative to the length of the gradient. */
  private static final double TOLERANCE = 1e-7;

  /** A network with all that a loss of it reads; the loss is linear in the outputs. */
  private record Problem(
      RnnSpec spec,
      int steps,
      int batch,
      int[] tokens,
      int[] lengths,
      Regularization regularization,
      boolean drawn,
      Cotangents cotangents) {

    static Problem random(Cell cell, Random random) {
      int hidden = 1 + random.nextInt(8);
      int[] divisors = IntStream.rangeClosed(1, hidden).filter(d -> hidden % d == 0).toArray();
      RnnSpec spec =
          RnnSpec.of(cell, 1 + random.nextInt(5), hidden)
              .withLayers(1 + random.nextInt(2))
              .withBidirectional(random.nextBoolean())
              .withChunk(cell.hasChunkedBlocks() ? divisors[random.nextInt(divisors.length)] : 1)
              .withVocabulary(random.nextBoolean() ? 1 + random.nextInt(4) : 0)
              .withOutputs(random.nextBoolean() ? 1 + random.nextInt(5) : 0);
      int steps = 1 + random.nextInt(6);
      int batch = 1 + random.nextInt(4);
      int[] lengths = random.nextBoolean() ? random.ints(batch, 1, steps + 1).toArray() : null;
      int[] tokens =
          spec.vocabulary() == 0
              ? null
              : random.ints(steps * batch, 0, spec.vocabulary()).toArray();
      Regularization regularization = regularization(spec, random);
      boolean drawn = random.nextBoolean();
      Problem shape = new Problem(spec, steps, batch, tokens, lengths, regularization, drawn, null);
      Cotangents cotangents =
          Cotangents.ZEROS
              .withOutput(shape.sequence(spec.outputSize(), random))
              .withState(shape.state(random), cell.hasCellState() ? shape.state(random) : null)
              .withLogits(spec.outputs() == 0 ? null : shape.sequence(spec.outputs(), random));
      return new Problem(spec, steps, batch, tokens, lengths, regularization, drawn, cotangents);
    }

    /** None for every third network, else of some kinds. */
    private static Regularization regularization(RnnSpec spec, Random random) {
      if (random.nextInt(3) == 0) {
        return Regularization.NONE;
      }
      boolean cell = spec.cell().hasCellState();
      return Regularization.NONE
          .withDropout(rate(random))
          .withZoneout(rate(random), cell ? rate(random) : 0)
          .withRecurrentDropout(rate(random))
          .withSeed(random.nextLong());
    }

    private static double rate(Random random) {
      return random.nextBoolean() ? 0 : 0.7 * random.nextDouble();
    }

    /** Values [T, B, width] with NaN past each sequence's end, where nobody may read. */
    private double[] sequence(int width, Random random) {
      double[] values = random.doubles(steps * batch * width, -1, 1).toArray();
      for (int row = 0; row < steps * batch; row++) {
        if (!valid(row)) {
          Arrays.fill(values, row * width, (row + 1) * width, Double.NaN);
        }
      }
      return values;
    }

    private boolean valid(int row) {
      return lengths == null || row / batch < lengths[row % batch];
    }

    private double[] state(Random random) {
      return random.doubles(spec.slots() * batch * spec.hiddenSize(), -1, 1).toArray();
    }

    /** All that the loss depends on, by name. */
    Map<String, double[]> variables(Random random) {
      Map<String, double[]> variables = new LinkedHashMap<>();
      for (RnnSpec.Parameter p : spec.parameters()) {
        variables.put(p.name(), random.doubles(p.count(), -1, 1).toArray());
      }
      if (tokens == null) {
        variables.put("x", sequence(spec.inputSize(), random));
      }
      variables.put("h0", state(random));
      if (spec.cell().hasCellState()) {
        variables.put("c0", state(random));
      }
      return variables;
    }

    private ReferenceNetwork network(Map<String, double[]> variables, Rounding rounding) {
      Weights.Builder weights = Weights.builder();
      for (RnnSpec.Parameter p : spec.parameters()) {
        weights.add(p.name(), variables.get(p.name()), p.shape());
      }
      return new ReferenceNetwork(spec, weights.build(), rounding);
    }

    private Inputs inputs(Map<String, double[]> variables) {
      Inputs inputs =
          tokens == null
              ? Inputs.of(steps, batch, variables.get("x"))
              : Inputs.of(steps, batch, tokens);
      return inputs
          .withLengths(lengths)
          .withState(variables.get("h0"), variables.get("c0"))
          .withRegularization(regularization, drawn, 11);
    }

    double loss(Map<String, double[]> variables) {
      Outputs out =
          network(variables, Rounding.DOUBLE)
              .run(inputs(variables).withHead(spec.outputs() > 0, false));
      return product(out.y(), cotangents.dy())
          + product(out.hn(), cotangents.dhn())
          + product(out.cn(), cotangents.dcn())
          + product(out.logits(), cotangents.dlogits());
    }

    Map<String, double[]> gradients(Map<String, double[]> variables, Rounding rounding) {
      Gradients gradients = network(variables, rounding).backward(inputs(variables), cotangents);
      Map<String, double[]> all = new LinkedHashMap<>();
      gradients.parameters().names().forEach(n -> all.put(n, gradients.parameters().doubles(n)));
      all.put("x", gradients.dx());
      all.put("h0", gradients.dh0());
      all.put("c0", gradients.dc0());
      all.values().removeIf(v -> v == null);
      return all;
    }
  }

  /** What is NaN in one is past the end of a sequence and 0 in the other. */
  private static double product(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; a != null && b != null && i < a.length; i++) {
      sum += Double.isNaN(a[i]) || Double.isNaN(b[i]) ? 0 : a[i] * b[i];
    }
    return sum;
  }

  @ParameterizedTest
  @EnumSource(Cell.class)
  void gradientsAreDifferencesOfTheLoss(Cell cell) {
    for (int seed = 0; seed < NETWORKS; seed++) {
      Random random = new Random(100 * cell.ordinal() + seed);
      Problem problem = Problem.random(cell, random);
      Map<String, double[]> variables = problem.variables(random);
      Map<String, double[]> gradients = problem.gradients(variables, Rounding.DOUBLE);
      assertEquals(variables.keySet(), gradients.keySet());
      for (String name : variables.keySet()) {
        double[] direction = random.doubles(variables.get(name).length, -1, 1).toArray();
        double difference =
            problem.loss(moved(variables, name, direction, STEP))
                - problem.loss(moved(variables, name, direction, -STEP));
        double expected = difference / (2 * STEP);
        double actual = product(direction, gradients.get(name));
        double length = Math.sqrt(product(gradients.get(name), gradients.get(name)));
        assertEquals(
            expected,
            actual,
            TOLERANCE * Math.max(1, length),
            problem.spec() + " " + problem.regularization() + " " + name);
      }
    }
  }

  private static Map<String, double[]> moved(
      Map<String, double[]> variables, String name, double[] direction, double step) {
    double[] values = variables.get(name).clone();
    for (int i = 0; i < values.length; i++) {
      values[i] += step * direction[i];
    }
    Map<String, double[]> moved = new LinkedHashMap<>(variables);
    moved.put(name, values);
    return moved;
  }

  /** The network of {@link #T} steps that the tests below share. */
  private static final int T = 5;

  private static final int B = 3;
  private static final int[] LENGTHS = {2, 5, 3};

  private static RnnSpec spec(Cell cell) {
    return RnnSpec.of(cell, 4, 6)
        .withLayers(2)
        .withBidirectional(true)
        .withChunk(cell.hasChunkedBlocks() ? 3 : 1)
        .withOutputs(5);
  }

  private static double[] random(int count, long seed) {
    return new Random(seed).doubles(count, -1, 1).toArray();
  }

  private static Cotangents cotangents(RnnSpec spec) {
    int states = spec.slots() * B * 6;
    return Cotangents.ZEROS
        .withOutput(random(T * B * 12, 1))
        .withState(random(states, 2), spec.cell().hasCellState() ? random(states, 3) : null)
        .withLogits(random(T * B * 5, 4));
  }

  @ParameterizedTest
  @EnumSource(Cell.class)
  void pastTheEndTheGradientByTheInputIsZero(Cell cell) {
    RnnSpec spec = spec(cell);
    ReferenceNetwork network =
        new ReferenceNetwork(spec, Networks.weights(spec, 1), Rounding.DOUBLE);
    Inputs inputs = Inputs.of(T, B, random(T * B * 4, 5)).withLengths(LENGTHS);
    double[] dx = network.backward(inputs, cotangents(spec)).dx();
    for (int i = 0; i < dx.length; i++) {
      int row = i / 4;
      boolean valid = row / B < LENGTHS[row % B];
      assertTrue(valid ? dx[i] != 0 : dx[i] == 0, "row " + row);
    }
  }

  /** Rounded to float32 they are floats, and close to those in double precision. */
  @ParameterizedTest
  @EnumSource(Cell.class)
  void floatGivesFloats(Cell cell) {
    RnnSpec spec = spec(cell);
    Weights weights = Networks.weights(spec, 1);
    Inputs inputs = Inputs.of(T, B, random(T * B * 4, 5)).withLengths(LENGTHS);
    Gradients exact =
        new ReferenceNetwork(spec, weights, Rounding.DOUBLE).backward(inputs, cotangents(spec));
    Gradients floats =
        new ReferenceNetwork(spec, weights, Rounding.FLOAT).backward(inputs, cotangents(spec));
    for (String name : weights.names()) {
      double[] expected = exact.parameters().doubles(name);
      double[] actual = floats.parameters().doubles(name);
      Arrays.stream(actual).forEach(v -> assertEquals((float) v, v));
      double largest = Arrays.stream(expected).map(Math::abs).max().getAsDouble();
      assertArrayEquals(expected, actual, 3e-6 * largest, name);
    }
  }

  @Test
  void withoutCotangentsGradientsAreZero() {
    RnnSpec spec = spec(Cell.GRU_REFINE).withVocabulary(7);
    ReferenceNetwork network =
        new ReferenceNetwork(spec, Networks.weights(spec, 1), Rounding.DOUBLE);
    Gradients gradients =
        network.backward(Inputs.of(T, B, Networks.integers(T * B, 0, 6, 1)), Cotangents.ZEROS);
    assertNull(gradients.dx());
    assertNull(gradients.dc0());
    for (String name : gradients.parameters().names()) {
      double[] values = gradients.parameters().doubles(name);
      assertArrayEquals(new double[values.length], values, name);
    }
  }

  @Test
  void refusesWrongCotangentsInWords() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, 4, 6);
    refuses(
        spec,
        Cotangents.ZEROS.withOutput(new double[7]),
        "gradient by y: expected [T=5, B=3, D*H=6] = 90 values, got 7");
    refuses(
        spec,
        Cotangents.ZEROS.withState(new double[7], null),
        "gradient by the final hidden state: expected [L*D=1, B=3, H=6] = 18 values, got 7");
    refuses(
        spec,
        Cotangents.ZEROS.withState(null, new double[18]),
        "gradient by the final cell state: expected none for cell gru, got one");
    refuses(
        spec,
        Cotangents.ZEROS.withLogits(new double[7]),
        "gradient by the logits: expected a network with a head, got outputs=0");
    refuses(
        spec.withOutputs(2),
        Cotangents.ZEROS.withLogits(new double[7]),
        "gradient by the logits: expected [T=5, B=3, O=2] = 30 values, got 7");
  }

  private static void refuses(RnnSpec spec, Cotangents cotangents, String message) {
    ReferenceNetwork network =
        new ReferenceNetwork(spec, Networks.weights(spec, 1), Rounding.DOUBLE);
    Inputs inputs = Inputs.of(T, B, new double[T * B * 4]);
    Exception e =
        assertThrows(IllegalArgumentException.class, () -> network.backward(inputs, cotangents));
    assertEquals(message, e.getMessage());
  }
}
