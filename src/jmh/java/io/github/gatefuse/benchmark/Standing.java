// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Ours against the best peer, at one shape with one number of threads. Immutable.
 *
 * @param ours of the race
 * @param peer with the least median of the same race
 */
record Standing(Series ours, Series peer) {
  /** Of all of ours that have a peer. */
  static List<Standing> all(List<Series> series) {
    return series.stream()
        .filter(Series::isOurs)
        .flatMap(ours -> bestPeer(ours, series).map(peer -> new Standing(ours, peer)).stream())
        .toList();
  }

  private static Optional<Series> bestPeer(Series ours, List<Series> series) {
    return series.stream()
        .filter(s -> !s.isOurs() && s.race() == ours.race())
        .filter(s -> s.threads() == ours.threads() && s.shape().equals(ours.shape()))
        .min(Comparator.comparingDouble(s -> s.spread().median()));
  }

  /** The peer's time over ours, by rounds. */
  Spread ratio() {
    return Spread.ofRatio(peer.nanos(), ours.nanos());
  }

  /**
   * All shapes of a race with one number of threads, but for that which is only a call.
   *
   * @param race the race
   * @param threads how many
   * @param geomean of the ratios
   * @param least of the ratios
   */
  record Summary(Race race, int threads, double geomean, double least) {
    static Optional<Summary> of(Race race, int threads, List<Standing> standings) {
      double[] ratios =
          standings.stream()
              .filter(s -> s.ours.race() == race && s.ours.threads() == threads)
              .filter(s -> !s.ours.shape().equals(Comparison.EMPTY))
              .mapToDouble(s -> s.ratio().median())
              .toArray();
      if (ratios.length == 0) {
        return Optional.empty();
      }
      double logarithms = 0;
      double least = Double.MAX_VALUE;
      for (double ratio : ratios) {
        logarithms += Math.log(ratio);
        least = Math.min(least, ratio);
      }
      return Optional.of(new Summary(race, threads, Math.exp(logarithms / ratios.length), least));
    }

    /** Such as {@code standard 1t: geomean 1.23, min 1.02}. */
    String line() {
      return String.format(
          Locale.ROOT, "%s %dt: geomean %.2f, min %.2f", race.id(), threads, geomean, least);
    }
  }
}
