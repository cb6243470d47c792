// SPDX-License-Identifier: Apache-2.0
//
// The pointwise mathematics of a step backwards. Part of kernels.cpp, which alone includes it.

// Items of the groups begin .. end - 1 of all rows, as CellStep takes them.
template <class Cell>
struct CellBackward {
  static constexpr int kPlain = count_blocks<Cell>(false);
  static constexpr int kScans = count_blocks<Cell>(true);
  static constexpr int kKept = kept_blocks<Cell>();

  const LayerWeights& weights;
  const BackwardStep& step;

  GF_INLINE int64_t state(const Item& item) const {
    return item.row * weights.padded + item.group * W;
  }
  GF_INLINE int64_t gradient(const Item& item) const {
    return item.row * step.stride + item.group * W;
  }

  template <class T>
  GF_INLINE T states(const Item* items, const float* from) const {
    return gather<T>([&](int i) { return load(from + state(items[i])); });
  }
  template <class T>
  GF_INLINE T gradients(const Item* items, const float* from) const {
    return gather<T>([&](int i) { return load(from + gradient(items[i])); });
  }
  template <class T>
  GF_INLINE void store_at(const Item* items, int64_t place, const T& all) const {
    scatter(all, [&](int i, const V& one) {
      store(step.da + items[i].row * step.places->size() + place + items[i].group * W, one);
    });
  }

  template <class T>
  GF_INLINE T kept(const Item* items, int block) const {
    return gather<T>([&](int i) {
      const int64_t group = items[i].row * weights.input.groups + items[i].group;
      return load(step.kept + (group * kKept + block) * W);
    });
  }

  // What is kept, the sums as input parts.
  template <class T>
  GF_INLINE void pre_activations(const Item* items, T (&x_parts)[kPlain],
                                 T (&h_parts)[kPlain]) const {
#pragma GCC unroll 8
    for (int b = 0; b < kPlain; ++b) {
      x_parts[b] = kept<T>(items, b);
      h_parts[b] = T::set(0.0f);
    }
    if constexpr (Cell::kCandidateApart) h_parts[Cell::kCandidate] = kept<T>(items, kPlain);
  }

  template <class T>
  GF_INLINE void scans(const Item* items, Gate<T> (&scan)[kScans + 1]) const {
#pragma GCC unroll 8
    for (int s = 0; s < kScans; ++s) {
      const auto gate = [&](int i) {
        return step.scan + (items[i].row * kScans + s) * 2 * weights.padded + items[i].group * W;
      };
      scan[s] = {gather<T>([&](int i) { return load(gate(i)); }),
                 gather<T>([&](int i) { return load(gate(i) + weights.padded); })};
    }
  }

  // The gradient by h after the step: through later steps, and through its result.
  template <bool Masked, class T>
  GF_INLINE T hidden_gradient(const Item* items) const {
    T by_result = gather<T>([&](int i) {
      const int64_t unit = items[i].group * W;
      return load_first(step.dy[items[i].row] + unit, weights.hidden - unit);
    });
    if constexpr (Masked) {
      const auto at = [&](int i) { return state(items[i]); };
      by_result = by_result * mask_values<T>(step.masks->output, 1, at);
    }
    return gradients<T>(items, step.dh) + by_result;
  }

  template <bool Masked, class T>
  GF_INLINE void backward(const Item* items) const {
    T x_parts[kPlain];
    T h_parts[kPlain];
    pre_activations(items, x_parts, h_parts);
    Gate<T> scan[kScans + 1];
    scans(items, scan);
    const T h = states<T>(items, step.h);
    StepStates<T> around = {h, h, h};
    T dc = h;
    if constexpr (Cell::kCellState) {
      around.c = states<T>(items, step.c);
      around.c_next = states<T>(items, step.c_next);
      dc = states<T>(items, step.dc);
    }
    const T dh = hidden_gradient<Masked, T>(items);
    T by_a[kPlain];
    T by_scan[kScans + 1];
    StepGradients<T> d = {by_a, dh, by_scan, dh};
    const PreActivations<T> a{x_parts, h_parts};
    if constexpr (Masked) {
      const auto at = [&](int i) { return state(items[i]); };
      Regularized<Cell>::backward(a, scan, around, masks_of<T>(*step.masks, at), dh, dc, d);
    } else {
      Cell::backward(a, scan, around, dh, dc, d);
    }
    store_all<Masked>(items, d, dc);
    if constexpr (Cell::kResetBefore) {
      scatter(Cell::reset(a, h),
              [&](int i, const V& one) { store(step.gated + state(items[i]), one); });
    }
  }

  template <bool Masked, class T>
  GF_INLINE void store_all(const Item* items, const StepGradients<T>& d, const T& dc) const {
#pragma GCC unroll 8
    for (int b = 0; b < kPlain; ++b) {
      if constexpr (Cell::kResetBefore) {
        if (b == Cell::kReset) continue;  // known in reset_backward()
      }
      store_at(items, step.places->block(b), d.a[b]);
    }
    if constexpr (Cell::kCandidateApart) store_at(items, step.places->part(), d.candidate);
#pragma GCC unroll 8
    for (int s = 0; s < kScans; ++s) {
      scatter(d.scan[s], [&](int i, const V& one) {
        store(step.dscan + (items[i].row * kScans + s) * weights.padded + items[i].group * W, one);
      });
    }
    if constexpr (Cell::kCellState) {
      scatter(dc, [&](int i, const V& one) { store(step.dc + state(items[i]), one); });
    }
    if constexpr (Masked || !Cell::kCellState) {
      scatter(d.h, [&](int i, const V& one) { store(step.dh + gradient(items[i]), one); });
    }
  }

  // With reset before, once the gradient by reset * h is known.
  template <class T>
  GF_INLINE void reset_backward(const Item* items) const {
    T x_parts[kPlain];
    T h_parts[kPlain];
    pre_activations(items, x_parts, h_parts);
    T by_a[kPlain];
    const T direct = gradients<T>(items, step.dh);
    StepGradients<T> d = {by_a, direct, nullptr, direct};
    Cell::reset_backward(PreActivations<T>{x_parts, h_parts}, states<T>(items, step.h),
                         gradients<T>(items, step.d_gated), d);
    store_at(items, step.places->block(Cell::kReset), d.a[Cell::kReset]);
    scatter(d.h, [&](int i, const V& one) { store(step.dh + gradient(items[i]), one); });
  }

  template <class F>
  static void for_groups(const BackwardStep& step, int64_t begin, int64_t end, F f) {
    const Tile tile = {begin, static_cast<int>(end - begin), step.rows, nullptr};
    for_items(tile, [&](auto type, const Item* items, int64_t) { f(type, items); });
  }

  template <bool Masked>
  static void run_all(const LayerWeights& weights, const BackwardStep& step, int64_t begin,
                      int64_t end) {
    const CellBackward self{weights, step};
    for_groups(step, begin, end, [&](auto type, const Item* items) {
      self.template backward<Masked, typename decltype(type)::type>(items);
    });
  }

  static void run(const LayerWeights& weights, const BackwardStep& step, int64_t begin,
                  int64_t end) {
    const auto all = step.masks == nullptr ? run_all<false> : run_all<true>;
    all(weights, step, begin, end);
  }

  static void run_reset(const LayerWeights& weights, const BackwardStep& step, int64_t begin,
                        int64_t end) {
    const CellBackward self{weights, step};
    for_groups(step, begin, end, [&](auto type, const Item* items) {
      self.template reset_backward<typename decltype(type)::type>(items);
    });
  }
};
