// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import java.time.Duration;

/**
 * How long something took, over all times that it was done. Percentiles are at most 7 % above what
 * they stand for; mean and maximum are exact.
 *
 * <p>Immutable and thread-safe.
 *
 * @param count how often it was done
 * @param mean the mean
 * @param p50 the median
 * @param p90 what 9 of 10 are within
 * @param p99 what 99 of 100 are within
 * @param p999 what 999 of 1000 are within
 * @param max the longest
 */
public record Timing(
    long count,
    Duration mean,
    Duration p50,
    Duration p90,
    Duration p99,
    Duration p999,
    Duration max) {}
