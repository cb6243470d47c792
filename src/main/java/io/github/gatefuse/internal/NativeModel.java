// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Backward;
import io.github.gatefuse.Parameters;
import io.github.gatefuse.Precision;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Tier;
import io.github.gatefuse.Weights;
import io.github.gatefuse.binding.GatefuseNative;
import io.github.gatefuse.binding.gf_model;
import io.github.gatefuse.binding.gf_model_options;
import io.github.gatefuse.binding.gf_session;
import io.github.gatefuse.binding.gf_session_options;
import io.github.gatefuse.binding.gf_spec;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendSession;
import io.github.gatefuse.spi.DeviceBlock;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/** A model of the C interface. Thread-safe. */
final class NativeModel implements BackendModel {
  private final RnnSpec spec;
  private final Backend backend;
  private final int device;
  private final gf_model handle;

  private NativeModel(RnnSpec spec, RnnOptions options, gf_model handle) {
    this.spec = spec;
    this.backend = options.backend();
    this.device = options.device();
    this.handle = handle;
  }

  static NativeModel create(RnnSpec spec, Weights weights, RnnOptions options) {
    gf_model handle = new gf_model();
    Native.check(GatefuseNative.gf_model_create(struct(spec), struct(options), handle));
    boolean complete = false;
    try {
      setTensors(handle, spec.parameters(), weights);
      complete = true;
      return new NativeModel(spec, options, handle);
    } finally {
      if (!complete) {
        GatefuseNative.gf_model_destroy(handle);
      }
    }
  }

  private static void setTensors(
      gf_model handle, List<RnnSpec.Parameter> parameters, Weights weights) {
    for (int i = 0; i < parameters.size(); i++) {
      RnnSpec.Parameter parameter = parameters.get(i);
      if (weights.has(parameter.name())) {
        Native.check(
            GatefuseNative.gf_model_set_tensor(
                handle, i, weights.floats(parameter.name()), parameter.count()));
      }
    }
  }

  private static gf_model_options struct(RnnOptions options) {
    gf_model_options struct = Native.struct(gf_model_options.class, gf_model_options::new);
    struct.struct_size(struct.sizeof());
    struct.backend(Native.number(options.backend()));
    struct.instruction_set(
        options.backend() == Backend.CPU ? InstructionSet.chosen() : GatefuseNative.GF_ISA_AUTO);
    struct.precision(number(options.precision()));
    struct.device(options.device());
    return struct;
  }

  private static int number(Precision precision) {
    return switch (precision) {
      case FLOAT32 -> GatefuseNative.GF_FLOAT32;
      case TF32 -> GatefuseNative.GF_TF32;
      case BFLOAT16 -> GatefuseNative.GF_BFLOAT16;
      case FLOAT16 -> GatefuseNative.GF_FLOAT16;
      case INT8 -> GatefuseNative.GF_INT8;
    };
  }

  private static int number(Tier tier) {
    return switch (tier) {
      case AUTO -> GatefuseNative.GF_TIER_AUTO;
      case ALTERNATING -> GatefuseNative.GF_TIER_ALTERNATING;
      case SLICE -> GatefuseNative.GF_TIER_SLICE;
      case CLUSTER -> GatefuseNative.GF_TIER_CLUSTER;
      case GRID -> GatefuseNative.GF_TIER_GRID;
    };
  }

  private static int number(Backward backward) {
    return switch (backward) {
      case NONE -> GatefuseNative.GF_BACKWARD_NONE;
      case STORE -> GatefuseNative.GF_BACKWARD_STORE;
      case RECOMPUTE -> GatefuseNative.GF_BACKWARD_RECOMPUTE;
    };
  }

  private static gf_spec struct(RnnSpec spec) {
    gf_spec struct = Native.struct(gf_spec.class, gf_spec::new);
    struct.struct_size(struct.sizeof());
    struct.cell(cell(spec));
    struct.input_size(spec.inputSize());
    struct.hidden_size(spec.hiddenSize());
    struct.layers(spec.layers());
    struct.directions(spec.directions());
    struct.chunk(spec.chunk());
    struct.vocabulary(spec.vocabulary());
    struct.outputs(spec.outputs());
    return struct;
  }

  private static int cell(RnnSpec spec) {
    return switch (spec.cell()) {
      case LSTM -> GatefuseNative.GF_LSTM;
      case LSTM_TIED -> GatefuseNative.GF_LSTM_TIED;
      case LSTM_REFINE -> GatefuseNative.GF_LSTM_REFINE;
      case LSTM_CUMAX -> GatefuseNative.GF_LSTM_CUMAX;
      case LSTM_CUMAX_REFINE -> GatefuseNative.GF_LSTM_CUMAX_REFINE;
      case ONLSTM -> GatefuseNative.GF_ONLSTM;
      case GRU -> GatefuseNative.GF_GRU;
      case GRU_REFINE -> GatefuseNative.GF_GRU_REFINE;
      case GRU_RESET_BEFORE -> GatefuseNative.GF_GRU_RESET_BEFORE;
      case GRU_REFINE_RESET_BEFORE -> GatefuseNative.GF_GRU_REFINE_RESET_BEFORE;
    };
  }

  @Override
  public Set<Tier> tiers() {
    return hasStreams() ? EnumSet.allOf(Tier.class) : EnumSet.of(Tier.AUTO);
  }

  @Override
  public boolean hasVendorProducts() {
    return backend == Backend.CUDA;
  }

  @Override
  public boolean hasStreams() {
    return backend == Backend.CUDA;
  }

  @Override
  public DeviceBlock deviceMemory(long floats) {
    return NativeDeviceBlock.allocate(backend, device, floats);
  }

  /** All; a backend that goes forward only refuses by itself. */
  @Override
  public Set<Backward> backwards() {
    return EnumSet.allOf(Backward.class);
  }

  /** As far as this goes; a backend that has none refuses by itself. */
  @Override
  public boolean hasRegularization() {
    return true;
  }

  @Override
  public boolean hasStateRows() {
    return true;
  }

  @Override
  public void update(Parameters parameters) {
    Native.check(GatefuseNative.gf_model_update(handle, parameters.all(), parameters.count()));
  }

  @Override
  public BackendSession session(SessionOptions options) {
    gf_session session = new gf_session();
    Native.check(GatefuseNative.gf_session_create(handle, struct(options), session));
    return new NativeSession(spec, session, hasStreams());
  }

  @Override
  public long sessionBytes(SessionOptions options) {
    long[] bytes = new long[1];
    Native.check(GatefuseNative.gf_session_bytes_needed(handle, struct(options), bytes));
    return bytes[0];
  }

  private static gf_session_options struct(SessionOptions options) {
    gf_session_options struct = Native.struct(gf_session_options.class, gf_session_options::new);
    struct.struct_size(struct.sizeof());
    struct.max_steps(options.maxSteps());
    struct.max_batch(options.maxBatch());
    struct.threads(options.threads());
    struct.tier(number(options.tier()));
    struct.products(
        options.vendorProducts()
            ? GatefuseNative.GF_PRODUCTS_CUBLASLT
            : GatefuseNative.GF_PRODUCTS_OWN);
    struct.backward(number(options.backward()));
    Regularization regularization = options.regularization();
    struct.seed(regularization.seed());
    struct.dropout(regularization.dropout());
    struct.zoneout_h(regularization.zoneoutHidden());
    struct.zoneout_c(regularization.zoneoutCell());
    struct.recurrent_dropout(regularization.recurrentDropout());
    return struct;
  }

  @Override
  public long bytes() {
    return GatefuseNative.gf_model_bytes(handle);
  }

  @Override
  public void close() {
    GatefuseNative.gf_model_destroy(handle);
  }
}
