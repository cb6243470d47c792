// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.binding.GatefuseNative;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The instruction sets of the CPU backend, the widest first.
 *
 * <p>Immutable and thread-safe.
 */
public enum InstructionSet {
  /** AVX-512 F, DQ, BW and VL. */
  AVX512(GatefuseNative.GF_ISA_AVX512),
  /** AVX2 and FMA. */
  AVX2(GatefuseNative.GF_ISA_AVX2),
  /** What every x86-64 processor has. */
  BASELINE(GatefuseNative.GF_ISA_BASELINE),
  /** Plain C++, for any processor. */
  GENERIC(GatefuseNative.GF_ISA_GENERIC);

  /** The system property that forces one, read whenever a network is made. */
  public static final String PROPERTY = "gatefuse.cpu.instructionSet";

  private final int bit;

  InstructionSet(int bit) {
    this.bit = bit;
  }

  /**
   * The name in properties and paths.
   *
   * @return such as {@code avx2}
   */
  public String id() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * What this build holds and this processor runs. The native library is loaded.
   *
   * @return the widest first
   */
  public static List<InstructionSet> available() {
    int bits = GatefuseNative.gf_cpu_instruction_sets();
    return Stream.of(values()).filter(set -> (bits & set.bit) != 0).toList();
  }

  /**
   * The value for the C interface that the system property asks for.
   *
   * @throws IllegalArgumentException if it names none that is available, naming all that are
   */
  static int chosen() {
    String value = System.getProperty(PROPERTY);
    if (value == null) {
      return GatefuseNative.GF_ISA_AUTO;
    }
    return available().stream()
        .filter(set -> set.id().equals(value.toLowerCase(Locale.ROOT)))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    ("system property " + PROPERTY + ": expected one of " + names())
                        + (", which this build holds and this processor runs; got " + value)))
        .bit;
  }

  static String names() {
    return available().stream().map(InstructionSet::id).collect(Collectors.joining(", "));
  }
}
