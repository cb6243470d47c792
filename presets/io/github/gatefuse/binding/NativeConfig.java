// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.binding;

import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.bytedeco.javacpp.tools.Info;
import org.bytedeco.javacpp.tools.InfoMap;
import org.bytedeco.javacpp.tools.InfoMapper;

/**
 * How JavaCPP turns {@code gatefuse.h} into Java: {@link GatefuseNative} holds the functions and
 * the constants, and each struct becomes a class of its own name.
 */
@Properties(
    target = "io.github.gatefuse.binding",
    global = "io.github.gatefuse.binding.GatefuseNative",
    value =
        @Platform(
            value = "linux-x86_64",
            include = "gatefuse.h",
            link = "gatefuse",
            library = "jnigatefuse"))
public class NativeConfig implements InfoMapper {
  @Override
  public void map(InfoMap infoMap) {
    infoMap
        .put(new Info("__cplusplus").define(false))
        .put(new Info("GF_API").cppTypes().annotations())
        .put(new Info("gf_status").valueTypes("int"));
  }
}
