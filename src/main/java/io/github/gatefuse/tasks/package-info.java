// SPDX-License-Identifier: Apache-2.0

/**
 * The tasks on which gates are compared: adding, copy, images pixel by pixel, text, programs to
 * execute, and a room in which to remember.
 *
 * <p>Every batch is a pure function of a seed and its number, so a run can be repeated, resumed and
 * compared. Files are taken to be hostile: what is not as its format promises is a {@link
 * io.github.gatefuse.GatefuseException} with {@link
 * io.github.gatefuse.GatefuseException.Code#BAD_FILE} that names the file, what was expected and
 * what came; a file that cannot be read one with {@link
 * io.github.gatefuse.GatefuseException.Code#IO_FAILED}.
 */
package io.github.gatefuse.tasks;
