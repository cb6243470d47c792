// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import io.github.gatefuse.Backend;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendProvider;
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
   * @param cudnn null where the backend does not run
   * @param device null where the backend does not run
   */
  private record Finding(DeviceReport report, Cudnn cudnn, CudnnDevice device) {}

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
      Cudnn cudnn = new Cudnn(library.get());
      CudnnDevice device = CudnnDevice.find(cudnn);
      return new Finding(
          new DeviceReport(Backend.CUDNN, true, device.name(), device.versions()), cudnn, device);
    } catch (GatefuseException e) {
      return new Finding(new DeviceReport(Backend.CUDNN, false, "", e.getMessage()), null, null);
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
  public BackendModel create(RnnSpec spec, Weights weights) {
    Finding here = finding.get();
    if (here.cudnn() == null) {
      throw new GatefuseException(Code.BACKEND_UNAVAILABLE, here.report().toString());
    }
    return CudnnModel.create(here.cudnn(), here.device(), spec, weights);
  }
}
