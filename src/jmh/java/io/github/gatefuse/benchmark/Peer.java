// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** A library to compare with. */
enum Peer {
  /** ONNX Runtime. */
  ONNXRUNTIME(EnumSet.of(Race.STANDARD, Race.REFINE, Race.INT8)) {
    @Override
    List<Contender> settings(Race race, Shape shape, int threads) {
      return OrtContender.settings(race, shape, threads);
    }
  },
  /** OneDNN through its JavaCPP preset. */
  ONEDNN(EnumSet.of(Race.STANDARD, Race.BFLOAT16, Race.INT8)) {
    @Override
    List<Contender> settings(Race race, Shape shape, int threads) {
      return List.of(OneDnnContender.of(race, shape, threads));
    }
  },
  /** The native library of PyTorch through the Deep Java Library. */
  LIBTORCH(EnumSet.of(Race.STANDARD, Race.REFINE)) {
    /** The oneDNN that comes along, 3.7.1, gives a wrong LSTM of 8 units with AVX-512. */
    @Override
    boolean runs(Race race, Shape shape) {
      return super.runs(race, shape) && shape.size() % ONEDNN_BLOCK == 0;
    }

    @Override
    List<Contender> settings(Race race, Shape shape, int threads) {
      return List.of(new TorchContender(race, shape));
    }
  },
  /** What Deeplearning4j calculates with. */
  ND4J(EnumSet.of(Race.STANDARD)) {
    @Override
    List<Contender> settings(Race race, Shape shape, int threads) {
      return List.of(new Nd4jContender(shape));
    }
  };

  private static final int ONEDNN_BLOCK = 32;

  private final Set<Race> races;

  Peer(Set<Race> races) {
    this.races = races;
  }

  String id() {
    return name().toLowerCase(Locale.ROOT);
  }

  static Peer of(String id) {
    return valueOf(id.toUpperCase(Locale.ROOT));
  }

  boolean runs(Race race, Shape shape) {
    return races.contains(race);
  }

  /** Its contender of a race that it runs, in all settings that may be the fastest. */
  abstract List<Contender> settings(Race race, Shape shape, int threads);
}
