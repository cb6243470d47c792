// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import java.util.AbstractMap;
import java.util.AbstractSet;
import java.util.Iterator;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * A checked header: its bytes, and for each entry a few numbers in arrays. Texts and shapes become
 * objects when they are asked for.
 *
 * <p>Immutable and thread-safe.
 */
final class Header {
  private final HeaderText text;
  private final NameIndex tensors;
  private final NameIndex metadata;
  private final TensorTable table;

  Header(HeaderText text, NameIndex tensors, NameIndex metadata, TensorTable table) {
    this.text = text;
    this.tensors = tensors;
    this.metadata = metadata;
    this.table = table;
  }

  /** The names of the tensors; a tensor's number in it is its number here. */
  NameIndex tensors() {
    return tensors;
  }

  /** A tensor's name as a message may show it. */
  String shown(int tensor) {
    return text.shown(tensors.position(tensor));
  }

  boolean startsWith(int tensor, String prefix) {
    return text.startsWith(tensors.position(tensor), prefix);
  }

  Dtype dtype(int tensor) {
    return table.dtype(tensor);
  }

  long[] shape(int tensor) {
    long[] shape = new long[table.rank(tensor)];
    int at = table.shapeAt(tensor);
    for (int i = 0; i < shape.length; i++) {
      while (!isDigit(at)) {
        at++;
      }
      for (; isDigit(at); at++) {
        shape[i] = 10 * shape[i] + text.at(at) - '0';
      }
    }
    return shape;
  }

  private boolean isDigit(int at) {
    return text.at(at) >= '0' && text.at(at) <= '9';
  }

  /** The first byte of the data that is the tensor's. */
  long begin(int tensor) {
    return table.begin(tensor);
  }

  /** The first byte of the data that is not the tensor's any more. */
  long end(int tensor) {
    return table.end(tensor);
  }

  /** A view of the text entries in the header's order, each made when it is asked for. */
  Map<String, String> metadata() {
    return new AbstractMap<>() {
      @Override
      public Set<Entry<String, String>> entrySet() {
        return entries();
      }

      @Override
      public boolean containsKey(Object key) {
        return metadata.names().contains(key);
      }

      @Override
      public String get(Object key) {
        int number = key instanceof String name ? metadata.find(name) : -1;
        return number < 0 ? null : value(number);
      }
    };
  }

  private Set<Map.Entry<String, String>> entries() {
    return new AbstractSet<>() {
      @Override
      public Iterator<Map.Entry<String, String>> iterator() {
        return IntStream.range(0, size())
            .mapToObj(number -> Map.entry(metadata.name(number), value(number)))
            .iterator();
      }

      @Override
      public int size() {
        return metadata.count();
      }
    };
  }

  /** The text behind a key: a colon and a quote come before it. */
  private String value(int number) {
    int colon = text.skipSpace(text.end(metadata.position(number)));
    return text.string(text.skipSpace(colon + 1) + 1);
  }
}
