// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Events that wait for their step, in order for each key. Not thread-safe. */
final class EventBuffer<IN> {
  /** One event; a link of the chain of its key. */
  static final class Event<IN> {
    final Object key;
    final IN value;

    /** Null, if there is none. */
    final Long timestamp;

    /** Null for a token. */
    final float[] features;

    final int token;
    private Event<IN> next;

    /** Of the first of a chain only. */
    private Event<IN> last = this;

    Event(Object key, IN value, Long timestamp, float[] features, int token) {
      this.key = key;
      this.value = value;
      this.timestamp = timestamp;
      this.features = features;
      this.token = token;
    }
  }

  /** The first waiting event of each key, in the order in which the keys came to wait. */
  private final Map<Object, Event<IN>> first = new LinkedHashMap<>();

  private int size;

  void add(Event<IN> event) {
    Event<IN> head = first.putIfAbsent(event.key, event);
    if (head != null) {
      head.last.next = event;
      head.last = event;
    }
    size++;
  }

  int keys() {
    return first.size();
  }

  int size() {
    return size;
  }

  /** By the keys that have waiting events; a view. */
  Map<Object, ?> byKey() {
    return first;
  }

  /** Moves the first event of every key into a step. */
  void take(List<Event<IN>> step) {
    Iterator<Map.Entry<Object, Event<IN>>> heads = first.entrySet().iterator();
    while (heads.hasNext()) {
      Map.Entry<Object, Event<IN>> entry = heads.next();
      Event<IN> event = entry.getValue();
      step.add(event);
      size--;
      if (event.next == null) {
        heads.remove();
      } else {
        event.next.last = event.last;
        entry.setValue(event.next);
      }
    }
  }
}
