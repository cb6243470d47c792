// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.io.InputStream;
import java.io.PrintStream;

/**
 * What a command reads from and writes to.
 *
 * @param in standard input
 * @param out standard output
 * @param err standard error, for progress and for what is not the result
 * @param terminal whether standard error is a terminal
 */
record Console(InputStream in, Output out, PrintStream err, boolean terminal) {}
