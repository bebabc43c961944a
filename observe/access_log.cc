// SPDX-License-Identifier: Apache-2.0
#include "observe/access_log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include <pthread.h>
#include <signal.h>

#include "base/log.h"
#include "observe/access_line.h"
#include "observe/line_output.h"

namespace headgate::observe {
namespace {

constexpr std::size_t kChunk = 64 * 1024;
constexpr std::size_t kHandOver = 32 * 1024;         // a writer's buffer goes out when it holds this much
constexpr std::size_t kMaxQueued = 8 * 1024 * 1024;  // beyond it lines are dropped
constexpr std::size_t kMaxSpare = 32;                // empty chunks kept for the next hand-over
constexpr auto kLookAround = std::chrono::milliseconds(500);
constexpr auto kReportEvery = std::chrono::seconds(1);
constexpr auto kLastWords = std::chrono::seconds(1);  // at the end: what a slow reader is given

/// A worker's buffer: whole lines.
struct Chunk {
  std::unique_ptr<char[]> data;
  std::size_t capacity = 0;
  std::size_t size = 0;
  std::uint64_t lines = 0;

  void clear() {
    size = 0;
    lines = 0;
  }

  /// Takes the other's lines, if they fit.
  bool append(Chunk& other) {
    if (capacity - size < other.size) return false;
    std::memcpy(data.get() + size, other.data.get(), other.size);
    size += other.size;
    lines += other.lines;
    other.clear();
    return true;
  }

  void reserve(std::size_t more) {
    if (capacity - size >= more) return;
    const std::size_t bigger = std::max(kChunk, size + more);
    std::unique_ptr<char[]> room(new char[bigger]);
    if (size > 0) std::memcpy(room.get(), data.get(), size);
    data = std::move(room);
    capacity = bigger;
  }
};

/// Lines, or from here on another file.
struct Entry {
  Chunk chunk;
  UniqueFd reopened;
};

std::uint64_t lines_in(const char* from, std::size_t size) {
  return static_cast<std::uint64_t>(std::count(from, from + size, '\n'));
}

}  // namespace

struct AccessLog::State {
  explicit State(const config::AccessLog& settings) : format(settings.format), output(settings.output) {}

  const config::AccessLog::Format format;
  LineOutput output;

  std::mutex mutex;
  std::condition_variable filled;
  std::deque<Entry> queue;
  std::vector<Chunk> spare;
  std::size_t queued_bytes = 0;  // capacity of the queue's chunks and of those that the thread is writing
  bool stopping = false;

  std::atomic<std::uint64_t> dropped{0};
  std::thread thread;

  // The thread's own.
  std::uint64_t reported = 0;
  std::chrono::steady_clock::time_point next_report{};
  std::chrono::steady_clock::time_point give_up = std::chrono::steady_clock::time_point::max();
  int last_error = 0;

  /// Takes the chunk's lines, or drops them; leaves an empty chunk to go on with.
  void hand_over(Chunk& chunk);
  void run();
  bool take(std::deque<Entry>& into);
  void write(std::deque<Entry>& entries);
  void drop_all(std::deque<Entry>& entries, std::size_t offset);
  void advance(std::deque<Entry>& entries, std::size_t& offset, std::size_t written);
  void recycle(Chunk chunk);
  bool must_give_up();
  void report();
};

void AccessLog::State::hand_over(Chunk& chunk) {
  if (chunk.size == 0) return;
  {
    const std::lock_guard lock(mutex);
    // Small hand-overs share a chunk, so that the memory behind the bound is lines and not room for them.
    if (!queue.empty() && !queue.back().reopened && queue.back().chunk.append(chunk)) return;
    if (queued_bytes + chunk.capacity > kMaxQueued) {
      dropped.fetch_add(chunk.lines, std::memory_order_relaxed);
      chunk.clear();
      return;
    }
    queued_bytes += chunk.capacity;
    Chunk empty;
    if (!spare.empty()) {
      empty = std::move(spare.back());
      spare.pop_back();
    }
    queue.push_back({std::exchange(chunk, std::move(empty)), {}});
  }
  filled.notify_one();
}

void AccessLog::State::recycle(Chunk chunk) {
  const std::lock_guard lock(mutex);
  queued_bytes -= chunk.capacity;
  if (chunk.capacity != kChunk || spare.size() >= kMaxSpare) return;
  chunk.clear();
  spare.push_back(std::move(chunk));
}

/// Waits for entries. False: none will come any more.
bool AccessLog::State::take(std::deque<Entry>& into) {
  std::unique_lock lock(mutex);
  filled.wait_for(lock, kReportEvery, [&] { return stopping || !queue.empty(); });
  into.swap(queue);
  return !(stopping && into.empty());
}

void AccessLog::State::run() {
  std::deque<Entry> entries;
  while (take(entries)) {
    write(entries);
    report();
  }
  next_report = {};
  report();
}

void AccessLog::State::advance(std::deque<Entry>& entries, std::size_t& offset, std::size_t written) {
  offset += written;
  while (!entries.empty() && !entries.front().reopened && offset >= entries.front().chunk.size) {
    offset -= entries.front().chunk.size;
    recycle(std::move(entries.front().chunk));
    entries.pop_front();
  }
}

void AccessLog::State::write(std::deque<Entry>& entries) {
  std::array<iovec, 64> pieces;
  std::size_t offset = 0;  // into the first entry
  while (!entries.empty()) {
    if (entries.front().reopened) {
      output.replace(std::move(entries.front().reopened));
      entries.pop_front();
      continue;
    }
    std::size_t count = 0;
    for (auto& entry : entries) {
      if (entry.reopened || count == pieces.size()) break;
      const std::size_t skip = count == 0 ? offset : 0;
      pieces[count++] = {entry.chunk.data.get() + skip, entry.chunk.size - skip};
    }
    std::size_t written = 0;
    switch (output.write_some(std::span(pieces).first(count), kLookAround, written)) {
      case LineOutput::Outcome::kWritten:
        advance(entries, offset, written);
        break;
      case LineOutput::Outcome::kNotNow:
        break;
      case LineOutput::Outcome::kFailed: {
        // A full disk or a reader that is gone: these lines are lost, later ones may find it mended.
        last_error = errno;
        const Chunk& lost = entries.front().chunk;
        dropped.fetch_add(lines_in(lost.data.get() + offset, lost.size - offset), std::memory_order_relaxed);
        advance(entries, offset, lost.size - offset);
        break;
      }
    }
    report();
    if (must_give_up()) return drop_all(entries, offset);
  }
}

void AccessLog::State::drop_all(std::deque<Entry>& entries, std::size_t offset) {
  for (auto& entry : entries) {
    if (entry.reopened) continue;
    const Chunk& lost = entry.chunk;
    dropped.fetch_add(lines_in(lost.data.get() + offset, lost.size - offset), std::memory_order_relaxed);
    recycle(std::move(entry.chunk));
    offset = 0;
  }
  entries.clear();
}

/// At the end, when the reader has had its time.
bool AccessLog::State::must_give_up() {
  const std::lock_guard lock(mutex);
  if (!stopping) return false;
  return std::chrono::steady_clock::now() >= give_up;
}

void AccessLog::State::report() {
  const std::uint64_t total = dropped.load(std::memory_order_relaxed);
  if (total == reported) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_report) return;
  next_report = now + kReportEvery;
  const char* why = last_error != 0 ? std::strerror(last_error) : "its output is too slow";
  log::warn("access log: {} lines lost: {}", total - std::exchange(reported, total), why);
  last_error = 0;
}

// --- the outside ---------------------------------------------------------------------------------------------------

AccessLog::AccessLog(const config::AccessLog& settings) {
  if (settings.format == config::AccessLog::Format::kOff) return;
  state_ = std::make_unique<State>(settings);
  // The thread takes no signals: they are the main thread's, and a broken pipe shows as EPIPE.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    state_->thread = std::thread([state = state_.get()] { state->run(); });
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

AccessLog::~AccessLog() {
  if (!state_) return;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->give_up = std::chrono::steady_clock::now() + kLastWords;
  }
  state_->filled.notify_one();
  state_->thread.join();
}

bool AccessLog::enabled() const {
  return state_ != nullptr;
}

std::uint64_t AccessLog::dropped() const {
  return state_ ? state_->dropped.load(std::memory_order_relaxed) : 0;
}

void AccessLog::reopen() {
  if (!state_ || !state_->output.is_file()) return;
  try {
    UniqueFd fresh = state_->output.open();
    {
      const std::lock_guard lock(state_->mutex);
      state_->queue.push_back({{}, std::move(fresh)});
    }
    state_->filled.notify_one();
  } catch (const std::system_error& e) {
    log::error("access log not reopened, the old file stays in use: {}", e.what());
  }
}

namespace {

/// The wall clock at a time of the monotonic one, which the caller has read anyway. It is compared with the system's
/// twenty times a second, so that a line soon follows when that is set.
class WallClock {
 public:
  std::chrono::system_clock::time_point at(TimePoint time) {
    if (time - compared_at_ > kTrusted || time < compared_at_) {
      compared_at_ = time;
      wall_then_ = std::chrono::system_clock::now();
    }
    return wall_then_ + std::chrono::duration_cast<std::chrono::system_clock::duration>(time - compared_at_);
  }

 private:
  static constexpr Duration kTrusted = std::chrono::milliseconds(50);
  TimePoint compared_at_{};
  std::chrono::system_clock::time_point wall_then_;
};

}  // namespace

struct AccessLog::Writer::State {
  AccessLog::State& log;
  WallClock wall;
  LineTime time;
  Chunk chunk;
};

AccessLog::Writer::Writer(AccessLog& log) {
  if (log.state_) state_.reset(new State{*log.state_, {}, {}, {}});
}

AccessLog::Writer::~Writer() {
  flush();
}

void AccessLog::Writer::log(const AccessRecord& record, TimePoint ended) {
  if (!state_) return;
  Chunk& chunk = state_->chunk;
  chunk.reserve(line_bound(record));
  state_->time.set(state_->wall.at(ended));
  char* const from = chunk.data.get() + chunk.size;
  char* const to = state_->log.format == config::AccessLog::Format::kJson
                       ? write_json_line(from, record, state_->time)
                       : write_combined_line(from, record, state_->time);
  chunk.size += static_cast<std::size_t>(to - from);
  ++chunk.lines;
  if (chunk.size >= kHandOver) flush();
}

bool AccessLog::Writer::empty() const {
  return !state_ || state_->chunk.size == 0;
}

void AccessLog::Writer::flush() {
  if (state_) state_->log.hand_over(state_->chunk);
}

}  // namespace headgate::observe
