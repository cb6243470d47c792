// SPDX-License-Identifier: Apache-2.0

/**
 * Comparisons of variants on a task: trainings over several seeds, and a folder with a report,
 * tables and figures. Not part of the interface of this library.
 */
package io.github.gatefuse.experiment;
