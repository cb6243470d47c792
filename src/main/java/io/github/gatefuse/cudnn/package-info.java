// SPDX-License-Identifier: Apache-2.0

/**
 * The cuDNN backend: the standard LSTM and GRU on NVIDIA's library, as a peer to compare with. Not
 * part of the API.
 *
 * <p>All logic stands on the interface {@link io.github.gatefuse.cudnn.CudnnApi}; its one
 * implementation maps each method to one function of CUDA or cuDNN.
 */
package io.github.gatefuse.cudnn;
