// SPDX-License-Identifier: Apache-2.0
#include "routing/pool_comparison.h"

#include <gtest/gtest.h>

#include "rollout_fixture.h"

namespace headgate::routing {
namespace {

/// Two pools that are looked at every 100 ms.
class TwoPools {
 public:
  explicit TwoPools(std::size_t route_classes = 1)
      : new_pool(route_classes), old_pool(route_classes), comparison(settings(route_classes)) {
    comparison.stake(0.6);
    comparison.begin_step();
    look();
  }

  void look(bool latency_counts = true) { comparison.see(now, new_pool, old_pool, latency_counts); }
  void pass(int ticks, const Traffic& traffic, bool latency_counts = true) {
    for (int i = 0; i < ticks; ++i) {
      now += 100ms;
      count(new_pool, traffic.route_class, traffic.new_requests, traffic.new_errors, traffic.new_latency);
      count(old_pool, traffic.route_class, traffic.old_requests, traffic.old_errors, traffic.old_latency);
      look(latency_counts);
    }
  }

 private:
  static PoolComparison::Settings settings(std::size_t route_classes) {
    PoolComparison::Settings settings;
    settings.route_classes = route_classes;
    settings.parity_error = 0.2;
    return settings;
  }

 public:
  observe::Scorecard new_pool;
  observe::Scorecard old_pool;
  TimePoint now{};
  PoolComparison comparison;
};

TEST(PoolComparison, WhatWasBeforeTheFirstLookIsNotCompared) {
  observe::Scorecard new_pool(1);
  observe::Scorecard old_pool(1);
  count(new_pool, 0, 1'000, 1'000, 10ms);
  count(old_pool, 0, 1'000, 0, 10ms);
  PoolComparison comparison({});
  comparison.stake(1);
  comparison.begin_step();
  comparison.see(TimePoint(), new_pool, old_pool, true);
  comparison.see(TimePoint(1s), new_pool, old_pool, true);
  EXPECT_LT(comparison.errors().certainty, 0.01);
  EXPECT_EQ(comparison.figures().new_requests, 0U);
}

TEST(PoolComparison, FewRequestsWaitForEachOther) {
  TwoPools pools;
  pools.pass(1, {1, 1, 0, 0});
  const double before = pools.comparison.errors().certainty;
  pools.pass(1, {0, 0, 30, 0});
  EXPECT_EQ(pools.comparison.errors().certainty, before) << "one request is not compared at once";
  pools.pass(20, {});
  EXPECT_GT(pools.comparison.errors().certainty, before) << "but after two seconds";
}

TEST(PoolComparison, WithoutRequestsOfOnePoolNothingIsCompared) {
  TwoPools pools;
  const double before = pools.comparison.errors().certainty;
  pools.pass(100, {10, 10, 0, 0});
  EXPECT_EQ(pools.comparison.errors().certainty, before);
  pools.pass(1, {0, 0, 10, 0});
  EXPECT_GT(pools.comparison.errors().certainty, before) << "the wait has an end";
}

TEST(PoolComparison, AShiftOfTheMixIsNoRegression) {
  TwoPools pools(2);
  for (int i = 0; i < 600; ++i) {
    // A route with 20 % errors and one without; the new pool gets mostly the first.
    pools.pass(1, {10, 2, 10, 2, 10ms, 10ms, 0});
    pools.pass(1, {10, 0, 190, 0, 900us, 900us, 1});
  }
  const auto seen = pools.comparison.figures();
  EXPECT_GT(static_cast<double>(seen.new_errors) / static_cast<double>(seen.new_requests), 0.09);
  EXPECT_LT(static_cast<double>(seen.old_errors) / static_cast<double>(seen.old_requests), 0.015);
  EXPECT_GT(seen.new_p99, seen.old_p99 / 2);
  EXPECT_LT(pools.comparison.errors().certainty, 0.01);
  EXPECT_LT(pools.comparison.latencies().certainty, 0.01);
}

TEST(PoolComparison, LatencyIsJudgedByTheOldPoolsPercentile) {
  TwoPools pools;
  pools.pass(20, {10, 0, 100, 0});
  EXPECT_LT(pools.comparison.latencies().certainty, 0.01);
  TwoPools tolerated = pools;
  tolerated.pass(100, {10, 0, 100, 0, 11'500us, 10ms});
  EXPECT_FALSE(tolerated.comparison.latencies().suspicious()) << "a fifth is allowed";
  EXPECT_TRUE(tolerated.comparison.latencies_are_level());
  pools.pass(100, {10, 0, 100, 0, 13ms, 10ms});
  EXPECT_TRUE(pools.comparison.latencies().convicted());
  EXPECT_FALSE(pools.comparison.latencies_are_level());
}

TEST(PoolComparison, WhatIsSlowForBothProvesNothing) {
  TwoPools pools;
  pools.pass(20, {10, 0, 100, 0});
  pools.pass(100, {10, 0, 100, 0, 2s, 2s});
  EXPECT_FALSE(pools.comparison.latencies().suspicious());
}

TEST(PoolComparison, WarmUpIsLeftOut) {
  TwoPools pools;
  pools.pass(200, {10, 0, 100, 0, 1s, 10ms}, false);
  EXPECT_LT(pools.comparison.latencies().certainty, 0.01);
  pools.pass(100, {10, 0, 100, 0});
  EXPECT_FALSE(pools.comparison.latencies().suspicious());
}

TEST(PoolComparison, TheYardstickFollowsTheOldPool) {
  TwoPools pools;
  pools.pass(50, {10, 0, 100, 0, 1s, 1s});
  // Minutes later both are quick; then the new one alone is as slow as both have been.
  pools.pass(3'000, {10, 0, 100, 0});
  pools.comparison.stake(0.2);
  pools.pass(100, {10, 0, 100, 0, 1s, 10ms});
  EXPECT_TRUE(pools.comparison.latencies().convicted());
}

TEST(PoolComparison, FailuresHaveNoLatency) {
  TwoPools pools;
  pools.pass(20, {10, 0, 100, 0});
  pools.pass(100, {10, 1, 100, 10});
  EXPECT_EQ(pools.comparison.figures().new_errors, 100U);
  EXPECT_TRUE(pools.comparison.latencies_are_level());
}

TEST(PoolComparison, AStepBeginsAnew) {
  TwoPools pools;
  pools.pass(200, {10, 0, 190, 0});
  EXPECT_TRUE(pools.comparison.errors_are_level());
  EXPECT_EQ(pools.comparison.new_requests(), 2'000U);
  pools.comparison.begin_step();
  EXPECT_FALSE(pools.comparison.errors_are_level());
  EXPECT_EQ(pools.comparison.new_requests(), 0U);
  EXPECT_TRUE(pools.comparison.latencies_are_level()) << "asked once";
  pools.look();
  pools.pass(3, {10, 0, 190, 0});
  EXPECT_EQ(pools.comparison.figures().new_requests, 30U);
}

TEST(PoolComparison, AnotherProcesssNumbersBeginAnew) {
  TwoPools pools;
  pools.pass(10, {10, 0, 190, 0});
  pools.new_pool = observe::Scorecard(1);
  pools.old_pool = observe::Scorecard(1);
  count(pools.new_pool, 0, 50, 50, 10ms);
  const double before = pools.comparison.errors().certainty;
  pools.look();
  EXPECT_EQ(pools.comparison.errors().certainty, before);
  EXPECT_EQ(pools.comparison.new_requests(), 0U);
  pools.pass(5, {10, 5, 190, 0});
  EXPECT_TRUE(pools.comparison.errors().convicted());
}

TEST(PoolComparison, OnePoolsNumbersMayBeginAnewAlone) {
  for (const bool new_one : {true, false}) {
    TwoPools pools;
    pools.pass(10, {10, 0, 190, 0});
    (new_one ? pools.new_pool : pools.old_pool) = observe::Scorecard(1);
    pools.look();
    EXPECT_EQ(pools.comparison.new_requests(), 0U);
    EXPECT_EQ(pools.comparison.figures().old_requests, 0U);
    pools.pass(5, {10, 0, 190, 0});
    EXPECT_EQ(pools.comparison.new_requests(), 50U);
    EXPECT_FALSE(pools.comparison.errors().suspicious());
  }
}

TEST(PoolComparison, ATailThatBeginsAtThePercentileIsTolerated) {
  TwoPools pools;
  // Exactly one in a hundred is slow, in both.
  for (int i = 0; i < 250; ++i) {
    count(pools.new_pool, 0, 10, 0, 4s);
    count(pools.old_pool, 0, 10, 0, 4s);
    pools.pass(1, {990, 0, 990, 0});
  }
  EXPECT_TRUE(pools.comparison.latencies_are_level());
}

TEST(PoolComparison, ScorecardsOfAnotherSizeDoNoHarm) {
  TwoPools pools(3);
  pools.new_pool = observe::Scorecard(1);
  pools.old_pool = observe::Scorecard(7);
  pools.pass(30, {10, 5, 190, 0});
  EXPECT_TRUE(pools.comparison.errors().convicted());
  pools.old_pool = observe::Scorecard();
  pools.new_pool = observe::Scorecard();
  pools.look();
  EXPECT_EQ(pools.comparison.figures().old_requests, 0U);
}

}  // namespace
}  // namespace headgate::routing
