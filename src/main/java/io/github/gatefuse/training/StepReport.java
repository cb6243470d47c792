// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

/**
 * What a step of training found, before it changed the parameters.
 *
 * @param step 0 for the first
 * @param loss the mean loss of the batch
 * @param accuracy the share of right predictions, 0 for objectives without
 * @param gradientNorm the length of the gradient by all parameters, before clipping
 * @param learningRate of this step
 */
public record StepReport(
    long step, double loss, double accuracy, double gradientNorm, double learningRate) {}
