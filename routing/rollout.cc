// SPDX-License-Identifier: Apache-2.0
#include "routing/rollout.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace headgate::routing {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// How the stake is shared out over the times at which a fault may begin (Evidence::stake); 1 in sum. Most bad versions
// are bad from the first request, others under more load, few in between.
constexpr double kStakeAtStart = 0.6;
constexpr double kStakeAtSteps = 0.24;     // all later steps together
constexpr double kStakeInBetween = 0.1;    // the k-th of all gets 1/(k (k+1)) of it
constexpr double kStakeAtRestores = 0.06;  // likewise
constexpr milliseconds kBetweenStakes = 30s;

// Caches are cold and code is not compiled yet: no verdict on latency.
constexpr milliseconds kWarmUp = 5s;

constexpr double kFalseAlarmIfNone = 0.001;
// However many steps there are, each must have shown something: odds of five to one.
constexpr double kMostParityError = 0.2;

double part(std::uint32_t k) {
  return 1.0 / (static_cast<double>(k) * (static_cast<double>(k) + 1));
}

std::vector<double> steps_of(const config::Rollout& settings) {
  auto steps = settings.steps;
  if (steps.empty()) steps.push_back(100);
  return steps;
}

std::size_t comparing(const config::Rollout& settings) {
  return static_cast<std::size_t>(
      std::count_if(settings.steps.begin(), settings.steps.end(), [](double percent) { return percent < 100; }));
}

/// A version that is worse by what is tolerated, or more, has to pass all steps; each at odds that hold given the ones
/// before: the chances multiply to false_alarm, so that promoting a bad one is as rare as rolling back a good one.
double parity_error(const config::Rollout& settings) {
  const double whole = settings.false_alarm > 0 ? settings.false_alarm : kFalseAlarmIfNone;
  const auto count = std::max<std::size_t>(comparing(settings), 1);
  return std::min(std::pow(whole, 1.0 / static_cast<double>(count)), kMostParityError);
}

PoolComparison::Settings comparison_of(const config::Rollout& settings, std::size_t route_classes) {
  return {std::clamp<std::size_t>(route_classes, 1, observe::kMostRouteClasses), settings.error_rate_worse_by,
          settings.p99_worse_by, settings.false_alarm, parity_error(settings)};
}

RolloutReason reason_of(Guard guard) {
  switch (guard) {
    case Guard::kNoHealthyServer:
      return RolloutReason::kNoHealthyServer;
    case Guard::kConnectFailures:
      return RolloutReason::kConnectFailures;
    case Guard::kStalled:
      return RolloutReason::kStalled;
    case Guard::kErrorCeiling:
      break;
  }
  return RolloutReason::kErrorCeiling;
}

}  // namespace

Rollout::Rollout(const config::Rollout& settings, std::size_t route_classes, TimePoint now)
    : settings_(settings),
      steps_(steps_of(settings)),
      comparing_steps_(comparing(settings)),
      comparison_(comparison_of(settings, route_classes)),
      guards_(settings.error_rate_ceiling),
      own_guards_(settings.error_rate_ceiling),
      last_tick_(now) {
  comparison_.stake(kStakeAtStart);
  comparison_.begin_step();
  reason_ = RolloutReason::kStepTime;
  decide(Kind::kStarted, RolloutReason::kOperator, {});
}

Rollout Rollout::restored(const config::Rollout& settings, std::size_t route_classes, TimePoint now,
                          const RolloutRecord& record) {
  Rollout rollout(settings, route_classes, now);
  rollout.decisions_.clear();
  rollout.comparison_ = PoolComparison(comparison_of(settings, route_classes));
  rollout.state_ = record.state;
  rollout.reason_ = record.reason;
  rollout.step_ = std::min(record.step, rollout.steps_.size() - 1);
  rollout.in_step_ = std::max(record.in_step, 0ms);
  rollout.in_rollout_ = std::max(record.in_rollout, 0ms);
  rollout.late_stakes_ = record.late_stakes;
  rollout.restores_ = record.restores + 1;
  rollout.comparison_.stake(kStakeAtRestores * part(rollout.restores_));
  return rollout;
}

RolloutRecord Rollout::record() const {
  return {state_, reason_, step_, in_step_, in_rollout_, late_stakes_, restores_};
}

double Rollout::percent() const {
  if (state_ == RolloutState::kPromoted) return 100;
  if (state_ == RolloutState::kRolledBack) return 0;
  return steps_[step_];
}

void Rollout::tick(const RolloutView& view) {
  if (over()) return;
  const auto passed = std::chrono::duration_cast<milliseconds>(std::max(view.now - last_tick_, Duration::zero()));
  last_tick_ += passed;  // what is left of a millisecond is counted next time
  in_rollout_ += passed;
  if (state_ != RolloutState::kPaused) in_step_ += passed;

  guards_.see(view.now, view.new_pool, view.old_pool);
  if (view.own_new_pool != nullptr) own_guards_.see(view.now, *view.own_new_pool, *view.own_old_pool);
  if (compares() && view.judges) {
    stake_late();
    comparison_.see(view.now, view.new_pool, view.old_pool, in_rollout_ >= kWarmUp);
  } else {
    comparison_.count(view.now, view.new_pool, view.old_pool);
  }

  if (auto verdict = verdict_against(view)) {
    if (view.old_health.healthy_servers > 0) {
      return end(RolloutState::kRolledBack, verdict->reason, std::move(verdict->numbers));
    }
    if (state_ != RolloutState::kPaused) hold(RolloutReason::kOldPoolDown, std::move(verdict->numbers));
    return;
  }
  if (state_ == RolloutState::kHolding && reason_ == RolloutReason::kOldPoolDown) release();
  if (state_ == RolloutState::kPaused || !view.judges) return;
  const RolloutReason reason = why_not_further(view);
  if (reason == RolloutReason::kNone) return advance();
  if (state_ == RolloutState::kHolding) return;
  reason_ = reason;
  if (in_step_ >= settings_.max_step_time) no_verdict(reason);
}

std::optional<Rollout::Verdict> Rollout::verdict_against(const RolloutView& view) const {
  auto guard = guards_.tripped(view.new_health);
  if (!guard && view.own_new_pool != nullptr) guard = own_guards_.tripped(view.new_health);
  if (guard) {
    Verdict verdict{reason_of(*guard), {}};
    verdict.numbers.figures = comparison_.figures();
    verdict.numbers.connect_failures = view.new_health.connect_failures_in_a_row;
    return verdict;
  }
  if (!compares() || !view.judges) return std::nullopt;
  for (const bool errors : {true, false}) {
    const auto suspect = errors ? comparison_.errors() : comparison_.latencies();
    if (!suspect.convicted()) continue;
    Verdict verdict{errors ? RolloutReason::kErrorsWorse : RolloutReason::kLatencyWorse, {}};
    verdict.numbers.figures = comparison_.figures(suspect.route_class);
    verdict.numbers.route_class = suspect.route_class;
    verdict.numbers.certainty = suspect.certainty;
    verdict.numbers.tolerance_odds = suspect.tolerance_odds;
    return verdict;
  }
  return std::nullopt;
}

RolloutReason Rollout::why_not_further(const RolloutView& view) const {
  if (!view.may_advance) return RolloutReason::kNoAdvance;
  if (in_step_ < settings_.step_time) return RolloutReason::kStepTime;
  if (comparison_.new_requests() < settings_.min_requests) return RolloutReason::kMinRequests;
  if (!compares()) return RolloutReason::kNone;
  if (comparison_.errors().suspicious() || comparison_.latencies().suspicious()) return RolloutReason::kSuspicious;
  if (!comparison_.errors_are_level()) return RolloutReason::kErrorsUnclear;
  if (last_comparison() && !comparison_.latencies_are_level()) return RolloutReason::kLatencyUnclear;
  return RolloutReason::kNone;
}

void Rollout::stake_late() {
  const auto wanted = in_rollout_ / kBetweenStakes;
  while (late_stakes_ < wanted) {
    ++late_stakes_;
    comparison_.stake(kStakeInBetween * part(late_stakes_));
  }
}

void Rollout::begin_step() {
  in_step_ = 0ms;
  if (compares() && comparing_steps_ > 1) {
    comparison_.stake(kStakeAtSteps / static_cast<double>(comparing_steps_ - 1));
  }
  comparison_.begin_step();
  guards_.begin();
  own_guards_.begin();
}

void Rollout::advance() {
  RolloutNumbers numbers;
  numbers.figures = comparison_.figures();
  state_ = RolloutState::kRunning;
  if (step_ + 1 >= steps_.size()) return end(RolloutState::kPromoted, RolloutReason::kAllSteps, std::move(numbers));
  ++step_;
  begin_step();
  reason_ = RolloutReason::kStepTime;
  decide(Kind::kAdvanced, RolloutReason::kNone, std::move(numbers));
}

void Rollout::no_verdict(RolloutReason reason) {
  // Without a sight of the whole fleet, that there is no verdict says nothing about the new pool.
  if (settings_.on_no_verdict == config::Rollout::OnNoVerdict::kAbort && reason != RolloutReason::kNoAdvance) {
    return end(RolloutState::kRolledBack, RolloutReason::kNoVerdict, numbers_for(reason));
  }
  hold(RolloutReason::kNoVerdict, numbers_for(reason));
}

void Rollout::hold(RolloutReason reason, RolloutNumbers numbers) {
  if (state_ == RolloutState::kHolding && reason_ == reason) return;
  state_ = RolloutState::kHolding;
  reason_ = reason;
  decide(Kind::kHeld, reason, std::move(numbers));
}

void Rollout::release() {
  state_ = RolloutState::kRunning;
  const auto reason = std::exchange(reason_, RolloutReason::kStepTime);
  decide(Kind::kReleased, reason, numbers());
}

bool Rollout::pause() {
  if (state_ != RolloutState::kRunning && state_ != RolloutState::kHolding) return false;
  state_ = RolloutState::kPaused;
  reason_ = RolloutReason::kOperator;
  decide(Kind::kPaused, reason_, numbers());
  return true;
}

bool Rollout::resume() {
  if (state_ != RolloutState::kPaused && state_ != RolloutState::kHolding) return false;
  // Who says "go on" gives it as much time again; the conditions stay as they are.
  if (in_step_ >= settings_.max_step_time) in_step_ = settings_.step_time;
  state_ = RolloutState::kRunning;
  reason_ = RolloutReason::kStepTime;
  decide(Kind::kResumed, RolloutReason::kOperator, numbers());
  return true;
}

bool Rollout::promote() {
  if (over()) return false;
  end(RolloutState::kPromoted, RolloutReason::kOperator, numbers());
  return true;
}

bool Rollout::abort(RolloutReason reason) {
  if (over()) return false;
  end(RolloutState::kRolledBack, reason, numbers());
  return true;
}

void Rollout::end(RolloutState state, RolloutReason reason, RolloutNumbers numbers) {
  state_ = state;
  reason_ = reason;
  decide(state == RolloutState::kPromoted ? Kind::kPromoted : Kind::kRolledBack, reason, std::move(numbers));
}

void Rollout::decide(Kind kind, RolloutReason reason, RolloutNumbers numbers) {
  decisions_.push_back({kind, reason, step_, percent(), std::move(numbers)});
}

std::vector<RolloutDecision> Rollout::take_decisions() {
  return std::exchange(decisions_, {});
}

RolloutNumbers Rollout::numbers() const {
  return numbers_for(reason_);
}

RolloutNumbers Rollout::numbers_for(RolloutReason reason) const {
  RolloutNumbers numbers;
  numbers.figures = comparison_.figures();
  if (over() || !compares()) return numbers;
  auto suspect = comparison_.errors();
  if (const auto slow = comparison_.latencies(); slow.certainty > suspect.certainty) suspect = slow;
  numbers.certainty = suspect.certainty;
  numbers.tolerance_odds = suspect.tolerance_odds;
  if (suspect.suspicious() && suspect.route_class) {
    numbers.route_class = suspect.route_class;
    numbers.figures = comparison_.figures(suspect.route_class);
  }
  if (reason == RolloutReason::kSuspicious) return numbers;  // how long a doubt lasts nobody can say

  const double seen = static_cast<double>(comparison_.new_requests());
  const double planned = (100 - steps_[step_]) / steps_[step_];
  double more = std::max(0.0, static_cast<double>(settings_.min_requests) - seen);
  const auto errors = comparison_.requests_until_errors_are_level(planned);
  if (!errors) return numbers;
  more = std::max(more, *errors);
  if (last_comparison()) {
    const auto latencies = comparison_.requests_until_latencies_are_level(planned);
    if (!latencies && reason == RolloutReason::kLatencyUnclear) return numbers;
    more = std::max(more, latencies.value_or(0));
  }
  numbers.more_requests = static_cast<std::uint64_t>(std::min(std::ceil(more), 1e15));
  if (more <= 0) {
    const auto left = std::max(settings_.step_time - in_step_, 0ms);
    numbers.more_time = std::chrono::ceil<std::chrono::seconds>(left);
  } else if (seen > 0 && in_step_ > 0ms) {
    const double per_second = seen * 1000 / static_cast<double>(in_step_.count());
    numbers.more_time = std::chrono::seconds(static_cast<std::int64_t>(std::min(std::ceil(more / per_second), 1e9)));
  }
  return numbers;
}

}  // namespace headgate::routing
