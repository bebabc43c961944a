// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/status_json.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

using nlohmann::json;
using upstream::Standing;

class StatusJson : public testing::Test {
 protected:
  StatusJson()
      : config_(read_config(R"(
upstreams: { api: { servers: ["app.internal:80", { address: "127.0.0.1:2", weight: 7, backup: true }] } }
sites: [{ routes: [{ path: /*, proxy: api }] }]
)")) {
    facts_.version = "1.2.3";
    facts_.generation = 4;
    facts_.config = &config_;
    facts_.now = std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'000));
    auto& pool = facts_.pools.emplace_back();
    pool.upstream = "api";
    pool.pool = "default";
    pool.rotation = upstream::Rotation::kServing;
    for (const auto& [server, address] : {std::pair{"app.internal:80", "10.0.0.1:80"},
                                          {"app.internal:80", "10.0.0.2:80"},
                                          {"127.0.0.1:2", "127.0.0.1:2"}}) {
      auto& one = pool.servers.emplace_back();
      one.server = server;
      one.address = address;
    }
  }
  json told() const { return json::parse(status_json(facts_)); }
  json server(std::size_t index) const { return told()["upstreams"][0]["pools"][0]["servers"][index]; }
  upstream::ServerStatus& status(std::size_t index) { return facts_.pools[0].servers[index]; }

  const config::Config config_;
  StatusFacts facts_;
};

TEST_F(StatusJson, RatesAndLatencies) {
  const auto latency = [&](const char* share) { return told()["upstreams"][0]["pools"][0]["latency_ms"][share]; };
  EXPECT_TRUE(latency("p99").is_null());
  status(0).recent = {250, 10};
  EXPECT_EQ(server(0)["recent"]["per_s"], 25.0) << "within the ejection window of 10 s";
  auto& sum = facts_.latencies[{"api", "default"}];
  sum.buckets[1] = 98;  // up to 1 ms
  sum.buckets[4] = 2;   // up to 10 ms
  EXPECT_EQ(latency("p50"), 1.0);
  EXPECT_EQ(latency("p99"), 10.0);
  sum.buckets.back() = 1000;
  EXPECT_TRUE(latency("p99").is_null()) << "beyond all bounds";
}

TEST_F(StatusJson, TheSplit) {
  facts_.splits["api"] = {{{"default", 3}}, true, 1};
  EXPECT_EQ(told()["upstreams"][0]["split"]["default"], 3);
  EXPECT_EQ(told()["upstreams"][0]["split_override"], true);
}

TEST_F(StatusJson, ARowForEachAddress) {
  facts_.traffic[{"api", "default", "app.internal:80"}] = {3, 2, 1};
  const json pool = told()["upstreams"][0]["pools"][0];
  EXPECT_EQ(pool["name"], "default");
  EXPECT_EQ(pool["rotation"], "serving");
  ASSERT_EQ(pool["servers"].size(), 3u);
  for (const std::size_t index : {0, 1}) {
    EXPECT_EQ(server(index)["address"], "app.internal:80");
    EXPECT_EQ(server(index)["in_flight"], 3);
    EXPECT_EQ(server(index)["tunnels"], 2);
    EXPECT_EQ(server(index)["reuse_races"], 1);
    EXPECT_EQ(server(index)["weight"], 1);
    EXPECT_EQ(server(index)["backup"], false);
  }
  EXPECT_EQ(server(1)["resolved"], "10.0.0.2:80");
  EXPECT_EQ(server(2)["weight"], 7);
  EXPECT_EQ(server(2)["backup"], true);
  EXPECT_EQ(server(2)["in_flight"], json()) << "not counted by its name";
}

TEST_F(StatusJson, AnEjectedServer) {
  auto& one = status(0);
  one.verdict.standing = Standing::kEjected;
  one.health = upstream::Health::kHealthy;
  one.reason = "5 errors in a row";
  one.for_seconds = 2.0004;
  one.ejected_for = 7.9996;
  one.ejections = 2;
  one.recent = {30, 10};
  facts_.ejections[{"api", "default", "app.internal:80"}] = 9;
  const json told = server(0);
  EXPECT_EQ(told["state"], "ejected");
  EXPECT_EQ(told["health"], "healthy");
  EXPECT_EQ(told["in_rotation"], false);
  EXPECT_EQ(told["reason"], "5 errors in a row");
  EXPECT_EQ(told["since"], "2027-01-15T07:59:57.999Z");
  EXPECT_EQ(told["for_s"], 2.0);
  EXPECT_EQ(told["trial_in_s"], 8.0);
  EXPECT_EQ(told["ejections"], 2);
  EXPECT_EQ(told["ejections_total"], 9);
  EXPECT_EQ(told["recent"], (json{{"requests", 30}, {"per_s", 3.0}, {"failed", 10}, {"error_share", 0.3333}}));
}

TEST_F(StatusJson, WhatIsNotKnownIsNull) {
  status(0).address.clear();
  for (const char* key : {"resolved", "since", "for_s", "trial_in_s"}) EXPECT_EQ(server(0)[key], json()) << key;
  EXPECT_EQ(server(0)["recent"]["error_share"], json());
}

TEST_F(StatusJson, TokensAreToldInWords) {
  status(0).reason = "connect_refused";
  status(1).reason = "status 500, expected one of my_list";
  EXPECT_EQ(server(0)["reason"], "connect refused");
  EXPECT_EQ(server(1)["reason"], "status 500, expected one of my_list");
}

TEST_F(StatusJson, Overrides) {
  status(2).drained = true;
  facts_.drains = {{"api", "127.0.0.1:2"}, {"api", "127.0.0.1:3"}, {"old", "127.0.0.1:2"}};
  EXPECT_EQ(server(2)["override"], true);
  EXPECT_EQ(server(0)["override"], false);
  const json overrides = told()["overrides"];
  ASSERT_EQ(overrides.size(), 3u);
  EXPECT_EQ(overrides[0],
            (json{{"upstream", "api"}, {"server", "127.0.0.1:2"}, {"drained", true}, {"in_effect", true}}));
  EXPECT_EQ(overrides[1]["in_effect"], false);
  EXPECT_EQ(overrides[2]["in_effect"], false);
}

TEST_F(StatusJson, BytesThatAreNoTextAreReplaced) {
  status(0).reason = "\xff";
  EXPECT_EQ(server(0)["reason"], "\xef\xbf\xbd");
}

TEST_F(StatusJson, APoolThatTheMonitorDoesNotFollowHasNoServers) {
  facts_.pools.clear();
  EXPECT_EQ(told()["upstreams"][0]["pools"][0]["rotation"], "none");
  EXPECT_EQ(told()["upstreams"][0]["pools"][0]["servers"], json::array());
}

}  // namespace
}  // namespace headgate::proxy
