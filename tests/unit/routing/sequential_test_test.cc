// SPDX-License-Identifier: Apache-2.0
#include "routing/sequential_test.h"

#include <cmath>

#include <gtest/gtest.h>

namespace headgate::routing {
namespace {

/// The expectation of L over all outcomes of a batch, when each request of the new pool is bad with `new_rate` and each
/// of the old one's with `old_rate`. Exact.
double expected(int new_requests, double new_rate, int old_requests, double old_rate, double ratio, double tolerance) {
  const auto chance = [](int n, int k, double p) {
    if (p <= 0) return k == 0 ? 1.0 : 0.0;
    if (p >= 1) return k == n ? 1.0 : 0.0;
    return std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) + k * std::log(p) +
                    (n - k) * std::log1p(-p));
  };
  double sum = 0;
  for (int i = 0; i <= new_requests; ++i) {
    for (int k = 0; k <= old_requests; ++k) {
      const Batch batch{static_cast<double>(new_requests), static_cast<double>(i), static_cast<double>(old_requests),
                        static_cast<double>(k)};
      sum += chance(new_requests, i, new_rate) * chance(old_requests, k, old_rate) *
             std::exp(log_evidence(batch, ratio, tolerance));
    }
  }
  return sum;
}

TEST(LogEvidence, IsAFairBetAtBestWhereTheNullHypothesisHolds) {
  for (const auto& [n, m] : {std::pair(1, 1), std::pair(5, 95), std::pair(20, 20), std::pair(30, 3)}) {
    for (const double tolerance : {0.0, 0.005, 0.05}) {
      for (const double rate : {0.0, 0.001, 0.1, 0.4}) {
        for (const double ratio : {1.15, 2.0, 30.0}) {
          EXPECT_LE(expected(n, rate + tolerance, m, rate, ratio, tolerance), 1 + 1e-9)
              << n << " " << m << " " << tolerance << " " << rate << " " << ratio;
          EXPECT_LE(expected(n, (rate + tolerance) / 2, m, rate, ratio, tolerance), 1 + 1e-9);
        }
        for (const double ratio : {0.96, 0.5, 0.02}) {
          EXPECT_LE(expected(n, rate + tolerance, m, rate, ratio, tolerance), 1 + 1e-9)
              << n << " " << m << " " << tolerance << " " << rate << " " << ratio;
          EXPECT_LE(expected(n, std::min(1.0, 2 * rate + tolerance), m, rate, ratio, tolerance), 1 + 1e-9);
        }
      }
    }
  }
}

TEST(LogEvidence, IsNearlyFairWhereErrorsAreRare) {
  EXPECT_GT(expected(20, 0.001, 80, 0.001, 3, 0), 0.99);
  EXPECT_GT(expected(20, 0.006, 80, 0.001, 3, 0.005), 0.99);
}

TEST(LogEvidence, OfOnePoolAloneIsNone) {
  EXPECT_EQ(log_evidence({10, 10, 0, 0}, 5, 0), 0);
  EXPECT_EQ(log_evidence({0, 0, 10, 10}, 5, 0.01), 0);
  EXPECT_EQ(log_evidence({}, 5, 0.01), 0);
}

TEST(LogEvidence, KnowsWhichPoolABadOneComesFrom) {
  EXPECT_GT(log_evidence({5, 1, 95, 0}, 5, 0), 0);
  EXPECT_LT(log_evidence({5, 0, 95, 1}, 5, 0), 0);
  EXPECT_EQ(log_evidence({5, 0, 95, 0}, 5, 0), 0) << "without an error there is nothing to bet on";
  EXPECT_LT(log_evidence({5, 0, 95, 0}, 5, 0.01), 0) << "of a tolerated error rate there ought to be some";
  EXPECT_GT(log_evidence({5, 0, 95, 0}, 0.5, 0.01), 0);
  EXPECT_NEAR(log_evidence({1, 1, 19, 0}, 1e9, 0), std::log(20), 1e-6) << "at most the inverse of the share";
}

TEST(LogEvidence, WhatStrikesBothProvesNothing) {
  EXPECT_LT(log_evidence({50, 25, 950, 475}, 1.5, 0), 0);
  EXPECT_LT(log_evidence({50, 50, 950, 950}, 3, 0), 0);
}

TEST(Evidence, StakesAddUpAndLateOnesCarryNoLosses) {
  Evidence evidence(Suspicion::kWorse);
  EXPECT_EQ(evidence.value(), 0);
  evidence.stake(0.6);
  EXPECT_NEAR(evidence.value(), 0.6, 1e-12);
  for (int i = 0; i < 10'000; ++i) evidence.multiply(factors_of({10, 0, 90, 1}, Suspicion::kWorse, 0));
  EXPECT_LT(evidence.value(), 1e-30);
  evidence.stake(0.2);
  EXPECT_NEAR(evidence.value(), 0.2, 1e-12);
  evidence.forget();
  EXPECT_EQ(evidence.value(), 0);
}

TEST(Evidence, StaysFinite) {
  Evidence evidence(Suspicion::kWorse);
  evidence.stake(1);
  for (int i = 0; i < 1'000; ++i) evidence.multiply(factors_of({1e6, 1e6, 1e6, 0}, Suspicion::kWorse, 0));
  EXPECT_TRUE(std::isfinite(evidence.value()));
  EXPECT_GT(evidence.value(), 1e100);
}

TEST(RegressionTest, ConvictsAndSaysWhich) {
  RegressionTest test(3, 0.001);
  test.stake(0.6);
  EXPECT_FALSE(test.suspect().convicted());
  for (int i = 0; i < 20; ++i) {
    test.see(0, {5, 0, 95, 0}, 0.005);
    test.see(1, {5, 2, 95, 0}, 0.005);
    test.see(2, {5, 0, 95, 1}, 0.005);
  }
  const auto suspect = test.suspect();
  EXPECT_TRUE(suspect.convicted());
  EXPECT_TRUE(suspect.suspicious());
  ASSERT_TRUE(suspect.route_class);
  EXPECT_EQ(*suspect.route_class, 1U);
}

TEST(RegressionTest, RoutesShareTheBudget) {
  RegressionTest alone(1, 0.001);
  RegressionTest among(4, 0.001);
  alone.stake(1);
  among.stake(1);
  for (int i = 0; i < 3; ++i) {
    alone.see(0, {10, 1, 190, 0}, 0.005);
    among.see(2, {10, 1, 190, 0}, 0.005);
    among.see(1, {10, 0, 190, 5}, 0.005);
  }
  ASSERT_EQ(among.suspect().route_class, 2U);
  EXPECT_NEAR(among.suspect().certainty * 8, alone.suspect().certainty, 1e-9);
  EXPECT_NEAR(among.suspect().tolerance_odds * 3, alone.suspect().tolerance_odds, 1e-9);
}

TEST(RegressionTest, AllRoutesTogetherAreAWitnessOfTheirOwn) {
  RegressionTest test(16, 0.001);
  test.stake(0.6);
  for (std::size_t i = 0; i < 16; ++i) test.see(i, {10, 1, 190, 0}, 0.005);
  EXPECT_TRUE(test.suspect().convicted());
  EXPECT_FALSE(test.suspect().route_class);
}

TEST(RegressionTest, ASmallDifferenceIsWorseButTolerated) {
  RegressionTest test(1, 0.001);
  test.stake(0.6);
  for (int i = 0; i < 400; ++i) test.see(0, {1'000, 3, 9'000, 9}, 0.005);
  EXPECT_GE(test.suspect().certainty, 1) << "it is worse, no doubt";
  EXPECT_LT(test.suspect().tolerance_odds, 1);
  EXPECT_FALSE(test.suspect().convicted());
  EXPECT_FALSE(test.suspect().suspicious());
}

TEST(RegressionTest, NeverConvictsWithoutFalseAlarms) {
  RegressionTest test(1, 0);
  test.stake(1);
  for (int i = 0; i < 1'000; ++i) test.see(0, {100, 100, 100, 0}, 0.005);
  EXPECT_FALSE(test.suspect().convicted());
}

TEST(RegressionTest, AnUnknownClassCountsOnTheWhole) {
  RegressionTest test(2, 0.001);
  test.stake(1);
  for (int i = 0; i < 20; ++i) test.see(7, {10, 5, 90, 0}, 0.005);
  EXPECT_TRUE(test.suspect().convicted());
  EXPECT_FALSE(test.suspect().route_class);
}

TEST(ParityTest, IsShownByEnoughRequestsWithoutDifference) {
  ParityTest test(0.05);
  const auto wanted = test.more_requests(0.001, 19, 0.005);
  ASSERT_TRUE(wanted);
  double requests = 0;
  while (!test.shown() && requests < 1e5) {
    test.see({100, 0.1, 1'900, 1.9}, 0.005);
    requests += 100;
  }
  EXPECT_TRUE(test.shown());
  EXPECT_EQ(test.more_requests(0.001, 19, 0.005), 0);
  EXPECT_GT(*wanted, requests / 2) << "the forecast is of the right size";
  EXPECT_LT(*wanted, requests * 2);
}

TEST(ParityTest, TheForecastShrinks) {
  ParityTest test(0.05);
  const double before = *test.more_requests(0.001, 19, 0.005);
  test.see({400, 0, 7'600, 8}, 0.005);
  EXPECT_LT(*test.more_requests(0.001, 19, 0.005), before - 200);
}

TEST(ParityTest, ErrorsOfTheNewPoolAreAgainstIt) {
  ParityTest test(0.05);
  test.see({1'000, 7, 19'000, 19}, 0.005);
  EXPECT_FALSE(test.shown());
  EXPECT_LT(test.certainty(), 0.05);
  test.begin();
  EXPECT_NEAR(test.certainty(), 0.05, 1e-12);
}

TEST(ParityTest, SaysWhenNoNumberWillDo) {
  const ParityTest test(0.05);
  EXPECT_FALSE(test.more_requests(0.001, 0, 0.005)) << "nothing to compare with";
  EXPECT_FALSE(test.more_requests(0.5, 19, 0)) << "without a tolerance equality cannot be shown";
}

}  // namespace
}  // namespace headgate::routing
