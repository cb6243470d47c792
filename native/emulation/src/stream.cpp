// SPDX-License-Identifier: Apache-2.0
#include "stream.hpp"

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "context.hpp"

namespace gatefuse::emulation {
namespace {

struct Stream;
using StreamPointer = std::shared_ptr<Stream>;

// How far a stream has to be run.
struct Point {
  StreamPointer stream;
  uint64_t number = 0;
};

struct Queued {
  Work work;
  std::vector<Point> after;
};

// One capture; the streams that take part share it. Their work, in the order in which it was
// issued, is the graph.
struct Capture {
  StreamPointer origin;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread = std::this_thread::get_id();  // that began it
  bool broken = false;
  std::vector<Work> work;
  std::vector<StreamPointer> streams;
};

struct Stream {
  bool waits_for_legacy = true;  // and the legacy stream for it
  std::deque<Queued> queue;
  uint64_t issued = 0, done = 0;
  std::shared_ptr<Capture> capture;
  uint64_t captured = 0;  // pieces of work in the capture
  uint64_t joined = 0;    // how many of them another stream of the capture has waited for
};

struct Event {
  bool timing = true;
  Point point;  // where it was recorded; no stream where it never was
  bool stamped = false;
  std::chrono::steady_clock::time_point time;
  std::shared_ptr<Capture> capture;  // in which it was recorded
  StreamPointer captured_stream;
  uint64_t captured_place = 0;
};

using Graph = std::vector<Work>;

// All handles. A handle that is not in its map is not valid.
struct Handles {
  StreamPointer legacy = std::make_shared<Stream>();
  std::map<cudaStream_t, StreamPointer> streams;
  std::vector<StreamPointer> destroyed;  // with work left
  std::map<cudaEvent_t, std::shared_ptr<Event>> events;
  std::map<cudaGraph_t, Graph> graphs;
  std::map<cudaGraphExec_t, Graph> executables;
};

Handles& handles() {
  static Handles* the_handles = new Handles;
  return *the_handles;
}

StreamPointer find(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return handles().legacy;
  const auto found = handles().streams.find(handle);
  return found == handles().streams.end() ? nullptr : found->second;
}

std::shared_ptr<Event> find(cudaEvent_t handle) {
  const auto found = handles().events.find(handle);
  return found == handles().events.end() ? nullptr : found->second;
}

bool pending(const Stream& stream) { return stream.done < stream.issued; }

// All streams that have a queue, the destroyed ones too.
std::vector<StreamPointer> all_streams() {
  std::vector<StreamPointer> all = handles().destroyed;
  for (const auto& [handle, stream] : handles().streams) all.push_back(stream);
  all.push_back(handles().legacy);
  return all;
}

void complete(const Point& point);

void run_first(const StreamPointer& stream) {
  Queued queued = std::move(stream->queue.front());
  stream->queue.pop_front();
  for (const Point& point : queued.after) complete(point);
  // Once a launch has failed, nothing more is run.
  std::string& failure = context().failure;
  if (failure.empty() && queued.work) failure = queued.work();
  ++stream->done;
}

void complete(const Point& point) {
  while (point.stream->done < point.number && !point.stream->queue.empty()) {
    run_first(point.stream);
  }
}

void complete(const StreamPointer& stream) { complete({stream, stream->issued}); }

// The legacy stream and those that are not cudaStreamNonBlocking wait for one another.
std::vector<Point> implicit_dependencies(const StreamPointer& stream) {
  std::vector<Point> points;
  const StreamPointer& legacy = handles().legacy;
  if (stream != legacy) {
    if (stream->waits_for_legacy && pending(*legacy)) points.push_back({legacy, legacy->issued});
    return points;
  }
  for (const StreamPointer& other : all_streams()) {
    if (other != legacy && other->waits_for_legacy && pending(*other)) {
      points.push_back({other, other->issued});
    }
  }
  return points;
}

void push(const StreamPointer& stream, Work work, std::vector<Point> after = {}) {
  for (Point& point : implicit_dependencies(stream)) after.push_back(std::move(point));
  stream->queue.push_back({std::move(work), std::move(after)});
  ++stream->issued;
  if (context().mode == Mode::in_order) complete(stream);
}

bool breaks_captures(const StreamPointer& stream) {
  if (stream != handles().legacy) return false;
  bool any = false;
  for (const StreamPointer& other : all_streams()) {
    if (other->capture != nullptr && other->waits_for_legacy) other->capture->broken = any = true;
  }
  return any;
}

void leave_capture(const StreamPointer& stream) {
  stream->capture.reset();
  stream->captured = stream->joined = 0;
}

void join_capture(const StreamPointer& stream, const std::shared_ptr<Capture>& capture) {
  stream->capture = capture;
  stream->captured = 1;  // the wait itself has to be joined again
  stream->joined = 0;
  capture->streams.push_back(stream);
}

cudaError_t wait_in_capture(const StreamPointer& stream, Event& event) {
  if (event.capture == nullptr || event.capture != event.captured_stream->capture) {
    stream->capture->broken = true;
    return cudaErrorStreamCaptureIsolation;
  }
  if (stream->capture == nullptr) join_capture(stream, event.capture);
  if (stream->capture != event.capture) {
    stream->capture->broken = event.capture->broken = true;
    return cudaErrorStreamCaptureMerge;
  }
  if (stream != event.captured_stream) {
    event.captured_stream->joined = std::max(event.captured_stream->joined, event.captured_place);
  }
  return cudaSuccess;
}

cudaError_t wait_event(const StreamPointer& stream, Event& event) {
  if (stream->capture != nullptr || (event.capture != nullptr && !event.capture->broken)) {
    return wait_in_capture(stream, event);
  }
  if (event.point.stream != nullptr) push(stream, nullptr, {event.point});
  return cudaSuccess;
}

void record_event(const StreamPointer& stream, const std::shared_ptr<Event>& event) {
  if (stream->capture != nullptr) {
    event->capture = stream->capture;
    event->captured_stream = stream;
    event->captured_place = stream->captured;
    return;
  }
  event->capture.reset();
  event->stamped = false;
  push(stream, [event] {
    event->stamped = true;
    event->time = std::chrono::steady_clock::now();
    return std::string();
  });
  event->point = {stream, stream->issued};
}

// To the thread that calls.
bool forbids_unsafe_calls(const Capture& capture) {
  if (capture.mode == cudaStreamCaptureModeGlobal) return true;
  return capture.mode == cudaStreamCaptureModeThreadLocal &&
         capture.thread == std::this_thread::get_id();
}

bool unjoined(const Capture& capture) {
  for (const StreamPointer& stream : capture.streams) {
    if (stream != capture.origin && stream->joined < stream->captured) return true;
  }
  return false;
}

template <class Handle>
Handle new_handle() {
  static uintptr_t last = 0x1000;
  return reinterpret_cast<Handle>(last += 0x10);
}

bool dice(uint64_t n) {
  return context().mode != Mode::random_thread && context().random.one_in(n);
}

}  // namespace

cudaError_t enqueue(cudaStream_t handle, Work work) {
  const StreamPointer stream = find(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (stream->capture != nullptr) {
    if (stream->capture->broken) return cudaErrorStreamCaptureInvalidated;
    stream->capture->work.push_back(std::move(work));
    ++stream->captured;
    return cudaSuccess;
  }
  if (breaks_captures(stream)) return cudaErrorStreamCaptureImplicit;
  push(stream, std::move(work));
  return cudaSuccess;
}

cudaError_t run_now(cudaStream_t handle, Work work) {
  const cudaError_t error = enqueue(handle, std::move(work));
  if (error == cudaSuccess) complete(find(handle));
  return error;
}

bool is_capturing(cudaStream_t handle) {
  const StreamPointer stream = find(handle);
  return stream != nullptr && stream->capture != nullptr;
}

cudaError_t forbid_while_capturing() {
  cudaError_t error = cudaSuccess;
  for (const StreamPointer& stream : all_streams()) {
    if (stream->capture == nullptr || !forbids_unsafe_calls(*stream->capture)) continue;
    stream->capture->broken = true;
    error = cudaErrorStreamCaptureUnsupported;
  }
  return error;
}

void run_some_of_the_queues() {
  if (!dice(4)) return;
  std::vector<StreamPointer> waiting;
  for (const StreamPointer& stream : all_streams()) {
    if (pending(*stream)) waiting.push_back(stream);
  }
  if (!waiting.empty()) run_first(waiting[context().random.below(waiting.size())]);
}

void run_all_queues() {
  for (const StreamPointer& stream : all_streams()) complete(stream);
  handles().destroyed.clear();
}

void forget_queues() {
  for (const StreamPointer& stream : all_streams()) {
    stream->queue.clear();
    stream->done = stream->issued;
    leave_capture(stream);
  }
  handles().destroyed.clear();
}

void count_streams(Live& live) {
  live.streams = static_cast<int64_t>(handles().streams.size());
  live.events = static_cast<int64_t>(handles().events.size());
  live.graphs = static_cast<int64_t>(handles().graphs.size() + handles().executables.size());
}

}  // namespace gatefuse::emulation

using namespace gatefuse::emulation;

// ---------------------------------------------------------------- streams

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return call([&] {
    if (stream == nullptr || flags > cudaStreamNonBlocking) return cudaErrorInvalidValue;
    if (allocation_fails()) return cudaErrorMemoryAllocation;
    *stream = new_handle<cudaStream_t>();
    auto created = std::make_shared<Stream>();
    created->waits_for_legacy = flags != cudaStreamNonBlocking;
    handles().streams[*stream] = std::move(created);
    return cudaSuccess;
  });
}

// What is queued still runs, as on a GPU, at some later time.
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  const auto destroy = [&] {
    const auto found = handles().streams.find(handle);
    if (found == handles().streams.end()) return cudaErrorInvalidResourceHandle;
    if (found->second->capture != nullptr) found->second->capture->broken = true;
    if (pending(*found->second)) handles().destroyed.push_back(found->second);
    handles().streams.erase(found);
    return cudaSuccess;
  };
  const cudaError_t error = call(destroy);
  // After a failure it is only forgotten.
  if (error == cudaErrorLaunchFailure) {
    const std::lock_guard<std::recursive_mutex> lock(context().mutex);
    handles().streams.erase(handle);
  }
  return error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return call([&] {
    const StreamPointer stream = find(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->capture != nullptr) {
      stream->capture->broken = true;
      return cudaErrorStreamCaptureUnsupported;
    }
    if (breaks_captures(stream)) return cudaErrorStreamCaptureImplicit;
    for (const Point& point : implicit_dependencies(stream)) {
      if (stream == handles().legacy) complete(point);
    }
    complete(stream);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return call([&] {
    const StreamPointer stream = find(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream->capture != nullptr) {
      stream->capture->broken = true;
      return cudaErrorStreamCaptureUnsupported;
    }
    if (pending(*stream) && context().random.one_in(2)) run_first(stream);
    return pending(*stream) ? cudaErrorNotReady : cudaSuccess;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned) {
  return call([&] {
    const StreamPointer stream = find(handle);
    const std::shared_ptr<Event> event = find(event_handle);
    if (stream == nullptr || event == nullptr) return cudaErrorInvalidResourceHandle;
    if (breaks_captures(stream)) return cudaErrorStreamCaptureImplicit;
    return wait_event(stream, *event);
  });
}

// ---------------------------------------------------------------- events

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call([&] {
    if (event == nullptr) return cudaErrorInvalidValue;
    if (allocation_fails()) return cudaErrorMemoryAllocation;
    *event = new_handle<cudaEvent_t>();
    auto created = std::make_shared<Event>();
    created->timing = (flags & cudaEventDisableTiming) == 0;
    handles().events[*event] = std::move(created);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventRecord(cudaEvent_t event_handle, cudaStream_t handle) {
  return call([&] {
    const StreamPointer stream = find(handle);
    const std::shared_ptr<Event> event = find(event_handle);
    if (stream == nullptr || event == nullptr) return cudaErrorInvalidResourceHandle;
    if (breaks_captures(stream)) return cudaErrorStreamCaptureImplicit;
    record_event(stream, event);
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return call([&] {
    const std::shared_ptr<Event> event = find(handle);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (event->capture != nullptr) return cudaErrorStreamCaptureUnsupported;
    if (event->point.stream != nullptr) complete(event->point);
    return cudaSuccess;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return call([&] {
    const std::shared_ptr<Event> event = find(handle);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (event->capture != nullptr) return cudaErrorStreamCaptureUnsupported;
    const Point& point = event->point;
    if (point.stream == nullptr) return cudaSuccess;
    if (point.stream->done < point.number && context().random.one_in(2)) run_first(point.stream);
    return point.stream->done < point.number ? cudaErrorNotReady : cudaSuccess;
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start_handle,
                                 cudaEvent_t end_handle) {
  return call([&] {
    const std::shared_ptr<Event> start = find(start_handle), end = find(end_handle);
    if (start == nullptr || end == nullptr || milliseconds == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (!start->timing || !end->timing || start->point.stream == nullptr ||
        end->point.stream == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (!start->stamped || !end->stamped) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  const cudaError_t error = call([&] {
    return handles().events.erase(handle) == 1 ? cudaSuccess : cudaErrorInvalidResourceHandle;
  });
  if (error == cudaErrorLaunchFailure) {
    const std::lock_guard<std::recursive_mutex> lock(context().mutex);
    handles().events.erase(handle);
  }
  return error;
}

// ---------------------------------------------------------------- graphs

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return call([&] {
    const StreamPointer stream = find(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (stream == handles().legacy) return cudaErrorStreamCaptureUnsupported;
    if (stream->capture != nullptr) return cudaErrorInvalidValue;
    auto capture = std::make_shared<Capture>();
    capture->origin = stream;
    capture->mode = mode;
    join_capture(stream, capture);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  return call([&] {
    const StreamPointer stream = find(handle);
    if (stream == nullptr || graph == nullptr) return cudaErrorInvalidValue;
    const std::shared_ptr<Capture> capture = stream->capture;
    if (capture == nullptr || capture->origin != stream) return cudaErrorStreamCaptureUnmatched;
    if (capture->mode != cudaStreamCaptureModeRelaxed &&
        capture->thread != std::this_thread::get_id()) {
      return cudaErrorStreamCaptureWrongThread;
    }
    const bool open = unjoined(*capture);
    for (const StreamPointer& member : capture->streams) leave_capture(member);
    *graph = nullptr;
    if (capture->broken) return cudaErrorStreamCaptureInvalidated;
    capture->broken = true;  // for events that still point here
    if (open) return cudaErrorStreamCaptureUnjoined;
    if (allocation_fails()) return cudaErrorMemoryAllocation;
    *graph = new_handle<cudaGraph_t>();
    handles().graphs[*graph] = std::move(capture->work);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return call([&] {
    const StreamPointer stream = find(handle);
    if (stream == nullptr || status == nullptr) return cudaErrorInvalidValue;
    *status = stream->capture == nullptr ? cudaStreamCaptureStatusNone
              : stream->capture->broken  ? cudaStreamCaptureStatusInvalidated
                                         : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  return call([&] {
    const auto found = handles().graphs.find(graph);
    if (found == handles().graphs.end() || executable == nullptr) return cudaErrorInvalidValue;
    if (allocation_fails()) return cudaErrorMemoryAllocation;
    *executable = new_handle<cudaGraphExec_t>();
    handles().executables[*executable] = found->second;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return call([&] {
    const auto found = handles().executables.find(executable);
    if (found == handles().executables.end()) return cudaErrorInvalidValue;
    for (const Work& work : found->second) {
      const cudaError_t error = enqueue(stream, work);
      if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const cudaError_t error = call([&] {
    return handles().executables.erase(executable) == 1 ? cudaSuccess : cudaErrorInvalidValue;
  });
  if (error == cudaErrorLaunchFailure) {
    const std::lock_guard<std::recursive_mutex> lock(context().mutex);
    handles().executables.erase(executable);
  }
  return error;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const cudaError_t error = call(
      [&] { return handles().graphs.erase(graph) == 1 ? cudaSuccess : cudaErrorInvalidValue; });
  if (error == cudaErrorLaunchFailure) {
    const std::lock_guard<std::recursive_mutex> lock(context().mutex);
    handles().graphs.erase(graph);
  }
  return error;
}
