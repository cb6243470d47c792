// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

/**
 * What a look into a network on held-out data showed. Not to be changed.
 *
 * @param gates effective gates, of some steps of some sequences and all units
 * @param complements 1 - each of these
 * @param gradientByDistance the mean length of the gradient by the input that lies so many steps
 *     before the last, of a loss at the last step alone
 */
record Insight(float[] gates, float[] complements, double[] gradientByDistance) {}
