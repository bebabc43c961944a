// SPDX-License-Identifier: Apache-2.0
// Deadlines by the thousand at next to no cost: a timing wheel that the loop turns. Arming costs no system call, and
// moving a deadline later (what nearly every wait does) or disarming it is one store: it stays in its slot, and the
// wheel looks at its time when it passes there.
//
// A deadline fires within one tick after its time, never before.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace headgate {

class DeadlineWheel;

/// The deadline of one waiting point, embedded in it. Its wheel must outlive it. Loop thread only.
class Deadline {
 public:
  Deadline() = default;
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 protected:
  ~Deadline() { unlink(); }
  /// Called once for each arm() that was not moved or disarmed in time. May arm again; must not destroy this object.
  virtual void expired() = 0;

 private:
  friend class DeadlineWheel;
  void unlink();

  Deadline* next_ = nullptr;
  Deadline** link_ = nullptr;      // what points at us: null when in no slot
  TimePoint time_ = kNoDeadline;   // when to fire; kNoDeadline: disarmed
  std::uint64_t slot_tick_ = 0;    // the tick at which the wheel looks at us
};

class DeadlineWheel {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(16);
  static constexpr std::size_t kSlots = 2048;  // one turn is about 33 s; a later deadline goes round again

  explicit DeadlineWheel(TimePoint start) : start_(start) {}
  ~DeadlineWheel();
  DeadlineWheel(const DeadlineWheel&) = delete;
  DeadlineWheel& operator=(const DeadlineWheel&) = delete;

  /// Arms or moves. kNoDeadline disarms.
  void arm(Deadline& deadline, TimePoint time);
  void disarm(Deadline& deadline) { deadline.time_ = kNoDeadline; }

  /// Fires all that are due at `now`.
  void advance(TimePoint now);

  /// When advance() next has something to look at; kNoDeadline when the wheel is empty.
  TimePoint next() const;

 private:
  void insert(Deadline& deadline, std::uint64_t tick);
  std::uint64_t tick_after(TimePoint time) const;  // the first tick at or after `time`

  TimePoint start_;
  std::uint64_t current_ = 0;  // all slots up to and including this tick have been looked at
  std::array<Deadline*, kSlots> slots_{};
  std::array<std::uint64_t, kSlots / 64> occupied_{};  // may keep a bit whose slot has emptied
};

}  // namespace headgate
