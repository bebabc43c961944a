// SPDX-License-Identifier: Apache-2.0
#include "observe/scorecard.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace headgate::observe {
namespace {

std::uint64_t microseconds_of(std::chrono::nanoseconds duration) {
  return duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) / 1000 : 0;
}

template <class Numbers>
void add_each(Numbers& to, const Numbers& from) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

template <class Numbers>
void take_each(Numbers& from, const Numbers& what) {
  for (std::size_t i = 0; i < from.size(); ++i) from[i] -= std::min(from[i], what[i]);
}

}  // namespace

std::uint64_t ClassScore::requests() const {
  return std::accumulate(outcomes.begin(), outcomes.end(), std::uint64_t{0});
}

void ClassScore::add(Outcome outcome, std::chrono::nanoseconds latency) {
  ++outcomes[static_cast<std::size_t>(outcome)];
  if (outcome == Outcome::kAnswered) ++latencies[LatencyScale::of(microseconds_of(latency))];
}

ClassScore& ClassScore::operator+=(const ClassScore& other) {
  add_each(outcomes, other.outcomes);
  add_each(latencies, other.latencies);
  return *this;
}

ClassScore& ClassScore::operator-=(const ClassScore& earlier) {
  take_each(outcomes, earlier.outcomes);
  take_each(latencies, earlier.latencies);
  return *this;
}

std::uint64_t Scorecard::requests() const {
  std::uint64_t all = 0;
  for (const ClassScore& each : classes) all += each.requests();
  return all;
}

std::uint64_t Scorecard::errors() const {
  std::uint64_t all = 0;
  for (const ClassScore& each : classes) all += each.errors();
  return all;
}

Scorecard& Scorecard::operator+=(const Scorecard& other) {
  if (classes.size() < other.classes.size()) classes.resize(other.classes.size());
  for (std::size_t i = 0; i < other.classes.size(); ++i) classes[i] += other.classes[i];
  started += other.started;
  return *this;
}

Scorecard& Scorecard::operator-=(const Scorecard& earlier) {
  const std::size_t both = std::min(classes.size(), earlier.classes.size());
  for (std::size_t i = 0; i < both; ++i) classes[i] -= earlier.classes[i];
  started -= std::min(started, earlier.started);
  return *this;
}

std::chrono::microseconds quantile(std::span<const std::uint64_t> latencies, double share) {
  const auto all = std::accumulate(latencies.begin(), latencies.end(), std::uint64_t{0});
  if (all == 0) return std::chrono::microseconds(0);
  const auto wanted =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(all))));
  std::uint64_t below = 0;
  std::size_t bucket = 0;
  while (bucket + 1 < latencies.size() && below + latencies[bucket] < wanted) below += latencies[bucket++];
  return std::chrono::microseconds(static_cast<std::int64_t>(LatencyScale::end(bucket)));
}

ScoreCells::ScoreCells(std::size_t route_classes)
    : count_(std::clamp<std::size_t>(route_classes, 1, kMostRouteClasses)),
      classes_(std::make_unique<ClassCells[]>(count_)) {}

void ScoreCells::end(std::size_t route_class, Outcome outcome, std::chrono::nanoseconds latency) {
  ClassCells& cells = classes_[std::min(route_class, count_ - 1)];
  cells.outcomes[static_cast<std::size_t>(outcome)].add(1);
  if (outcome == Outcome::kAnswered) cells.latencies[LatencyScale::of(microseconds_of(latency))].add(1);
}

void ScoreCells::add_to(Scorecard& sum) const {
  if (sum.classes.size() < count_) sum.classes.resize(count_);
  for (std::size_t i = 0; i < count_; ++i) {
    const ClassCells& cells = classes_[i];
    ClassScore& score = sum.classes[i];
    for (std::size_t o = 0; o < kOutcomes; ++o) score.outcomes[o] += cells.outcomes[o].value();
    for (std::size_t b = 0; b < LatencyScale::kCount; ++b) score.latencies[b] += cells.latencies[b].value();
  }
  sum.started += started_.value();
}

}  // namespace headgate::observe
