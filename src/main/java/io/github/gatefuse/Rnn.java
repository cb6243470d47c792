// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.io.Safetensors;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendSession;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A recurrent network: weights packed once for a backend, and changed by {@link #update} only.
 *
 * <p>Thread-safe: any number of threads may make sessions of one network and run them at the same
 * time. An update is refused while a session is in use, and refuses the use of sessions while it
 * runs.
 */
public final class Rnn implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Rnn.class);

  private final RnnSpec spec;
  private final Backend backend;
  private final BackendModel model;

  /** One sentence for each better backend that does not run here. */
  private final List<String> refused;

  private final Fingerprint fingerprint;
  private final long bytes;
  private final LeakReport leak;

  /**
   * The open sessions; the lock of all that opens and closes, and of updates. They are not referred
   * to themselves, so that a forgotten one is garbage and is reported.
   */
  private final List<SessionUse> sessions = new ArrayList<>();

  private boolean closed;

  /** The number of updates; written when this thread holds all sessions, read by their holders. */
  private int version;

  Rnn(RnnSpec spec, Fingerprint fingerprint, Backends.Choice choice) {
    this.spec = spec;
    this.fingerprint = fingerprint;
    this.backend = choice.backend();
    this.model = choice.model();
    this.refused = choice.refused();
    this.bytes = model.bytes();
    this.leak =
        LeakReport.watch(
            this, "A network", report -> LOG.warn(report.message(), report.creation()));
  }

  /**
   * Makes a network on the best backend that runs here.
   *
   * @param spec what it is
   * @param weights its parameters, copied
   * @return a network that the caller owns and closes
   * @throws IllegalArgumentException if the weights do not fit
   * @throws GatefuseException if memory runs out
   */
  public static Rnn create(RnnSpec spec, Weights weights) {
    return create(spec, weights, RnnOptions.DEFAULT);
  }

  /**
   * Makes a network on a backend, in float32 and on the first device.
   *
   * @param spec what it is
   * @param weights its parameters, copied
   * @param backend what computes it, as in {@link #create(RnnSpec, Weights, RnnOptions)}
   * @return a network that the caller owns and closes
   * @throws IllegalArgumentException if the weights do not fit
   * @throws GatefuseException if the backend does not run here, saying why, or memory runs out
   */
  public static Rnn create(RnnSpec spec, Weights weights, Backend backend) {
    return create(spec, weights, RnnOptions.of(backend));
  }

  /**
   * Makes a network. A backend that is asked for by name runs or is an error; only {@link
   * Backend#AUTO} chooses, among all that run here and have the precision and the device, or as the
   * system property {@code gatefuse.backend} names.
   *
   * @param spec what it is
   * @param weights its parameters, copied
   * @param options what computes it, and how
   * @return a network that the caller owns and closes
   * @throws IllegalArgumentException if the weights do not fit, or the backend has no such
   *     precision or device, naming those that it has
   * @throws GatefuseException if the backend does not run here, saying why, or memory runs out
   */
  public static Rnn create(RnnSpec spec, Weights weights, RnnOptions options) {
    Objects.requireNonNull(spec, "spec");
    Objects.requireNonNull(weights, "weights");
    Objects.requireNonNull(options, "options");
    weights.check(spec);
    Fingerprint fingerprint = Fingerprint.of(spec, weights);
    return new Rnn(spec, fingerprint, Backends.installed().create(spec, weights, options));
  }

  /**
   * Reads a network from a safetensors file, onto the best backend that runs here. An embedding or
   * a head in the file that the network does not have is left out.
   *
   * @param safetensors the file
   * @param spec what the network is
   * @param prefix what its parameter names begin with in the file, such as {@code rnn.}; empty for
   *     nothing
   * @return a network that the caller owns and closes
   * @throws IllegalArgumentException if the weights do not fit
   * @throws GatefuseException if the file cannot be read or is not what its format promises, or
   *     memory runs out
   */
  public static Rnn load(Path safetensors, RnnSpec spec, String prefix) {
    return load(safetensors, spec, prefix, RnnOptions.DEFAULT);
  }

  /**
   * Reads a network from a safetensors file. An embedding or a head in the file that the network
   * does not have is left out.
   *
   * @param safetensors the file
   * @param spec what the network is
   * @param prefix what its parameter names begin with in the file, such as {@code rnn.}; empty for
   *     nothing
   * @param options what computes it, and how, as in {@link #create(RnnSpec, Weights, RnnOptions)}
   * @return a network that the caller owns and closes
   * @throws IllegalArgumentException if the weights do not fit, or the backend has no such
   *     precision or device, naming those that it has
   * @throws GatefuseException if the file cannot be read or is not what its format promises, the
   *     backend does not run here, or memory runs out
   */
  public static Rnn load(Path safetensors, RnnSpec spec, String prefix, RnnOptions options) {
    try (Safetensors file = Safetensors.open(safetensors)) {
      return load(file, spec, prefix, options);
    }
  }

  /**
   * The same from a file that is open, for programs that read more of it than the network.
   *
   * @param safetensors the file, which stays open, and is not needed any more afterwards
   * @param spec what the network is
   * @param prefix what its parameter names begin with in the file; empty for nothing
   * @param options what computes it, and how
   * @return a network that the caller owns and closes
   * @throws IllegalArgumentException as {@link #load(Path, RnnSpec, String, RnnOptions)} does
   * @throws GatefuseException as {@link #load(Path, RnnSpec, String, RnnOptions)} does
   */
  public static Rnn load(Safetensors safetensors, RnnSpec spec, String prefix, RnnOptions options) {
    return create(spec, safetensors.weights(prefix).of(spec), options);
  }

  /**
   * What the network is.
   *
   * @return the specification
   */
  public RnnSpec spec() {
    return spec;
  }

  /**
   * What computes it.
   *
   * @return the backend that runs, never {@link Backend#AUTO}
   */
  public Backend backend() {
    return backend;
  }

  /**
   * The memory of the packed weights.
   *
   * @return bytes
   */
  public long bytes() {
    return bytes;
  }

  /**
   * Which network this is: equal for two networks of the same specification and parameters,
   * whatever computes them, and different for any others.
   *
   * @return a SHA-256 of both
   * @throws IllegalStateException once the parameters have been updated
   */
  public byte[] fingerprint() {
    synchronized (sessions) {
      if (version > 0) {
        throw new IllegalStateException(
            "fingerprint: expected the parameters that the network was made with, got updated"
                + " ones");
      }
    }
    return fingerprint.bytes();
  }

  /**
   * Whether runs can pick their states by row; see {@link ForwardCall#stateRows}.
   *
   * @return true on the CPU, on CUDA and for the reference; false for cuDNN
   */
  public boolean hasStateRows() {
    return model.hasStateRows();
  }

  /**
   * Whether the network is on a device with memory of its own, that calls take; see {@link
   * #deviceMemory}.
   *
   * @return true on CUDA
   */
  public boolean hasDeviceMemory() {
    return model.hasStreams();
  }

  /**
   * Allocates memory of the device that the network is on.
   *
   * @param floats values of float32, 1 to 2^61-1
   * @return memory of zeros, that the caller owns and closes; it may outlive the network
   * @throws IllegalArgumentException if the size is out of range, or the backend has no device
   *     memory
   * @throws IllegalStateException if this network is closed
   * @throws GatefuseException if memory runs out
   */
  public DeviceMemory deviceMemory(long floats) {
    if (!hasDeviceMemory()) {
      throw new IllegalArgumentException(
          "device memory: expected a network on a device, got one of the "
              + backend.id()
              + " backend, which has none");
    }
    if (floats < 1 || floats > Long.MAX_VALUE / Float.BYTES) {
      throw new IllegalArgumentException(
          "floats: expected 1 to " + Long.MAX_VALUE / Float.BYTES + ", got " + floats);
    }
    synchronized (sessions) {
      checkOpen();
      return new DeviceMemory(model.deviceMemory(floats), floats);
    }
  }

  /**
   * Makes a session with as many threads as the process may use.
   *
   * @param maxSteps the largest T of a call, at least 1
   * @param maxBatch the largest B of a call, at least 1
   * @return a session that the caller owns, and closes before this network
   * @throws IllegalArgumentException if a size is out of range
   * @throws IllegalStateException if this network is closed
   * @throws GatefuseException if memory runs out
   */
  public Session session(int maxSteps, int maxBatch) {
    return session(SessionOptions.of(maxSteps, maxBatch));
  }

  /**
   * Makes a session.
   *
   * @param options its capacity, and how it runs
   * @return a session that the caller owns, and closes before this network
   * @throws IllegalArgumentException if the backend has no such tier, or it does not fit the
   *     network or the device; or if it has no products by a vendor, no such way back or no
   *     regularization
   * @throws IllegalStateException if this network is closed
   * @throws GatefuseException if memory runs out, or the vendor's library is not found or fails
   */
  public Session session(SessionOptions options) {
    synchronized (sessions) {
      checkOptions(options);
      BackendSession backendSession = model.session(options);
      boolean made = false;
      try {
        SessionUse use = new SessionUse();
        Session session =
            new Session(this, options, use, backendSession, model.hasStreams(), refused);
        sessions.add(use);
        made = true;
        return session;
      } finally {
        if (!made) {
          backendSession.close();
        }
      }
    }
  }

  /**
   * The workspace that a session of these options would have. Native backends allocate nothing of
   * it to find out.
   *
   * @param options its capacity, and how it runs
   * @return bytes, as {@link Session#bytes} of a new session
   * @throws IllegalArgumentException as {@link #session(SessionOptions)} does
   * @throws IllegalStateException if this network is closed
   * @throws GatefuseException if the backend has to try, and memory runs out
   */
  public long sessionBytes(SessionOptions options) {
    synchronized (sessions) {
      checkOptions(options);
      return model.sessionBytes(options);
    }
  }

  /**
   * Replaces the values of all parameters, as training does after every step. Sessions stay as they
   * are; a way back needs a new run.
   *
   * <p>Any thread may call it, at a time when no session of this network is in use: it waits for
   * none. Sessions cannot be used until it returns.
   *
   * @param parameters of this network, copied
   * @throws IllegalArgumentException if they are those of another network
   * @throws IllegalStateException if this network is closed, or a session is in use or has enqueued
   *     calls that are not synchronized; nothing is changed then
   * @throws UnsupportedOperationException if the backend cannot replace parameters
   * @throws GatefuseException if the backend fails
   */
  public void update(Parameters parameters) {
    parameters.check("parameters", spec);
    synchronized (sessions) {
      checkOpen();
      int held = 0;
      try {
        while (held < sessions.size()) {
          hold(sessions.get(held));
          held++;
        }
        model.update(parameters);
        version++;
      } finally {
        for (int i = 0; i < held; i++) {
          sessions.get(i).release();
        }
      }
    }
  }

  private static void hold(SessionUse session) {
    if (!session.tryAcquire()) {
      throw new IllegalStateException(
          "update: expected all sessions of the network at rest, got one in use");
    }
    if (session.pending) {
      session.release();
      throw new IllegalStateException(
          "update: expected all sessions of the network at rest, got one with enqueued calls");
    }
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("network is closed");
    }
  }

  private void checkOptions(SessionOptions options) {
    Objects.requireNonNull(options, "options");
    checkTier(options.tier());
    checkBackward(options.backward());
    if (options.vendorProducts() && !model.hasVendorProducts()) {
      throw new IllegalArgumentException(
          "vendorProducts: expected false on the " + backend.id() + " backend, got true");
    }
    checkRegularization(options.regularization());
    checkOpen();
  }

  private void checkRegularization(Regularization regularization) {
    regularization.check(spec);
    if (!regularization.isNone() && !model.hasRegularization()) {
      throw new IllegalArgumentException(
          ("regularization: expected none on the " + backend.id() + " backend, got ")
              + regularization.rates());
    }
  }

  private void checkBackward(Backward backward) {
    if (!model.backwards().contains(backward)) {
      String expected =
          model.backwards().stream().sorted().map(Backward::id).collect(Collectors.joining(", "));
      throw new IllegalArgumentException(
          ("backward: expected " + expected + " on the " + backend.id() + " backend, got ")
              + backward.id());
    }
  }

  private void checkTier(Tier tier) {
    if (!model.tiers().contains(tier)) {
      String expected =
          model.tiers().stream().sorted().map(Tier::id).collect(Collectors.joining(", "));
      throw new IllegalArgumentException(
          ("tier: expected " + expected + " on the " + backend.id() + " backend, got ")
              + tier.id());
    }
  }

  /** The number of updates, for the thread that holds a session. */
  int version() {
    return version;
  }

  /** A session has freed its memory. */
  void sessionClosed(SessionUse use) {
    synchronized (sessions) {
      sessions.remove(use);
    }
  }

  /**
   * Frees the weights. A second close does nothing.
   *
   * @throws IllegalStateException if sessions are open, naming how many; the network then stays
   *     open
   */
  @Override
  public void close() {
    synchronized (sessions) {
      if (closed) {
        return;
      }
      if (!sessions.isEmpty()) {
        throw new IllegalStateException(
            "network: expected all sessions to be closed before it, got "
                + (sessions.size() + " open"));
      }
      closed = true;
      leak.closed();
      model.close();
    }
  }
}
