// SPDX-License-Identifier: Apache-2.0
// What active checks have found out about a server. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/time.h"
#include "config/model.h"

namespace headgate::upstream {

enum class Health : std::uint8_t {
  kUnchecked,  ///< nobody asks
  kUnknown,    ///< not enough checks yet for a verdict
  kHealthy,
  kUnhealthy,
};

struct HealthRecord {
  Health health = Health::kUnknown;
  TimePoint since{};
  std::uint32_t good = 0;  ///< checks in a row
  std::uint32_t bad = 0;
  std::string last;  ///< what the last check found, for people

  /// A check has ended. True: the verdict has changed.
  bool note(bool passed, std::string what, TimePoint now, const config::Health& rules) {
    last = std::move(what);
    good = passed ? good + 1 : 0;
    bad = passed ? 0 : bad + 1;
    const Health verdict = passed ? Health::kHealthy : Health::kUnhealthy;
    const bool enough = passed ? good >= rules.healthy_after : bad >= rules.unhealthy_after;
    if (!enough || health == verdict) return false;
    health = verdict;
    since = now;
    return true;
  }
};

}  // namespace headgate::upstream
