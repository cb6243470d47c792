// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import static org.apache.spark.sql.functions.col;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * Lines of a text that are scored in a second by one task at a time and by two. A round is a job
 * that reads the text, scores it and adds up the scores; a first one, which compiles, is not
 * counted.
 */
public final class LinesBenchmark {
  private static final int ROUNDS = 3;

  private LinesBenchmark() {}

  /**
   * Runs.
   *
   * @param args the model and the text
   * @throws Exception if a job fails
   */
  public static void main(String[] args) throws Exception {
    for (String master : new String[] {"local[1]", "local[2]"}) {
      // Else a text of less than 4 MB is one partition, and one task, whatever the number of
      // threads.
      try (SparkSession spark =
          SparkSession.builder()
              .master(master)
              .config("spark.ui.enabled", "false")
              .config("spark.sql.files.openCostInBytes", "1")
              .getOrCreate()) {
        run(master, spark, args[0], args[1]);
      }
    }
  }

  private static void run(String master, SparkSession spark, String model, String text) {
    Dataset<Row> lines =
        spark.read().option("lineSep", "\n").text(text).select(col("value").cast("binary"));
    Dataset<Row> scores =
        new GateFuseTransformer()
            .setModelPath(model)
            .setInputCol("value")
            .setOutputCol("score")
            .transform(lines)
            .selectExpr("count(score)", "avg(score)");
    double[] rates = new double[ROUNDS];
    Row last = scores.first();
    long processor = processorTime();
    for (int round = 0; round < ROUNDS; round++) {
      long begun = System.nanoTime();
      last = scores.first();
      rates[round] = last.getLong(0) / ((System.nanoTime() - begun) / 1e9);
    }
    double processorSeconds = (processorTime() - processor) / 1e9 / ROUNDS;
    Arrays.sort(rates);
    System.out.printf(
        "%s: %d lines, mean %.4f, %.0f lines/s, median of %d rounds (%.0f to %.0f), %.0f lines for"
            + " each second of a processor%n",
        master,
        last.getLong(0),
        last.getDouble(1),
        rates[ROUNDS / 2],
        ROUNDS,
        rates[0],
        rates[ROUNDS - 1],
        last.getLong(0) / processorSeconds);
  }

  /** Of all threads of this process, in ns. */
  private static long processorTime() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime();
  }
}
