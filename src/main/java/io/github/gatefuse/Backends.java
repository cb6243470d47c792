// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendProvider;
import io.github.gatefuse.spi.HostMemory;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
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
   * here and has what is asked for.
   */
  Choice create(RnnSpec spec, Weights weights, RnnOptions requested) {
    Backend backend = requested.backend() == Backend.AUTO ? automatic() : requested.backend();
    RnnOptions options = requested.withBackend(backend);
    if (backend != Backend.AUTO) {
      return new Choice(backend, explicit(options).create(spec, weights, options), List.of());
    }
    Choice choice = best(spec, weights, options);
    say(choice);
    return choice;
  }

  /** Allocates host memory on the backend asked for, or the one that AUTO would take. */
  HostMemory pinned(Backend requested, int bytes) {
    Backend backend = requested == Backend.AUTO ? automatic() : requested;
    return backend == Backend.AUTO ? bestPinned(bytes) : available(backend).pinned(bytes);
  }

  private HostMemory bestPinned(int bytes) {
    for (BackendProvider provider : providers) {
      if (provider.priority() >= 0 && provider.probe().available()) {
        return provider.pinned(bytes);
      }
    }
    throw new GatefuseException(Code.BACKEND_UNAVAILABLE, "no backend runs here");
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

  private BackendProvider available(Backend backend) {
    Optional<BackendProvider> provider = provider(backend);
    DeviceReport report = provider.map(BackendProvider::probe).orElse(missing(backend));
    if (!report.available()) {
      throw new GatefuseException(Code.BACKEND_UNAVAILABLE, sentence(report));
    }
    return provider.orElseThrow();
  }

  private BackendProvider explicit(RnnOptions options) {
    BackendProvider provider = available(options.backend());
    lack(provider, options)
        .ifPresent(
            lack -> {
              throw new IllegalArgumentException(lack);
            });
    return provider;
  }

  /** What is asked for and an available backend does not have, in one sentence. */
  private static Optional<String> lack(BackendProvider provider, RnnOptions options) {
    String on = " on the " + provider.backend().id() + " backend, got ";
    if (!provider.precisions().contains(options.precision())) {
      String expected =
          provider.precisions().stream()
              .sorted()
              .map(Precision::id)
              .collect(Collectors.joining(", "));
      return Optional.of("precision: expected " + expected + on + options.precision().id());
    }
    int devices = Math.max(1, provider.probe().devices().size());
    if (options.device() >= devices) {
      String expected = devices == 1 ? "0" : "0 to " + (devices - 1);
      return Optional.of("device: expected " + expected + on + options.device());
    }
    return Optional.empty();
  }

  private Choice best(RnnSpec spec, Weights weights, RnnOptions options) {
    List<String> refused = new ArrayList<>();
    for (BackendProvider provider : providers) {
      if (provider.priority() < 0) {
        continue;
      }
      DeviceReport report = provider.probe();
      Optional<String> lack =
          report.available() ? lack(provider, options) : Optional.of(sentence(report));
      if (lack.isPresent()) {
        refused.add(lack.get());
        continue;
      }
      try {
        BackendModel model =
            provider.create(spec, weights, options.withBackend(provider.backend()));
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
    String there = providers.stream().map(p -> p.backend().id()).collect(Collectors.joining(", "));
    return DeviceReport.missing(backend, "this build has no such backend; it has " + there);
  }

  private static String sentence(DeviceReport report) {
    return report.backend() + " backend: " + report.reason();
  }
}
