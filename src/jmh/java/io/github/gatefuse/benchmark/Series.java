// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * One contender's samples; a line of text with tabs between processes. Immutable, as long as nobody
 * writes to its samples.
 *
 * @param threads how many it ran with
 * @param shape what it ran
 * @param contender its name
 * @param path how it ran
 * @param nanos per call, one for each round
 */
record Series(int threads, Shape shape, String contender, String path, double[] nanos) {
  static Series of(String line) {
    String[] fields = line.split("\t", -1);
    return new Series(
        Integer.parseInt(fields[0]),
        Shape.of(fields[1]),
        fields[2],
        fields[3],
        Arrays.stream(fields[4].split(" ")).mapToDouble(Double::parseDouble).toArray());
  }

  String line() {
    String samples =
        Arrays.stream(nanos).mapToObj(Double::toString).collect(Collectors.joining(" "));
    return String.join("\t", Integer.toString(threads), shape.toString(), contender, path, samples);
  }

  Spread spread() {
    return Spread.of(nanos);
  }
}
