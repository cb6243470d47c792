// SPDX-License-Identifier: Apache-2.0

/**
 * Reading and writing of weights: the safetensors format, and the gate orders of other frameworks.
 *
 * <p>Files are taken to be hostile until their headers have been checked. What cannot be read is a
 * {@link io.github.gatefuse.GatefuseException} with {@link
 * io.github.gatefuse.GatefuseException.Code#BAD_FILE} that names the file and the field.
 */
package io.github.gatefuse.io;
