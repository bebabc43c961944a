// SPDX-License-Identifier: Apache-2.0
// Rate limits on the path of a request, with counters in this process. Rates are so slow that nothing refills while a
// test runs.
#include "proxy/limits.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

std::string get_of(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: a.example\r\n" + fields + "\r\n";
}

std::string routes(const std::string& limits) {
  return "rate_limits:\n" + limits +
         "trusted_proxies: [127.0.0.1]\n"
         "sites: [{ routes: [\n"
         "  { path: /one, respond: { body: ok }, rate_limit: [one] },\n"
         "  { path: /also, respond: { body: ok }, rate_limit: [one] },\n"
         "  { path: /both, respond: { body: ok }, rate_limit: [one, two] },\n"
         "  { path: /free, respond: { body: ok } } ] }]\n";
}

const std::string kTwo = "  two: { key: $http_x_key, rate: 60/h, burst: 2 }\n";

std::string from(const std::string& address) {
  return "X-Forwarded-For: " + address + "\r\n";
}

TEST(Limits, ABurstPassesAndThenIsRefusedWithAWordWhen) {
  Edge edge(routes("  one: { key: $remote_addr, rate: 60/h, burst: 3 }\n" + kTwo));
  for (int left = 2; left >= 0; --left) {
    const auto passed = edge.ask(get_of("/one"));
    EXPECT_EQ(passed.status(), 200);
    EXPECT_EQ(passed.field("RateLimit-Policy"), "\"one\";q=3;w=180");
    EXPECT_EQ(passed.field("RateLimit"), "\"one\";r=" + std::to_string(left) + ";t=" + std::to_string(60 * (3 - left)));
    EXPECT_EQ(passed.field("Retry-After"), "<none>");
  }
  const auto refused = edge.ask(get_of("/also"));
  EXPECT_EQ(refused.status(), 429) << "one counter wherever the limit is named";
  EXPECT_EQ(refused.field("RateLimit-Policy"), "\"one\";q=3;w=180");
  EXPECT_EQ(refused.field("RateLimit"), "\"one\";r=0;t=60");
  EXPECT_EQ(refused.field("Retry-After"), "60");
  EXPECT_EQ(refused.field("Cache-Control"), "no-store");
  EXPECT_EQ(refused.field("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(refused.body, "429 Too Many Requests\nTry again in 60 seconds.\n");
  EXPECT_EQ(edge.ask(get_of("/free")).status(), 200);
  EXPECT_EQ(edge.ask(get_of("/free")).field("RateLimit-Policy"), "<none>");
  EXPECT_EQ(edge.ask(get_of("/one", from("192.0.2.1"))).status(), 200) << "another client has a count of its own";

  const auto json = edge.ask(get_of("/one", "Accept: text/html;q=0.5, application/json\r\n"));
  EXPECT_EQ(json.status(), 429);
  EXPECT_EQ(json.field("Content-Type"), "application/json");
  const auto body = nlohmann::json::parse(json.body);
  EXPECT_EQ(body["error"]["code"], "rate_limited");
  EXPECT_EQ(body["error"]["retry_after"], 60);

  const auto log = edge.stop();
  EXPECT_EQ(log[0].value("rate_limited", ""), "");
  EXPECT_EQ(log[3]["rate_limited"], "one");
  EXPECT_EQ(log[3]["error"], "rate_limited");
  EXPECT_EQ(log[3]["status"], 429);
  const auto series = edge.metrics().limits.all();
  ASSERT_EQ(series.size(), 2u);
  std::uint64_t limited = 0;
  series[0]->each([&](const observe::LimitCells& cells) { limited += cells.limited.value(); });
  EXPECT_EQ(series[0]->labels[0], "one");
  EXPECT_EQ(limited, 2u);
}

TEST(Limits, AllMustPassAndNothingIsCountedWhenOneRefuses) {
  Edge edge(routes("  one: { key: $remote_addr, rate: 60/h, burst: 5 }\n" + kTwo));
  const std::string key = "X-Key: k\r\n";
  const auto first = edge.ask(get_of("/both", key));
  EXPECT_EQ(first.field("RateLimit-Policy"), "\"one\";q=5;w=300, \"two\";q=2;w=120");
  EXPECT_EQ(first.field("RateLimit"), "\"one\";r=4;t=60, \"two\";r=1;t=60");
  EXPECT_EQ(edge.ask(get_of("/both", key)).status(), 200);
  for (int i = 0; i < 5; ++i) {
    const auto refused = edge.ask(get_of("/both", key));
    EXPECT_EQ(refused.status(), 429);
    EXPECT_EQ(refused.field("RateLimit"), "\"two\";r=0;t=60");
  }
  EXPECT_EQ(edge.ask(get_of("/one")).field("RateLimit"), "\"one\";r=2;t=180");
}

TEST(Limits, AddressesOfAnIpv6NetworkShareAKey) {
  Edge edge(
      routes("  one: { key: $remote_addr, rate: 60/h, burst: 1, ipv6_prefix: 56 }\n"
             "  two: { key: \"$host:$remote_addr\", rate: 60/h, burst: 1 }\n"));
  EXPECT_EQ(edge.ask(get_of("/one", from("2001:db8:1:200::1"))).status(), 200);
  EXPECT_EQ(edge.ask(get_of("/one", from("2001:db8:1:2ff:9::1"))).status(), 429);
  EXPECT_EQ(edge.ask(get_of("/one", from("2001:db8:1:300::1"))).status(), 200);
  EXPECT_EQ(edge.ask(get_of("/one", from("192.0.2.1"))).status(), 200);
  EXPECT_EQ(edge.ask(get_of("/one", from("192.0.2.2"))).status(), 200);
  EXPECT_EQ(edge.ask(get_of("/both", from("2001:db8:2:200::1"))).status(), 200);
  const auto refused = edge.ask(get_of("/both", from("2001:db8:2:200:ffff::1")));
  EXPECT_EQ(refused.status(), 429);
}

TEST(Limits, DryRunCountsAndLetsPass) {
  Edge edge(routes("  one: { key: $remote_addr, rate: 60/h, burst: 1, dry_run: true }\n" + kTwo));
  for (int i = 0; i < 3; ++i) {
    const auto passed = edge.ask(get_of("/one"));
    EXPECT_EQ(passed.status(), 200);
    EXPECT_EQ(passed.field("RateLimit-Policy"), "<none>");
    EXPECT_EQ(passed.field("RateLimit"), "<none>");
  }
  const auto log = edge.stop();
  EXPECT_EQ(log[0].value("rate_limited", ""), "");
  EXPECT_EQ(log[2]["rate_limited"], "one");
  EXPECT_EQ(log[2]["status"], 200);
}

TEST(Limits, StatusAndFieldsAreTheRules) {
  Edge edge(routes("  one: { key: $remote_addr, rate: 60/h, burst: 1, status: 503, headers: false }\n" + kTwo));
  EXPECT_EQ(edge.ask(get_of("/one")).field("RateLimit"), "<none>");
  const auto refused = edge.ask(get_of("/one"));
  EXPECT_EQ(refused.status(), 503);
  EXPECT_EQ(refused.field("Retry-After"), "<none>");
  EXPECT_EQ(refused.field("RateLimit-Policy"), "<none>");
  EXPECT_EQ(refused.body, "503 Service Unavailable\n");
}

TEST(Limits, CallsOfGrpcAreToldInTheirWords) {
  Edge edge(routes("  one: { key: $remote_addr, rate: 60/h, burst: 1, status: 503 }\n" + kTwo));
  edge.ask(get_of("/one"));
  const auto refused = edge.ask(get_of("/one", "Content-Type: application/grpc\r\n"));
  EXPECT_EQ(refused.status(), 200);
  EXPECT_EQ(refused.field("grpc-status"), "8");
  EXPECT_EQ(refused.field("grpc-message"), "rate_limited");
  EXPECT_EQ(refused.field("Retry-After"), "60");
}

TEST(Limits, TheSitesHeaderRulesHaveTheLastWord) {
  Edge edge(
      "rate_limits: { one: { key: $remote_addr, rate: 60/h, burst: 1 } }\n"
      "sites: [{ response_headers: { remove: [RateLimit-Policy], set: { X-Site: s } },\n"
      "          routes: [{ path: /*, respond: { body: ok }, rate_limit: one }] }]\n");
  edge.ask(get_of("/"));
  const auto refused = edge.ask(get_of("/"));
  EXPECT_EQ(refused.field("X-Site"), "s");
  EXPECT_EQ(refused.field("RateLimit-Policy"), "<none>");
  EXPECT_EQ(refused.field("RateLimit"), "\"one\";r=0;t=60");
}

TEST(Limits, ABurstWithinASecondIsToldAsItsRate) {
  const config::Config config = read_config(
      "rate_limits: { fast: { key: $uri, rate: 100/s, burst: 10 }, slow: { key: $uri, rate: 5/m },\n"
      "               odd: { key: $uri, rate: 3/s, burst: 10 } }\n"
      "sites: [{ routes: [{ path: /*, respond: {} }] }]\n");
  EXPECT_EQ(CompiledLimit(config.rate_limits[0]).policy, "\"fast\";q=100;w=1");
  EXPECT_EQ(CompiledLimit(config.rate_limits[1]).policy, "\"slow\";q=5;w=60");
  EXPECT_EQ(CompiledLimit(config.rate_limits[2]).policy, "\"odd\";q=10;w=4");
}

TEST(Limits, RoutesShareTheirSets) {
  const Generation generation(1, read_config(routes("  one: { key: $uri, rate: 1/s }\n" + kTwo)), monitor(), traffic());
  EXPECT_EQ(generation.limit_sets.size(), 2u);
  const auto& all = generation.sites[0].routes;
  EXPECT_EQ(all[0].limit_set, all[1].limit_set);
  EXPECT_NE(all[0].limit_set, all[2].limit_set);
  EXPECT_EQ(all[3].limit_set, 0);
}

}  // namespace
}  // namespace headgate::proxy
