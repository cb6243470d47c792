// SPDX-License-Identifier: Apache-2.0
//
// Which lines of a text are the most surprising? A stage of Spark's ML pipelines scores the lines
// with a byte model; the bits per byte are those of bin/gatefuse score.
//
//   java @integrations/spark/java-options -cp ... examples/ScoreInSpark.java models/bytes-ur-lstm-256.safetensors LOG
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.expr;

import io.github.gatefuse.spark.GateFuseTransformer;
import java.io.IOException;
import org.apache.spark.SparkConf;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

public final class ScoreInSpark {
  public static void main(String[] args) throws IOException {
    SparkConf settings =
        new SparkConf()
            .setIfMissing("spark.master", "local[*]")
            .setIfMissing("spark.app.name", "ScoreInSpark")
            .setIfMissing("spark.log.level", "ERROR")
            .setIfMissing("spark.ui.enabled", "false");
    try (SparkSession spark = SparkSession.builder().config(settings).getOrCreate()) {
      // Lines end at line feeds alone. As binary they keep their bytes, UTF-8 or not.
      Dataset<Row> lines =
          spark
              .read()
              .option("lineSep", "\n")
              .text(args[1])
              .withColumn("bytes", col("value").cast("binary"));
      Dataset<Row> scores =
          new GateFuseTransformer()
              .setModelPath(args[0])
              .setInputCol("bytes")
              .setOutputCol("bits_per_byte")
              .transform(lines)
              .withColumn("predictions", expr("length(bytes) + 1")) // its bytes, and its end
              .cache();
      Row all =
          scores
              .selectExpr(
                  "sum(bits_per_byte * predictions) / sum(predictions)", "count(*)", "sum(predictions)")
              .first();
      System.out.printf(
          "%.4f bits per byte, %d lines, %d predictions%n",
          all.getDouble(0), all.getLong(1), all.getLong(2));
      for (Row row : scores.sort(col("bits_per_byte").desc()).limit(10).collectAsList()) {
        System.out.printf(
            "%7.3f  %s%n", row.<Double>getAs("bits_per_byte"), row.<String>getAs("value"));
      }
    }
  }

  private ScoreInSpark() {}
}
