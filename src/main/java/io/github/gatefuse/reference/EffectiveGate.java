// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;

/**
 * The share of its memory that each unit of a cell keeps at a step, from the pre-activations of its
 * gates: the forget gate, the update gate of a GRU, or what a refine gate or master gates make of
 * them.
 *
 * <p>Immutable and thread-safe.
 */
public final class EffectiveGate {
  private final RnnSpec spec;

  /**
   * For the layers of a network.
   *
   * @param spec the network
   */
  public EffectiveGate(RnnSpec spec) {
    this.spec = spec;
  }

  /**
   * Gives the gates of one step.
   *
   * @param a the pre-activations W x + b + R h + b' of all rows, in the order of the blocks
   * @param gate receives the share that is kept [H]
   * @param complement receives the share that is not [H], exact where it is small
   * @throws IllegalArgumentException if an array is too short
   */
  public void of(double[] a, double[] gate, double[] complement) {
    int units = spec.hiddenSize();
    if (a.length < spec.rows() || gate.length != units || complement.length != units) {
      throw new IllegalArgumentException(
          "gates: expected %d pre-activations, and %d gates and complements, got %d, %d and %d"
              .formatted(spec.rows(), units, a.length, gate.length, complement.length));
    }
    String base = spec.cell().hasCellState() ? "forget" : "update";
    activate(a, base, gate, complement);
    if (has("refine")) {
      refine(a, gate, complement);
    } else if (has("master_forget")) {
      master(a, gate, complement);
    }
  }

  private void activate(double[] a, String name, double[] gate, double[] complement) {
    int start = start(name);
    if (block(name).chunked()) {
      Gates.cumax(a, start, spec.chunk(), gate, complement);
      return;
    }
    for (int j = 0; j < gate.length; j++) {
      gate[j] = Gates.sigmoid(a[start + j]);
      complement[j] = Gates.sigmoid(-a[start + j]);
    }
  }

  private void refine(double[] a, double[] gate, double[] complement) {
    int start = start("refine");
    for (int j = 0; j < gate.length; j++) {
      double f = gate[j];
      double fBar = complement[j];
      gate[j] = Gates.refine(f, fBar, Gates.sigmoid(a[start + j]));
      complement[j] = Gates.refine(fBar, f, Gates.sigmoid(-a[start + j]));
    }
  }

  /** With master gates F and I: f F I + F - F I = F (1 - I (1-f)). */
  private void master(double[] a, double[] gate, double[] complement) {
    int units = gate.length;
    double[] forget = new double[units];
    double[] forgetBar = new double[units];
    double[] inputBar = new double[units];
    double[] input = new double[units];
    activate(a, "master_forget", forget, forgetBar);
    activate(a, "master_input", inputBar, input);
    for (int j = 0; j < units; j++) {
      double f = gate[j];
      double fBar = complement[j];
      gate[j] = forget[j] * (inputBar[j] + input[j] * f);
      complement[j] = forgetBar[j] + forget[j] * input[j] * fBar;
    }
  }

  private boolean has(String name) {
    return spec.cell().blocks().stream().anyMatch(block -> block.name().equals(name));
  }

  private Cell.Block block(String name) {
    return spec.cell().blocks().stream()
        .filter(block -> block.name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  private int start(String name) {
    int start = 0;
    for (Cell.Block block : spec.cell().blocks()) {
      if (block.name().equals(name)) {
        return start;
      }
      start += block.rows(spec.hiddenSize(), spec.chunk());
    }
    throw new IllegalArgumentException(name + ": expected a block of " + spec.cell().id());
  }

  /**
   * How steep the effective gate of a refine cell is: the length of its gradient by the
   * pre-activations of forget and refine gate.
   *
   * @param f the forget gate's pre-activation
   * @param r the refine gate's pre-activation
   * @return at least 0
   */
  public static double refineSlope(double f, double r) {
    double gate = Gates.sigmoid(f);
    double complement = Gates.sigmoid(-f);
    double slope = gate * complement;
    double byForget =
        slope * Gates.refineByForget(gate, complement, Gates.sigmoid(r), Gates.sigmoid(-r));
    double byRefine = Gates.refineByRefine(gate, complement) * Gates.sigmoidSlope(r);
    return Math.hypot(byForget, byRefine);
  }

  /**
   * The complement of a refine cell's effective gate.
   *
   * @param f the forget gate's pre-activation
   * @param r the refine gate's pre-activation
   * @return 1 - g, exact where it is small
   */
  public static double refineComplement(double f, double r) {
    return Gates.refine(Gates.sigmoid(-f), Gates.sigmoid(f), Gates.sigmoid(-r));
  }
}
