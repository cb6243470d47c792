// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import io.github.gatefuse.RnnSpec;
import java.util.Iterator;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoder;
import org.apache.spark.util.TaskCompletionListener;

/** Scores a partition's elements, in their order and as they are asked for. */
final class PartitionScorer<IN, OUT> implements MapPartitionsFunction<IN, OUT> {
  private static final long serialVersionUID = 1;

  private final Broadcast<ModelFile> model;
  private final Scoring<IN, OUT> scoring;

  private PartitionScorer(Broadcast<ModelFile> model, Scoring<IN, OUT> scoring) {
    this.model = model;
    this.scoring = scoring;
  }

  /**
   * Scores a dataset.
   *
   * @throws IllegalArgumentException if the network does not have the output
   */
  static <IN, OUT> Dataset<OUT> apply(
      Dataset<IN> dataset,
      ModelFile model,
      RnnSpec spec,
      Scoring<IN, OUT> scoring,
      Encoder<OUT> encoder) {
    scoring.check(spec);
    Broadcast<ModelFile> everywhere =
        JavaSparkContext.fromSparkContext(dataset.sparkSession().sparkContext()).broadcast(model);
    return dataset.mapPartitions(new PartitionScorer<>(everywhere, scoring), encoder);
  }

  @Override
  public Iterator<OUT> call(Iterator<IN> elements) {
    TaskContext task = TaskContext.get();
    ScoredElements<IN, OUT> scored =
        ScoredElements.start(
            elements,
            SharedNetworks.lease(model.value()),
            scoring,
            task.partitionId(),
            task.cpus());
    TaskCompletionListener listener = ended -> scored.close();
    task.addTaskCompletionListener(listener);
    return scored;
  }
}
