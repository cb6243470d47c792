// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Precision;
import io.github.gatefuse.RnnOptions;
import java.io.Serializable;
import java.time.Duration;
import org.apache.flink.util.OutputTag;

/**
 * What a scorer was built with.
 *
 * @param features null for a network with an embedding
 * @param tokens null for a network without
 * @param start null, if states are never begun anew
 * @param refused where events go that cannot be scored; null, if they fail the job
 * @param timeToLive of a key's state without events; null for ever
 */
record Settings<IN, OUT>(
    Model model,
    FeatureExtractor<IN> features,
    TokenExtractor<IN> tokens,
    SequenceStart<IN> start,
    ResultBuilder<IN, OUT> result,
    Output output,
    int batchSize,
    int maxBuffered,
    Duration timeLimit,
    int threads,
    Backend backend,
    Precision precision,
    OutputTag<IN> refused,
    Duration timeToLive)
    implements Serializable {

  RnnOptions options() {
    return RnnOptions.of(backend).withPrecision(precision);
  }
}
