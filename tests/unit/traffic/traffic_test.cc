// SPDX-License-Identifier: Apache-2.0
#include "traffic/traffic.h"

#include <gtest/gtest.h>

#include "tests/unit/config/read.h"

namespace headgate::traffic {
namespace {

config::Config config_of(const std::string& split, const std::string& pools = "blue, green") {
  std::string yaml = "upstreams:\n  api:\n    pools:\n";
  std::string name;
  std::uint16_t port = 1;
  for (const char c : pools + ",") {
    if (c == ',') {
      yaml += "      " + name + ": { servers: [\"127.0.0.1:" + std::to_string(port++) + "\"] }\n";
      name.clear();
    } else if (c != ' ') {
      name += c;
    }
  }
  if (!split.empty()) yaml += "    split: { " + split + " }\n";
  return read_config(yaml + "sites: [{ routes: [{ path: /*, proxy: api }] }]\n");
}

class TrafficTest : public ::testing::Test {
 protected:
  void adopt(const std::string& split, const std::string& pools = "blue, green") {
    config = config_of(split, pools);
    feed = traffic.feed(config.upstreams[0]);
    traffic.adopt(config);
  }
  std::string now() const { return text_of(traffic.status("api")->weights); }
  std::string plan() const {
    Weights weights;
    for (const auto& pool : feed->plan()->split.pools()) weights.emplace_back(pool.name, pool.weight);
    return text_of(weights);
  }

  observe::Events events;
  int changes = 0;
  Traffic traffic{events, [this] { ++changes; }};
  config::Config config;
  std::shared_ptr<Feed> feed;
};

TEST_F(TrafficTest, TheFileSaysItAtFirst) {
  adopt("blue: 95, green: 5");
  EXPECT_EQ(now(), "blue 95, green 5");
  EXPECT_EQ(plan(), now());
  EXPECT_FALSE(traffic.status("api")->override);
  adopt("blue: 1");
  EXPECT_EQ(plan(), "blue 1, green 0");
  adopt("");
  EXPECT_EQ(plan(), "blue 1, green 0") << "without a split the first pool has everything";
}

TEST_F(TrafficTest, AllPoolsByWeightOrSomeByPercent) {
  adopt("blue: 60, green: 30, red: 10", "blue, green, red");
  EXPECT_FALSE(traffic.split("api", {{"green", 2}, {"blue", 1}, {"red", 1}}));
  EXPECT_EQ(plan(), "blue 1, green 2, red 1");
  EXPECT_FALSE(traffic.split("api", {{"red", 20}}));
  EXPECT_EQ(plan(), "blue 26.6667, green 53.3333, red 20") << "the others share the rest as before";
  EXPECT_FALSE(traffic.split("api", {{"red", 100}}));
  EXPECT_EQ(plan(), "blue 0, green 0, red 100");
  EXPECT_TRUE(traffic.split("api", {{"red", 50}})) << "nobody is there to take the rest";
  EXPECT_FALSE(traffic.split("api", {{"red", 50}, {"blue", 50}}));
  EXPECT_EQ(plan(), "blue 50, green 0, red 50");
  EXPECT_TRUE(traffic.status("api")->override);
}

TEST_F(TrafficTest, WhatCannotBeIsRefusedAndChangesNothing) {
  adopt("blue: 95, green: 5");
  EXPECT_NE(traffic.split("api", {{"gren", 5}})->find("did you mean 'green'"), std::string::npos);
  EXPECT_TRUE(traffic.split("apo", {{"green", 5}}));
  EXPECT_TRUE(traffic.split("api", {{"green", 150}}));
  EXPECT_TRUE(traffic.split("api", {{"green", -1}, {"blue", 1}}));
  EXPECT_TRUE(traffic.split("api", {{"green", 0}, {"blue", 0}}));
  EXPECT_TRUE(traffic.switch_to("api", "red"));
  EXPECT_TRUE(traffic.rollback("api")) << "nothing has been changed yet";
  EXPECT_EQ(plan(), "blue 95, green 5");
  EXPECT_TRUE(events.after(0).empty());
}

TEST_F(TrafficTest, SwitchAndRollBack) {
  adopt("blue: 95, green: 5");
  EXPECT_FALSE(traffic.switch_to("api", "green"));
  EXPECT_EQ(plan(), "blue 0, green 100");
  EXPECT_FALSE(traffic.rollback("api"));
  EXPECT_EQ(plan(), "blue 95, green 5");
  EXPECT_FALSE(traffic.rollback("api"));
  EXPECT_EQ(plan(), "blue 0, green 100") << "the split before the last change, which was the rollback";
  EXPECT_FALSE(traffic.reset("api"));
  EXPECT_EQ(plan(), "blue 95, green 5");
  EXPECT_FALSE(traffic.status("api")->override);
  const auto told = events.after(0);
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[0].type, "switch");
  EXPECT_EQ(told[1].type, "rollback");
  EXPECT_EQ(told[3].type, "reset");
  EXPECT_EQ(told[0].fields.at(2).second, "blue 95, green 5");
}

TEST_F(TrafficTest, ASwitchThatIsSaidTwiceCanStillBeTakenBack) {
  adopt("blue: 95, green: 5");
  EXPECT_FALSE(traffic.split("api", {{"green", 10}}));
  EXPECT_FALSE(traffic.switch_to("api", "green"));
  EXPECT_FALSE(traffic.switch_to("api", "green"));
  EXPECT_FALSE(traffic.rollback("api"));
  EXPECT_EQ(plan(), "blue 90, green 10");
}

TEST_F(TrafficTest, AnOperatorsSplitOutlivesReloads) {
  adopt("blue: 95, green: 5");
  traffic.switch_to("api", "green");
  adopt("blue: 50, green: 50");
  EXPECT_EQ(plan(), "blue 0, green 100");
  adopt("blue: 50", "blue, red");
  EXPECT_EQ(plan(), "blue 50, red 0") << "the pool it chose is gone";
  adopt("blue: 50", "blue, green");
  EXPECT_EQ(plan(), "blue 0, green 100");
}

TEST_F(TrafficTest, AndRestarts) {
  adopt("blue: 95, green: 5");
  traffic.split("api", {{"green", 20}});
  const auto saved = traffic.saved();
  Traffic after(events, [] {});
  auto its_feed = after.feed(config.upstreams[0]);
  after.adopt(config);
  after.restore(saved);
  EXPECT_EQ(text_of(after.status("api")->weights), "blue 80, green 20");
  EXPECT_EQ(its_feed->plan()->split.pools()[1].weight, 20);
  EXPECT_EQ(its_feed->plan()->points.of("client").bits(), feed->plan()->points.of("client").bits());
  EXPECT_FALSE(after.rollback("api"));
  EXPECT_EQ(text_of(after.status("api")->weights), "blue 95, green 5");
}

TEST_F(TrafficTest, EachReleaseDrawsItsOwnClients) {
  adopt("blue: 1");
  const auto bits = [&] { return feed->plan()->points.of("client").bits(); };
  const auto first = bits();
  traffic.split("api", {{"green", 5}});
  const auto second = bits();
  EXPECT_NE(second, first) << "green has begun";
  traffic.split("api", {{"green", 30}});
  traffic.switch_to("api", "green");
  EXPECT_EQ(bits(), second) << "while it grows nobody is drawn anew";
  traffic.split("api", {{"blue", 5}});
  EXPECT_NE(bits(), second) << "blue begins";
}

}  // namespace
}  // namespace headgate::traffic
