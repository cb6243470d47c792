// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.serving.Output;
import java.util.Arrays;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import scala.collection.mutable.ArraySeq;

/**
 * Appends a column with the scores to rows.
 *
 * @param width the outputs of one step
 */
record ScoreColumn(Output output, int width) implements ResultBuilder<Row, Row> {
  ScoreColumn(Output output, RnnSpec spec) {
    this(output, output == Output.HIDDEN ? spec.outputSize() : spec.outputs());
  }

  DataType type() {
    DataType values = DataTypes.createArrayType(DataTypes.FloatType, false);
    return switch (output) {
      case TARGET_LOG_PROBABILITIES -> DataTypes.DoubleType;
      case LAST_HIDDEN, LAST_LOGITS -> values;
      case HIDDEN, LOGITS, LOG_PROBABILITIES -> DataTypes.createArrayType(values, false);
    };
  }

  @Override
  public Row result(Row row, float[] outputs) {
    Object[] values = new Object[row.size() + 1];
    for (int i = 0; i < row.size(); i++) {
      values[i] = row.get(i);
    }
    values[row.size()] = outputs == null ? null : score(outputs);
    return RowFactory.create(values);
  }

  private Object score(float[] outputs) {
    return switch (output) {
      case TARGET_LOG_PROBABILITIES -> BitsPerByte.of(outputs);
      case LAST_HIDDEN, LAST_LOGITS -> ArraySeq.make(outputs);
      case HIDDEN, LOGITS, LOG_PROBABILITIES -> steps(outputs);
    };
  }

  private Object steps(float[] outputs) {
    Object[] steps = new Object[outputs.length / width];
    for (int t = 0; t < steps.length; t++) {
      steps[t] = ArraySeq.make(Arrays.copyOfRange(outputs, t * width, (t + 1) * width));
    }
    return ArraySeq.make(steps);
  }
}
