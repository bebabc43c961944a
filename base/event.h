// SPDX-License-Identifier: Apache-2.0
// The one waiting point that everything on the data path sleeps on: "ready or not", one waiter, a deadline.
#pragma once

#include <coroutine>

#include "base/deadlines.h"

namespace headgate {

class Loop;

/// Why a wait ended.
enum class Wake : std::uint8_t { kReady, kTimeout, kCancelled };

/// A flag that one coroutine at a time can wait for. Level-triggered: a wait on a set flag does not sleep.
///
/// Loop thread only. The waiter is resumed from the loop, never from inside set() or cancel(), so both may be called
/// from anywhere. Must not be destroyed while a coroutine waits on it.
class Event final : private Deadline {
 public:
  explicit Event(Loop& loop) : loop_(loop) {}

  bool is_set() const { return set_; }
  bool cancelled() const { return cancelled_; }
  bool has_waiter() const { return static_cast<bool>(waiter_); }
  void set() {
    set_ = true;
    if (waiter_) wake(Wake::kReady);
  }
  void clear() { set_ = false; }

  /// Ends the current wait and every later one, ready or not, with kCancelled.
  void cancel() {
    cancelled_ = true;
    if (waiter_) wake(Wake::kCancelled);
  }
  /// Ends the current wait, if there is one, with kCancelled; later waits are as before.
  void interrupt() {
    if (waiter_) wake(Wake::kCancelled);
  }

  class [[nodiscard]] Wait {
   public:
    bool await_ready() const noexcept { return event_.set_ || event_.cancelled_; }
    void await_suspend(std::coroutine_handle<> waiter) { event_.sleep(waiter, deadline_); }
    Wake await_resume() const noexcept {
      if (event_.cancelled_) return Wake::kCancelled;
      return event_.set_ ? Wake::kReady : event_.wake_;
    }

   private:
    friend class Event;
    Wait(Event& event, TimePoint deadline) : event_(event), deadline_(deadline) {}
    Event& event_;
    TimePoint deadline_;
  };

  /// co_await gives the reason. kNoDeadline waits for ever.
  Wait wait(TimePoint deadline) { return Wait(*this, deadline); }

 private:
  void sleep(std::coroutine_handle<> waiter, TimePoint deadline);
  void wake(Wake reason);
  void expired() override {
    if (waiter_) wake(Wake::kTimeout);
  }

  Loop& loop_;
  std::coroutine_handle<> waiter_;
  bool set_ = false;
  bool cancelled_ = false;
  Wake wake_ = Wake::kReady;
};

}  // namespace headgate
