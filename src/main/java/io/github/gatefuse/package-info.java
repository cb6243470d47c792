// SPDX-License-Identifier: Apache-2.0

/**
 * Gated recurrent networks over whole sequences, in one call.
 *
 * <p>An {@link io.github.gatefuse.RnnSpec} says what a network is, {@link
 * io.github.gatefuse.Weights} hold its parameters. {@link io.github.gatefuse.Rnn#create} makes a
 * model that any number of threads share; {@link io.github.gatefuse.Rnn#session} makes a workspace
 * for one thread at a time, which runs sequences:
 *
 * <pre>{@code
 * try (Rnn rnn = Rnn.create(spec, weights);
 *     Session session = rnn.session(maxSteps, maxBatch)) {
 *   float[] y = session.forward(steps, batch, x);
 * }
 * }</pre>
 *
 * <p>Shapes are written with T steps, B sequences (rows of the batch), I inputs, H hidden units, L
 * layers, D directions, V rows of an embedding and O outputs of a head; row-major, the last index
 * contiguous.
 *
 * <p>Errors: {@link java.lang.IllegalArgumentException} for arguments, in words; {@link
 * java.lang.IllegalStateException} for use after close or by two threads at once; {@link
 * io.github.gatefuse.GatefuseException} with a code for the rest.
 */
package io.github.gatefuse;
