// SPDX-License-Identifier: Apache-2.0
#include "traffic/fleet.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/task_group.h"
#include "tests/unit/config/read.h"

namespace headgate::traffic {
namespace {

using namespace std::chrono_literals;
using observe::Outcome;
using routing::RolloutState;
using Changed = Fleet::Changed;
using Judge = Rollouts::Sight::Judge;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

/// What all instances of a test share. Leases end and members fall silent when the test says so.
struct Memory {
  std::map<std::string, std::string> texts;
  std::string leader;
  std::map<std::string, FleetStore::Member> members;
  bool away = false;
  bool loses_answers = false;            ///< what is written is, but nobody is told
  std::function<void()> before_replace;  ///< once
};

class FakeStore final : public FleetStore {
 public:
  explicit FakeStore(Memory& memory) : memory_(memory) {}

  Task<std::optional<Texts>> read(std::vector<std::string> upstreams) override {
    if (memory_.away) co_return std::nullopt;
    Texts texts;
    for (const auto& upstream : upstreams) {
      const auto found = memory_.texts.find(upstream);
      texts.push_back(found == memory_.texts.end() ? std::nullopt : std::optional(found->second));
    }
    co_return std::optional<Texts>(std::move(texts));
  }
  Task<Written> replace(std::string upstream, std::uint64_t version, std::string text) override {
    if (const auto first = std::exchange(memory_.before_replace, nullptr)) first();
    if (memory_.away) co_return Written::kLost;
    const auto found = memory_.texts.find(upstream);
    if ((found == memory_.texts.end() ? 0 : version_of(found->second)) != version) co_return Written::kMoved;
    memory_.texts[upstream] = std::move(text);
    co_return memory_.loses_answers ? Written::kLost : Written::kDone;
  }
  Task<std::optional<Turn>> take_turn(std::string, std::uint64_t, std::string instance, std::string scores) override {
    if (memory_.away) co_return std::nullopt;
    if (memory_.leader.empty()) memory_.leader = instance;
    memory_.members[instance] = {instance, 0ms, std::move(scores)};
    Turn turn;
    turn.leads = memory_.leader == instance;
    for (const auto& [name, member] : memory_.members) {
      if (turn.leads) turn.members.push_back(member);
    }
    co_return std::optional<Turn>(std::move(turn));
  }
  Task<> run() override { co_return; }
  void stop() override {}
  std::string problem() const override { return "the test says so"; }

 private:
  Memory& memory_;
};

constexpr const char* kQuick =
    "rollout: { steps: [10, 50, 100], step_time: 1s, min_requests: 20, max_step_time: 60s, "
    "abort_on: { error_rate_worse_by: 10%, p99_worse_by: 500% } }";

config::Config config_of(const std::string& pools) {
  return read_config("upstreams:\n  api:\n    pools: { " + pools + " }\n    split: { blue: 1 }\n    " + kQuick +
                     "\nsites: [{ routes: [{ path: /*, proxy: api }] }]\n");
}

/// One instance; the clock of rollouts is the test's.
struct One {
  One(Loop& loop, Memory& memory, const std::string& called,
      const std::string& pools = "blue: { servers: [\"127.0.0.1:1\"] }, green: { servers: [\"127.0.0.1:2\"] }")
      : name(called),
        config(config_of(pools)),
        traffic(events, [] {}),
        rollouts(traffic, events, 1),
        fleet(loop, traffic, rollouts, events, [this] { ++adopted; }) {
    feed = traffic.feed(config.upstreams[0]);
    rollouts.adopt(config, now);
    traffic.adopt(config);
    fleet.use(std::make_shared<FakeStore>(memory), name);
  }

  std::string split() const { return text_of(traffic.status("api")->weights); }
  std::string state() const {
    const auto status = rollouts.status("api");
    return status ? std::string(routing::name_of(status->state)) : "none";
  }
  void serve(int requests, Outcome outcome = Outcome::kAnswered) {
    auto& cells = feed->plan()->trial->cells->of(0);
    for (int i = 0; i < requests; ++i) {
      cells.new_pool.start();
      cells.new_pool.end(0, outcome, 5ms);
      cells.old_pool.start();
      cells.old_pool.end(0, Outcome::kAnswered, 5ms);
    }
  }
  void tick() {
    now += 100ms;
    rollouts.tick(now, [this](const Rollouts::Place& place) {
      Rollouts::Sight own;
      own.scores = place.cells.scores();
      own.new_health = health;
      auto sight = fleet.look(place, std::move(own));
      judge = sight.judge;
      may_advance = sight.may_advance;
      return sight;
    });
  }

  std::string name;
  config::Config config;
  observe::Events events;
  Traffic traffic;
  Rollouts rollouts;
  int adopted = 0;
  Fleet fleet;
  std::shared_ptr<Feed> feed;
  TimePoint now{1h};
  routing::PoolHealth health;
  Judge judge = Judge::kAlone;
  bool may_advance = false;
};

class FleetTest : public ::testing::Test {
 protected:
  /// The store of the test never waits, so neither does what asks it.
  template <class T>
  T now(Task<T> task) {
    std::optional<T> result;
    TaskGroup group(loop);
    group.spawn(keep(std::move(task), result));
    return result.value();
  }
  template <class T>
  static Task<> keep(Task<T> task, std::optional<T>& into) {
    into = co_await task;
  }
  bool round(One& one) { return now(one.fleet.round()); }
  void rounds() {
    for (One* one : {&a, &b}) round(*one);
  }
  Changed change(One& one, std::function<bool()> what, bool at_once = false) {
    return now(one.fleet.change("api", at_once, std::move(what)));
  }
  Changed split(One& one, double green) {
    return change(one, [&one, green] { return !one.traffic.split("api", {{"green", green}}); });
  }
  Changed start(One& one) {
    return change(one, [&one] { return !one.rollouts.start("api", "green", one.now); });
  }
  static std::size_t count(const One& one, const std::string& type) {
    const auto events = one.events.after(0);
    return static_cast<std::size_t>(
        std::count_if(events.begin(), events.end(), [&](const auto& event) { return event.type == type; }));
  }

  Loop loop;
  Memory memory;
  One a{loop, memory, "a"};
  One b{loop, memory, "b"};
};

TEST_F(FleetTest, NothingIsWrittenBeforeAnybodyHasSaidAnything) {
  rounds();
  rounds();
  EXPECT_TRUE(memory.texts.empty());
  EXPECT_TRUE(a.fleet.up());
  EXPECT_EQ(a.fleet.role("api"), Fleet::Role::kInStep);
}

TEST_F(FleetTest, OthersFollowASplit) {
  rounds();
  const auto changed = split(a, 10);
  EXPECT_TRUE(changed.done);
  EXPECT_FALSE(changed.alone);
  EXPECT_EQ(b.split(), "blue 1, green 0");
  round(b);
  EXPECT_EQ(b.split(), "blue 90, green 10");
  EXPECT_EQ(b.adopted, 1);
  EXPECT_EQ(b.traffic.status("api")->release, a.traffic.status("api")->release);
  rounds();
  EXPECT_EQ(b.adopted, 1);
  EXPECT_THAT(memory.texts["api"], StartsWith("1 "));
}

TEST_F(FleetTest, AChangeIsMadeOnTheLatestState) {
  rounds();
  split(a, 10);
  EXPECT_TRUE(change(
                  b, [&] { return !b.traffic.rollback("api"); }, true)
                  .done);
  EXPECT_EQ(b.split(), "blue 1, green 0");
  round(a);
  EXPECT_EQ(a.split(), "blue 1, green 0");
}

TEST_F(FleetTest, WhoeverIsSlowerDoesItAgain) {
  rounds();
  memory.before_replace = [this] { split(b, 20); };
  int asked = 0;
  const auto changed = change(a, [&] {
    ++asked;
    return !a.traffic.split("api", {{"green", 30}});
  });
  EXPECT_TRUE(changed.done);
  EXPECT_EQ(asked, 2);
  EXPECT_THAT(memory.texts["api"], StartsWith("2 "));
  round(b);
  EXPECT_EQ(b.split(), "blue 70, green 30");
  // What was before is what the other one had set.
  EXPECT_TRUE(change(b, [&] { return !b.traffic.rollback("api"); }).done);
  EXPECT_EQ(b.split(), "blue 80, green 20");
  EXPECT_EQ(count(a, "fleet_overruled"), 0U);
}

TEST_F(FleetTest, AnAnswerThatWasLostIsNoConflict) {
  rounds();
  memory.loses_answers = true;
  EXPECT_TRUE(split(a, 10).alone);
  memory.loses_answers = false;
  rounds();
  EXPECT_EQ(a.split(), "blue 90, green 10");
  EXPECT_EQ(b.split(), "blue 90, green 10");
  EXPECT_EQ(count(a, "fleet_overruled"), 0U);
  EXPECT_THAT(memory.texts["api"], StartsWith("1 "));
}

TEST_F(FleetTest, AChangeWhileTheStoreIsAwayIsToldLater) {
  rounds();
  split(a, 10);
  rounds();
  memory.away = true;
  rounds();
  EXPECT_EQ(a.fleet.role("api"), Fleet::Role::kAway);
  EXPECT_EQ(count(a, "fleet_away"), 1U);
  EXPECT_TRUE(change(
                  b, [&] { return !b.traffic.rollback("api"); }, true)
                  .alone);
  EXPECT_EQ(b.split(), "blue 1, green 0");
  memory.away = false;
  round(b);
  round(a);
  EXPECT_EQ(a.split(), "blue 1, green 0");
  EXPECT_EQ(count(a, "fleet_back"), 1U);
}

TEST_F(FleetTest, TheFleetOutweighsAChangeThatNobodySaw) {
  rounds();
  split(a, 10);
  rounds();
  memory.away = true;
  rounds();
  split(b, 50);
  memory.away = false;
  round(a);
  split(a, 20);
  round(b);
  EXPECT_EQ(b.split(), "blue 80, green 20");
  EXPECT_EQ(count(b, "fleet_overruled"), 1U);
}

TEST_F(FleetTest, AnOlderMemoryOfTheStoreIsReplaced) {
  rounds();
  split(a, 10);
  const auto old = memory.texts["api"];
  split(a, 20);
  rounds();
  memory.texts["api"] = old;
  rounds();
  rounds();
  EXPECT_EQ(a.split(), "blue 80, green 20");
  EXPECT_EQ(b.split(), "blue 80, green 20");
  EXPECT_THAT(memory.texts["api"], StartsWith("3 "));
}

TEST_F(FleetTest, WhatIsNoStateIsIgnored) {
  rounds();
  split(a, 10);
  rounds();
  for (const char* const text : {"", "x", "2", "2 {}", "2 []", "2 null", "-1 {}", "99999999999999999999 {}"}) {
    memory.texts["api"] = text;
    rounds();
    EXPECT_EQ(b.split(), "blue 90, green 10") << text;
  }
  EXPECT_TRUE(split(b, 30).done);
  round(a);
  EXPECT_EQ(a.split(), "blue 70, green 30");
}

TEST_F(FleetTest, OneLeadsAndAdvancesByWhatAllHaveCounted) {
  rounds();
  EXPECT_TRUE(start(a).done);
  rounds();
  rounds();
  EXPECT_EQ(b.state(), "running");
  EXPECT_EQ(b.split(), "blue 90, green 10");
  EXPECT_EQ(b.rollouts.status("api")->id, a.rollouts.status("api")->id);
  EXPECT_EQ(a.fleet.role("api"), Fleet::Role::kLeader);
  EXPECT_EQ(b.fleet.role("api"), Fleet::Role::kFollower);
  for (int i = 0; i < 200 && a.rollouts.status("api")->step == 0; ++i) {
    b.serve(20);
    memory.members["b"].scores = scores_text(b.feed->plan()->trial->cells->scores());
    b.tick();
    EXPECT_EQ(b.judge, Judge::kOther);
    // The turns of the fleet have the loop's clock; the other one's are told by hand.
    a.fleet.use(std::make_shared<FakeStore>(memory), "a");
    round(a);
    a.tick();
    EXPECT_EQ(a.judge, Judge::kForAll);
  }
  EXPECT_EQ(a.rollouts.status("api")->step, 1U);
  EXPECT_EQ(b.rollouts.status("api")->step, 0U);
  round(a);
  round(b);
  EXPECT_EQ(b.rollouts.status("api")->step, 1U);
  EXPECT_EQ(b.split(), "blue 50, green 50");
  EXPECT_THAT(b.rollouts.status("api")->told->back().sentence, HasSubstr("advanced"));
}

TEST_F(FleetTest, NobodyAdvancesWhileAnInstanceIsNotSeen) {
  rounds();
  start(a);
  rounds();
  for (const auto& [silent, may] : {std::pair{500ms, true}, {3000ms, false}, {9000ms, true}}) {
    memory.members["c"] = {"c", silent, scores_text({})};
    a.fleet.use(std::make_shared<FakeStore>(memory), "a");
    round(a);
    a.tick();
    EXPECT_EQ(a.may_advance, may) << silent.count();
  }
  memory.members["c"] = {"c", 0ms, "nonsense"};
  a.fleet.use(std::make_shared<FakeStore>(memory), "a");
  round(a);
  a.tick();
  EXPECT_FALSE(a.may_advance);
}

TEST_F(FleetTest, AFollowersGuardStopsAll) {
  rounds();
  start(a);
  rounds();
  rounds();
  for (int i = 0; i < 20; ++i) {
    b.tick();
    if (b.rollouts.running()) b.serve(10, Outcome::k500);
  }
  EXPECT_EQ(b.state(), "rolled_back");
  round(b);
  round(a);
  EXPECT_EQ(a.state(), "rolled_back");
  EXPECT_EQ(a.split(), "blue 1, green 0");
  EXPECT_EQ(a.rollouts.status("api")->reason, routing::RolloutReason::kErrorCeiling);
}

TEST_F(FleetTest, WithoutTheStoreTheWeightFreezesAndAnInstanceJudgesAlone) {
  rounds();
  start(a);
  rounds();
  memory.away = true;
  rounds();
  for (int i = 0; i < 300; ++i) {
    a.serve(10);
    a.tick();
  }
  EXPECT_EQ(a.judge, Judge::kAlone);
  EXPECT_EQ(a.rollouts.status("api")->step, 0U);
  EXPECT_EQ(a.state(), "running");
  for (int i = 0; i < 20 && a.rollouts.running(); ++i) {
    a.serve(10, Outcome::k500);
    a.tick();
  }
  EXPECT_EQ(a.state(), "rolled_back");
  EXPECT_EQ(b.state(), "running");
  // The other one went on with it meanwhile: what failed outweighs that.
  memory.away = false;
  round(b);
  change(b, [&] { return !b.rollouts.pause("api"); });
  round(a);
  round(b);
  EXPECT_EQ(b.state(), "rolled_back");
  EXPECT_EQ(b.split(), "blue 1, green 0");
}

TEST_F(FleetTest, PauseAndPromoteAreFollowed) {
  rounds();
  start(a);
  rounds();
  EXPECT_TRUE(change(b, [&] { return !b.rollouts.pause("api"); }).done);
  round(a);
  EXPECT_EQ(a.state(), "paused");
  EXPECT_TRUE(change(a, [&] { return !a.rollouts.resume("api"); }).done);
  round(b);
  EXPECT_EQ(b.state(), "running");
  EXPECT_TRUE(change(b, [&] { return !b.rollouts.promote("api"); }).done);
  round(a);
  EXPECT_EQ(a.state(), "promoted");
  EXPECT_EQ(a.split(), "blue 0, green 100");
  EXPECT_TRUE(change(a, [&] { return !a.traffic.rollback("api"); }).done);
  round(b);
  EXPECT_EQ(b.split(), "blue 1, green 0");
}

TEST_F(FleetTest, AnInstanceThatComesLaterJoins) {
  rounds();
  split(a, 20);
  change(a, [&] { return !a.traffic.switch_to("api", "blue"); });
  start(a);
  One late(loop, memory, "late");
  round(late);
  EXPECT_EQ(late.state(), "running");
  EXPECT_EQ(late.split(), "blue 90, green 10");
  EXPECT_EQ(late.rollouts.status("api")->told->size(), 1U);
}

TEST_F(FleetTest, ARolloutOfAPoolThatIsNotThereIsNotFollowed) {
  One other(loop, memory, "other", "blue: { servers: [\"127.0.0.1:1\"] }, red: { servers: [\"127.0.0.1:3\"] }");
  rounds();
  start(a);
  round(other);
  EXPECT_EQ(other.state(), "none");
  EXPECT_EQ(other.split(), "blue 1, red 0");
  const auto text = memory.texts["api"];
  round(other);
  EXPECT_EQ(memory.texts["api"], text);
}

// --- texts ----------------------------------------------------------------------------------------------------------

TEST(SharedTraffic, SurvivesItsText) {
  SharedTraffic state;
  state.version = 7;
  state.writer = "me";
  state.written_at = 1700000000000;
  state.traffic = {"api", Weights{{"blue", 90}, {"green", 10}}, {{"blue", 1}, {"green", 0}}, 3};
  Rollouts::Shared rollout;
  rollout.id = 3;
  rollout.saved = {"api", "green", {{"blue", 1}, {"green", 0}}, {}, {}, 1700000000};
  Rollouts::Told told;
  told.number = 4;
  told.decision.percent = 12.5;
  told.decision.numbers.figures.new_requests = 9;
  told.sentence = "so it was";
  rollout.told = {told};
  state.rollout = rollout;
  const auto text = shared_traffic_text(state);
  EXPECT_EQ(version_of(text), 7U);
  const auto read = read_shared_traffic("api", text);
  ASSERT_TRUE(read && read->rollout);
  EXPECT_EQ(read->traffic, state.traffic);
  EXPECT_EQ(read->writer, "me");
  EXPECT_EQ(shared_traffic_text(*read), text);
  EXPECT_EQ(essence_of(*read), essence_of(state));
  EXPECT_FALSE(read_shared_traffic("other", text)) << "the rollout is of another upstream";
  for (std::size_t cut = 0; cut < text.size(); ++cut) EXPECT_FALSE(read_shared_traffic("api", text.substr(0, cut)));
}

TEST(SharedTraffic, RefusesWeightsThatAreNone) {
  SharedTraffic state;
  state.version = 1;
  state.traffic = {"api", Weights{{"blue", 2e9}}, {}, 0};
  EXPECT_FALSE(read_shared_traffic("api", shared_traffic_text(state)));
  state.traffic.set = Weights{{"blue", std::numeric_limits<double>::infinity()}};
  EXPECT_FALSE(read_shared_traffic("api", shared_traffic_text(state)));
  state.traffic.set = Weights(routing::Split::kMostPools + 1, {"blue", 1});
  EXPECT_FALSE(read_shared_traffic("api", shared_traffic_text(state)));
}

TEST(SharedScores, SurviveTheirText) {
  RolloutScores scores;
  scores.new_pool = observe::Scorecard(2);
  scores.new_pool.started = 5;
  scores.new_pool.classes[1].add(Outcome::kAnswered, 7ms);
  scores.new_pool.classes[1].add(Outcome::k503, 7ms);
  scores.shielded = 3;
  const auto read = read_scores(scores_text(scores));
  ASSERT_TRUE(read);
  EXPECT_EQ(scores_text(*read), scores_text(scores));
  EXPECT_EQ(read->new_pool.requests(), 2U);
  EXPECT_EQ(read->new_pool.errors(), 1U);
}

TEST(SharedScores, AreBounded) {
  const std::string outcomes = R"("outcomes":[0,0,0,0,0,0,0,0,0])";
  const auto with = [&](const std::string& classes) {
    return R"({"failed":0,"shielded":0,"old":{"started":0,"classes":[]},"new":{"started":0,"classes":[)" + classes +
           "]}}";
  };
  const std::string good = "{" + outcomes + R"(,"latencies":[5,1]})";
  EXPECT_TRUE(read_scores(with(good)));
  std::string many = good;
  for (std::size_t i = 0; i < observe::kMostRouteClasses; ++i) many += "," + good;
  for (const std::string& bad :
       {many, "{" + outcomes + R"(,"latencies":[736,1]})", "{" + outcomes + R"(,"latencies":[5]})",
        "{" + outcomes + R"(,"latencies":[5,-1]})", "{" + outcomes + R"(,"latencies":[5,18446744073709551615]})",
        std::string(R"({"outcomes":[0],"latencies":[]})"), std::string("7")}) {
    EXPECT_FALSE(read_scores(with(bad))) << bad;
  }
}

}  // namespace
}  // namespace headgate::traffic
