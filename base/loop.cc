// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/system_calls.h"

namespace headgate {
namespace {

constexpr int kEventsPerTurn = 256;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

void Event::sleep(std::coroutine_handle<> waiter, TimePoint deadline) {
  waiter_ = waiter;
  loop_.deadlines().arm(*this, deadline);
}

void Event::wake(Wake reason) {
  wake_ = reason;
  loop_.deadlines().disarm(*this);
  loop_.schedule(std::exchange(waiter_, {}));
}

Loop::Loop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      now_(Clock::now()),
      deadlines_(now_) {
  if (!epoll_) fail("epoll_create1");
  if (!wake_fd_) fail("eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // null: our own wake-up
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_fd_.get(), &event) != 0) fail("epoll_ctl");
}

Loop::~Loop() = default;

bool Loop::add(int fd, std::uint32_t events, Readiness& target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Loop::modify(int fd, std::uint32_t events, Readiness& target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::remove(int fd) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Loop::post(std::function<void()> function) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(function));
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_fd_.get(), &one, sizeof one);  // full means already signalled
}

void Loop::stop() {
  post([this] { stopping_ = true; });
}

void Loop::run_posted() {
  std::uint64_t count;
  [[maybe_unused]] const auto got = ::read(wake_fd_.get(), &count, sizeof count);
  std::vector<std::function<void()>> functions;
  {
    const std::lock_guard lock(posted_mutex_);
    functions.swap(posted_);
  }
  for (auto& function : functions) function();
}

void Loop::run_ready() {
  // Only what is ready now: what these make ready waits for the next turn, so that input is never starved.
  running_.swap(ready_);
  for (auto coroutine : running_) coroutine.resume();
  running_.clear();
}

void Loop::run() {
  stopping_ = false;
  std::array<epoll_event, kEventsPerTurn> events;
  while (!stopping_) {
    int timeout = 0;
    if (ready_.empty()) {
      const TimePoint next = deadlines_.next();
      if (next == kNoDeadline) {
        timeout = -1;
      } else {
        const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - now_).count();
        timeout = wait <= 0 ? 0 : static_cast<int>(std::min<std::int64_t>(wait, 60'000));
      }
    }
    const int count = system_calls::epoll_wait(epoll_.get(), events.data(), kEventsPerTurn, timeout);
    now_ = Clock::now();
    bool posted = false;
    for (int i = 0; i < count; ++i) {
      auto* target = static_cast<Readiness*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (target == nullptr) {
        posted = true;
      } else {
        target->on_events(events[static_cast<std::size_t>(i)].events);
      }
    }
    deadlines_.advance(now_);
    if (posted) run_posted();
    run_ready();
  }
}

}  // namespace headgate
