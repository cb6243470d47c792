// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.Objects;

/**
 * The capacity of a {@link Session}: its workspace is made for this many steps and rows, once. And
 * how it runs.
 *
 * <p>Immutable and thread-safe.
 *
 * @param maxSteps the largest T of a call, at least 1
 * @param maxBatch the largest B of a call, at least 1
 * @param threads the most threads that a call uses, the caller's included; 0 for as many as the
 *     process may use
 * @param tier how the CUDA backend runs; other backends have {@link Tier#AUTO} only
 * @param vendorProducts whether the CUDA backend multiplies with NVIDIA's cuBLASLt; false for other
 *     backends
 * @param backward what runs keep for {@link Session#backward}; some backends have {@link
 *     Backward#NONE} only
 * @param regularization what training leaves to chance; some backends have {@link
 *     Regularization#NONE} only
 */
public record SessionOptions(
    int maxSteps,
    int maxBatch,
    int threads,
    Tier tier,
    boolean vendorProducts,
    Backward backward,
    Regularization regularization) {
  /**
   * Checks every component.
   *
   * @param maxSteps at least 1
   * @param maxBatch at least 1; the product with maxSteps at most 2^31-1
   * @param threads at least 0
   * @param tier not null
   * @param vendorProducts either
   * @param backward not null
   * @param regularization not null
   * @throws IllegalArgumentException naming the component, what was expected and what came
   */
  public SessionOptions {
    atLeast("maxSteps", maxSteps, 1);
    atLeast("maxBatch", maxBatch, 1);
    atLeast("threads", threads, 0);
    Objects.requireNonNull(tier, "tier");
    Objects.requireNonNull(backward, "backward");
    Objects.requireNonNull(regularization, "regularization");
    long rows = (long) maxSteps * maxBatch;
    if (rows > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "maxSteps "
              + maxSteps
              + " x maxBatch "
              + maxBatch
              + ": expected at most 2^31-1 rows, got "
              + rows);
    }
  }

  private static void atLeast(String name, int value, int least) {
    if (value < least) {
      throw new IllegalArgumentException(name + ": expected at least " + least + ", got " + value);
    }
  }

  /**
   * A capacity with as many threads as the process may use, no way back and no regularization.
   *
   * @param maxSteps the largest T, at least 1
   * @param maxBatch the largest B, at least 1
   * @return the options
   */
  public static SessionOptions of(int maxSteps, int maxBatch) {
    return new SessionOptions(
        maxSteps, maxBatch, 0, Tier.AUTO, false, Backward.NONE, Regularization.NONE);
  }

  /**
   * The same with another number of threads; results have the same bits for every number.
   *
   * @param value the most threads of a call, the caller's included; 0 for as many as the process
   *     may use
   * @return new options
   */
  public SessionOptions withThreads(int value) {
    return new SessionOptions(
        maxSteps, maxBatch, value, tier, vendorProducts, backward, regularization);
  }

  /**
   * The same with another tier.
   *
   * @param value how the CUDA backend runs; one that does not fit the network or the device is an
   *     error of {@link Rnn#session(SessionOptions)} that says why
   * @return new options
   */
  public SessionOptions withTier(Tier value) {
    return new SessionOptions(
        maxSteps, maxBatch, threads, value, vendorProducts, backward, regularization);
  }

  /**
   * The same with another way back.
   *
   * @param value what runs keep for {@link Session#backward}; one that the backend does not have is
   *     an error of {@link Rnn#session(SessionOptions)}
   * @return new options
   */
  public SessionOptions withBackward(Backward value) {
    return new SessionOptions(
        maxSteps, maxBatch, threads, tier, vendorProducts, value, regularization);
  }

  /**
   * The same with another regularization. Only runs of {@link ForwardCall#training} draw by it; of
   * other runs zoneout makes means, so that a network which was trained with it is to be run with
   * it.
   *
   * @param value what is left to chance; one that the network or the backend does not have is an
   *     error of {@link Rnn#session(SessionOptions)}
   * @return new options
   */
  public SessionOptions withRegularization(Regularization value) {
    return new SessionOptions(maxSteps, maxBatch, threads, tier, vendorProducts, backward, value);
  }

  /**
   * The same with products by NVIDIA's cuBLASLt, or without. It multiplies the inputs of all steps
   * and what the head takes in; the products within a step stay this library's. The library,
   * libcublasLt.so.13 or .12, is searched for when a session asks for it: where the dynamic linker
   * looks, or at the path in the environment variable {@code GATEFUSE_CUBLASLT}.
   *
   * <p>It sums in orders of its own. So two promises about bits do not hold with it: that a
   * sequence gives the same whatever else is in its batch, and that it does when it is cut. {@link
   * Session#path()} says so.
   *
   * @param value whether; where it is true and the library is missing, {@link
   *     Rnn#session(SessionOptions)} throws a {@link GatefuseException} that says what was looked
   *     for
   * @return new options
   */
  public SessionOptions withVendorProducts(boolean value) {
    return new SessionOptions(maxSteps, maxBatch, threads, tier, value, backward, regularization);
  }
}
