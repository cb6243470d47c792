// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import io.github.gatefuse.io.HeaderText.BadHeader;
import java.util.AbstractSet;
import java.util.Iterator;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.IntStream;

/**
 * Finds the number of a name among names that stay in the header's bytes: a hash table of eight
 * bytes a name, open addressing, linear probing.
 *
 * <p>Immutable and thread-safe.
 */
final class NameIndex {
  /**
   * Names are polynomials over the integers modulo this prime, hashed to their value at a secret
   * point: two names of n characters meet with a chance of n / 2^61, whatever names a file chooses.
   */
  private static final long PRIME = (1L << 61) - 1;

  private final HeaderText text;
  private final int[] positions;
  private final int count;
  private final int[] slots; // number + 1 of a name, or 0 for none
  private final long point = ThreadLocalRandom.current().nextLong(1 << 20, PRIME);

  /**
   * Indexes names.
   *
   * @param positions where each begins; kept, not copied
   * @param count how many of them there are
   * @throws BadHeader on a second name like an earlier one
   */
  NameIndex(HeaderText text, int[] positions, int count) {
    this.text = text;
    this.positions = positions;
    this.count = count;
    this.slots = new int[2 * count + 1];
    for (int i = 0; i < count; i++) {
      add(i);
    }
  }

  private void add(int number) {
    int name = positions[number];
    int slot = slot(hash(name));
    for (; slots[slot] != 0; slot = following(slot)) {
      if (text.equal(name, positions[slots[slot] - 1])) {
        throw new BadHeader(text.quote(name) + ": expected once, got twice");
      }
    }
    slots[slot] = number + 1;
  }

  int count() {
    return count;
  }

  /** Where a name begins in the header. */
  int position(int number) {
    return positions[number];
  }

  String name(int number) {
    return text.string(positions[number]);
  }

  /** The number of a name, or -1 if it is not there. */
  int find(String name) {
    for (int slot = slot(hash(name)); slots[slot] != 0; slot = following(slot)) {
      if (text.equal(positions[slots[slot] - 1], name)) {
        return slots[slot] - 1;
      }
    }
    return -1;
  }

  /** A view of all names in the header's order, each made when it is asked for. */
  Set<String> names() {
    return new AbstractSet<>() {
      @Override
      public Iterator<String> iterator() {
        return IntStream.range(0, count).mapToObj(NameIndex.this::name).iterator();
      }

      @Override
      public int size() {
        return count;
      }

      @Override
      public boolean contains(Object name) {
        return name instanceof String string && find(string) >= 0;
      }
    };
  }

  private int slot(long hash) {
    return (int) (hash % slots.length);
  }

  private int following(int slot) {
    return slot + 1 == slots.length ? 0 : slot + 1;
  }

  private long hash(int name) {
    long hash = 0;
    for (long c = text.decode(name); HeaderText.point(c) != HeaderText.END; ) {
      hash = hash(hash, HeaderText.point(c));
      c = text.decode(HeaderText.next(c));
    }
    return hash;
  }

  private long hash(String name) {
    long hash = 0;
    for (int i = 0; i < name.length(); i += Character.charCount(name.codePointAt(i))) {
      hash = hash(hash, name.codePointAt(i));
    }
    return hash;
  }

  /** hash point + character + 1, modulo the prime but for a multiple of it. */
  private long hash(long hash, int character) {
    long high = Math.multiplyHigh(hash, point);
    long low = hash * point;
    // 2^61 is 1 modulo the prime: what stands above the lowest 61 bits is added to them.
    long sum = (low & PRIME) + (low >>> 61 | high << 3) + character + 1;
    return (sum & PRIME) + (sum >>> 61);
  }
}
