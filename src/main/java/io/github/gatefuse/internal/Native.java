// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.Backend;
import io.github.gatefuse.ContextLostException;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.binding.GatefuseNative;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/** What all calls of the C interface share: statuses, structs, texts. Thread-safe. */
final class Native {
  private static final int TEXT_BYTES = 8192;

  private Native() {}

  /** Turns a status into an exception with the sentence of this thread's last failed call. */
  static void check(int status) {
    if (status != GatefuseNative.GF_OK) {
      throw exception(status, GatefuseNative.gf_last_error().getString(StandardCharsets.UTF_8));
    }
  }

  static RuntimeException exception(int status, String sentence) {
    return switch (status) {
      case GatefuseNative.GF_INVALID_ARGUMENT -> new IllegalArgumentException(sentence);
      case GatefuseNative.GF_INVALID_STATE -> new IllegalStateException(sentence);
      case GatefuseNative.GF_OUT_OF_MEMORY -> new GatefuseException(Code.OUT_OF_MEMORY, sentence);
      case GatefuseNative.GF_BACKEND_UNAVAILABLE ->
          new GatefuseException(Code.BACKEND_UNAVAILABLE, sentence);
      case GatefuseNative.GF_BACKEND_FAILED -> new GatefuseException(Code.BACKEND_FAILED, sentence);
      case GatefuseNative.GF_CONTEXT_LOST -> new ContextLostException(sentence);
      case GatefuseNative.GF_INTERNAL -> new GatefuseException(Code.INTERNAL, sentence);
      default -> new GatefuseException(Code.INTERNAL, "status " + status + ": " + sentence);
    };
  }

  /** The C interface's number of a backend that it has. */
  static int number(Backend backend) {
    return switch (backend) {
      case CPU -> GatefuseNative.GF_BACKEND_CPU;
      case CUDA -> GatefuseNative.GF_BACKEND_CUDA;
      default -> throw new IllegalArgumentException("not a native backend: " + backend);
    };
  }

  /**
   * A struct of zeros in memory that the garbage collector frees. JavaCPP's own allocation refuses
   * when the process as a whole has grown large, which is not this library's to decide.
   */
  static <P extends Pointer> P struct(Class<P> type, Function<Pointer, P> cast) {
    return cast.apply(new BytePointer(ByteBuffer.allocateDirect(Pointer.sizeof(type))));
  }

  /** Where the values of a pointer to 32-bit values begin. */
  static long address(Pointer pointer) {
    return pointer.address() + Float.BYTES * pointer.position();
  }

  /** Whether two pieces of memory of so many 32-bit values have any in common. */
  static boolean overlap(Pointer a, long countA, Pointer b, long countB) {
    return address(a) < address(b) + Float.BYTES * countB
        && address(b) < address(a) + Float.BYTES * countA;
  }

  /** A zero-terminated text in memory that the garbage collector frees. */
  static BytePointer text(String value) {
    byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
    return new BytePointer(ByteBuffer.allocateDirect(bytes.length + 1).put(0, bytes));
  }

  /** Writes a text of the C interface, of at most so many bytes. */
  interface Describe {
    int write(byte[] text, long capacity);
  }

  /** Reads the lines {@code key=value} of a text. */
  static Map<String, String> describe(Describe source) {
    byte[] text = new byte[TEXT_BYTES];
    check(source.write(text, text.length));
    return parse(text);
  }

  static Map<String, String> parse(byte[] text) {
    int end = 0;
    while (end < text.length && text[end] != 0) {
      end++;
    }
    Map<String, String> facts = new LinkedHashMap<>();
    for (String line : new String(text, 0, end, StandardCharsets.UTF_8).split("\n")) {
      int equals = line.indexOf('=');
      if (equals > 0) {
        facts.put(line.substring(0, equals), line.substring(equals + 1));
      }
    }
    return facts;
  }
}
