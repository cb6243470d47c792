// SPDX-License-Identifier: Apache-2.0

/**
 * Training of networks: losses, optimisers, schedules, checkpoints and the loop around them. It
 * uses the public interface alone, and runs on every backend that can go backwards.
 */
package io.github.gatefuse.training;
