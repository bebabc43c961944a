// SPDX-License-Identifier: Apache-2.0
// Commands and restarts.
#include <gtest/gtest.h>

#include "rollout_fixture.h"
#include "routing/rollout.h"

namespace headgate::routing {
namespace {

using Kind = RolloutDecision::Kind;
using State = RolloutState;
using Reason = RolloutReason;

TEST(Rollout, ResumeGivesAHeldOneItsTimeAgain) {
  config::Rollout settings;
  settings.max_step_time = 40s;
  Stage stage(settings);
  ASSERT_TRUE(stage.pass(41s, {1, 0, 20, 0}));
  EXPECT_TRUE(stage.rollout.resume());
  EXPECT_EQ(stage.rollout.state(), State::kRunning);
  EXPECT_FALSE(stage.pass(9s));
  EXPECT_TRUE(stage.pass(2s));
  EXPECT_EQ(stage.rollout.state(), State::kHolding);
}

TEST(Rollout, PausesAndResumes) {
  Stage stage;
  EXPECT_FALSE(stage.pass(20s, kGood));
  EXPECT_TRUE(stage.rollout.pause());
  EXPECT_EQ(stage.last_decision().kind, Kind::kPaused);
  EXPECT_FALSE(stage.pass(5min, kGood));
  EXPECT_EQ(stage.rollout.state(), State::kPaused);
  EXPECT_EQ(stage.rollout.percent(), 1);
  EXPECT_FALSE(stage.rollout.pause());
  EXPECT_TRUE(stage.rollout.resume());
  EXPECT_EQ(stage.last_decision().kind, Kind::kResumed);
  EXPECT_FALSE(stage.rollout.resume());
  EXPECT_FALSE(stage.pass(9s, kGood)) << "the time of the pause does not count";
  EXPECT_TRUE(stage.pass(2s, kGood));
  EXPECT_EQ(stage.rollout.step(), 1U);
}

TEST(Rollout, IsRolledBackWhilePaused) {
  Stage stage(steps({5, 100}));
  ASSERT_TRUE(stage.rollout.pause());
  EXPECT_TRUE(stage.pass(20s, {10, 2, 190, 0}));
  EXPECT_EQ(stage.rollout.state(), State::kRolledBack);
}

TEST(Rollout, APauseIsNotLiftedByADeadOldPool) {
  Stage stage;
  ASSERT_TRUE(stage.rollout.pause());
  stage.old_health.healthy_servers = 0;
  stage.new_health.healthy_servers = 0;
  EXPECT_FALSE(stage.pass(1s));
  stage.new_health.healthy_servers = 1;
  EXPECT_FALSE(stage.pass(2min, kGood));
  EXPECT_EQ(stage.rollout.state(), State::kPaused);
}

TEST(Rollout, PausesWhileItHolds) {
  config::Rollout settings;
  settings.max_step_time = 40s;
  Stage stage(settings);
  ASSERT_TRUE(stage.pass(41s));
  EXPECT_TRUE(stage.rollout.pause());
  EXPECT_FALSE(stage.pass(2min, kGood));
  EXPECT_TRUE(stage.rollout.resume());
  EXPECT_TRUE(stage.pass(1s, kGood));
  EXPECT_EQ(stage.rollout.step(), 1U);
}

TEST(Rollout, IsPromotedByCommand) {
  for (const bool paused : {false, true}) {
    Stage stage;
    if (paused) stage.rollout.pause();
    EXPECT_TRUE(stage.rollout.promote());
    EXPECT_EQ(stage.rollout.state(), State::kPromoted);
    EXPECT_EQ(stage.rollout.reason(), Reason::kOperator);
    EXPECT_EQ(stage.rollout.percent(), 100);
    EXPECT_EQ(stage.last_decision().kind, Kind::kPromoted);
  }
}

TEST(Rollout, IsAbortedByCommandEvenIntoADeadPool) {
  Stage stage;
  stage.old_health.healthy_servers = 0;
  EXPECT_TRUE(stage.rollout.abort());
  EXPECT_EQ(stage.rollout.state(), State::kRolledBack);
  EXPECT_EQ(stage.rollout.reason(), Reason::kOperator);
  EXPECT_EQ(stage.rollout.percent(), 0);
  EXPECT_EQ(stage.last_decision().kind, Kind::kRolledBack);
}

TEST(Rollout, WhatIsOverStaysSo) {
  for (const bool promoted : {false, true}) {
    Stage stage;
    ASSERT_TRUE(promoted ? stage.rollout.promote() : stage.rollout.abort());
    stage.rollout.take_decisions();
    stage.new_health.healthy_servers = 0;
    EXPECT_FALSE(stage.pass(1min, {10, 10, 10, 0}));
    EXPECT_FALSE(stage.rollout.pause());
    EXPECT_FALSE(stage.rollout.resume());
    EXPECT_FALSE(stage.rollout.promote());
    EXPECT_FALSE(stage.rollout.abort());
    EXPECT_TRUE(stage.rollout.take_decisions().empty());
  }
}

TEST(Rollout, GoesOnAfterARestart) {
  Stage stage(steps({5, 25, 100}));
  ASSERT_TRUE(stage.pass(1min, kGood));
  EXPECT_FALSE(stage.pass(20s, kGood));
  stage.restart();
  EXPECT_EQ(stage.rollout.state(), State::kRunning);
  EXPECT_EQ(stage.rollout.percent(), 25);
  EXPECT_TRUE(stage.rollout.take_decisions().empty()) << "a restart decides nothing";
  EXPECT_FALSE(stage.pass(9s, {1, 0, 3, 0}));
  EXPECT_FALSE(stage.pass(5s, {1, 0, 3, 0})) << "the requests are counted anew";
  EXPECT_TRUE(stage.pass(1min, {50, 0, 150, 0}));
  EXPECT_EQ(stage.rollout.percent(), 100);
}

TEST(Rollout, IsRolledBackAfterARestart) {
  Stage stage(steps({5, 100}));
  stage.restart();
  EXPECT_TRUE(stage.pass(20s, {10, 2, 190, 0}));
  EXPECT_EQ(stage.rollout.reason(), Reason::kErrorsWorse);
}

TEST(Rollout, PausedPromotedAndRolledBackSurviveARestart) {
  Stage stage;
  stage.rollout.pause();
  stage.restart();
  EXPECT_EQ(stage.rollout.state(), State::kPaused);
  EXPECT_FALSE(stage.pass(2min, kGood));
  ASSERT_TRUE(stage.rollout.promote());
  stage.restart();
  EXPECT_EQ(stage.rollout.state(), State::kPromoted);
  EXPECT_EQ(stage.rollout.percent(), 100);
  Stage other;
  ASSERT_TRUE(other.rollout.abort());
  other.restart();
  EXPECT_EQ(other.rollout.percent(), 0);
  EXPECT_EQ(other.rollout.reason(), Reason::kOperator);
}

TEST(Rollout, ARecordOfAnotherConfigurationIsReadWithCare) {
  RolloutRecord record;
  record.step = 99;
  record.in_step = -5s;
  const auto rollout = Rollout::restored(steps({5, 100}), 1, TimePoint(), record);
  EXPECT_EQ(rollout.percent(), 100);
  EXPECT_EQ(rollout.in_step(), 0ms);
}

TEST(Rollout, RestartsDoNotMakeFalseAlarmsCheaper) {
  Stage stage(steps({5, 100}));
  for (int i = 0; i < 10; ++i) stage.restart();
  EXPECT_EQ(stage.rollout.record().restores, 10U);
  stage.look();
  EXPECT_LT(stage.rollout.numbers().certainty, 0.001 * 0.06 / 100);
}

}  // namespace
}  // namespace headgate::routing
