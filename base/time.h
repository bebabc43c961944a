// SPDX-License-Identifier: Apache-2.0
// The one clock of the data path. Monotonic; wall time appears only in logs and HTTP dates.
#pragma once

#include <chrono>

namespace headgate {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

/// "Never": a deadline that does not expire.
inline constexpr TimePoint kNoDeadline = TimePoint::max();

/// now + wait, where a wait of zero or less means "no limit".
inline TimePoint deadline_after(TimePoint now, Duration wait) {
  return wait <= Duration::zero() ? kNoDeadline : now + wait;
}

}  // namespace headgate
