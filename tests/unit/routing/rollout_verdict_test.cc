// SPDX-License-Identifier: Apache-2.0
// What ends a rollout, and what holds it.
#include <gtest/gtest.h>

#include "rollout_fixture.h"
#include "routing/rollout.h"

namespace headgate::routing {
namespace {

using Kind = RolloutDecision::Kind;
using State = RolloutState;
using Reason = RolloutReason;

TEST(Rollout, RollsBackOnErrors) {
  Stage stage(steps({5, 100}));
  EXPECT_FALSE(stage.pass(3s, kGood));
  EXPECT_TRUE(stage.pass(10s, {10, 1, 190, 0}));
  EXPECT_EQ(stage.rollout.state(), State::kRolledBack);
  EXPECT_EQ(stage.rollout.reason(), Reason::kErrorsWorse);
  EXPECT_EQ(stage.rollout.percent(), 0);
  EXPECT_TRUE(stage.rollout.over());
  const auto decision = stage.last_decision();
  EXPECT_EQ(decision.kind, Kind::kRolledBack);
  EXPECT_EQ(decision.percent, 0);
  EXPECT_GE(decision.numbers.certainty, 1);
  EXPECT_GE(decision.numbers.tolerance_odds, RegressionTest::kToleranceOdds);
  EXPECT_GT(decision.numbers.figures.new_errors, 0U);
  EXPECT_LT(decision.numbers.figures.new_errors, 10U);
}

TEST(Rollout, ErrorsThatBothHaveAreNobodysFault) {
  Stage stage(steps({5, 100}));
  EXPECT_FALSE(stage.pass(25s, {10, 5, 190, 95}));
  EXPECT_EQ(stage.rollout.state(), State::kRunning);
}

TEST(Rollout, RollsBackOnLatencyAfterWarmUp) {
  Stage stage(steps({5, 100}));
  EXPECT_FALSE(stage.pass(4s + 800ms, {10, 0, 190, 0, 50ms, 10ms})) << "it is warming up";
  EXPECT_TRUE(stage.pass(5s, {10, 0, 190, 0, 50ms, 10ms}));
  EXPECT_EQ(stage.rollout.state(), State::kRolledBack);
  EXPECT_EQ(stage.rollout.reason(), Reason::kLatencyWorse);
  const auto decision = stage.last_decision();
  EXPECT_GT(decision.numbers.figures.new_p99, 49ms);
  EXPECT_LT(decision.numbers.figures.old_p99, 11ms);
}

TEST(Rollout, NamesTheRouteThatIsWorse) {
  Stage stage(steps({5, 100}), 3);
  for (int i = 0; i < 100 && !stage.rollout.over(); ++i) {
    stage.now += 100ms;
    stage.serve({40, 2, 760, 38, 10ms, 10ms, 0});
    stage.serve({1, 1, 19, 0, 10ms, 10ms, 2});
    stage.look();
  }
  ASSERT_EQ(stage.rollout.reason(), Reason::kErrorsWorse);
  const auto decision = stage.last_decision();
  EXPECT_EQ(decision.numbers.route_class, 2U);
  EXPECT_EQ(decision.numbers.figures.new_errors, decision.numbers.figures.new_requests) << "that route's own numbers";
}

TEST(Rollout, RollsBackAboveTheCeiling) {
  Stage stage(steps({50, 100}));
  // Too little of the old pool to compare with, and enough of the new one.
  EXPECT_TRUE(stage.pass(5s, {10, 9, 0, 0}));
  EXPECT_EQ(stage.rollout.reason(), Reason::kErrorCeiling);
  EXPECT_GE(stage.last_decision().numbers.figures.new_requests, 20U);
}

TEST(Rollout, TheCeilingHoldsInTheStepToAllToo) {
  config::Rollout settings = steps({50, 100});
  Stage stage(settings);
  ASSERT_TRUE(stage.pass(3min, {50, 0, 50, 0}));
  ASSERT_EQ(stage.rollout.percent(), 100);
  EXPECT_TRUE(stage.pass(3s, {100, 30, 0, 0}));
  EXPECT_EQ(stage.rollout.state(), State::kRolledBack);
  EXPECT_EQ(stage.rollout.reason(), Reason::kErrorCeiling);
}

TEST(Rollout, RollsBackOnConnectFailures) {
  Stage stage;
  stage.new_health.connect_failures_in_a_row = 4;
  EXPECT_FALSE(stage.pass(1s, kGood));
  stage.new_health.connect_failures_in_a_row = 5;
  EXPECT_TRUE(stage.pass(100ms, kGood));
  EXPECT_EQ(stage.rollout.reason(), Reason::kConnectFailures);
  EXPECT_EQ(stage.last_decision().numbers.connect_failures, 5U);
}

TEST(Rollout, RollsBackWithoutAHealthyServer) {
  Stage stage;
  stage.new_health.healthy_servers = 0;
  EXPECT_TRUE(stage.pass(100ms));
  EXPECT_EQ(stage.rollout.state(), State::kRolledBack);
  EXPECT_EQ(stage.rollout.reason(), Reason::kNoHealthyServer);
}

TEST(Rollout, RollsBackAPoolThatStopsAnswering) {
  Stage stage;
  EXPECT_FALSE(stage.pass(2s, kGood));
  bool over = false;
  for (int i = 0; i < 120 && !over; ++i) {
    stage.new_pool.started += 5;
    over = stage.pass(100ms, {0, 0, 95, 0});
  }
  EXPECT_EQ(stage.rollout.state(), State::kRolledBack);
  EXPECT_EQ(stage.rollout.reason(), Reason::kStalled);
}

TEST(Rollout, IsNotRolledBackIntoADeadPool) {
  Stage stage;
  stage.old_health.healthy_servers = 0;
  stage.new_health.healthy_servers = 0;
  EXPECT_TRUE(stage.pass(100ms));
  EXPECT_EQ(stage.rollout.state(), State::kHolding);
  EXPECT_EQ(stage.rollout.reason(), Reason::kOldPoolDown);
  EXPECT_EQ(stage.rollout.percent(), 1);
  EXPECT_EQ(stage.last_decision().kind, Kind::kHeld);
  EXPECT_FALSE(stage.pass(1s)) << "said once";
  EXPECT_TRUE(stage.rollout.take_decisions().empty());
  stage.old_health.healthy_servers = 1;
  EXPECT_TRUE(stage.pass(100ms));
  EXPECT_EQ(stage.rollout.state(), State::kRolledBack);
  EXPECT_EQ(stage.rollout.reason(), Reason::kNoHealthyServer);
}

TEST(Rollout, GoesOnWhenItNeedNotBeRolledBackAnyMore) {
  Stage stage;
  stage.old_health.healthy_servers = 0;
  stage.new_health.healthy_servers = 0;
  ASSERT_TRUE(stage.pass(100ms));
  stage.rollout.take_decisions();
  stage.new_health.healthy_servers = 1;
  EXPECT_TRUE(stage.pass(100ms));
  EXPECT_EQ(stage.rollout.state(), State::kRunning);
  const auto decision = stage.last_decision();
  EXPECT_EQ(decision.kind, Kind::kReleased);
  EXPECT_EQ(decision.reason, Reason::kOldPoolDown);
}

TEST(Rollout, HoldsWithoutAVerdict) {
  config::Rollout settings;
  settings.max_step_time = 40s;
  Stage stage(settings);
  EXPECT_TRUE(stage.pass(41s, {1, 0, 20, 0}));
  EXPECT_EQ(stage.rollout.state(), State::kHolding);
  EXPECT_EQ(stage.rollout.reason(), Reason::kNoVerdict);
  EXPECT_EQ(stage.rollout.percent(), 1);
  const auto decision = stage.last_decision();
  EXPECT_EQ(decision.kind, Kind::kHeld);
  EXPECT_TRUE(decision.numbers.more_requests);
  // When the data come after all, it goes on.
  EXPECT_TRUE(stage.pass(1min, kGood));
  EXPECT_EQ(stage.rollout.state(), State::kRunning);
  EXPECT_EQ(stage.rollout.step(), 1U);
}

TEST(Rollout, WithoutAnyRequestItHoldsAndNeverGoesOn) {
  config::Rollout settings;
  settings.max_step_time = 40s;
  Stage stage(settings);
  EXPECT_TRUE(stage.pass(41s));
  EXPECT_EQ(stage.rollout.state(), State::kHolding);
  EXPECT_FALSE(stage.pass(10min));
  EXPECT_EQ(stage.rollout.percent(), 1);
}

TEST(Rollout, AbortsWithoutAVerdictIfToldSo) {
  config::Rollout settings;
  settings.max_step_time = 40s;
  settings.on_no_verdict = config::Rollout::OnNoVerdict::kAbort;
  Stage stage(settings);
  EXPECT_TRUE(stage.pass(41s, {1, 0, 20, 0}));
  EXPECT_EQ(stage.rollout.state(), State::kRolledBack);
  EXPECT_EQ(stage.rollout.reason(), Reason::kNoVerdict);
}

TEST(Rollout, IsRolledBackWhileItHolds) {
  config::Rollout settings;
  settings.max_step_time = 40s;
  Stage stage(settings);
  ASSERT_TRUE(stage.pass(41s, {1, 0, 20, 0}));
  EXPECT_TRUE(stage.pass(10s, {10, 5, 190, 0}));
  EXPECT_EQ(stage.rollout.state(), State::kRolledBack);
}

TEST(Rollout, IsFrozenWhileItMayNotAdvance) {
  config::Rollout settings;
  settings.max_step_time = 60s;
  settings.on_no_verdict = config::Rollout::OnNoVerdict::kAbort;
  Stage stage(settings);
  stage.may_advance = false;
  EXPECT_FALSE(stage.pass(50s, kGood));
  EXPECT_EQ(stage.rollout.reason(), Reason::kNoAdvance);
  EXPECT_TRUE(stage.pass(15s, kGood));
  EXPECT_EQ(stage.rollout.state(), State::kHolding) << "not aborted: that says nothing about the new pool";
  stage.may_advance = true;
  EXPECT_TRUE(stage.pass(1s, kGood));
  EXPECT_EQ(stage.rollout.step(), 1U);
  stage.may_advance = false;
  EXPECT_TRUE(stage.pass(10s, {10, 5, 190, 0}));
  EXPECT_EQ(stage.rollout.state(), State::kRolledBack) << "that it may always";
}

TEST(Rollout, DoesNotGoOnWhileItLooksWorse) {
  config::Rollout settings = steps({5, 25, 100});
  settings.step_time = 1s;
  settings.min_requests = 10;
  Stage stage(settings);
  // Three failures of a hundred requests, where the old pool had none: nearly enough.
  for (int i = 0; i < 11; ++i) {
    stage.now += 100ms;
    stage.serve({10, i == 2 || i == 5 || i == 8 ? 1 : 0, 190, 0});
    stage.look();
  }
  EXPECT_EQ(stage.rollout.state(), State::kRunning);
  EXPECT_EQ(stage.rollout.step(), 0U);
  EXPECT_EQ(stage.rollout.reason(), Reason::kSuspicious);
  EXPECT_GE(stage.rollout.numbers().certainty, 0.05);
  EXPECT_FALSE(stage.rollout.numbers().more_requests);
  EXPECT_TRUE(stage.pass(2min, kGood)) << "it was chance";
  EXPECT_EQ(stage.rollout.step(), 1U);
}

TEST(Rollout, AScorecardThatBeginsAnewIsNotTakenForTraffic) {
  Stage stage(steps({5, 100}));
  EXPECT_FALSE(stage.pass(10s, kGood));
  stage.new_pool = observe::Scorecard(1);
  stage.old_pool = observe::Scorecard(1);
  stage.serve({1, 1, 0, 0});
  EXPECT_FALSE(stage.pass(10s, kGood));
  EXPECT_EQ(stage.rollout.state(), State::kRunning);
}

}  // namespace
}  // namespace headgate::routing
