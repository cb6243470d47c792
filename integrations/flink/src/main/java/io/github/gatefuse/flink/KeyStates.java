// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.runtime.state.KeyedStateBackend;
import org.apache.flink.streaming.api.operators.KeyContext;
import org.apache.flink.streaming.api.operators.sorted.state.BatchExecutionKeyedStateBackend;

/** The keys' states between steps. Not thread-safe. */
interface KeyStates {
  /** The key's own array, which may be written to and is put again then; null for none. */
  float[] get(Object key) throws Exception;

  void put(Object key, float[] values) throws Exception;

  /**
   * Called between steps.
   *
   * @param current the key whose events come in
   * @param waiting those that have events which wait
   */
  void settle(Object current, Map<Object, ?> waiting);

  /** In Flink's state, or beside it where that holds one key's at a time. */
  static KeyStates of(KeyContext context, KeyedStateBackend<?> backend, ValueState<float[]> state) {
    return backend instanceof BatchExecutionKeyedStateBackend
        ? new OfSortedKeys()
        : new InFlink(context, state);
  }

  /** In Flink's keyed state. */
  final class InFlink implements KeyStates {
    private final KeyContext context;
    private final ValueState<float[]> state;

    private InFlink(KeyContext context, ValueState<float[]> state) {
      this.context = context;
      this.state = state;
    }

    @Override
    public float[] get(Object key) throws Exception {
      context.setCurrentKey(key);
      return state.value();
    }

    @Override
    public void put(Object key, float[] values) throws Exception {
      context.setCurrentKey(key);
      state.update(values);
    }

    @Override
    public void settle(Object current, Map<Object, ?> waiting) {}
  }

  /**
   * For batch execution: events come sorted by key, and Flink forgets a key's state as soon as
   * another key is set. So the states of the keys that have events in the buffer are here, and a
   * key is over when others' events come and none of its own wait. There are no checkpoints.
   */
  final class OfSortedKeys implements KeyStates {
    private final Map<Object, float[]> states = new HashMap<>();

    private OfSortedKeys() {}

    @Override
    public float[] get(Object key) {
      return states.get(key);
    }

    @Override
    public void put(Object key, float[] values) {
      states.put(key, values);
    }

    @Override
    public void settle(Object current, Map<Object, ?> waiting) {
      states.keySet().removeIf(key -> !key.equals(current) && !waiting.containsKey(key));
    }
  }
}
