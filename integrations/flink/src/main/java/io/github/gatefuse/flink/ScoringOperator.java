// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.flink.EventBuffer.Event;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.event.WatermarkEvent;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;

/**
 * Gathers events of different keys and scores them in one call, each from its key's state.
 *
 * <p>Whatever says something about the events before it (a watermark, an idle input, a checkpoint
 * barrier, the end) first runs all that wait. So nothing waits when a snapshot is taken, and the
 * keys' states are all that it needs.
 */
final class ScoringOperator<IN, OUT> extends AbstractStreamOperator<OUT>
    implements OneInputStreamOperator<IN, OUT> {
  private static final long serialVersionUID = 1;

  private final Settings<IN, OUT> settings;

  private transient RnnSpec spec;
  private transient StepRunner runner;
  private transient KeyStates keyStates;
  private transient EventBuffer<IN> waiting;
  private transient List<Event<IN>> step;
  private transient float[][] states;

  /** Copy what is kept beyond a call; null, if nothing may change it. */
  private transient TypeSerializer<IN> copier;

  private transient TypeSerializer<Object> keyCopier;

  /** When the oldest waiting event has waited for its time limit, in processing time. */
  private transient long deadline;

  private transient boolean timerSet;
  private transient Counter steps;
  private transient Counter refused;

  ScoringOperator(Settings<IN, OUT> settings) {
    this.settings = settings;
  }

  @Override
  public void initializeState(StateInitializationContext context) throws Exception {
    super.initializeState(context);
    spec = settings.model().spec();
    runner = StepRunner.open(settings);
    ValueStateDescriptor<float[]> descriptor =
        new ValueStateDescriptor<>(
            "gatefuse-stream",
            new StreamStateSerializer(runner.fingerprint(), runner.stateLength()));
    if (settings.timeToLive() != null) {
      descriptor.enableTimeToLive(StateTtlConfig.newBuilder(settings.timeToLive()).build());
    }
    keyStates =
        KeyStates.of(
            this, getKeyedStateBackend(), context.getKeyedStateStore().getState(descriptor));
  }

  @Override
  public void open() throws Exception {
    super.open();
    waiting = new EventBuffer<>();
    step = new ArrayList<>(settings.batchSize());
    states = new float[settings.batchSize()][];
    steps = getMetricGroup().counter("gatefuseSteps");
    refused = getMetricGroup().counter("gatefuseRefused");
    if (getExecutionConfig().isObjectReuseEnabled()) {
      copier = getOperatorConfig().getTypeSerializerIn(0, getUserCodeClassloader());
      keyCopier = this.<Object>getKeyedStateBackend().getKeySerializer();
    }
  }

  @Override
  public void processElement(StreamRecord<IN> record) throws Exception {
    Event<IN> event;
    try {
      event = event(record);
    } catch (RefusedException e) {
      refuse(record, e);
      return;
    }
    if (waiting.size() == 0) {
      long now = getProcessingTimeService().getCurrentProcessingTime();
      deadline = now + settings.timeLimit().toMillis();
    }
    waiting.add(event);
    if (waiting.keys() == settings.batchSize() || waiting.size() == settings.maxBuffered()) {
      runStep();
    }
    if (waiting.size() > 0 && !timerSet) {
      setTimer();
    }
  }

  /** Input that must not reach the network. */
  private static final class RefusedException extends IllegalArgumentException {
    private static final long serialVersionUID = 1;

    RefusedException(String message) {
      super(message);
    }
  }

  private Event<IN> event(StreamRecord<IN> record) {
    IN value = record.getValue();
    float[] features = null;
    int token = 0;
    if (settings.tokens() != null) {
      token = settings.tokens().token(value);
      if (token < 0 || token >= spec.vocabulary()) {
        throw new RefusedException(
            "token: expected 0 to " + (spec.vocabulary() - 1) + ", got " + token);
      }
    } else {
      features = checked(settings.features().features(value)).clone();
    }
    Object key = getCurrentKey();
    if (copier != null) {
      value = copier.copy(value);
      key = keyCopier.copy(key);
    }
    Long timestamp = record.hasTimestamp() ? record.getTimestamp() : null;
    return new Event<>(key, value, timestamp, features, token);
  }

  private float[] checked(float[] features) {
    if (features == null || features.length != spec.inputSize()) {
      throw new RefusedException(
          ("features: expected I=" + spec.inputSize() + " values, got ")
              + (features == null ? "none" : features.length));
    }
    for (int i = 0; i < features.length; i++) {
      if (!Float.isFinite(features[i])) {
        throw new RefusedException(
            "features: expected finite values, got " + features[i] + " at " + i);
      }
    }
    return features;
  }

  private void refuse(StreamRecord<IN> record, RefusedException reason) {
    refused.inc();
    if (settings.refused() == null) {
      throw new IllegalArgumentException(
          "event of key " + getCurrentKey() + ": " + reason.getMessage(), reason);
    }
    output.collect(settings.refused(), record);
  }

  private void setTimer() {
    timerSet = true;
    getProcessingTimeService().registerTimer(deadline, time -> onTimer());
  }

  private void onTimer() throws Exception {
    timerSet = false;
    if (waiting.size() == 0) {
      return;
    }
    if (getProcessingTimeService().getCurrentProcessingTime() >= deadline) {
      runAll();
    } else {
      setTimer();
    }
  }

  private void runAll() throws Exception {
    while (waiting.size() > 0) {
      runStep();
    }
  }

  private void runStep() throws Exception {
    waiting.take(step);
    int rows = step.size();
    for (int r = 0; r < rows; r++) {
      load(r, rows, step.get(r));
    }
    runner.run(rows);
    steps.inc();
    for (int r = 0; r < rows; r++) {
      emit(r, rows, step.get(r));
    }
    step.clear();
    keyStates.settle(getCurrentKey(), waiting.byKey());
  }

  private void load(int r, int rows, Event<IN> event) throws Exception {
    float[] values = keyStates.get(event.key);
    boolean begins = settings.start() != null && settings.start().begins(event.value);
    if (values == null || begins) {
      values = new float[runner.stateLength()];
    }
    states[r] = values;
    runner.load(r, rows, values);
    if (event.features == null) {
      runner.token(r, event.token);
    } else {
      runner.features(r, event.features);
    }
  }

  private void emit(int r, int rows, Event<IN> event) throws Exception {
    // Into the array that Flink gave, or its copy of it if a snapshot is still being written.
    runner.store(r, rows, states[r]);
    keyStates.put(event.key, states[r]);
    states[r] = null;
    OUT result = settings.result().result(event.value, runner.outputs(r));
    if (result != null) {
      output.collect(
          event.timestamp == null
              ? new StreamRecord<>(result)
              : new StreamRecord<>(result, event.timestamp));
    }
  }

  @Override
  public void processWatermark(Watermark mark) throws Exception {
    runAll();
    super.processWatermark(mark);
  }

  @Override
  public void processWatermark(WatermarkEvent mark) throws Exception {
    runAll();
    super.processWatermark(mark);
  }

  @Override
  public void processWatermarkStatus(WatermarkStatus status) throws Exception {
    runAll();
    super.processWatermarkStatus(status);
  }

  @Override
  public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
    runAll();
    super.prepareSnapshotPreBarrier(checkpointId);
  }

  @Override
  public void finish() throws Exception {
    runAll();
    super.finish();
  }

  @Override
  public void close() throws Exception {
    StepRunner closing = runner;
    runner = null;
    if (closing != null) {
      closing.close();
    }
    super.close();
  }
}
