// SPDX-License-Identifier: Apache-2.0

/**
 * What a backend implements. A {@link io.github.gatefuse.spi.BackendProvider} is found by {@link
 * java.util.ServiceLoader}; it makes models, those make sessions, and those make calls.
 *
 * <p>Shapes, values of tokens and lengths, kinds of buffers, one thread at a time, and the order of
 * closing are checked before they come here. Whether memory overlaps is for a backend that cares.
 */
package io.github.gatefuse.spi;
