// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendProvider;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The backends that are there, and the choice among them.
 *
 * <p>Immutable and thread-safe.
 */
final class Backends {
  /** The backend that stands for {@link Backend#AUTO}, such as {@code cpu}. */
  static final String PROPERTY = "gatefuse.backend";

  private static final Logger LOG = LoggerFactory.getLogger(Backends.class);
  private static final Set<String> SAID = ConcurrentHashMap.newKeySet();

  /** Found once: what is installed does not change while the process runs. */
  private static final class Installed {
    static final Backends ALL = new Backends(find());
  }

  /**
   * What was chosen.
   *
   * @param backend the backend that runs
   * @param model its model
   * @param refused one sentence for each better backend that does not run here
   */
  record Choice(Backend backend, BackendModel model, List<String> refused) {}

  private final List<BackendProvider> providers;

  Backends(List<BackendProvider> providers) {
    this.providers =
        providers.stream()
            .sorted(Comparator.comparingInt(BackendProvider::priority).reversed())
            .toList();
  }

  static Backends installed() {
    return Installed.ALL;
  }

  private static List<BackendProvider> find() {
    List<BackendProvider> found = new ArrayList<>();
    Iterator<BackendProvider> services =
        ServiceLoader.load(BackendProvider.class, Rnn.class.getClassLoader()).iterator();
    while (true) {
      try {
        if (!services.hasNext()) {
          return found;
        }
        found.add(services.next());
      } catch (ServiceConfigurationError e) {
        LOG.warn("A backend provider cannot be used and is left out", e);
      }
    }
  }

  /** One report for each backend, installed or not. */
  List<DeviceReport> report() {
    return Stream.of(Backend.values())
        .filter(backend -> backend != Backend.AUTO)
        .map(backend -> provider(backend).map(BackendProvider::probe).orElse(missing(backend)))
        .toList();
  }

  /**
   * Makes a model on the backend asked for, or, for {@link Backend#AUTO}, on the best that runs
   * here.
   */
  Choice create(RnnSpec spec, Weights weights, Backend requested) {
    Backend backend = requested == Backend.AUTO ? automatic() : requested;
    if (backend != Backend.AUTO) {
      return new Choice(backend, explicit(backend).create(spec, weights), List.of());
    }
    Choice choice = best(spec, weights);
    say(choice);
    return choice;
  }

  private static Backend automatic() {
    String value = System.getProperty(PROPERTY);
    if (value == null) {
      return Backend.AUTO;
    }
    try {
      return Backend.of(value);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("system property " + PROPERTY + ": " + e.getMessage(), e);
    }
  }

  private BackendProvider explicit(Backend backend) {
    Optional<BackendProvider> provider = provider(backend);
    DeviceReport report = provider.map(BackendProvider::probe).orElse(missing(backend));
    if (!report.available()) {
      throw new GatefuseException(Code.BACKEND_UNAVAILABLE, sentence(report));
    }
    return provider.orElseThrow();
  }

  private Choice best(RnnSpec spec, Weights weights) {
    List<String> refused = new ArrayList<>();
    if (provider(Backend.CUDA).isEmpty()) {
      refused.add(sentence(missing(Backend.CUDA)));
    }
    for (BackendProvider provider : providers) {
      if (provider.priority() < 0) {
        continue;
      }
      DeviceReport report = provider.probe();
      if (!report.available()) {
        refused.add(sentence(report));
        continue;
      }
      try {
        BackendModel model = provider.create(spec, weights);
        return new Choice(provider.backend(), model, List.copyOf(refused));
      } catch (GatefuseException e) {
        if (e.code() != Code.BACKEND_UNAVAILABLE) {
          throw e;
        }
        refused.add(e.getMessage());
      }
    }
    throw new GatefuseException(
        Code.BACKEND_UNAVAILABLE, "no backend runs here: " + String.join("; ", refused));
  }

  /** Once for each outcome. That the reference runs is worth a warning: it is many times slower. */
  private static void say(Choice choice) {
    String message = "Backend " + choice.backend().id() + " was chosen";
    if (!choice.refused().isEmpty()) {
      message += "; refused: " + String.join("; ", choice.refused());
    }
    if (!SAID.add(message)) {
      return;
    }
    if (choice.backend() == Backend.REFERENCE) {
      LOG.warn(message);
    } else {
      LOG.info(message);
    }
  }

  private Optional<BackendProvider> provider(Backend backend) {
    return providers.stream().filter(p -> p.backend() == backend).findFirst();
  }

  private DeviceReport missing(Backend backend) {
    List<String> there = providers.stream().map(p -> p.backend().id()).toList();
    String reason =
        backend == Backend.CUDA
            ? "this build has no CUDA kernels and no jar with classifier linux-x86_64-gpu; it has "
            : "this build has no such backend; it has ";
    return new DeviceReport(backend, false, "", reason + String.join(", ", there));
  }

  private static String sentence(DeviceReport report) {
    return report.backend() + " backend: " + report.reason();
  }
}
