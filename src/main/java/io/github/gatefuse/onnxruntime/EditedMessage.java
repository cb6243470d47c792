// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.onnxruntime;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * A message of Protocol Buffers put together of pieces of an original and of new bytes. Pieces are
 * copied once, at the end. Not thread-safe.
 */
final class EditedMessage {
  /** Bytes of an array. */
  private record Piece(byte[] bytes, int begin, int end) {}

  private final byte[] original;
  private final List<Piece> pieces = new ArrayList<>();
  private long size;
  private boolean edited;

  EditedMessage(byte[] original) {
    this.original = original;
  }

  /** Whether there is anything that the original did not have, or the other way round. */
  boolean isEdited() {
    return edited;
  }

  /** The field that a reader is at, as it is. */
  void keep(ProtoReader field) {
    keep(field.begin(), field.end());
  }

  /** A field with a message in place of the one that a reader is at. */
  void replace(ProtoReader field, EditedMessage message) {
    if (!message.edited) {
      keep(field);
      return;
    }
    edited = true;
    add(lengthDelimited(field.field(), message.size));
    pieces.addAll(message.pieces);
    size += message.size;
  }

  /** Leaves out the field that a reader is at. */
  void drop() {
    edited = true;
  }

  void text(int field, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    edited = true;
    add(lengthDelimited(field, bytes.length));
    add(bytes);
  }

  void number(int field, long value) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    varint(out, (long) field << 3 | ProtoReader.VARINT);
    varint(out, value);
    edited = true;
    add(out.toByteArray());
  }

  /** A field with a message that the original did not have. */
  void message(int field, EditedMessage message) {
    edited = true;
    add(lengthDelimited(field, message.size));
    pieces.addAll(message.pieces);
    size += message.size;
  }

  byte[] toBytes() {
    if (size > Integer.MAX_VALUE - Long.BYTES) {
      throw new GatefuseException(
          Code.BAD_FILE, "ONNX model: expected at most 2 GiB, got " + size + " bytes");
    }
    byte[] out = new byte[(int) size];
    int at = 0;
    for (Piece piece : pieces) {
      int length = piece.end - piece.begin;
      System.arraycopy(piece.bytes, piece.begin, out, at, length);
      at += length;
    }
    return out;
  }

  private void keep(int begin, int end) {
    Piece last = pieces.isEmpty() ? null : pieces.get(pieces.size() - 1);
    if (last != null && last.bytes == original && last.end == begin) {
      pieces.set(pieces.size() - 1, new Piece(original, last.begin, end));
    } else {
      pieces.add(new Piece(original, begin, end));
    }
    size += end - begin;
  }

  private void add(byte[] bytes) {
    pieces.add(new Piece(bytes, 0, bytes.length));
    size += bytes.length;
  }

  private static byte[] lengthDelimited(int field, long length) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    varint(out, (long) field << 3 | ProtoReader.LENGTH_DELIMITED);
    varint(out, length);
    return out.toByteArray();
  }

  /** Seven bits a byte, lowest first; the top bit says that more follow. */
  private static void varint(ByteArrayOutputStream out, long value) {
    long rest = value;
    while (rest >>> 7 != 0) {
      out.write((int) (rest & 0x7f | 0x80));
      rest >>>= 7;
    }
    out.write((int) rest);
  }
}
