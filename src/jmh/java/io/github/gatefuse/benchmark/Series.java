// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * One contender's samples; a line of text with tabs between processes. Immutable, as long as nobody
 * writes to its samples.
 *
 * @param race what it ran in
 * @param threads how many it ran with
 * @param shape what it ran
 * @param contender its name
 * @param path how it ran
 * @param error the largest difference to our float32 outputs
 * @param nanos per call, one for each round
 */
record Series(
    Race race,
    int threads,
    Shape shape,
    String contender,
    String path,
    double error,
    double[] nanos) {
  static Series of(String line) {
    String[] fields = line.split("\t", -1);
    return new Series(
        Race.of(fields[0]),
        Integer.parseInt(fields[1]),
        Shape.of(fields[2]),
        fields[3],
        fields[4],
        Double.parseDouble(fields[5]),
        Arrays.stream(fields[6].split(" ")).mapToDouble(Double::parseDouble).toArray());
  }

  String line() {
    String samples =
        Arrays.stream(nanos).mapToObj(Double::toString).collect(Collectors.joining(" "));
    return String.join(
        "\t",
        race.id(),
        Integer.toString(threads),
        shape.toString(),
        contender,
        path,
        Double.toString(error),
        samples);
  }

  boolean isOurs() {
    return GateFuseContender.isOurs(contender);
  }

  Spread spread() {
    return Spread.of(nanos);
  }

  double gigaflops() {
    return shape.operations() / spread().median();
  }
}
