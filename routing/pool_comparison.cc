// SPDX-License-Identifier: Apache-2.0
#include "routing/pool_comparison.h"

#include <algorithm>
#include <numeric>
#include <span>

namespace headgate::routing {
namespace {

using observe::ClassScore;
using observe::LatencyScale;
using observe::Outcome;
using observe::Scorecard;
using namespace std::chrono_literals;

// Errors are what users feel first; a slow version is found in time with a smaller part of the budget.
constexpr double kErrorsPart = 0.7;

// A comparison ends when both pools had so many requests, or one each and it has lasted this long.
constexpr std::uint64_t kEnoughRequests = 4;
constexpr Duration kLongEnough = 2s;

// From so many answers on a 99th percentile is worth something; what is older than this counts half.
constexpr std::uint64_t kAnswersToKnow = 200;
constexpr Duration kFade = 30s;
// Where answers are few just below the percentile, next to nothing may be slow: a little must be, or nothing could be
// shown.
constexpr double kLeastSlowTolerance = 0.002;
constexpr double kSlowShare = 0.01;

std::uint64_t sum_of(std::span<const std::uint64_t> numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0});
}

ClassScore operator-(ClassScore later, const ClassScore& earlier) {
  later -= earlier;
  return later;
}

/// Another process counts it, or a member of the fleet has left.
bool smaller(const Scorecard& now, const Scorecard& before) {
  const std::size_t both = std::min(now.classes.size(), before.classes.size());
  if (now.classes.size() < before.classes.size()) return true;
  for (std::size_t i = 0; i < both; ++i) {
    if (now.classes[i].requests() < before.classes[i].requests()) return true;
  }
  return false;
}

Batch errors_of(std::uint64_t new_requests, std::uint64_t new_errors, std::uint64_t old_requests,
                std::uint64_t old_errors) {
  return {static_cast<double>(new_requests), static_cast<double>(new_errors), static_cast<double>(old_requests),
          static_cast<double>(old_errors)};
}

}  // namespace

PoolComparison::PoolComparison(const Settings& settings)
    : settings_(settings),
      errors_(settings.route_classes, settings.false_alarm * kErrorsPart),
      latencies_(settings.route_classes, settings.false_alarm * (1 - kErrorsPart)),
      errors_level_(settings.parity_error),
      latencies_level_(settings.parity_error),
      classes_(std::max<std::size_t>(settings.route_classes, 1)) {}

void PoolComparison::stake(double share) {
  errors_.stake(share);
  latencies_.stake(share);
}

void PoolComparison::begin_step() {
  errors_level_.begin();
  begun_ = false;
  new_at_step_ = new_now_;
  old_at_step_ = old_now_;
}

void PoolComparison::see(TimePoint now, const Scorecard& new_pool, const Scorecard& old_pool, bool latency_counts) {
  count(now, new_pool, old_pool);
  const std::size_t both = std::min({classes_.size(), new_pool.classes.size(), old_pool.classes.size()});
  for (std::size_t i = 0; i < both; ++i) compare(i, now, new_pool.classes[i], old_pool.classes[i], latency_counts);
}

void PoolComparison::count(TimePoint now, const Scorecard& new_pool, const Scorecard& old_pool) {
  if (!begun_ || smaller(new_pool, new_now_) || smaller(old_pool, old_now_)) {
    begun_ = true;
    note(now, new_pool, old_pool);
    new_at_step_ = new_pool;
    old_at_step_ = old_pool;
  }
  new_now_ = new_pool;
  old_now_ = old_pool;
}

void PoolComparison::note(TimePoint now, const Scorecard& new_pool, const Scorecard& old_pool) {
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    classes_[i].new_seen = i < new_pool.classes.size() ? new_pool.classes[i] : ClassScore();
    classes_[i].old_seen = i < old_pool.classes.size() ? old_pool.classes[i] : ClassScore();
    classes_[i].since = now;
  }
}

void PoolComparison::compare(std::size_t index, TimePoint now, const ClassScore& new_pool, const ClassScore& old_pool,
                             bool latency_counts) {
  RouteClass& route_class = classes_[index];
  const auto new_requests = new_pool.requests() - route_class.new_seen.requests();
  const auto old_requests = old_pool.requests() - route_class.old_seen.requests();
  const auto fewer = std::min(new_requests, old_requests);
  if (fewer < kEnoughRequests && (fewer == 0 || now - route_class.since < kLongEnough)) return;

  const ClassScore of_new = new_pool - route_class.new_seen;
  const ClassScore of_old = old_pool - route_class.old_seen;
  const Batch errors = errors_of(new_requests, of_new.errors(), old_requests, of_old.errors());
  errors_.see(index, errors, settings_.error_rate_worse_by);
  errors_level_.see(errors, settings_.error_rate_worse_by);
  if (latency_counts) compare_latencies(index, of_new, of_old);
  learn(route_class.yardstick, now, of_old);
  route_class.new_seen = new_pool;
  route_class.old_seen = old_pool;
  route_class.since = now;
}

void PoolComparison::compare_latencies(std::size_t index, const ClassScore& new_pool, const ClassScore& old_pool) {
  const Yardstick& yardstick = classes_[index].yardstick;
  if (!yardstick.bucket) return;
  const auto above = [&](const ClassScore& score) {
    return sum_of(std::span(score.latencies).subspan(*yardstick.bucket + 1));
  };
  const auto new_answers = new_pool.outcomes[static_cast<std::size_t>(Outcome::kAnswered)];
  const auto old_answers = old_pool.outcomes[static_cast<std::size_t>(Outcome::kAnswered)];
  // Cells are read while they are written: an answer may be seen in one of two places only.
  const Batch slow = errors_of(new_answers, std::min(new_answers, above(new_pool)), old_answers,
                               std::min(old_answers, above(old_pool)));
  latencies_.see(index, slow, yardstick.tolerance);
  latencies_level_.see(slow, yardstick.tolerance);
  slow_ += slow.old_bad;
  timed_ += slow.old_requests;
  tolerance_sum_ += slow.old_requests * yardstick.tolerance;
}

void PoolComparison::learn(Yardstick& yardstick, TimePoint now, const ClassScore& old_pool) const {
  if (yardstick.total == 0) yardstick.faded = now;
  for (std::size_t i = 0; i < LatencyScale::kCount; ++i) yardstick.known[i] += old_pool.latencies[i];
  yardstick.total += sum_of(old_pool.latencies);
  if (now - yardstick.faded >= kFade && yardstick.total >= 4 * kAnswersToKnow) {
    for (auto& count : yardstick.known) count -= count / 2;
    yardstick.total = sum_of(yardstick.known);
    yardstick.faded = now;
  }
  if (yardstick.total < kAnswersToKnow) return;
  const auto p99 = static_cast<double>(observe::quantile(yardstick.known, 1 - kSlowShare).count());
  // The bucket's upper end counts, so that the yardstick is a little long rather than short.
  const auto limit = static_cast<std::uint64_t>(p99 * (1 + settings_.p99_worse_by));
  yardstick.bucket = LatencyScale::of(limit);
  const auto slow = static_cast<double>(sum_of(std::span(yardstick.known).subspan(*yardstick.bucket + 1)));
  yardstick.tolerance = std::max(kLeastSlowTolerance, kSlowShare - slow / static_cast<double>(yardstick.total));
}

std::optional<double> PoolComparison::requests_until_errors_are_level(double old_per_new) const {
  const PoolFigures seen = figures();
  if (seen.new_requests > 0)
    old_per_new = static_cast<double>(seen.old_requests) / static_cast<double>(seen.new_requests);
  // As if half an error had been seen more: no rate is exactly zero.
  const double rate = (static_cast<double>(seen.new_errors + seen.old_errors) + 0.5) /
                      (static_cast<double>(seen.new_requests + seen.old_requests) + 50);
  return errors_level_.more_requests(rate, old_per_new, settings_.error_rate_worse_by);
}

std::optional<double> PoolComparison::requests_until_latencies_are_level(double old_per_new) const {
  if (timed_ < 1) return std::nullopt;
  const PoolFigures seen = figures();
  if (seen.new_requests > 0)
    old_per_new = static_cast<double>(seen.old_requests) / static_cast<double>(seen.new_requests);
  return latencies_level_.more_requests((slow_ + 0.5) / (timed_ + 50), old_per_new, tolerance_sum_ / timed_);
}

PoolFigures PoolComparison::figures(std::optional<std::size_t> route_class) const {
  PoolFigures figures;
  const auto of = [&](const Scorecard& now, const Scorecard& at_step, std::uint64_t& requests, std::uint64_t& errors,
                      std::chrono::microseconds& p99) {
    ClassScore sum;
    for (std::size_t i = 0; i < now.classes.size(); ++i) {
      if (route_class && *route_class != i) continue;
      sum += i < at_step.classes.size() ? now.classes[i] - at_step.classes[i] : now.classes[i];
    }
    requests = sum.requests();
    errors = sum.errors();
    p99 = observe::quantile(sum.latencies, 1 - kSlowShare);
  };
  of(new_now_, new_at_step_, figures.new_requests, figures.new_errors, figures.new_p99);
  of(old_now_, old_at_step_, figures.old_requests, figures.old_errors, figures.old_p99);
  return figures;
}

std::uint64_t PoolComparison::new_requests() const {
  return new_now_.requests() - new_at_step_.requests();
}

}  // namespace headgate::routing
