// SPDX-License-Identifier: Apache-2.0
#include "routing/rollout_guards.h"

#include <gtest/gtest.h>

#include "rollout_fixture.h"

namespace headgate::routing {
namespace {

class Watch {
 public:
  explicit Watch(std::size_t route_classes = 1, double ceiling = 0.2)
      : new_pool(route_classes), old_pool(route_classes), guards(ceiling) {
    look();
  }
  void look() { guards.see(now, new_pool, old_pool); }
  std::optional<Guard> pass(std::chrono::milliseconds time, const Traffic& traffic) {
    for (auto passed = 0ms; passed < time; passed += 100ms) {
      now += 100ms;
      count(new_pool, traffic.route_class, traffic.new_requests, traffic.new_errors, 10ms);
      count(old_pool, traffic.route_class, traffic.old_requests, traffic.old_errors, 10ms);
      look();
      if (const auto guard = guards.tripped({})) return guard;
    }
    return std::nullopt;
  }

  observe::Scorecard new_pool;
  observe::Scorecard old_pool;
  TimePoint now{};
  RolloutGuards guards;
};

TEST(RolloutGuards, HealthComesFirst) {
  const Watch watch;
  EXPECT_FALSE(watch.guards.tripped({1, 4}));
  EXPECT_EQ(watch.guards.tripped({1, 5}), Guard::kConnectFailures);
  EXPECT_EQ(watch.guards.tripped({0, 5}), Guard::kNoHealthyServer);
}

TEST(RolloutGuards, TheCeilingNeedsTwentyRequests) {
  Watch watch;
  EXPECT_FALSE(watch.pass(100ms, {19, 19, 400, 0}));
  EXPECT_EQ(watch.pass(100ms, {1, 1, 0, 0}), Guard::kErrorCeiling);
}

TEST(RolloutGuards, AFifthOfTwentyBesideAHealthyPoolIsEnough) {
  Watch watch;
  EXPECT_FALSE(watch.pass(100ms, {20, 4, 380, 0})) << "not above the ceiling";
  EXPECT_EQ(Watch().pass(100ms, {20, 5, 380, 0}), Guard::kErrorCeiling);
}

TEST(RolloutGuards, BesideAPoolThatFailsAsOftenItIsNot) {
  EXPECT_FALSE(Watch().pass(1min, {20, 5, 380, 95}));
  EXPECT_FALSE(Watch().pass(1min, {20, 20, 380, 380}));
}

TEST(RolloutGuards, AMixOfFailingRoutesIsNot) {
  Watch watch(2);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(watch.pass(100ms, {20, 8, 20, 8, 10ms, 10ms, 0}));
    EXPECT_FALSE(watch.pass(100ms, {2, 0, 400, 0, 10ms, 10ms, 1}));
  }
}

TEST(RolloutGuards, TroubleThatBeginsLateIsSeenAtOnce) {
  Watch watch;
  EXPECT_FALSE(watch.pass(5min, {10, 0, 190, 0}));
  EXPECT_EQ(watch.pass(300ms, {10, 10, 190, 0}), Guard::kErrorCeiling);
}

TEST(RolloutGuards, RareRequestsAreCollected) {
  Watch watch;
  std::optional<Guard> guard;
  int requests = 0;
  while (!guard && requests < 100) {
    guard = watch.pass(30s, {0, 0, 1, 0});
    if (!guard) guard = watch.pass(100ms, {1, 1, 0, 0});
    ++requests;
  }
  EXPECT_EQ(guard, Guard::kErrorCeiling);
  EXPECT_EQ(requests, 20);
}

TEST(RolloutGuards, WithoutTheOldPoolsTrafficWhatItDidCounts) {
  Watch bad;
  ASSERT_FALSE(bad.pass(10s, {10, 3, 190, 57}));
  bad.guards.begin();
  bad.look();
  EXPECT_FALSE(bad.pass(20s, {40, 12, 0, 0})) << "as the old pool did";
  Watch good;
  ASSERT_FALSE(good.pass(10s, {10, 0, 190, 0}));
  good.guards.begin();
  good.look();
  EXPECT_EQ(good.pass(1s, {40, 12, 0, 0}), Guard::kErrorCeiling);
}

TEST(RolloutGuards, WithoutTheOldPoolsTrafficARaisedRateIsNotTheCeiling) {
  Watch watch;
  ASSERT_FALSE(watch.pass(10s, {10, 0, 190, 0}));
  watch.guards.begin();
  watch.look();
  EXPECT_FALSE(watch.pass(100ms, {20, 6, 0, 0})) << "of twenty, as happens";
  EXPECT_FALSE(watch.pass(10s, {20, 1, 0, 0}));
}

TEST(RolloutGuards, WithNothingToCompareTheCeilingAloneDecides) {
  EXPECT_FALSE(Watch().pass(10s, {20, 4, 0, 0}));
  EXPECT_EQ(Watch().pass(100ms, {20, 5, 0, 0}), Guard::kErrorCeiling);
}

TEST(RolloutGuards, APoolThatStopsAnsweringStalls) {
  Watch watch;
  EXPECT_FALSE(watch.pass(3s, {5, 0, 95, 0}));
  std::optional<Guard> guard;
  const TimePoint begin = watch.now;
  while (!guard && watch.now < begin + 1min) {
    watch.new_pool.started += 5;
    guard = watch.pass(100ms, {0, 0, 95, 0});
  }
  EXPECT_EQ(guard, Guard::kStalled);
  EXPECT_GE(watch.now - begin, 10s);
  EXPECT_LE(watch.now - begin, 11s);
}

TEST(RolloutGuards, WhatLastsInBothPoolsIsNoStall) {
  Watch streams;
  for (int i = 0; i < 300; ++i) {
    streams.new_pool.started += 5;
    streams.old_pool.started += 95;
    EXPECT_FALSE(streams.pass(100ms, {0, 0, 20, 0}));
  }
  Watch idle;
  EXPECT_FALSE(idle.pass(1min, {0, 0, 95, 0})) << "nothing was asked of it";
  Watch few;
  few.new_pool.started += 19;
  EXPECT_FALSE(few.pass(1min, {0, 0, 95, 0}));
}

TEST(RolloutGuards, BeginsAnew) {
  Watch watch;
  ASSERT_FALSE(watch.pass(1s, {1, 1, 400, 0}));
  watch.guards.begin();
  watch.look();
  EXPECT_FALSE(watch.pass(1s, {1, 1, 400, 0}));
  watch.new_pool = observe::Scorecard(1);
  watch.old_pool = observe::Scorecard(1);
  EXPECT_FALSE(watch.pass(1s, {1, 1, 400, 0})) << "another process counts";
}

}  // namespace
}  // namespace headgate::routing
