// SPDX-License-Identifier: Apache-2.0
// An automatic canary: a new pool gets a growing percentage of an upstream's clients for as long as it does no worse
// than the old one, and none as soon as it does. Pure: scorecards and a clock go in, the percentage, the state and
// decisions with their reasons and numbers come out. docs/rollouts.md says what that means to users.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "config/model.h"
#include "observe/scorecard.h"
#include "routing/pool_comparison.h"
#include "routing/rollout_guards.h"

namespace headgate::routing {

enum class RolloutState : std::uint8_t {
  kRunning,
  kPaused,   ///< by an operator: goes no further, but is still rolled back
  kHolding,  ///< of itself: likewise; goes on when the reason is gone
  kPromoted,
  kRolledBack,
};

/// Why a rollout is where it is.
enum class RolloutReason : std::uint8_t {
  kNone,
  // Why a step is not over.
  kStepTime,
  kMinRequests,
  kErrorsUnclear,   ///< not enough data to say that errors are level
  kLatencyUnclear,  ///< likewise of latencies; asked before the step to all
  kSuspicious,      ///< it looks worse; not certain enough to roll back, too much to go on
  kNoAdvance,       ///< the caller does not allow it: it does not see all of the fleet
  // Why it holds, besides.
  kNoVerdict,    ///< max_step_time is over
  kOldPoolDown,  ///< it ought to be rolled back, but there is nowhere to
  // Why it is over.
  kAllSteps,
  kErrorsWorse,
  kLatencyWorse,
  kErrorCeiling,
  kConnectFailures,
  kNoHealthyServer,
  kStalled,
  kOperator,
  kReconfigured,  ///< the configuration does not have the pool any more
};
std::string_view name_of(RolloutState state);
std::string_view name_of(RolloutReason reason);

/// What a decision rests on.
struct RolloutNumbers {
  PoolFigures figures;                     ///< since the step began, of route_class
  std::optional<std::size_t> route_class;  ///< nullopt: of all
  double certainty = 0;                    ///< of a verdict: 1 convicts; how many times rarer than agreed among equals
  double tolerance_odds = 0;               ///< that it is worse by more than is tolerated
  std::uint64_t connect_failures = 0;      ///< in a row
  std::optional<std::uint64_t> more_requests;  ///< of the new pool, that the step still needs, about
  std::optional<std::chrono::seconds> more_time;
};

struct RolloutDecision {
  enum class Kind : std::uint8_t { kStarted, kAdvanced, kHeld, kReleased, kPaused, kResumed, kPromoted, kRolledBack };
  Kind kind = Kind::kStarted;
  RolloutReason reason = RolloutReason::kNone;
  std::size_t step = 0;  ///< from 0
  double percent = 0;    ///< that the new pool gets from now on
  RolloutNumbers numbers;
};
std::string_view name_of(RolloutDecision::Kind kind);

/// What survives a restart, or goes to another instance. A step's evidence does not: it is collected anew, on what is
/// left of the false alarms' budget.
struct RolloutRecord {
  RolloutState state = RolloutState::kRunning;
  RolloutReason reason = RolloutReason::kNone;
  std::size_t step = 0;
  std::chrono::milliseconds in_step{0};     ///< time not paused
  std::chrono::milliseconds in_rollout{0};  ///< time
  std::uint32_t late_stakes = 0;
  std::uint32_t restores = 0;

  bool over() const { return state == RolloutState::kPromoted || state == RolloutState::kRolledBack; }
};

/// What a rollout looks at. Ten times a second is a good measure.
struct RolloutView {
  TimePoint now;
  const observe::Scorecard& new_pool;  ///< since whenever: differences count
  const observe::Scorecard& old_pool;  ///< of all the other pools that get requests
  PoolHealth new_health;
  PoolHealth old_health;
  bool may_advance = true;  ///< false freezes the weight: it may only be rolled back
  /// False: another instance compares the pools, and here only the guards act.
  bool judges = true;
  // What this instance has seen of its own when the above is a fleet's: the guards look at both. Null: it is the same.
  const observe::Scorecard* own_new_pool = nullptr;
  const observe::Scorecard* own_old_pool = nullptr;
};

/// One thread at a time. A bad state is not possible: what cannot be done is refused and changes nothing.
class Rollout {
 public:
  /// Begins with the first step.
  Rollout(const config::Rollout& settings, std::size_t route_classes, TimePoint now);
  static Rollout restored(const config::Rollout& settings, std::size_t route_classes, TimePoint now,
                          const RolloutRecord& record);

  void tick(const RolloutView& view);
  // Each false: not in this state.
  bool pause();
  bool resume();
  bool promote();
  bool abort(RolloutReason reason = RolloutReason::kOperator);

  RolloutState state() const { return state_; }
  RolloutReason reason() const { return reason_; }
  bool over() const { return state_ == RolloutState::kPromoted || state_ == RolloutState::kRolledBack; }
  /// That the new pool ought to get now; the others share the rest as before.
  double percent() const;
  std::size_t step() const { return step_; }
  const std::vector<double>& steps() const { return steps_; }
  std::chrono::milliseconds in_step() const { return in_step_; }
  /// As they are now, with what the step still needs.
  RolloutNumbers numbers() const;
  RolloutRecord record() const;

  /// Since the last time; in the order they were made.
  std::vector<RolloutDecision> take_decisions();

 private:
  using Kind = RolloutDecision::Kind;
  struct Verdict {
    RolloutReason reason;
    RolloutNumbers numbers;
  };
  std::optional<Verdict> verdict_against(const RolloutView& view) const;
  RolloutReason why_not_further(const RolloutView& view) const;
  RolloutNumbers numbers_for(RolloutReason reason) const;
  bool compares() const { return step_ < steps_.size() && steps_[step_] < 100; }
  bool last_comparison() const { return step_ + 1 >= comparing_steps_; }
  void stake_late();
  void begin_step();
  void advance();
  void no_verdict(RolloutReason reason);
  void hold(RolloutReason reason, RolloutNumbers numbers);
  void release();
  void end(RolloutState state, RolloutReason reason, RolloutNumbers numbers);
  void decide(Kind kind, RolloutReason reason, RolloutNumbers numbers);

  config::Rollout settings_;
  std::vector<double> steps_;
  std::size_t comparing_steps_ = 0;  // those below 100 %
  PoolComparison comparison_;
  RolloutGuards guards_;
  RolloutGuards own_guards_;
  RolloutState state_ = RolloutState::kRunning;
  RolloutReason reason_ = RolloutReason::kNone;
  std::size_t step_ = 0;
  TimePoint last_tick_;
  std::chrono::milliseconds in_step_{0};
  std::chrono::milliseconds in_rollout_{0};
  std::uint32_t late_stakes_ = 0;
  std::uint32_t restores_ = 0;
  std::vector<RolloutDecision> decisions_;
};

/// One line for the log and the terminal, such as "rolled back at 5 %: more errors than blue: ...". `route`: the name
/// of numbers.route_class.
std::string sentence(const RolloutDecision& decision, std::string_view new_pool, std::string_view old_pool,
                     std::string_view route);
/// Why the step is not over, and what it still needs.
std::string sentence(RolloutReason reason, const RolloutNumbers& numbers, std::string_view new_pool,
                     std::string_view old_pool, std::string_view route);

}  // namespace headgate::routing
