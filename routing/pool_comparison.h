// SPDX-License-Identifier: Apache-2.0
// Two pools beside each other: scorecards that only grow go in; whether the new pool fails more, or is slower, comes
// out.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "observe/scorecard.h"
#include "routing/sequential_test.h"

namespace headgate::routing {

/// What was seen of both pools since a step began; of all route classes or of one.
struct PoolFigures {
  std::uint64_t new_requests = 0;
  std::uint64_t new_errors = 0;
  std::uint64_t old_requests = 0;
  std::uint64_t old_errors = 0;
  std::chrono::microseconds new_p99{0};  ///< 0: nothing was answered
  std::chrono::microseconds old_p99{0};
};

/// Pure: no clock of its own. One thread at a time.
///
/// Errors. What has come since the last look is compared, class by class, as soon as both pools had enough requests
/// for it; a rare route waits a little longer. So the comparison is always of the same seconds, and when it is made
/// depends on how many requests there were and not on how they ended, as sequential_test.h demands.
///
/// Latencies. An answer is slow when it took longer than p99_worse_by more than the old pool's 99th percentile in its
/// class, as it was known before the comparison began. If the new pool's own 99th percentile is no worse than that, at
/// most one answer in a hundred is slow. The old pool's are counted by the same yardstick over the same seconds, so
/// when both become slow, or the percentile was caught badly, nobody is blamed.
class PoolComparison {
 public:
  struct Settings {
    std::size_t route_classes = 1;
    double error_rate_worse_by = 0.005;
    double p99_worse_by = 0.2;
    double false_alarm = 0.001;   ///< for errors and latencies together
    double parity_error = 0.001;  ///< of each answer that the pools are level
  };
  explicit PoolComparison(const Settings& settings);

  /// RegressionTest::stake, of both tests.
  void stake(double share);
  /// From here on it is another step: the figures and the question whether errors are level begin anew. What came
  /// before and has not been compared yet is left out.
  void begin_step();
  /// The scorecards as they are now. The first look, and one at a scorecard that has become smaller (another process
  /// counts it, or a member of the fleet has left), only notes where they stand: the step's figures begin there.
  /// `latency_counts`: false while the new pool warms up.
  void see(TimePoint now, const observe::Scorecard& new_pool, const observe::Scorecard& old_pool, bool latency_counts);
  /// Only the figures, when the old pool gets nothing any more.
  void count(TimePoint now, const observe::Scorecard& new_pool, const observe::Scorecard& old_pool);

  RegressionTest::Suspect errors() const { return errors_.suspect(); }
  RegressionTest::Suspect latencies() const { return latencies_.suspect(); }
  /// That errors are level is asked in each step anew, of latencies once in a rollout.
  bool errors_are_level() const { return errors_level_.shown(); }
  bool latencies_are_level() const { return latencies_level_.shown(); }

  /// How many more requests of the new pool it takes to show that, about, if it is true.
  std::optional<double> requests_until_errors_are_level(double old_per_new_planned) const;
  std::optional<double> requests_until_latencies_are_level(double old_per_new_planned) const;

  /// Since the step began.
  PoolFigures figures(std::optional<std::size_t> route_class = std::nullopt) const;
  /// The first of the figures; costs little.
  std::uint64_t new_requests() const;

 private:
  /// What is slow in one class.
  struct Yardstick {
    std::vector<std::uint64_t> known = std::vector<std::uint64_t>(observe::LatencyScale::kCount);  // old pool's, fading
    std::uint64_t total = 0;
    TimePoint faded{};
    std::optional<std::size_t> bucket;  // slow is what lies above it
    double tolerance = 0;               // the share of answers that may be slow beyond the old pool's
  };
  struct RouteClass {
    observe::ClassScore new_seen;  // at the end of the last comparison
    observe::ClassScore old_seen;
    TimePoint since{};
    Yardstick yardstick;
  };
  void note(TimePoint now, const observe::Scorecard& new_pool, const observe::Scorecard& old_pool);
  void compare(std::size_t index, TimePoint now, const observe::ClassScore& new_pool,
               const observe::ClassScore& old_pool, bool latency_counts);
  void compare_latencies(std::size_t index, const observe::ClassScore& new_pool, const observe::ClassScore& old_pool);
  void learn(Yardstick& yardstick, TimePoint now, const observe::ClassScore& old_pool) const;

  Settings settings_;
  RegressionTest errors_;
  RegressionTest latencies_;
  ParityTest errors_level_;
  ParityTest latencies_level_;
  std::vector<RouteClass> classes_;
  bool begun_ = false;
  observe::Scorecard new_now_, old_now_;
  observe::Scorecard new_at_step_, old_at_step_;
  // Of all comparisons, for planning.
  double slow_ = 0, timed_ = 0, tolerance_sum_ = 0;
};

}  // namespace headgate::routing
