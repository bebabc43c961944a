// SPDX-License-Identifier: Apache-2.0
// From step to step.
#include "routing/rollout.h"

#include <gtest/gtest.h>

#include "rollout_fixture.h"

namespace headgate::routing {
namespace {

using Kind = RolloutDecision::Kind;
using State = RolloutState;
using Reason = RolloutReason;

TEST(Rollout, BeginsWithTheFirstStep) {
  Rollout rollout(config::Rollout(), 1, TimePoint());
  EXPECT_EQ(rollout.state(), State::kRunning);
  EXPECT_EQ(rollout.percent(), 1);
  EXPECT_FALSE(rollout.over());
  const auto decisions = rollout.take_decisions();
  ASSERT_EQ(decisions.size(), 1U);
  EXPECT_EQ(decisions[0].kind, Kind::kStarted);
  EXPECT_EQ(decisions[0].percent, 1);
  EXPECT_TRUE(rollout.take_decisions().empty());
}

TEST(Rollout, GoodPoolsPassAllStepsInTheStepsTime) {
  Stage stage;
  std::vector<double> percents;
  const auto begin = stage.now;
  while (!stage.rollout.over() && stage.now < begin + 10min) {
    ASSERT_TRUE(stage.pass(2min, kGood));
    percents.push_back(stage.rollout.percent());
  }
  EXPECT_EQ(percents, (std::vector<double>{5, 25, 50, 100, 100}));
  EXPECT_EQ(stage.rollout.state(), State::kPromoted);
  EXPECT_EQ(stage.rollout.reason(), Reason::kAllSteps);
  EXPECT_LE(stage.now - begin, 5 * 30s + 5s);
  const auto decisions = stage.rollout.take_decisions();
  ASSERT_EQ(decisions.size(), 5U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(decisions[i].kind, Kind::kAdvanced);
    EXPECT_EQ(decisions[i].step, i + 1);
    EXPECT_GE(decisions[i].numbers.figures.new_requests, 100U);
    EXPECT_EQ(decisions[i].numbers.figures.new_errors, 0U);
  }
  EXPECT_EQ(decisions[4].kind, Kind::kPromoted);
  EXPECT_EQ(decisions[4].percent, 100);
}

TEST(Rollout, WaitsForTheStepsTime) {
  Stage stage;
  EXPECT_FALSE(stage.pass(29s + 800ms, kGood));
  EXPECT_EQ(stage.rollout.reason(), Reason::kStepTime);
  EXPECT_TRUE(stage.pass(300ms, kGood));
  EXPECT_EQ(stage.rollout.step(), 1U);
}

TEST(Rollout, WaitsForMinRequests) {
  config::Rollout settings;
  settings.min_requests = 5'000;
  Stage stage(settings);
  EXPECT_FALSE(stage.pass(45s, kGood));
  EXPECT_EQ(stage.rollout.reason(), Reason::kMinRequests);
  const auto numbers = stage.rollout.numbers();
  EXPECT_EQ(numbers.more_requests, 5'000U - numbers.figures.new_requests);
  ASSERT_TRUE(numbers.more_time);
  EXPECT_NEAR(static_cast<double>(numbers.more_time->count()), 5, 1);
  EXPECT_TRUE(stage.pass(6s, kGood));
  EXPECT_EQ(stage.rollout.step(), 1U);
}

TEST(Rollout, WaitsForEvidenceAndSaysHowMuch) {
  Stage slow;
  EXPECT_FALSE(slow.pass(31s, {1, 0, 99, 0}));
  EXPECT_EQ(slow.rollout.reason(), Reason::kErrorsUnclear);
  const auto numbers = slow.rollout.numbers();
  ASSERT_TRUE(numbers.more_requests);
  EXPECT_GT(*numbers.more_requests, 50U);
  EXPECT_LT(*numbers.more_requests, 600U);
  ASSERT_TRUE(numbers.more_time);
  EXPECT_NEAR(static_cast<double>(numbers.more_time->count()), static_cast<double>(*numbers.more_requests) / 10, 3);
  EXPECT_TRUE(slow.pass(*numbers.more_time * 2, {1, 0, 99, 0}));
  EXPECT_EQ(slow.rollout.step(), 1U);
}

TEST(Rollout, TheStepBeforeAllAsksForLatencies) {
  Stage stage(steps({10, 100}));
  // Of both pools' answers nine in a thousand are slow: nearly the hundredth that may be.
  for (int i = 0; i < 310; ++i) {
    stage.now += 100ms;
    stage.serve({10, 0, 90, 0});
    count(stage.new_pool, 0, 1, 0, i % 11 == 0 ? 4s : 10ms);
    count(stage.old_pool, 0, 9, 0, i % 11 == 0 ? 4s : 10ms);
    stage.look();
  }
  EXPECT_EQ(stage.rollout.step(), 0U);
  EXPECT_EQ(stage.rollout.reason(), Reason::kLatencyUnclear);
  EXPECT_TRUE(stage.rollout.numbers().more_requests);
  EXPECT_TRUE(stage.pass(10min, {10, 0, 90, 0}));
  EXPECT_EQ(stage.rollout.percent(), 100);
}

TEST(Rollout, LatenciesAreNotAskedForBefore) {
  Stage stage(steps({10, 50, 100}));
  for (int i = 0; i < 310 && stage.rollout.step() == 0; ++i) {
    stage.now += 100ms;
    stage.serve({10, 0, 90, 0});
    count(stage.new_pool, 0, 1, 0, i % 11 == 0 ? 4s : 10ms);
    count(stage.old_pool, 0, 9, 0, i % 11 == 0 ? 4s : 10ms);
    stage.look();
  }
  EXPECT_EQ(stage.rollout.step(), 1U);
}

TEST(Rollout, TheMoreStepsTheLessEachHasToShow) {
  Stage one(steps({10, 100}));
  Stage four(steps({10, 20, 30, 40, 100}));
  one.pass(100ms, {11, 0, 99, 0});
  four.pass(100ms, {11, 0, 99, 0});
  EXPECT_GT(*one.rollout.numbers().more_requests, *four.rollout.numbers().more_requests * 3 / 2);
}

TEST(Rollout, StakesAreLaidAtStepsAndInBetween) {
  // Without an error nothing is won or lost, and what is held is what was staked: 0.7 of false_alarm is for errors.
  const auto staked = [](const Stage& stage) { return stage.rollout.numbers().certainty / 0.0007; };
  Stage stage(steps({5, 25, 50, 100}));
  EXPECT_FALSE(stage.pass(29s, kGood));
  EXPECT_NEAR(staked(stage), 0.6, 1e-9);
  ASSERT_TRUE(stage.pass(2s, kGood));
  EXPECT_NEAR(staked(stage), 0.6 + 0.12 + 0.05, 1e-9) << "for another step, and for half a minute";
  ASSERT_TRUE(stage.rollout.pause());
  EXPECT_FALSE(stage.pass(1h, kGood));
  EXPECT_LT(staked(stage), 0.6 + 0.12 + 0.1);
  EXPECT_GT(staked(stage), 0.6 + 0.12 + 0.099);
  ASSERT_TRUE(stage.rollout.resume());
  ASSERT_TRUE(stage.pass(1min, kGood));
  EXPECT_LT(staked(stage), 0.6 + 0.24 + 0.1);
}

TEST(Rollout, TheStepToAllWaitsForTimeAndRequests) {
  Stage stage(steps({50, 100}));
  ASSERT_TRUE(stage.pass(3min, {50, 0, 50, 0}));
  EXPECT_FALSE(stage.pass(31s));
  EXPECT_EQ(stage.rollout.reason(), Reason::kMinRequests);
  EXPECT_TRUE(stage.pass(1s, {100, 0, 0, 0}));
  EXPECT_EQ(stage.rollout.state(), State::kPromoted);
}

TEST(Rollout, EachStepIsMeasuredAnew) {
  Stage stage(steps({5, 25, 100}));
  ASSERT_TRUE(stage.pass(1min, kGood));
  EXPECT_EQ(stage.rollout.numbers().figures.new_requests, 0U);
  EXPECT_FALSE(stage.pass(31s, {1, 0, 3, 0}));
  EXPECT_NE(stage.rollout.reason(), Reason::kStepTime);
  EXPECT_EQ(stage.rollout.step(), 1U) << "the first step's requests do not count for the second";
}

TEST(Rollout, StepsThatEndBelowAllArePromotedAfterTheLast) {
  Stage stage(steps({10}));
  EXPECT_TRUE(stage.pass(5min, {20, 0, 180, 0}));
  EXPECT_EQ(stage.rollout.state(), State::kPromoted);
  EXPECT_EQ(stage.rollout.percent(), 100);
}

TEST(Rollout, WithoutStepsAllGoAtOnceUnderGuard) {
  Stage stage(steps({}));
  EXPECT_EQ(stage.rollout.percent(), 100);
  EXPECT_FALSE(stage.pass(29s, kGood));
  EXPECT_TRUE(stage.pass(2s, kGood));
  EXPECT_EQ(stage.rollout.state(), State::kPromoted);
}

TEST(Rollout, ClocksThatStandStillOrGoBackDoNoHarm) {
  Stage stage;
  EXPECT_FALSE(stage.pass(20s, kGood));
  stage.now -= 10s;
  stage.look();
  EXPECT_EQ(stage.rollout.in_step(), 20s);
  EXPECT_EQ(stage.rollout.state(), State::kRunning);
}

}  // namespace
}  // namespace headgate::routing
