// SPDX-License-Identifier: Apache-2.0
// What `--wait` of drain, split, switch and rollback waits for, and how it says so.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/time.h"

namespace headgate::cli {

/// What is under way where no new request goes.
struct Remaining {
  std::uint64_t in_flight = 0;
  std::uint64_t tunnels = 0;  ///< which are not waited for
};

/// "2 requests in flight, 1 tunnel open"
std::string text_of(const Remaining& remaining);

struct DrainWait {
  std::string what;   ///< that is drained
  std::string stays;  ///< what holds although the time is over: "it stays drained"
  TimePoint deadline;
  std::string timeout;  ///< as it was asked for
};

/// Looks until no request is in flight, soon at first and then less often, with progress on a terminal. Nothing: the
/// time was over, which is said, or `look` gave nothing.
std::optional<Remaining> wait_until_drained(const DrainWait& wait, Remaining remaining,
                                            const std::function<std::optional<Remaining>()>& look);

}  // namespace headgate::cli
