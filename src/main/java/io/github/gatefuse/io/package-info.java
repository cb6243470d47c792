// SPDX-License-Identifier: Apache-2.0

/**
 * Reading and writing of weights: the safetensors format, and the gate orders of other frameworks.
 *
 * <p>Files are taken to be hostile until their headers have been checked. What is not as the format
 * promises is a {@link io.github.gatefuse.GatefuseException} with {@link
 * io.github.gatefuse.GatefuseException.Code#BAD_FILE} that names the file and the field; a file
 * that cannot be opened, read or written one with {@link
 * io.github.gatefuse.GatefuseException.Code#IO_FAILED}.
 */
package io.github.gatefuse.io;
