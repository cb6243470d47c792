// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.io.StoredModel;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The networks of this process, an executor: each is made once, however many tasks run it at a time
 * or one after the other. The last few that no task runs are kept for the tasks that come.
 *
 * <p>Thread-safe.
 */
final class SharedNetworks {
  private static final int IDLE = 2;

  /** Those that were used last come last. */
  private static final Map<ModelFile.Key, Shared> NETWORKS = new LinkedHashMap<>();

  private SharedNetworks() {}

  private static final class Shared {
    final Rnn rnn;
    final Regularization regularization;
    int users;

    Shared(StoredModel model, ModelFile file) {
      rnn = model.create(file.settings().options());
      regularization = model.regularization();
    }
  }

  /** A network while somebody runs it. A second close does nothing. */
  static final class Lease implements AutoCloseable {
    private final Shared shared;
    private boolean closed;

    private Lease(Shared shared) {
      this.shared = shared;
    }

    Rnn rnn() {
      return shared.rnn;
    }

    Regularization regularization() {
      return shared.regularization;
    }

    @Override
    public void close() {
      synchronized (NETWORKS) {
        if (!closed) {
          closed = true;
          shared.users--;
          closeIdle();
        }
      }
    }
  }

  /**
   * Gives a network, which is made if there is none.
   *
   * @throws IllegalArgumentException if the file is no model, or the backend has no such precision
   * @throws io.github.gatefuse.GatefuseException if the backend does not run here, or memory runs
   *     out
   */
  static Lease lease(ModelFile file) {
    synchronized (NETWORKS) {
      Shared shared = NETWORKS.remove(file.key());
      if (shared == null) {
        shared = new Shared(file.parse(), file);
      }
      NETWORKS.put(file.key(), shared);
      shared.users++;
      return new Lease(shared);
    }
  }

  private static void closeIdle() {
    long idle = NETWORKS.values().stream().filter(shared -> shared.users == 0).count();
    for (Iterator<Shared> all = NETWORKS.values().iterator(); idle > IDLE; ) {
      Shared shared = all.next();
      if (shared.users == 0) {
        all.remove();
        shared.rnn.close();
        idle--;
      }
    }
  }

  /** The networks that there are, in use or not. */
  static int size() {
    synchronized (NETWORKS) {
      return NETWORKS.size();
    }
  }
}
