// SPDX-License-Identifier: Apache-2.0

/**
 * The pure-Java reference, which says what the right answer is.
 *
 * <p>Each cell is a file of its own name that declares what it needs of the driver and holds its
 * pointwise mathematics, once for every rounding. The driver knows no cell: it does the products W
 * x + b and R h + b', kept apart where a cell asks for it, a second product inside the step, and
 * the cumulative softmax over chunked blocks.
 */
package io.github.gatefuse.reference;
