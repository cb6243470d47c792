// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.example;

import io.github.gatefuse.onnxruntime.GatefuseOrt;
import java.nio.file.Path;

/** Loads the library of operators as ONNX Runtime does, and prints its name. */
public final class OperatorLibrary {
  private OperatorLibrary() {}

  /**
   * Runs.
   *
   * @param args none
   */
  public static void main(String[] args) {
    String path = GatefuseOrt.libraryPath();
    System.load(path);
    System.out.println(Path.of(path).getFileName());
  }
}
