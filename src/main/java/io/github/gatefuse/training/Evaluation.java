// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

/**
 * How good a network is on batches that it does not learn from.
 *
 * @param loss the mean loss over all places
 * @param accuracy the share of right predictions, 0 for objectives without
 * @param weight of all places together
 */
public record Evaluation(double loss, double accuracy, double weight) {}
