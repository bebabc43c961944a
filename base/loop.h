// SPDX-License-Identifier: Apache-2.0
// One event loop of one thread: epoll, edge-triggered, one registration for the life of a descriptor; deadlines from
// the wheel through epoll's own timeout; coroutines resumed in the order in which they became ready.
//
// A proxied keep-alive request costs here a share of one epoll_wait and nothing else: no epoll_ctl, no timerfd.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "base/buffer_pool.h"
#include "base/deadlines.h"
#include "base/event.h"
#include "base/unique_fd.h"

namespace headgate {

/// What a registered descriptor's events are told to. Loop thread.
class Readiness {
 public:
  /// `events` as epoll reports them. Must only note them (set an Event): no coroutine runs meanwhile.
  virtual void on_events(std::uint32_t events) = 0;

 protected:
  ~Readiness() = default;
};

/// Every member but post() and stop() belongs to the thread that calls run() (or, before run, to its creator).
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs until stop(). May be called again.
  void run();

  /// Any thread.
  void stop();

  /// Any thread: `function` is called on the loop's thread, soon, in order.
  void post(std::function<void()> function);

  /// The time at which this turn of the loop began: cheap, and at most one turn old.
  TimePoint now() const { return now_; }
  BufferPool& buffers() { return buffers_; }
  DeadlineWheel& deadlines() { return deadlines_; }

  /// The coroutine is resumed in this turn (or the next, if it is called from a resumed one).
  void schedule(std::coroutine_handle<> coroutine) { ready_.push_back(coroutine); }

  /// co_await loop.yield(): lets the others have their turn.
  auto yield() {
    struct Yield {
      Loop& loop;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> self) const { loop.schedule(self); }
      void await_resume() const noexcept {}
    };
    return Yield{*this};
  }

  /// Registers for `events` (EPOLLET included by the caller where wanted); the kernel forgets a descriptor on its
  /// close. Returns false with errno set when the kernel refuses. `target` must stay until remove() or the close.
  bool add(int fd, std::uint32_t events, Readiness& target);
  void modify(int fd, std::uint32_t events, Readiness& target);
  void remove(int fd);

 private:
  void run_ready();
  void run_posted();

  UniqueFd epoll_;
  UniqueFd wake_fd_;
  TimePoint now_;
  BufferPool buffers_;
  DeadlineWheel deadlines_;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> running_;
  bool stopping_ = false;
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
};

}  // namespace headgate
