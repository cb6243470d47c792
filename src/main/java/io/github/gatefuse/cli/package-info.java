// SPDX-License-Identifier: Apache-2.0

/**
 * The command line. It uses the API as any other program would; nothing depends on it, and it is
 * not exported.
 */
package io.github.gatefuse.cli;
