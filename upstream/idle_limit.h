// SPDX-License-Identifier: Apache-2.0
// For how long an idle connection to an origin may be kept before the origin closes it: as configured, as the origin
// says (Keep-Alive: timeout=), and as experience shows. A connection that is used while its origin is closing it costs
// a request; one that is retired before costs nothing.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/time.h"

namespace headgate::upstream {

/// Loop thread only.
class IdleLimit {
 public:
  /// zero: connections are not kept
  explicit IdleLimit(Duration configured) : configured_(configured) {}

  /// Idle for longer than this: not to be used any more.
  Duration limit(TimePoint now) const { return std::min({configured_, told_, learned(now)}); }
  /// Likewise, for a request that must not fail, since it cannot be sent again.
  Duration careful_limit(TimePoint now) const { return std::min<Duration>(limit(now) / 2, kCareful); }

  /// A Keep-Alive field of an answer: "timeout=5, max=100". What cannot be read says nothing.
  void told(std::string_view keep_alive);

  /// The origin has closed a connection that was idle for so long, or less. What happens once within some minutes is
  /// a restart, say, which closes connections of every age; what happens again is a habit.
  void closed(Duration age, TimePoint now);

 private:
  static constexpr Duration kForever = std::chrono::hours(24);
  static constexpr Duration kCareful = std::chrono::seconds(1);
  static constexpr Duration kOneEvent = std::chrono::milliseconds(100);  ///< closes so near each other are one
  static constexpr Duration kHabit = std::chrono::minutes(5);            ///< within this it happens again
  static constexpr Duration kDoubling = std::chrono::seconds(30);        ///< without news the limit grows back
  static constexpr Duration kShortest =
      std::chrono::milliseconds(1);  ///< a crash in the middle looks like no age at all

  Duration learned(TimePoint now) const;

  Duration configured_;
  Duration told_ = kForever;
  Duration learned_ = kForever;
  TimePoint learned_at_{};
  bool habit_ = false;
  Duration event_age_ = kForever;  // the first event's, until it is known to be a habit
  TimePoint event_at_{};           // when the latest began
};

}  // namespace headgate::upstream
