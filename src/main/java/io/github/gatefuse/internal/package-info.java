// SPDX-License-Identifier: Apache-2.0

/**
 * The native backends, CPU and CUDA: the C interface seen from Java; and what packages share. Not
 * part of the API.
 */
package io.github.gatefuse.internal;
