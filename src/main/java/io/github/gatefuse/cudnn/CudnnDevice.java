// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import static org.bytedeco.cuda.global.cudart.cudaDevAttrComputeCapabilityMajor;
import static org.bytedeco.cuda.global.cudart.cudaDevAttrComputeCapabilityMinor;

import io.github.gatefuse.Backend;
import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.Precision;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A device that cuDNN runs on. Immutable and thread-safe.
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
   * Looks at the devices, and tries on the first whether cuDNN can begin to work. What it would do
   * on the others shows when they are asked for: trying takes memory of each.
   *
   * @return all, by their numbers
   * @throws GatefuseException {@link Code#BACKEND_UNAVAILABLE} if there is none; another code for a
   *     device that fails
   */
  static List<CudnnDevice> find(CudnnApi api) {
    Cudnn first = new Cudnn(api, 0);
    int[] count = new int[1];
    first.cuda("cudaGetDeviceCount", api.deviceCount(count));
    if (count[0] == 0) {
      throw new GatefuseException(Code.BACKEND_UNAVAILABLE, "expected a CUDA device, found none");
    }
    first.useDevice();
    int[] cuda = new int[1];
    first.cuda("cudaRuntimeGetVersion", api.runtimeVersion(cuda));
    first.create(CudnnApi.Kind.HANDLE).close();
    List<CudnnDevice> devices = new ArrayList<>();
    for (int number = 0; number < count[0]; number++) {
      devices.add(
          new CudnnDevice(
              name(api, number),
              architecture(first, number),
              cudnnVersion(api.cudnnVersion()),
              cudaVersion(cuda[0])));
    }
    return List.copyOf(devices);
  }

  private static String architecture(Cudnn cudnn, int device) {
    int major = attribute(cudnn, cudaDevAttrComputeCapabilityMajor, device);
    int minor = attribute(cudnn, cudaDevAttrComputeCapabilityMinor, device);
    return "sm_" + major + minor;
  }

  private static int attribute(Cudnn cudnn, int attribute, int device) {
    int[] value = new int[1];
    int status = cudnn.api().deviceAttribute(value, attribute, device);
    cudnn.cuda("cudaDeviceGetAttribute", status);
    return value[0];
  }

  /** A device without a name still runs. */
  private static String name(CudnnApi api, int device) {
    byte[] name = new byte[NAME_BYTES];
    return api.deviceName(name, device) == 0 ? Cudnn.text(name) : "CUDA device";
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
    return new ExecutionPath(
        Backend.CUDNN, name, architecture, Precision.FLOAT32.id(), 1, NOTE, details);
  }
}
