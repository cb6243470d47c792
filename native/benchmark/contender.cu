// SPDX-License-Identifier: Apache-2.0
#include "contender.hpp"

#include <algorithm>
#include <cmath>

namespace gatefuse::benchmark {
namespace {

constexpr int64_t kInputBytes = int64_t{1} << 30;  // for all turns of one format
constexpr int kMostTurns = 8;
constexpr int64_t kCompared = int64_t{1} << 20;  // values of y

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint32_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 32);
  }
  float uniform(float bound) { return bound * (static_cast<float>(next() >> 8) * 0x1p-23f - 1.0f); }

 private:
  uint64_t state_;
};

// A candidate while it is measured.
struct Runner {
  const Candidate* candidate;
  Measured measured;
  std::unique_ptr<Contender> contender;
  int turn = 0;
  int rounds = 0;
  std::vector<double> samples;

  bool alive() const { return contender != nullptr && measured.good(); }

  // Whatever goes wrong ends this candidate alone.
  template <class F>
  void attempt(F f) {
    try {
      f();
    } catch (const std::exception& e) {
      measured.error = e.what();
      contender.reset();
    }
  }

  double milliseconds(int calls, cudaStream_t stream) {
    const Event start;
    const Event end;
    start.record(stream);
    for (int i = 0; i < calls; ++i) contender->enqueue(turn++);
    end.record(stream);
    return end.since(start);
  }

  void warm_up(const Effort& effort, cudaStream_t stream) {
    double call = milliseconds(1, stream);
    contender->finish();
    for (double spent = 0; spent < effort.warm_up;) {
      call = milliseconds(1, stream);
      spent += call;
    }
    const double least = std::max(call, 1e-4);
    measured.calls = static_cast<int>(std::clamp(std::ceil(effort.sample / least), 1.0, 1000.0));
    rounds = static_cast<int>(std::clamp(effort.most / (least * measured.calls),
                                         static_cast<double>(effort.least_samples),
                                         static_cast<double>(effort.samples)));
  }

  void take_sample(cudaStream_t stream) {
    const double time = milliseconds(measured.calls, stream);
    samples.push_back(1e3 * time / measured.calls / measured.shape.steps);
  }
};

void compare(std::vector<Runner>& runners, const Shape& shape) {
  const int64_t count = std::min(kCompared, shape.places() * shape.hidden);
  const auto output = [&](Runner& runner) {
    runner.contender->enqueue(0);
    runner.contender->finish();
    return runner.contender->output(count);
  };
  for (Runner& judge : runners) {
    if (!judge.candidate->judge || !judge.alive()) continue;
    std::vector<float> expected;
    judge.attempt([&] { expected = output(judge); });
    if (!judge.alive()) continue;
    for (Runner& runner : runners) {
      if (&runner == &judge || !runner.alive() || runner.candidate->tolerance < 0) continue;
      if (runner.measured.difference >= 0) continue;
      runner.attempt([&] {
        const std::vector<float> actual = output(runner);
        double worst = 0;
        for (int64_t i = 0; i < count; ++i) {
          const double off = std::abs(double{actual[i]} - double{expected[i]});
          worst = std::isnan(off) ? INFINITY : std::max(worst, off);
        }
        runner.measured.difference = worst;
        runner.measured.same_answer = worst <= runner.candidate->tolerance;
      });
    }
  }
}

}  // namespace

std::vector<int32_t> Shape::lengths() const {
  std::vector<int32_t> all;
  if (!ragged) return all;
  Random random(static_cast<uint64_t>(hidden) * 131 + static_cast<uint64_t>(batch));
  for (int row = 0; row < batch; ++row) {
    all.push_back(row == batch / 2
                      ? steps
                      : 1 + static_cast<int32_t>(random.next() % static_cast<uint32_t>(steps)));
  }
  return all;
}

const std::vector<std::vector<float>>& Data::weights(int64_t rows) {
  std::vector<std::vector<float>>& made = weights_[rows];
  if (!made.empty()) return made;
  Random random(static_cast<uint64_t>(rows));
  const float bound = 1 / std::sqrt(static_cast<float>(shape_.hidden));
  for (const int64_t columns : {shape_.hidden, shape_.hidden, 1, 1}) {
    std::vector<float> tensor(static_cast<size_t>(rows * columns));
    for (float& value : tensor) value = random.uniform(bound);
    made.push_back(std::move(tensor));
  }
  return made;
}

int Data::turns() const {
  const int64_t bytes = shape_.places() * shape_.hidden * 4;
  return static_cast<int>(std::clamp<int64_t>(kInputBytes / bytes, 2, kMostTurns));
}

void* Data::input(Format format, int turn) {
  std::vector<Memory>& made = inputs_[format];
  const int64_t count = shape_.places() * shape_.hidden;
  while (static_cast<int>(made.size()) < turns()) {
    made.emplace_back(count * bytes_of(format));
    fill(made.back().as<void>(), format, count, static_cast<uint32_t>(made.size()), 1, stream_);
  }
  return made[static_cast<size_t>(turn % turns())].as<void>();
}

Spread Spread::of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double part) {
    const double place = part * static_cast<double>(values.size() - 1);
    const size_t low = static_cast<size_t>(place);
    const size_t high = std::min(low + 1, values.size() - 1);
    return values[low] + (place - static_cast<double>(low)) * (values[high] - values[low]);
  };
  return {at(0.25), at(0.5), at(0.75), static_cast<int>(values.size())};
}

std::vector<Measured> measure(const Shape& shape, const std::vector<Candidate>& candidates,
                              const Effort& effort, cudaStream_t stream) {
  std::vector<Runner> runners(candidates.size());
  int rounds = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    Runner& runner = runners[i];
    runner.candidate = &candidates[i];
    runner.measured.shape = shape;
    runner.measured.key = candidates[i].key;
    runner.attempt([&] {
      runner.contender = candidates[i].make();
      runner.measured.path = runner.contender->path();
      runner.warm_up(effort, stream);
    });
    if (runner.alive()) rounds = std::max(rounds, runner.rounds);
  }
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < runners.size(); ++i) {
      Runner& runner = runners[round % 2 == 0 ? i : runners.size() - 1 - i];
      if (!runner.alive() || round >= runner.rounds) continue;
      runner.attempt([&] { runner.take_sample(stream); });
    }
  }
  compare(runners, shape);
  std::vector<Measured> all;
  for (Runner& runner : runners) {
    if (runner.alive()) runner.attempt([&] { runner.contender->finish(); });
    if (runner.measured.good()) runner.measured.step = Spread::of(runner.samples);
    all.push_back(runner.measured);
  }
  return all;
}

}  // namespace gatefuse::benchmark
