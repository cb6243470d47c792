// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import io.github.gatefuse.Backend;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendProvider;
import java.util.List;
import java.util.function.Supplier;

/**
 * NVIDIA's cuDNN, for the standard LSTM and GRU.
 *
 * <p>Thread-safe.
 */
public final class CudnnBackendProvider implements BackendProvider {
  /**
   * What was found.
   *
   * @param api null where the backend does not run
   * @param devices by their numbers; empty where the backend does not run
   */
  private record Finding(DeviceReport report, CudnnApi api, List<CudnnDevice> devices) {}

  /** Looked for once: a library that failed to load does not load later in the same process. */
  private static final class Here {
    static final Finding FINDING = find(PresetsLibrary::load);
  }

  private final Supplier<Finding> finding;

  /** Made by {@link java.util.ServiceLoader}. */
  public CudnnBackendProvider() {
    finding = () -> Here.FINDING;
  }

  /** With other functions than those of this machine, which are loaded now. */
  CudnnBackendProvider(Supplier<CudnnApi> library) {
    Finding found = find(library);
    finding = () -> found;
  }

  private static Finding find(Supplier<CudnnApi> library) {
    try {
      CudnnApi api = library.get();
      List<CudnnDevice> devices = CudnnDevice.find(api);
      List<String> names = devices.stream().map(CudnnDevice::name).toList();
      String versions = devices.get(0).versions();
      return new Finding(new DeviceReport(Backend.CUDNN, true, names, versions), api, devices);
    } catch (GatefuseException e) {
      return new Finding(DeviceReport.missing(Backend.CUDNN, e.getMessage()), null, List.of());
    }
  }

  @Override
  public Backend backend() {
    return Backend.CUDNN;
  }

  /** Only when asked for: it does not keep the contracts about bits. */
  @Override
  public int priority() {
    return -100;
  }

  @Override
  public DeviceReport probe() {
    return finding.get().report();
  }

  /**
   * Makes a model.
   *
   * @throws IllegalArgumentException for a cell that cuDNN does not have
   */
  @Override
  public BackendModel create(RnnSpec spec, Weights weights, RnnOptions options) {
    Finding here = finding.get();
    if (here.api() == null) {
      throw new GatefuseException(Code.BACKEND_UNAVAILABLE, here.report().toString());
    }
    int device = options.device();
    return CudnnModel.create(
        new Cudnn(here.api(), device), here.devices().get(device), spec, weights);
  }
}
