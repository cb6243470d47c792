// SPDX-License-Identifier: Apache-2.0

/**
 * Serving: requests of many threads run as batches ({@link io.github.gatefuse.serving.Batcher}),
 * and very many streams that each keep their state ({@link io.github.gatefuse.serving.StreamPool}).
 */
package io.github.gatefuse.serving;
