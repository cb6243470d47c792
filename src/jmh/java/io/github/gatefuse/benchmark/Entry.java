// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.util.List;

/**
 * A contender of a race, at first in all settings that may be the fastest. Not thread-safe.
 *
 * <p>Where there are several, they are timed among themselves, and only the fastest stays: threads
 * of the others that still spin would slow whoever has the turn after them.
 */
final class Entry implements AutoCloseable {
  private final Race race;
  private List<Contender> settings;

  Entry(Race race, List<Contender> settings) {
    this.race = race;
    this.settings = settings;
  }

  Race race() {
    return race;
  }

  List<Contender> settings() {
    return settings;
  }

  /** The one that stayed. */
  Contender contender() {
    return settings.get(0);
  }

  void keepFastest(RoundRobin turns) {
    if (settings.size() == 1) {
      return;
    }
    double[][] nanos = turns.time(settings);
    int fastest = 0;
    for (int i = 1; i < nanos.length; i++) {
      if (Spread.of(nanos[i]).median() < Spread.of(nanos[fastest]).median()) {
        fastest = i;
      }
    }
    Contender kept = settings.get(fastest);
    settings.stream().filter(setting -> setting != kept).forEach(Contender::close);
    settings = List.of(kept);
    System.err.println("  fastest setting: " + kept.name());
  }

  @Override
  public void close() {
    settings.forEach(Contender::close);
  }
}
