// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

/**
 * A point of a learning curve.
 *
 * @param step the steps taken
 * @param seconds of training and evaluations
 * @param trainingLoss the mean since the point before; NaN before the first step
 * @param gradientNorm the mean since the point before; NaN before the first step
 * @param loss on held-out data
 * @param accuracy on held-out data
 * @param metric the task's own
 */
record Point(
    long step,
    double seconds,
    double trainingLoss,
    double gradientNorm,
    double loss,
    double accuracy,
    double metric) {}
