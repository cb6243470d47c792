// SPDX-License-Identifier: Apache-2.0
/**
 * Scores the rows of Spark's datasets with recurrent networks: each row is a sequence, scored from
 * a state of zeros. {@link io.github.gatefuse.spark.GateFuseTransformer} is a stage of ML
 * pipelines, {@link io.github.gatefuse.spark.GateFuseScorer} is for typed datasets.
 */
package io.github.gatefuse.spark;
