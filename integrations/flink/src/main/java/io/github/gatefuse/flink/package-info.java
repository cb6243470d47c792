// SPDX-License-Identifier: Apache-2.0
/** Scores the events of Flink's keyed streams with recurrent networks. */
package io.github.gatefuse.flink;
