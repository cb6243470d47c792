// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Whatever is missing, the report is a sentence that says so. */
class PresetsLibraryTest {
  private static String refusal(Executable body) {
    GatefuseException refusal = assertThrows(GatefuseException.class, body);
    assertEquals(Code.BACKEND_UNAVAILABLE, refusal.code());
    return refusal.getMessage();
  }

  @Test
  void missingClassesAreNamed() {
    ClassLoader empty = new ClassLoader(null) {};
    String message = refusal(() -> PresetsLibrary.checkClasses(empty));
    assertTrue(message.startsWith("expected the jar of org.bytedeco:cuda and the same"), message);
    PresetsLibrary.checkClasses(getClass().getClassLoader());
  }

  @Test
  void aMissingJarOfNativeCodeIsNamed() {
    assertEquals(
        "expected the jar of org.bytedeco:cuda with classifier none-riscv, found none",
        refusal(() -> PresetsLibrary.checkGlue("none-riscv")));
    PresetsLibrary.checkGlue("linux-x86_64");
  }

  @Test
  void missingFunctionsAreNamed() {
    PresetsLibrary.checkFunctions(name -> true);
    assertEquals(
        "the libraries of CUDA and cuDNN here have no cudnnGetLastErrorString, cudnnRNNForward;"
            + " expected CUDA 13 and a later cuDNN 9",
        refusal(
            () ->
                PresetsLibrary.checkFunctions(
                    name -> !name.matches("cudnn(RNNForward|GetLastErrorString)"))));
  }

  @Test
  void whatTheLinkerSaysIsToldInOneLine() {
    Throwable linker =
        new ExceptionInInitializerError(
            new UnsatisfiedLinkError("libcudnn_adv.so.9: cannot open\n shared object file"));
    GatefuseException refusal = PresetsLibrary.notLoaded(linker);
    assertTrue(refusal.getMessage().contains("LD_LIBRARY_PATH"), refusal.getMessage());
    assertTrue(
        refusal
            .getMessage()
            .endsWith("loading says libcudnn_adv.so.9: cannot open; shared object file"),
        refusal.getMessage());
    assertSame(linker, refusal.getCause());
  }

  /** The presets are on the class path of tests; what they need often is not there. */
  @Test
  void hereItRunsOrSaysWhyNot() {
    DeviceReport report = new CudnnBackendProvider().probe();
    assertSame(report, new CudnnBackendProvider().probe());
    if (!report.available()) {
      assertFalse(report.reason().isBlank() || report.reason().contains("\n"), report.reason());
      assertFalse(report.reason().contains("null"), report.reason());
    }
  }

  @Test
  void functionsOfLoadedLibrariesAreFound() {
    Loader.load(org.bytedeco.javacpp.presets.javacpp.class);
    assertTrue(Loader.addressof("malloc") != null);
    assertTrue(Loader.addressof("cudnnThereIsNoSuchFunction") == null);
  }

  /** The names that the class of the binding refers to are those that are looked for. */
  @Test
  void allFunctionsThatAreCalledAreLookedFor() throws IOException {
    try (InputStream file = PresetsApi.class.getResourceAsStream("PresetsApi.class")) {
      String constants = new String(file.readAllBytes(), StandardCharsets.ISO_8859_1);
      // A text of a class file: a byte of 1, two of its length, and then itself.
      Pattern name = Pattern.compile("\\x01\\x00.(cu(?:da|dnn)?[A-Z]\\w+)", Pattern.DOTALL);
      TreeSet<String> called = new TreeSet<>();
      name.matcher(constants).results().forEach(found -> called.add(found.group(1)));
      // The methods of the interface that have the prefix.
      for (var method : CudnnApi.class.getDeclaredMethods()) {
        if (!PresetsLibrary.FUNCTIONS.contains(method.getName())) {
          called.remove(method.getName());
        }
      }
      called.removeIf(text -> text.endsWith("Struct") || text.endsWith("Context"));
      assertEquals(new TreeSet<>(PresetsLibrary.FUNCTIONS), called);
    }
  }
}
