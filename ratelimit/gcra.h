// SPDX-License-Identifier: Apache-2.0
// The arithmetic of all rate limits: GCRA, the generic cell rate algorithm. What is known of a key is one number, its
// theoretical arrival time: when the next request would be due if all came exactly at the rate. A key may run ahead of
// that by its burst, and there is no window at whose edge twice the limit would pass. Pure functions; any thread.
//
// Times are nanoseconds of any clock that does not go backwards by much, between 0 and 2^60 (36 years).
#pragma once

#include <cstdint>

#include "base/time.h"
#include "config/model.h"

namespace headgate::ratelimit {

using Nanos = std::int64_t;

/// A moment of the data path's clock.
inline Nanos nanos_of(TimePoint time) {
  return std::chrono::nanoseconds(time.time_since_epoch()).count();
}

/// Longer spans are cut to this; nothing below can then overflow.
inline constexpr Nanos kLongestSpan = Nanos{1} << 60;

/// How fast, and how far ahead. A value.
struct Pace {
  Nanos interval = 1;   ///< between two requests at exactly the rate; at least 1
  Nanos tolerance = 1;  ///< how far a key may run ahead: its burst times the interval

  /// The interval is rounded to a nanosecond: a million in a second comes out exactly, ten million within 0.5 %. A
  /// burst whose refill would take more than 36 years is cut to that.
  static Pace of(const config::Rate& rate, std::uint64_t burst);
  static Pace of(Nanos interval, std::uint64_t burst);

  std::uint64_t burst() const { return static_cast<std::uint64_t>(tolerance / interval); }
  friend bool operator==(const Pace&, const Pace&) = default;
};

struct Decision {
  bool allowed = false;
  Nanos arrival = 0;            ///< the key's new theoretical arrival time; the old one when refused
  std::uint64_t remaining = 0;  ///< requests that would pass now, after this one
  Nanos retry_after = 0;        ///< refused: how long until it would pass; a cost above the burst never does
  Nanos until_full = 0;         ///< how long until the whole burst is there again, if nothing comes
};

/// Whether a request of this cost (in requests; at least 1) may pass, for a key with this arrival time: 0 for a new
/// one. An arrival time further ahead than the pace allows, left by a slower one, counts as just used up.
Decision decide(const Pace& pace, Nanos arrival, Nanos now, std::uint64_t cost = 1);

/// The arrival time of a key after `cost` has been given back.
Nanos give_back(const Pace& pace, Nanos arrival, std::uint64_t cost = 1);

/// The arrival time that means under pace `to` what `arrival` meant under `from`: as many requests are used.
Nanos rescale(Nanos arrival, Nanos now, const Pace& from, const Pace& to);

}  // namespace headgate::ratelimit
