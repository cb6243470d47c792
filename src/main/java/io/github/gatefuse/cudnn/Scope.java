// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * What was made together and is closed together, the last first. Not thread-safe.
 *
 * <p>A constructor adds to it whatever it makes, one by one, so that whoever made the scope can
 * close all that is there when the constructor fails half-way.
 */
final class Scope implements Closing {
  private final Deque<Closing> members = new ArrayDeque<>();

  /** Takes something over. */
  <T extends Closing> T add(T member) {
    members.push(member);
    return member;
  }

  /** Closes every member, also after one that fails; tells the first failure. */
  @Override
  public void close() {
    RuntimeException failure = null;
    while (!members.isEmpty()) {
      try {
        members.pop().close();
      } catch (RuntimeException e) {
        if (failure == null) {
          failure = e;
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  /** Closes every member because of a failure, which stays the one to tell. */
  void closeAfter(Throwable failure) {
    try {
      close();
    } catch (RuntimeException e) {
      failure.addSuppressed(e);
    }
  }
}
