// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.serving.Output;
import io.github.gatefuse.serving.Request;
import java.nio.charset.StandardCharsets;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StringType;
import scala.collection.Seq;

/** The sequences in a column of rows, by the column's type. */
final class ColumnSequences implements Sequences<Row> {
  private static final long serialVersionUID = 1;

  /** What a column holds. */
  private enum Kind {
    TEXT,
    BINARY,
    /** array<int> */
    TOKENS,
    /** array<float>: [T, I], step by step. */
    VALUES,
    /** array<array<float>>: [T][I]. */
    STEPS
  }

  private final int column;
  private final Kind kind;
  private final int width;
  private final Output output;

  private ColumnSequences(int column, Kind kind, int width, Output output) {
    this.column = column;
    this.kind = kind;
    this.width = width;
    this.output = output;
  }

  /**
   * Reads a column.
   *
   * @param name of the column, for messages
   * @throws IllegalArgumentException if the network cannot read a column of that type
   */
  static ColumnSequences of(int column, String name, DataType type, RnnSpec spec, Output output) {
    Kind kind = kind(type);
    boolean fits =
        kind != null
            && switch (kind) {
              case TEXT, BINARY -> spec.vocabulary() == BYTES;
              case TOKENS -> spec.vocabulary() > 0 && output != Output.TARGET_LOG_PROBABILITIES;
              case VALUES, STEPS -> spec.vocabulary() == 0;
            };
    if (!fits) {
      throw new IllegalArgumentException(
          ("column " + name + ": expected " + expected(spec, output) + ", got ") + type.sql());
    }
    return new ColumnSequences(column, kind, spec.inputSize(), output);
  }

  /** Whether a column is one of lines. */
  static boolean isBytes(DataType type) {
    return kind(type) == Kind.TEXT || kind(type) == Kind.BINARY;
  }

  private static Kind kind(DataType type) {
    if (type instanceof StringType) {
      return Kind.TEXT;
    }
    if (type.equals(DataTypes.BinaryType)) {
      return Kind.BINARY;
    }
    if (!(type instanceof ArrayType array)) {
      return null;
    }
    if (array.elementType().equals(DataTypes.IntegerType)) {
      return Kind.TOKENS;
    }
    if (isNumber(array.elementType())) {
      return Kind.VALUES;
    }
    return array.elementType() instanceof ArrayType inner && isNumber(inner.elementType())
        ? Kind.STEPS
        : null;
  }

  private static boolean isNumber(DataType type) {
    return type.equals(DataTypes.FloatType) || type.equals(DataTypes.DoubleType);
  }

  private static String expected(RnnSpec spec, Output output) {
    if (spec.vocabulary() == 0) {
      return "numbers for a network without an embedding (ARRAY<FLOAT> or ARRAY<ARRAY<FLOAT>>, or"
          + " of DOUBLE)";
    }
    if (output == Output.TARGET_LOG_PROBABILITIES) {
      return "lines for a byte model (STRING or BINARY)";
    }
    return "tokens for a network with an embedding (ARRAY<INT>"
        + (spec.vocabulary() == BYTES ? ", STRING or BINARY)" : ")");
  }

  @Override
  public Request request(Row row) {
    if (row.isNullAt(column)) {
      throw new InvalidRow("expected a sequence, got null");
    }
    return switch (kind) {
      case TEXT -> Sequences.bytes(row.getString(column).getBytes(StandardCharsets.UTF_8), output);
      case BINARY -> Sequences.bytes(row.getAs(column), output);
      case TOKENS -> Request.of(tokens(row.getSeq(column)));
      case VALUES -> Request.of(values(row.getSeq(column)));
      case STEPS -> Request.of(steps(row.getSeq(column)));
    };
  }

  private static int[] tokens(Seq<Object> column) {
    int[] tokens = new int[column.size()];
    for (int t = 0; t < tokens.length; t++) {
      if (column.apply(t) == null) {
        throw new InvalidRow("tokens[t=" + t + "]: expected a token, got null");
      }
      tokens[t] = (Integer) column.apply(t);
    }
    return tokens;
  }

  private float[] values(Seq<Object> column) {
    float[] x = new float[column.size()];
    for (int i = 0; i < x.length; i++) {
      x[i] = number(column.apply(i), i);
    }
    return x;
  }

  private float[] steps(Seq<Seq<Object>> column) {
    float[] x = new float[Math.multiplyExact(column.size(), width)];
    for (int t = 0; t < column.size(); t++) {
      Seq<Object> step = column.apply(t);
      if (step == null || step.size() != width) {
        throw new InvalidRow(
            ("x[t=" + t + "]: expected I=" + width + " numbers, got ")
                + (step == null ? "null" : step.size()));
      }
      for (int i = 0; i < width; i++) {
        x[t * width + i] = number(step.apply(i), t * width + i);
      }
    }
    return x;
  }

  private float number(Object value, int index) {
    if (value == null) {
      throw new InvalidRow(
          ("x[t=" + index / width + ", i=" + index % width + "]: expected a finite number, got ")
              + "null");
    }
    return ((Number) value).floatValue();
  }
}
