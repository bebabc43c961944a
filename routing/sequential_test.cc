// SPDX-License-Identifier: Apache-2.0
#include "routing/sequential_test.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace headgate::routing {
namespace {

/// A ratio and its part of the stake. The parts of a grid add up to 1.
struct Alternative {
  double ratio;
  double part;
};

// Each is within a factor of some 1.4 of what is true, between which the loss is small; more is staked on what a bad
// version usually does than on the faintest and the wildest.
constexpr std::array<Alternative, kRatios> kWorseGrid = {{{1.15, 0.04},
                                                          {1.35, 0.06},
                                                          {1.7, 0.10},
                                                          {2.4, 0.12},
                                                          {4, 0.14},
                                                          {7, 0.14},
                                                          {14, 0.13},
                                                          {30, 0.12},
                                                          {80, 0.09},
                                                          {300, 0.06}}};
// Above what is tolerated little is enough: that is where the decision is hard.
constexpr std::array<Alternative, kRatios> kIntolerableGrid = {{{1.12, 0.06},
                                                                {1.3, 0.12},
                                                                {1.5, 0.17},
                                                                {1.8, 0.18},
                                                                {2.3, 0.15},
                                                                {3.2, 0.11},
                                                                {5, 0.08},
                                                                {10, 0.06},
                                                                {30, 0.04},
                                                                {100, 0.03}}};
constexpr std::array<Alternative, kRatios> kNotWorseGrid = {{{0.98, 0.06},
                                                             {0.96, 0.08},
                                                             {0.92, 0.10},
                                                             {0.85, 0.11},
                                                             {0.72, 0.12},
                                                             {0.55, 0.13},
                                                             {0.35, 0.13},
                                                             {0.2, 0.11},
                                                             {0.08, 0.09},
                                                             {0.02, 0.07}}};

const std::array<Alternative, kRatios>& grid_of(Suspicion suspicion) {
  if (suspicion == Suspicion::kWorse) return kWorseGrid;
  return suspicion == Suspicion::kIntolerable ? kIntolerableGrid : kNotWorseGrid;
}

}  // namespace

double log_evidence(const Batch& batch, double ratio, double tolerance) {
  const double all = batch.new_requests + batch.old_requests;
  if (!(batch.new_requests > 0) || !(batch.old_requests > 0)) return 0;
  const double g = (batch.new_requests * ratio + batch.old_requests) / all;
  return batch.new_bad * std::log(ratio / g) - batch.old_bad * std::log(g) -
         batch.old_requests * tolerance * (1 - 1 / g);
}

Factors factors_of(const Batch& batch, Suspicion suspicion, double tolerance) {
  Factors factors;
  const auto& grid = grid_of(suspicion);
  for (std::size_t i = 0; i < kRatios; ++i) factors[i] = std::exp(log_evidence(batch, grid[i].ratio, tolerance));
  return factors;
}

void Evidence::stake(double share) {
  const auto& grid = grid_of(suspicion_);
  for (std::size_t i = 0; i < kRatios; ++i) held_[i] += share * grid[i].part;
}

void Evidence::multiply(const Factors& factors) {
  // Beyond all bounds of interest, and finite.
  constexpr double kMost = 1e200;
  for (std::size_t i = 0; i < kRatios; ++i) held_[i] = std::min(held_[i] * std::min(factors[i], 1e100), kMost);
}

double Evidence::value() const {
  return std::accumulate(held_.begin(), held_.end(), 0.0);
}

double Evidence::value_after(const Batch& batch, double tolerance, double times) const {
  const auto& grid = grid_of(suspicion_);
  double sum = 0;
  for (std::size_t i = 0; i < kRatios; ++i) {
    sum += held_[i] * std::exp(std::min(log_evidence(batch, grid[i].ratio, tolerance) * times, 500.0));
  }
  return sum;
}

RegressionTest::RegressionTest(std::size_t route_classes, double false_alarm)
    : false_alarm_(false_alarm), witnesses_(route_classes < 2 ? 1 : 1 + route_classes) {}

void RegressionTest::stake(double share) {
  for (Witness& witness : witnesses_) {
    witness.worse.stake(share);
    witness.intolerable.stake(share);
  }
}

void RegressionTest::see(std::size_t route_class, const Batch& batch, double tolerance) {
  if (!(batch.new_requests > 0) || !(batch.old_requests > 0)) return;
  const Factors worse = factors_of(batch, Suspicion::kWorse, 0);
  const Factors intolerable = factors_of(batch, Suspicion::kIntolerable, tolerance);
  const auto show = [&](Witness& witness) {
    witness.worse.multiply(worse);
    witness.intolerable.multiply(intolerable);
  };
  show(witnesses_[0]);
  if (1 + route_class < witnesses_.size()) show(witnesses_[1 + route_class]);
}

double RegressionTest::part_of(std::size_t witness) const {
  if (witnesses_.size() == 1) return 1;
  return witness == 0 ? 0.5 : 0.5 / static_cast<double>(witnesses_.size() - 1);
}

RegressionTest::Suspect RegressionTest::suspect() const {
  Suspect worst;
  const double class_odds = 1 + static_cast<double>(witnesses_.size() - 1) / 2;
  for (std::size_t i = 0; i < witnesses_.size(); ++i) {
    Suspect suspect;
    if (i > 0) suspect.route_class = i - 1;
    suspect.certainty = witnesses_[i].worse.value() * part_of(i) * false_alarm_;
    suspect.tolerance_odds = witnesses_[i].intolerable.value() / (i == 0 ? 1 : class_odds);
    const bool worse =
        suspect.convicted() != worst.convicted() ? suspect.convicted() : suspect.certainty > worst.certainty;
    if (i == 0 || worse) worst = suspect;
  }
  return worst;
}

void ParityTest::begin() {
  evidence_.forget();
  evidence_.stake(1);
}

void ParityTest::see(const Batch& batch, double tolerance) {
  if (!(batch.new_requests > 0) || !(batch.old_requests > 0)) return;
  evidence_.multiply(factors_of(batch, Suspicion::kNotWorse, tolerance));
}

std::optional<double> ParityTest::more_requests(double rate, double old_per_new, double tolerance) const {
  if (shown()) return 0;
  const Batch one{1, rate, old_per_new, rate * old_per_new};
  const auto enough = [&](double requests) { return evidence_.value_after(one, tolerance, requests) * error_ >= 1; };
  constexpr double kMost = 1e12;
  double most = 1;
  while (most < kMost && !enough(most)) most *= 2;
  if (most >= kMost) return std::nullopt;
  double least = most / 2;
  while (most - least > std::max(1.0, least / 1000)) {
    const double middle = (least + most) / 2;
    (enough(middle) ? most : least) = middle;
  }
  return std::ceil(most);
}

}  // namespace headgate::routing
