// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import static org.bytedeco.cuda.global.cudart.cudaDevAttrComputeCapabilityMajor;
import static org.bytedeco.cuda.global.cudart.cudaDevAttrComputeCapabilityMinor;

import io.github.gatefuse.Backend;
import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What cuDNN runs on. Immutable and thread-safe.
 *
 * @param name the GPU's
 * @param architecture such as {@code sm_90}
 * @param cudnn cuDNN's version
 * @param cuda the version of the CUDA runtime
 */
record CudnnDevice(String name, String architecture, String cudnn, String cuda) {
  private static final String NOTE =
      "cuDNN's standard algorithm, a peer to compare with; the contracts about bits do not hold";

  private static final int NAME_BYTES = 256;

  /**
   * Looks at the device, and tries whether cuDNN can begin to work there.
   *
   * @throws GatefuseException {@link Code#BACKEND_UNAVAILABLE} if there is none; another code for a
   *     device that fails
   */
  static CudnnDevice find(Cudnn cudnn) {
    CudnnApi api = cudnn.api();
    int[] value = new int[1];
    cudnn.cuda("cudaGetDeviceCount", api.deviceCount(value));
    if (value[0] == 0) {
      throw new GatefuseException(Code.BACKEND_UNAVAILABLE, "expected a CUDA device, found none");
    }
    cudnn.useDevice();
    int major = attribute(cudnn, cudaDevAttrComputeCapabilityMajor);
    int minor = attribute(cudnn, cudaDevAttrComputeCapabilityMinor);
    cudnn.cuda("cudaRuntimeGetVersion", api.runtimeVersion(value));
    cudnn.create(CudnnApi.Kind.HANDLE).close();
    return new CudnnDevice(
        name(api), "sm_" + major + minor, cudnnVersion(api.cudnnVersion()), cudaVersion(value[0]));
  }

  private static int attribute(Cudnn cudnn, int attribute) {
    int[] value = new int[1];
    int status = cudnn.api().deviceAttribute(value, attribute, Cudnn.DEVICE);
    cudnn.cuda("cudaDeviceGetAttribute", status);
    return value[0];
  }

  /** A device without a name still runs. */
  private static String name(CudnnApi api) {
    byte[] name = new byte[NAME_BYTES];
    return api.deviceName(name, Cudnn.DEVICE) == 0 ? Cudnn.text(name) : "CUDA device";
  }

  private static String cudnnVersion(long version) {
    return version / 10_000 + "." + version / 100 % 100 + "." + version % 100;
  }

  private static String cudaVersion(int version) {
    return version / 1000 + "." + version % 1000 / 10;
  }

  /** In words, for the report. */
  String versions() {
    return "cuDNN " + cudnn + ", CUDA runtime " + cuda;
  }

  /** How every session runs. */
  ExecutionPath path() {
    Map<String, String> details = new LinkedHashMap<>();
    details.put("cudnn", cudnn);
    details.put("cuda", cuda);
    return new ExecutionPath(Backend.CUDNN, name, architecture, "float32", 1, NOTE, details);
  }
}
