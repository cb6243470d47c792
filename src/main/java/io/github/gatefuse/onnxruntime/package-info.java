// SPDX-License-Identifier: Apache-2.0

/**
 * ONNX Runtime with GateFuse's kernels: the library of custom operators, and what moves the LSTM
 * and GRU nodes of a model to them.
 *
 * <p>Nothing here needs ONNX Runtime's classes. {@code docs/onnxruntime.md} describes the
 * operators.
 */
package io.github.gatefuse.onnxruntime;
