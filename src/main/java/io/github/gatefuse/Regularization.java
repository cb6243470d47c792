// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What is left to chance in training so that a network learns less by heart: dropout between
 * layers, zoneout and recurrent dropout, in any combination.
 *
 * <p>Runs of {@link ForwardCall#training} draw a mask for each time, row and unit; all other runs
 * take no chances. What is drawn is a function of the seed, of the number of the draw, of the time
 * counted from 0 in each run, of the row, layer, direction and unit, and of nothing else: the same
 * on every backend and for any number of threads, whatever the lengths are. The algorithm is in the
 * C interface, {@code gatefuse.h}.
 *
 * <ul>
 *   <li><b>Dropout</b> with rate p, as {@code nn.LSTM(dropout=p)} of PyTorch has it: what a layer
 *       gives to the next one is 0 with probability p, else divided by 1 - p. Other runs do
 *       nothing. Neither a layer's own states nor the last layer are touched, so that a network of
 *       one layer has no dropout.
 *   <li><b>Zoneout</b> (Krueger et al., <i>Zoneout: Regularizing RNNs by Randomly Preserving Hidden
 *       Activations</i>, ICLR 2017): each element of the hidden state stays as it was with the one
 *       probability, each of the cell state with the other. Where nothing is drawn, the step leaves
 *       the mean of the two, z before + (1 - z) after: so a network that was trained with zoneout
 *       is run with it.
 *   <li><b>Recurrent dropout</b> with rate p (Semeniuta, Severyn and Barth, <i>Recurrent Dropout
 *       without Memory Loss</i>, COLING 2016): the candidate of a step, tanh of its pre-activation,
 *       is 0 with probability p, else divided by 1 - p. Other runs do nothing.
 * </ul>
 *
 * <p>Immutable and thread-safe.
 *
 * @param dropout of what a layer gives to the next, 0 to below 1
 * @param zoneoutHidden of hidden states, 0 to below 1
 * @param zoneoutCell of cell states, 0 to below 1; 0 for cells without
 * @param recurrentDropout of candidates, 0 to below 1
 * @param seed of all that is drawn
 */
public record Regularization(
    double dropout, double zoneoutHidden, double zoneoutCell, double recurrentDropout, long seed) {
  /** All rates 0. */
  public static final Regularization NONE = new Regularization(0, 0, 0, 0, 0);

  /**
   * Checks the rates.
   *
   * @param dropout of what a layer gives to the next, 0 to below 1
   * @param zoneoutHidden of hidden states, 0 to below 1
   * @param zoneoutCell of cell states, 0 to below 1; 0 for cells without
   * @param recurrentDropout of candidates, 0 to below 1
   * @param seed of all that is drawn
   * @throws IllegalArgumentException naming the rate, what was expected and what came
   */
  public Regularization {
    rate("dropout", dropout);
    rate("zoneoutHidden", zoneoutHidden);
    rate("zoneoutCell", zoneoutCell);
    rate("recurrentDropout", recurrentDropout);
  }

  private static void rate(String name, double value) {
    // Written so that NaN is refused.
    if (!(value >= 0 && value < 1)) {
      throw new IllegalArgumentException(
          name + ": expected a rate from 0 to below 1, got " + value);
    }
  }

  /**
   * The same with another dropout between layers.
   *
   * @param rate 0 to below 1
   * @return a new regularization
   */
  public Regularization withDropout(double rate) {
    return new Regularization(rate, zoneoutHidden, zoneoutCell, recurrentDropout, seed);
  }

  /**
   * The same with another zoneout.
   *
   * @param hidden the rate of hidden states, 0 to below 1
   * @param cell the rate of cell states, 0 to below 1; 0 for cells without
   * @return a new regularization
   */
  public Regularization withZoneout(double hidden, double cell) {
    return new Regularization(dropout, hidden, cell, recurrentDropout, seed);
  }

  /**
   * The same with another recurrent dropout.
   *
   * @param rate 0 to below 1
   * @return a new regularization
   */
  public Regularization withRecurrentDropout(double rate) {
    return new Regularization(dropout, zoneoutHidden, zoneoutCell, rate, seed);
  }

  /**
   * The same with another seed.
   *
   * @param value any
   * @return a new regularization
   */
  public Regularization withSeed(long value) {
    return new Regularization(dropout, zoneoutHidden, zoneoutCell, recurrentDropout, value);
  }

  /**
   * Whether nothing is done to any run.
   *
   * @return whether all rates are 0
   */
  public boolean isNone() {
    return rates().isEmpty();
  }

  /**
   * The rates that are not 0, as paths and files name them.
   *
   * @return of {@code dropout}, {@code zoneout_h}, {@code zoneout_c} and {@code recurrent_dropout}
   */
  public Map<String, String> rates() {
    Map<String, String> rates = new LinkedHashMap<>();
    add(rates, "dropout", dropout);
    add(rates, "zoneout_h", zoneoutHidden);
    add(rates, "zoneout_c", zoneoutCell);
    add(rates, "recurrent_dropout", recurrentDropout);
    return rates;
  }

  private static void add(Map<String, String> rates, String name, double rate) {
    if (rate > 0) {
      rates.put(name, Double.toString(rate));
    }
  }

  /**
   * Holds the rates against a network.
   *
   * @param spec the network
   * @throws IllegalArgumentException if there is a rate of cell states and the cell has none
   */
  public void check(RnnSpec spec) {
    if (zoneoutCell > 0 && !spec.cell().hasCellState()) {
      throw new IllegalArgumentException(
          ("zoneoutCell: expected 0, since a " + spec.cell().id())
              + (" has no cell state, got " + zoneoutCell));
    }
  }
}
