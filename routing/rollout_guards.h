// SPDX-License-Identifier: Apache-2.0
// What ends a rollout at once, without a test that needs to collect evidence.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/time.h"
#include "observe/scorecard.h"

namespace headgate::routing {

/// What the Monitor knows of a pool.
struct PoolHealth {
  std::size_t healthy_servers = 1;
  std::uint64_t connect_failures_in_a_row = 0;  ///< the last attempts at the pool's servers, whichever
};

enum class Guard {
  kNoHealthyServer,
  kConnectFailures,  ///< kConnectFailures in a row
  kStalled,          ///< requests go in and nothing comes out, while the old pool answers
  kErrorCeiling,
};

/// Looks at the last ten seconds, or at as long as it took to see kFewest requests. Pure; one thread at a time.
///
/// A pool whose ordinary error rate is not far below the ceiling passes it by chance now and then: with a tenth of the
/// requests failing, one time in eight that twenty are looked at four have failed; and a mix with more of the routes
/// that fail more passes it all the time. So that pools that are alike keep the promise of `false_alarm`, the ceiling
/// asks as well whether the old pool, class by class and over the same seconds, fails that often too. Beside a healthy
/// pool 20 requests of which a fifth failed are enough; what both depend on is not blamed on the new one.
class RolloutGuards {
 public:
  static constexpr std::uint64_t kFewest = 20;
  static constexpr std::uint64_t kConnectFailures = 5;

  explicit RolloutGuards(double error_rate_ceiling) : ceiling_(error_rate_ceiling) {}

  /// From here on, as if nothing had been seen but how the old pool does.
  void begin() { marks_.clear(); }
  /// The scorecards as they are now.
  void see(TimePoint now, const observe::Scorecard& new_pool, const observe::Scorecard& old_pool);
  std::optional<Guard> tripped(const PoolHealth& new_pool) const;

 private:
  struct Totals {
    std::uint64_t ended = 0, errors = 0;
    bool operator==(const Totals&) const = default;
  };
  struct PoolTotals {
    std::vector<Totals> classes;
    Totals all;
    std::uint64_t started = 0;
  };
  struct Mark {
    TimePoint at;
    PoolTotals new_pool, old_pool;
  };
  static PoolTotals totals_of(const observe::Scorecard& card);
  bool stalled() const;
  bool above_ceiling() const;
  bool above_ceiling_since(const Mark& begin) const;

  double ceiling_;
  std::deque<Mark> marks_;  // ascending; the window is from the first one to the last
  PoolTotals old_so_far_;   // all that was seen of the old pool: for when it gets no requests any more
};

}  // namespace headgate::routing
