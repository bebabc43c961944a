// SPDX-License-Identifier: Apache-2.0
#include "traffic/rollouts.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "proxy/admin/rollout_json.h"
#include "proxy/overrides.h"
#include "proxy/rollout_sight.h"
#include "traffic/saved_rollouts.h"
#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

using namespace std::chrono_literals;
using observe::Outcome;
using routing::RolloutReason;
using routing::RolloutState;
using testing::HasSubstr;

constexpr const char* kQuick =
    "rollout: { steps: [10, 50, 100], step_time: 1s, min_requests: 20, max_step_time: 60s, "
    "abort_on: { error_rate_worse_by: 10%, p99_worse_by: 500% } }";

config::Config config_of(const std::string& rollout, const std::string& pools = "blue, green",
                         const std::string& routes = "{ path: /*, proxy: api }") {
  std::string yaml = "upstreams:\n  api:\n    pools:\n";
  std::uint16_t port = 1;
  for (const char* const name : {"blue", "green", "red"}) {
    if (pools.find(name) == std::string::npos) continue;
    yaml += std::string("      ") + name + ": { servers: [\"127.0.0.1:" + std::to_string(port++) + "\"] }\n";
  }
  return read_config(yaml + "    split: { blue: 1 }\n    " + rollout + "\nsites: [{ routes: [" + routes + "] }]\n");
}

/// The clock, the workers and the Monitor are the test's.
class RolloutsTest : public ::testing::Test {
 protected:
  RolloutsTest() { adopt(kQuick); }

  void adopt(const std::string& rollout, const std::string& pools = "blue, green",
             const std::string& routes = "{ path: /*, proxy: api }") {
    config = config_of(rollout, pools, routes);
    feed = traffic.feed(config.upstreams[0]);
    rollouts.adopt(config, now);
    traffic.adopt(config);
  }
  std::string split() const { return traffic::text_of(traffic.status("api")->weights); }
  /// What workers would count, by the plan that they follow.
  void serve(int requests, Outcome outcome = Outcome::kAnswered, Outcome old_outcome = Outcome::kAnswered) {
    auto& cells = feed->plan()->trial->cells->of(0);
    for (int i = 0; i < requests; ++i) {
      cells.new_pool.start();
      cells.new_pool.end(0, outcome, 5ms);
      cells.old_pool.start();
      cells.old_pool.end(0, old_outcome, 5ms);
    }
  }
  bool tick() {
    now += 100ms;
    return rollouts.tick(now, [this](const traffic::Rollouts::Place& place) {
      traffic::Rollouts::Sight sight;
      sight.scores = place.cells.scores();
      sight.new_health = new_health;
      sight.may_advance = may_advance;
      return sight;
    });
  }
  /// Until something is decided.
  bool pass(int requests_a_tick, std::chrono::milliseconds most = 60s) {
    for (auto passed = 0ms; passed < most; passed += 100ms) {
      serve(requests_a_tick);
      if (tick()) return true;
    }
    return false;
  }
  std::vector<std::string> decisions() const {
    std::vector<std::string> all;
    for (const auto& event : events.after(0)) {
      if (event.type != "rollout") continue;
      for (const auto& [name, value] : event.fields) {
        if (name == "decision") all.push_back(value);
      }
    }
    return all;
  }
  traffic::Rollouts::Status status() const { return *rollouts.status("api"); }

  observe::Events events;
  traffic::Traffic traffic{events, [] {}};
  traffic::Rollouts rollouts{traffic, events, 2};
  config::Config config;
  std::shared_ptr<traffic::Feed> feed;
  TimePoint now{1h};
  routing::PoolHealth new_health;
  bool may_advance = true;
};

TEST_F(RolloutsTest, AGoodPoolGetsEverythingStepByStep) {
  EXPECT_FALSE(rollouts.running());
  ASSERT_FALSE(rollouts.start("api", "green", now));
  EXPECT_TRUE(rollouts.running("api"));
  EXPECT_EQ(split(), "blue 90, green 10");
  ASSERT_TRUE(pass(50));
  EXPECT_EQ(split(), "blue 50, green 50");
  ASSERT_TRUE(pass(50));
  EXPECT_EQ(split(), "blue 0, green 100");
  ASSERT_TRUE(pass(50));
  EXPECT_EQ(status().state, RolloutState::kPromoted);
  EXPECT_FALSE(rollouts.running());
  EXPECT_EQ(split(), "blue 0, green 100");
  EXPECT_TRUE(traffic.status("api")->override);
  EXPECT_EQ(feed->plan()->trial, nullptr) << "nothing is counted any more";
  EXPECT_THAT(decisions(), testing::ElementsAre("started", "advanced", "advanced", "promoted"));
  EXPECT_FALSE(tick());
  EXPECT_FALSE(traffic.rollback("api"));
  EXPECT_EQ(split(), "blue 1, green 0");
}

TEST_F(RolloutsTest, ABadOneIsTakenBack) {
  rollouts.start("api", "green", now);
  EXPECT_FALSE(tick()) << "the first look only notes where the cells stand";
  serve(50, Outcome::k500);
  EXPECT_TRUE(tick());
  EXPECT_EQ(status().state, RolloutState::kRolledBack);
  EXPECT_EQ(split(), "blue 1, green 0");
  EXPECT_FALSE(traffic.status("api")->override) << "the file says that again";
  EXPECT_THAT(status().sentence, HasSubstr("50 of 50 requests (100 %) failed"));
  EXPECT_EQ(status().totals.new_errors, 50u);
  EXPECT_EQ(feed->plan()->trial, nullptr);
}

TEST_F(RolloutsTest, WithTrafficBeforeItHasNoneAfterwards) {
  traffic.split("api", {{"green", 20}});
  rollouts.start("api", "green", now);
  EXPECT_EQ(split(), "blue 90, green 10");
  rollouts.abort("api");
  EXPECT_EQ(traffic::weight_of(traffic.status("api")->weights, "green"), 0);
  EXPECT_EQ(traffic::weight_of(traffic.status("api")->weights, "blue"), 80);
}

TEST_F(RolloutsTest, OthersShareTheRestAsBefore) {
  adopt(kQuick, "blue, green, red");
  traffic.split("api", {{"blue", 3}, {"green", 0}, {"red", 1}});
  rollouts.start("api", "green", now);
  EXPECT_EQ(split(), "blue 67.5, green 10, red 22.5");
  EXPECT_EQ(status().old_pools, "blue, red");
  const auto trial = feed->plan()->trial;
  EXPECT_EQ(trial->pool, "green");
  EXPECT_EQ(trial->others.share(*trial->others.find("blue")), 0.75);
  EXPECT_TRUE(trial->shield);
}

TEST_F(RolloutsTest, TheSplitIsItsOwnMeanwhile) {
  rollouts.start("api", "green", now);
  EXPECT_TRUE(traffic.split("api", {{"green", 50}}));
  EXPECT_TRUE(traffic.switch_to("api", "green"));
  EXPECT_TRUE(traffic.reset("api"));
  EXPECT_TRUE(traffic.rollback("api"));
  EXPECT_EQ(split(), "blue 90, green 10");
  rollouts.abort("api");
  EXPECT_FALSE(traffic.switch_to("api", "green"));
}

TEST_F(RolloutsTest, EachDrawsItsOwnClients) {
  const auto bits = [&] { return feed->plan()->points.of("client").bits(); };
  const auto first = bits();
  rollouts.start("api", "green", now);
  const auto second = bits();
  EXPECT_NE(second, first);
  pass(50);
  EXPECT_EQ(bits(), second) << "a step draws nobody anew";
  rollouts.abort("api");
  const auto id = status().id;
  rollouts.start("api", "green", now);
  EXPECT_NE(bits(), second);
  EXPECT_NE(status().id, id);
}

TEST_F(RolloutsTest, WhatCannotBeIsRefusedAndChangesNothing) {
  using Kind = traffic::Rollouts::Refusal::Kind;
  EXPECT_EQ(rollouts.start("nobody", "green", now)->kind, Kind::kUnknown);
  EXPECT_EQ(rollouts.start("api", "gren", now)->message, "upstream 'api' has no pool 'gren'; did you mean 'green'?");
  EXPECT_EQ(rollouts.start("api", "blue", now)->kind, Kind::kConflict) << "it has everything";
  EXPECT_EQ(rollouts.pause("api")->kind, Kind::kConflict);
  EXPECT_EQ(rollouts.promote("nobody")->kind, Kind::kUnknown);
  EXPECT_EQ(split(), "blue 1, green 0");
  EXPECT_TRUE(events.after(0).empty());
  rollouts.start("api", "green", now);
  EXPECT_EQ(rollouts.start("api", "green", now)->kind, Kind::kConflict);
  EXPECT_EQ(rollouts.resume("api")->message, "the rollout of 'green' cannot be resumed: it is running");
}

TEST_F(RolloutsTest, APausedOneStaysAndIsStillTakenBack) {
  rollouts.start("api", "green", now);
  EXPECT_FALSE(rollouts.pause("api"));
  EXPECT_FALSE(pass(50, 10s));
  EXPECT_EQ(status().percent, 10);
  new_health.healthy_servers = 0;
  EXPECT_TRUE(tick());
  EXPECT_EQ(status().reason, RolloutReason::kNoHealthyServer);
}

TEST_F(RolloutsTest, WithoutASightOfAllItGoesNoFurther) {
  rollouts.start("api", "green", now);
  may_advance = false;
  EXPECT_FALSE(pass(50, 10s));
  EXPECT_EQ(status().reason, RolloutReason::kNoAdvance);
  may_advance = true;
  EXPECT_TRUE(pass(50, 1s));
  EXPECT_EQ(status().percent, 50);
}

TEST_F(RolloutsTest, AReloadKeepsIt) {
  rollouts.start("api", "green", now);
  const auto cells = feed->plan()->trial->cells;
  adopt(kQuick);
  EXPECT_EQ(split(), "blue 90, green 10");
  EXPECT_EQ(feed->plan()->trial->cells, cells) << "counted on";
  serve(30);
  const std::string two = "{ path: /a/*, proxy: api }, { path: /*, proxy: api }";
  adopt(kQuick, "blue, green", two);
  EXPECT_NE(feed->plan()->trial->cells, cells) << "other routes are counted anew";
  EXPECT_EQ(feed->plan()->trial->cells->scores().new_pool.classes.size(), 2u);
  EXPECT_EQ(status().totals.new_requests, 30u) << "what was before counts for the whole";
  EXPECT_EQ(split(), "blue 90, green 10");
  adopt(
      "rollout: { steps: [10, 100], step_time: 100ms, min_requests: 1, abort_on: { error_rate_worse_by: 50% }, "
      "shield: false }",
      "blue, green", two);
  EXPECT_FALSE(feed->plan()->trial->shield);
  EXPECT_EQ(status().steps.size(), 2u);
}

TEST_F(RolloutsTest, ItEndsWithItsPools) {
  rollouts.start("api", "green", now);
  adopt(kQuick, "blue, red");
  EXPECT_EQ(status().state, RolloutState::kRolledBack);
  EXPECT_EQ(status().reason, RolloutReason::kReconfigured);
  EXPECT_EQ(split(), "blue 1, red 0");
  adopt(kQuick);
  rollouts.start("api", "green", now);
  const config::Config none = read_config("sites: [{ routes: [{ path: /*, respond: { status: 204 } }] }]");
  rollouts.adopt(none, now);
  EXPECT_FALSE(rollouts.running());
}

TEST_F(RolloutsTest, AFileThatHasChangedDoesNotBringItBack) {
  rollouts.start("api", "green", now);
  config.upstreams[0].split = {{"green", 1}};
  rollouts.adopt(config, now);
  traffic.adopt(config);
  EXPECT_EQ(split(), "blue 90, green 10");
  rollouts.abort("api");
  EXPECT_EQ(split(), "blue 1, green 0");
}

TEST_F(RolloutsTest, ARestartGoesOnWithIt) {
  rollouts.start("api", "green", now);
  ASSERT_TRUE(pass(50));
  serve(7, Outcome::k500);
  feed->plan()->trial->cells->of(1).failed.add(3);
  const auto saved = read_overrides(overrides_text({{}, traffic.saved(), rollouts.saved()}));
  ASSERT_TRUE(saved);
  ASSERT_EQ(saved->rollouts.size(), 1u);

  traffic::Traffic other_traffic(events, [] {});
  traffic::Rollouts other(other_traffic, events, 1);
  const auto its_feed = other_traffic.feed(config.upstreams[0]);
  other.adopt(config, now);
  other_traffic.adopt(config);
  other_traffic.restore(saved->traffic);
  other.restore(saved->rollouts, now);
  EXPECT_EQ(traffic::text_of(other_traffic.status("api")->weights), "blue 50, green 50");
  EXPECT_EQ(its_feed->plan()->points.of("client").bits(), feed->plan()->points.of("client").bits());
  const auto now_there = other.status("api");
  ASSERT_TRUE(now_there);
  EXPECT_EQ(now_there->step, 1u);
  EXPECT_EQ(now_there->id, status().id);
  EXPECT_EQ(now_there->totals.new_errors, 7u);
  EXPECT_EQ(now_there->totals.failed, 3u);
  EXPECT_FALSE(other.abort("api"));
  EXPECT_EQ(traffic::text_of(other_traffic.status("api")->weights), "blue 1, green 0");
}

TEST_F(RolloutsTest, ARestartWithoutItsPoolsEndsIt) {
  rollouts.start("api", "green", now);
  const auto saved = rollouts.saved();
  traffic::Traffic other_traffic(events, [] {});
  traffic::Rollouts other(other_traffic, events, 1);
  const auto other_config = config_of(kQuick, "blue, red");
  const auto its_feed = other_traffic.feed(other_config.upstreams[0]);
  other.adopt(other_config, now);
  other_traffic.adopt(other_config);
  other.restore(saved, now);
  EXPECT_FALSE(other.running());
  EXPECT_EQ(traffic::text_of(other_traffic.status("api")->weights), "blue 1, red 0");
  EXPECT_EQ(its_feed->plan()->trial, nullptr);
  EXPECT_EQ(decisions().back(), "rolled_back");
}

TEST_F(RolloutsTest, RouteClassesAreThoseOfTheGeneration) {
  std::string routes;
  for (int i = 0; i < 18; ++i) routes += "{ path: /r" + std::to_string(i) + "/*, proxy: api }, ";
  const std::string other = "{ path: /*, respond: { status: 204 } }";
  const Generation generation(1, config_of(kQuick, "blue, green", other + ", " + routes.substr(0, routes.size() - 2)),
                              monitor(), traffic);
  const auto& compiled = generation.sites[0].routes;
  ASSERT_EQ(compiled.size(), 19u);
  EXPECT_EQ(compiled[1].rollout_class, 0);
  EXPECT_EQ(compiled[15].rollout_class, 14);
  EXPECT_EQ(compiled[16].rollout_class, 15);
  EXPECT_EQ(compiled[18].rollout_class, 15);
}

TEST_F(RolloutsTest, ItsJsonHasTheNumbers) {
  rollouts.start("api", "green", now);
  serve(30);
  tick();
  const auto told = rollout_json(status());
  EXPECT_EQ(told["state"], "running");
  EXPECT_EQ(told["reason"], "step_time");
  EXPECT_EQ(told["step"], 1);
  EXPECT_EQ(told["steps"].size(), 3u);
  EXPECT_EQ(told["percent"], 10);
  EXPECT_EQ(told["since_start"]["new"]["requests"], 30);
  EXPECT_EQ(told["decisions"][0]["sentence"], "rollout of green started: 10 %");
  EXPECT_EQ(told["over"], false);
}

TEST(SavedRollouts, WhatIsDamagedIsNone) {
  traffic::Rollouts::Saved saved{"api", "green", {{"blue", 1}, {"green", 0}}, {}, {}, 1'700'000'000};
  const auto whole = traffic::saved_rollouts_json({saved});
  ASSERT_TRUE(traffic::read_saved_rollouts(whole));
  EXPECT_EQ(traffic::read_saved_rollouts(whole)->front().started_at, 1'700'000'000);
  for (const auto& [name, value] : whole[0].items()) {
    auto damaged = whole;
    damaged[0].erase(name);
    EXPECT_FALSE(traffic::read_saved_rollouts(damaged)) << name;
    damaged[0][name] = -1;
    EXPECT_FALSE(traffic::read_saved_rollouts(damaged)) << name;
  }
  for (const auto& [name, value] : whole[0]["record"].items()) {
    auto damaged = whole;
    damaged[0]["record"][name] = "x";
    EXPECT_FALSE(traffic::read_saved_rollouts(damaged)) << name;
    damaged[0]["record"][name] = 1e300;
    EXPECT_FALSE(traffic::read_saved_rollouts(damaged)) << name;
  }
  EXPECT_FALSE(traffic::read_saved_rollouts(nlohmann::json::object()));
  EXPECT_FALSE(traffic::read_saved_rollouts(nlohmann::json::array({1})));
}

TEST(RolloutSight, ServersThatNothingIsKnownAgainstAreWell) {
  using upstream::Standing;
  upstream::Roster roster;
  EXPECT_EQ(healthy_servers(roster), 0u);
  roster.resolving = true;
  EXPECT_EQ(healthy_servers(roster), 1u) << "its name has been asked for";
  roster.resolving = false;
  for (const auto standing : {Standing::kServing, Standing::kUnknown, Standing::kUnhealthy, Standing::kEjected,
                              Standing::kTrial, Standing::kDrained}) {
    roster.entries.push_back({});
    roster.entries.back().verdict.standing = standing;
  }
  EXPECT_EQ(healthy_servers(roster), 2u);
  roster.doubtful = true;
  EXPECT_EQ(healthy_servers(roster), 0u);
}

}  // namespace
}  // namespace headgate::proxy
