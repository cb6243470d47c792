// SPDX-License-Identifier: Apache-2.0

/**
 * GateFuse as an engine of the Deep Java Library (DJL), found by its name {@value
 * io.github.gatefuse.djl.GatefuseEngine#NAME}.
 *
 * <pre>{@code
 * Criteria<NDList, NDList> criteria =
 *     Criteria.builder()
 *         .setTypes(NDList.class, NDList.class)
 *         .optEngine("GateFuse")
 *         .optModelPath(Path.of("folder")) // with a .safetensors file in it
 *         .build();
 * }</pre>
 *
 * <h2>Inputs</h2>
 *
 * <p>T steps, B sequences, I features, H units, L layers in D directions, V rows of an embedding, O
 * of a head. Arrays are known by their names, or, where none has a name, by this order:
 *
 * <ol>
 *   <li>{@code x} [B, T, I], float32; for a network with an embedding {@code tokens} [B, T], int32
 *       or int64, each 0 to V-1
 *   <li>{@code lengths} [B], int32 or int64, each 1 to T; without them every sequence has T steps
 *   <li>{@code h0} [B, L*D, H], float32, the hidden states at first; zeros if left out
 *   <li>{@code c0}, the same for the cell states, for cells that have them
 *   <li>{@code targets} [B, T], int32 or int64, each 0 to O-1, for {@code target_log_probabilities}
 * </ol>
 *
 * <h2>Outputs</h2>
 *
 * <p>Float32, named, those that the option {@code outputs} lists and in its order: {@code y} [B, T,
 * D*H], {@code hn} and {@code cn} [B, L*D, H], and with a head {@code logits} and {@code
 * log_probabilities} [B, T, O] and {@code target_log_probabilities} [B, T]. By default that is what
 * comes last in the network ({@code logits}, without a head {@code y}), {@code hn} and {@code cn}.
 * If there were lengths, they come back as the last output, int32; past them the sequences are 0
 * and the states stand still.
 *
 * <p>With the option {@code layout=time} the first two indices of all arrays change places, as
 * PyTorch has it: [T, B, ...], and states [L*D, B, H].
 */
package io.github.gatefuse.djl;
