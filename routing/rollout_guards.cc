// SPDX-License-Identifier: Apache-2.0
#include "routing/rollout_guards.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "routing/sequential_test.h"

namespace headgate::routing {
namespace {

using namespace std::chrono_literals;

constexpr Duration kWindow = 10s;
constexpr Duration kBetweenMarks = 250ms;
constexpr std::size_t kMostMarks = 256;
// e^-12 is one in 160,000; what a look sees is new every twenty requests at most.
constexpr double kImplausible = 12;

std::uint64_t less(std::uint64_t later, std::uint64_t earlier) {
  return later - std::min(later, earlier);
}

/// By how many nats per request a share `seen` is less likely under the rate `rate` than under itself (Chernoff's
/// bound).
double surprise(double seen, double rate) {
  rate = std::clamp(rate, 1e-6, 1 - 1e-6);
  if (seen <= rate) return 0;
  const double rest = seen < 1 ? (1 - seen) * std::log((1 - seen) / (1 - rate)) : 0;
  return seen * std::log(seen / rate) + rest;
}

}  // namespace

RolloutGuards::PoolTotals RolloutGuards::totals_of(const observe::Scorecard& card) {
  PoolTotals totals;
  totals.started = card.started;
  totals.classes.reserve(card.classes.size());
  for (const auto& each : card.classes) {
    totals.classes.push_back({each.requests(), each.errors()});
    totals.all.ended += totals.classes.back().ended;
    totals.all.errors += totals.classes.back().errors;
  }
  return totals;
}

void RolloutGuards::see(TimePoint now, const observe::Scorecard& new_pool, const observe::Scorecard& old_pool) {
  Mark mark{now, totals_of(new_pool), totals_of(old_pool)};
  if (!marks_.empty()) {
    const Mark& last = marks_.back();
    if (mark.new_pool.all.ended < last.new_pool.all.ended || mark.old_pool.all.ended < last.old_pool.all.ended ||
        mark.old_pool.classes.size() != last.old_pool.classes.size() ||
        mark.new_pool.classes.size() != last.new_pool.classes.size()) {
      marks_.clear();  // another process counts
    } else {
      old_so_far_.classes.resize(mark.old_pool.classes.size());
      for (std::size_t i = 0; i < mark.old_pool.classes.size(); ++i) {
        old_so_far_.classes[i].ended += less(mark.old_pool.classes[i].ended, last.old_pool.classes[i].ended);
        old_so_far_.classes[i].errors += less(mark.old_pool.classes[i].errors, last.old_pool.classes[i].errors);
      }
    }
  }
  // The last mark moves along until it is old enough to stand.
  if (marks_.size() >= 2 && marks_.back().at - marks_[marks_.size() - 2].at < kBetweenMarks) marks_.pop_back();
  marks_.push_back(std::move(mark));
  const Mark& last = marks_.back();
  while (marks_.size() > 2 && now - marks_[1].at >= kWindow &&
         last.new_pool.all.ended - marks_[1].new_pool.all.ended >= kFewest) {
    marks_.pop_front();
  }
  if (marks_.size() > kMostMarks) {
    // Requests are rare: every other mark will do.
    std::deque<Mark> fewer;
    for (std::size_t i = 0; i < marks_.size(); ++i) {
      if (i % 2 == 0 || i + 1 == marks_.size()) fewer.push_back(std::move(marks_[i]));
    }
    marks_ = std::move(fewer);
  }
}

std::optional<Guard> RolloutGuards::tripped(const PoolHealth& new_pool) const {
  if (new_pool.healthy_servers == 0) return Guard::kNoHealthyServer;
  if (new_pool.connect_failures_in_a_row >= kConnectFailures) return Guard::kConnectFailures;
  if (marks_.size() < 2) return std::nullopt;
  if (above_ceiling()) return Guard::kErrorCeiling;
  if (stalled()) return Guard::kStalled;
  return std::nullopt;
}

bool RolloutGuards::stalled() const {
  const Mark& last = marks_.back();
  const auto begin =
      std::find_if(marks_.rbegin(), marks_.rend(), [&](const Mark& mark) { return last.at - mark.at >= kWindow; });
  if (begin == marks_.rend()) return false;
  // Requests that are meant to last, such as event streams, last in both pools.
  const auto started = less(last.new_pool.started, begin->new_pool.started);
  const auto old_started = less(last.old_pool.started, begin->old_pool.started);
  const auto old_ended = last.old_pool.all.ended - begin->old_pool.all.ended;
  return started >= kFewest && last.new_pool.all == begin->new_pool.all && old_started >= kFewest &&
         2 * old_ended >= old_started;
}

bool RolloutGuards::above_ceiling() const {
  // The shortest time that is long enough: trouble that has just begun; and the longest.
  const Mark& last = marks_.back();
  const auto enough = std::find_if(marks_.rbegin(), marks_.rend(), [&](const Mark& mark) {
    return last.new_pool.all.ended - mark.new_pool.all.ended >= kFewest;
  });
  if (enough == marks_.rend()) return false;
  return above_ceiling_since(*enough) || above_ceiling_since(marks_.front());
}

bool RolloutGuards::above_ceiling_since(const Mark& begin) const {
  const Mark& last = marks_.back();
  const auto requests = static_cast<double>(last.new_pool.all.ended - begin.new_pool.all.ended);
  const double rate = static_cast<double>(last.new_pool.all.errors - begin.new_pool.all.errors) / requests;
  if (rate <= ceiling_) return false;

  std::vector<Batch> same_seconds;
  double old_requests = 0;
  double expected = 0;  // errors of the new pool's requests, had the old one had them
  double known = 0;     // requests in classes where that can be said
  for (std::size_t i = 0; i < last.new_pool.classes.size() && i < last.old_pool.classes.size(); ++i) {
    const auto of = [&](const PoolTotals& to, const PoolTotals& from) {
      return std::pair(static_cast<double>(less(to.classes[i].ended, from.classes[i].ended)),
                       static_cast<double>(less(to.classes[i].errors, from.classes[i].errors)));
    };
    const auto [new_ended, new_errors] = of(last.new_pool, begin.new_pool);
    const auto [old_ended, old_errors] = of(last.old_pool, begin.old_pool);
    same_seconds.push_back({new_ended, new_errors, old_ended, old_errors});
    old_requests += old_ended;
    if (i < old_so_far_.classes.size() && old_so_far_.classes[i].ended > 0) {
      known += new_ended;
      expected += new_ended * (static_cast<double>(old_so_far_.classes[i].errors) + 1) /
                  (static_cast<double>(old_so_far_.classes[i].ended) + 1);
    }
  }
  if (old_requests >= static_cast<double>(kFewest)) {
    // The ratio that explains best what was seen: what no ratio explains well enough is chance.
    constexpr std::array kRatiosTried = {1.3, 1.7, 2.5, 4.0, 8.0, 20.0, 80.0, 1000.0};
    return std::any_of(kRatiosTried.begin(), kRatiosTried.end(), [&](double ratio) {
      double evidence = 0;
      for (const Batch& batch : same_seconds) evidence += log_evidence(batch, ratio, 0);
      return evidence >= kImplausible;
    });
  }
  if (known < requests / 2) return true;  // nothing to compare with
  // The old pool cannot tell what these seconds are like: a rate that is raised, but far from the ceiling, is let pass.
  return requests * surprise(rate, std::max(expected / known, ceiling_ / 4)) >= kImplausible;
}

}  // namespace headgate::routing
