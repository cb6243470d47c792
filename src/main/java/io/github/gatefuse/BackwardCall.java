// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.spi.BackendBackwardCall;
import io.github.gatefuse.spi.Gradient;
import java.lang.ref.Reference;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;

/**
 * A way back through the last run of a {@link Session}, prepared once and run many times: the
 * gradient of a loss by everything that the run read, from its gradient by what the run gave
 * (back-propagation through time). Native backends allocate nothing in a run.
 *
 * <pre>{@code
 * Session session = rnn.session(SessionOptions.of(steps, batch).withBackward(Backward.STORE));
 * ForwardCall forward = session.call().input(x).output(y);
 * BackwardCall backward = session.backward().outputGradient(dy).parameterGradients(gradients);
 * forward.run(steps, batch);
 * // ... the loss and its gradient dy by y ...
 * backward.run();
 * }</pre>
 *
 * <p>Steps, batch, layout and lengths are those of the session's last run, by whichever of its
 * methods. The input that it read, x or tokens, is read again: the session keeps it reachable, and
 * nobody may change it in between. Initial state and lengths may change. A run may be gone back
 * through any number of times, with the same gradients given or others.
 *
 * <p>What is not given is zero, what has no place is not computed. Past a sequence's length the
 * gradients given are not read, whatever they hold, and those by the input are 0. Log-probabilities
 * are not gone back through: their gradients are for the caller to take to the logits, for a target
 * with log-probability loss as softmax less one-hot.
 *
 * <p>A run on CUDA may have been enqueued: the way back is on its stream and follows it. After a
 * run in device memory all gradients are in device memory, too, given as in a {@link ForwardCall}:
 * a {@link FloatPointer} whose capacity is set. That a run had only its states there makes no
 * difference: gradients are where its input was.
 *
 * <p>{@link #run} returns when the results are complete, {@link #enqueue} when the way back is on
 * the stream, with the promises of {@link ForwardCall#enqueue}.
 *
 * <p>Buffers are as those of a {@link ForwardCall} in host memory: direct and of native byte order,
 * used from position to limit as these are when a buffer is set, and no copies. Results must not
 * overlap anything else, except that the initial state's gradient may be the final one's, in place.
 *
 * <p>Not thread-safe: one thread at a time, together with its session; use by a second thread at
 * the same time is an {@link IllegalStateException}. There is nothing to close.
 */
public final class BackwardCall extends SessionCall {
  private static final Gradient[] GRADIENTS = Gradient.values();

  private final Session session;
  private final RnnSpec spec;
  private final BackendBackwardCall backend;
  private final Binding[] bindings = new Binding[GRADIENTS.length];
  private State last;
  private State initial;

  /** The shape for which all buffers are large enough and that the backend knows; steps 0: none. */
  private int steps;

  private int batch;
  private boolean batchMajor;
  private boolean onDevice;

  BackwardCall(Session session, BackendBackwardCall backend) {
    this.session = session;
    this.spec = session.spec();
    this.backend = backend;
    for (Gradient gradient : GRADIENTS) {
      bindings[gradient.ordinal()] = new Binding(gradient.label(), gradient.written(), false);
    }
  }

  /**
   * Gives the gradient by the hidden states of the last layer.
   *
   * @param dy [T, B, D*H], read; null: zeros
   * @return this
   * @throws IllegalArgumentException if the buffer is not direct or of another byte order
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall outputGradient(FloatBuffer dy) {
    return set(Gradient.OUTPUT, dy);
  }

  /**
   * Gives the gradient by the hidden states of the last layer, in device memory.
   *
   * @param dy [T, B, D*H], read
   * @return this
   * @throws IllegalArgumentException if the backend has no device memory, or the pointer is null
   *     inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall outputGradient(FloatPointer dy) {
    return set(Gradient.OUTPUT, dy);
  }

  /**
   * Gives the gradient by the state that the run left behind.
   *
   * @param state of the batch of the run, read; null: zeros
   * @return this
   * @throws IllegalArgumentException if it is the state of another kind of network
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall finalStateGradient(State state) {
    session.acquire();
    try {
      bind("finalStateGradient", Gradient.FINAL_HIDDEN, Gradient.FINAL_CELL, state);
      last = state;
    } finally {
      session.release();
    }
    return this;
  }

  /**
   * Gives the gradient by the state that the run left behind, in device memory.
   *
   * @param h [L*D, B, H], read; null: zeros
   * @param c [L*D, B, H], read; null: zeros
   * @return this
   * @throws IllegalArgumentException if there is a c for a cell without, the backend has no device
   *     memory, or a pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall finalStateGradient(FloatPointer h, FloatPointer c) {
    set(Gradient.FINAL_HIDDEN, h).set(Gradient.FINAL_CELL, c);
    last = null;
    return this;
  }

  /**
   * Gives the gradient by the head's outputs.
   *
   * @param dlogits [T, B, O], read; null: zeros
   * @return this
   * @throws IllegalArgumentException if the network has no head, or the buffer is not direct or of
   *     another byte order
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall logitsGradient(FloatBuffer dlogits) {
    return set(Gradient.LOGITS, dlogits);
  }

  /**
   * Gives the gradient by the head's outputs, in device memory.
   *
   * @param dlogits [T, B, O], read
   * @return this
   * @throws IllegalArgumentException if the network has no head, the backend has no device memory,
   *     or the pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall logitsGradient(FloatPointer dlogits) {
    return set(Gradient.LOGITS, dlogits);
  }

  /**
   * Sets where the gradient by the input of a network without an embedding goes.
   *
   * @param dx [T, B, I], written, 0 past each sequence's length; null: it is not computed
   * @return this
   * @throws IllegalArgumentException if the network takes tokens, or the buffer is not direct, of
   *     another byte order or read-only
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall inputGradient(FloatBuffer dx) {
    return set(Gradient.INPUT, dx);
  }

  /**
   * Sets where the gradient by the input of a network without an embedding goes, in device memory.
   *
   * @param dx [T, B, I], written, 0 past each sequence's length
   * @return this
   * @throws IllegalArgumentException if the network takes tokens, the backend has no device memory,
   *     or the pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall inputGradient(FloatPointer dx) {
    return set(Gradient.INPUT, dx);
  }

  /**
   * Sets where the gradient by the state that the run began with goes.
   *
   * @param state of the batch of the run, written; null: it is not kept
   * @return this
   * @throws IllegalArgumentException if it is the state of another kind of network
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall initialStateGradient(State state) {
    session.acquire();
    try {
      bind("initialStateGradient", Gradient.INITIAL_HIDDEN, Gradient.INITIAL_CELL, state);
      initial = state;
    } finally {
      session.release();
    }
    return this;
  }

  /**
   * Sets where the gradient by the state that the run began with goes, in device memory.
   *
   * @param h [L*D, B, H], written; null: it is not kept
   * @param c [L*D, B, H], written; null: it is not kept
   * @return this
   * @throws IllegalArgumentException if there is a c for a cell without, the backend has no device
   *     memory, or a pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall initialStateGradient(FloatPointer h, FloatPointer c) {
    set(Gradient.INITIAL_HIDDEN, h).set(Gradient.INITIAL_CELL, c);
    initial = null;
    return this;
  }

  /**
   * Sets where the gradients by all parameters go.
   *
   * @param gradients of the network, written, or added to; null: they are not computed
   * @return this
   * @throws IllegalArgumentException if they are those of another network
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall parameterGradients(Parameters gradients) {
    if (gradients != null) {
      gradients.check(Gradient.PARAMETERS.label(), spec);
    }
    return set(Gradient.PARAMETERS, gradients == null ? null : gradients.memory());
  }

  /**
   * Sets where the gradients by all parameters go, in device memory.
   *
   * @param gradients one tensor after another in the order of {@link RnnSpec#parameters()},
   *     written, or added to
   * @return this
   * @throws IllegalArgumentException if the backend has no device memory, or the pointer is null
   *     inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall parameterGradients(FloatPointer gradients) {
    return set(Gradient.PARAMETERS, gradients);
  }

  /**
   * Chooses what happens to the gradients by the parameters.
   *
   * @param value true: they are added to what is there, as for a batch in several parts; false, the
   *     default: they are written
   * @return this
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public BackwardCall accumulate(boolean value) {
    session.acquire();
    try {
      backend.accumulate(value);
    } finally {
      session.release();
    }
    return this;
  }

  /**
   * Goes back through the session's last run.
   *
   * @throws IllegalArgumentException in words, if memory is too small for that run or of another
   *     kind, a state is of another batch, or there is no place for any result
   * @throws IllegalStateException if there was no run or it failed, the network was {@linkplain
   *     Rnn#update updated} after it, or the session is closed or in use by another thread
   * @throws GatefuseException if the backend fails; results are then unspecified
   */
  public void run() {
    session.acquire();
    try {
      prepare(session.lastRun());
      backend.run();
      session.forget();
    } finally {
      session.release();
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Puts the way back on the stream of the session's last run and returns without waiting for it.
   * Host buffers must be {@linkplain Devices#pinned page-locked}; results are complete, and what is
   * read may be changed, as {@link ForwardCall#enqueue} has it. On backends without streams this is
   * {@link #run}.
   *
   * @throws IllegalArgumentException as {@link #run} does
   * @throws IllegalStateException as {@link #run} does
   * @throws GatefuseException if the backend fails, in this call or in one that was enqueued
   *     earlier
   */
  public void enqueue() {
    session.acquire();
    try {
      prepare(session.lastRun());
      session.keep(this);
      backend.enqueue();
    } finally {
      session.release();
    }
  }

  private BackwardCall set(Gradient gradient, FloatPointer pointer) {
    return set(() -> bind(gradient, pointer));
  }

  private BackwardCall set(Gradient gradient, FloatBuffer buffer) {
    return set(() -> bind(gradient, buffer));
  }

  private BackwardCall set(Runnable binding) {
    session.acquire();
    try {
      binding.run();
    } finally {
      session.release();
    }
    return this;
  }

  // What follows is for the thread that holds the session.

  private void bind(String name, Gradient hidden, Gradient cell, State state) {
    if (state != null) {
      state.check(name, spec);
    }
    bind(hidden, state == null ? null : state.hiddenMemory());
    bind(cell, state == null ? null : state.cellMemory());
  }

  private void bind(Gradient gradient, FloatBuffer buffer) {
    Binding binding = bindings[gradient.ordinal()];
    if (binding.is(buffer)) {
      return;
    }
    FloatBuffer view = null;
    if (buffer != null) {
      checkAllowed(gradient);
      view = (FloatBuffer) binding.checked(buffer);
    }
    backend.bind(gradient, view);
    binding.set(buffer, view);
    steps = 0;
  }

  private void bind(Gradient gradient, FloatPointer pointer) {
    Binding binding = bindings[gradient.ordinal()];
    if (pointer == null) {
      bind(gradient, (FloatBuffer) null);
      return;
    }
    if (binding.is(pointer)) {
      return;
    }
    checkAllowed(gradient);
    if (!session.hasStreams()) {
      throw new IllegalArgumentException(
          (gradient.label() + ": expected none, since the " + session.backendId())
              + " backend has no device memory; set a buffer");
    }
    backend.bind(gradient, (FloatPointer) binding.checked(pointer));
    binding.set(pointer);
    steps = 0;
  }

  private void checkAllowed(Gradient gradient) {
    boolean ofCell = gradient == Gradient.FINAL_CELL || gradient == Gradient.INITIAL_CELL;
    if (ofCell && !spec.cell().hasCellState()) {
      throw new IllegalArgumentException(
          gradient.label() + ": expected none, since a " + spec.cell().id() + " has no cell state");
    }
    if (gradient == Gradient.INPUT && spec.vocabulary() > 0) {
      throw new IllegalArgumentException(
          gradient.label() + ": expected none, since the network takes tokens");
    }
    if (gradient == Gradient.LOGITS && spec.outputs() == 0) {
      throw new IllegalArgumentException(
          gradient.label() + ": expected none, since the network has no head (outputs 0)");
    }
  }

  private void prepare(LastRun run) {
    boolean known =
        run.steps() == steps
            && run.batch() == batch
            && run.batchMajor() == batchMajor
            && run.onDevice() == onDevice;
    if (!known) {
      checkShapes(run);
      backend.shape(run.steps(), run.batch(), run.batchMajor());
      steps = run.steps();
      batch = run.batch();
      batchMajor = run.batchMajor();
      onDevice = run.onDevice();
    }
  }

  private void checkShapes(LastRun run) {
    checkBatch("finalStateGradient", last, run);
    checkBatch("initialStateGradient", initial, run);
    boolean anyResult = false;
    for (Gradient gradient : GRADIENTS) {
      Binding binding = bindings[gradient.ordinal()];
      if (!binding.isSet()) {
        continue;
      }
      anyResult |= gradient.written();
      if (binding.onDevice() != run.onDevice()) {
        throw new IllegalArgumentException(
            (gradient.label() + ": expected " + kind(run.onDevice()) + ", as in the last run, got ")
                + kind(binding.onDevice()));
      }
      long count = gradient.count(spec, run.steps(), run.batch());
      if (binding.count() < count) {
        String shape = gradient.shape(spec, run.steps(), run.batch(), run.batchMajor());
        throw new IllegalArgumentException(
            (gradient.label()
                    + ": expected "
                    + shape
                    + " = "
                    + count
                    + " floats, as in the last run")
                + (", got " + binding.count()));
      }
    }
    if (!anyResult) {
      throw new IllegalArgumentException(
          "gradients: expected a place for at least one of inputGradient, initialStateGradient and"
              + " parameterGradients, got none");
    }
  }

  private static String kind(boolean onDevice) {
    return onDevice ? "device memory" : "host memory";
  }

  private static void checkBatch(String name, State state, LastRun run) {
    if (state != null && state.batch() != run.batch()) {
      throw new IllegalArgumentException(
          (name + ": expected B=" + run.batch() + ", as in the last run, got B=") + state.batch());
    }
  }
}
