// SPDX-License-Identifier: Apache-2.0
#include "proxy/maintenance.h"

#include <future>

#include <gtest/gtest.h>

#include "proxy/admin/server_path.h"
#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

std::string get_of(std::string_view path, std::string_view host = "a", std::string_view more = {}) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n" + std::string(more) + "\r\n";
}

constexpr const char* kSites = R"(
trusted_proxies: [127.0.0.1]
sites:
  - hosts: [a, b]
    maintenance: { allow: [192.0.2.0/24], except: [/healthz, /public/*], retry_after: 5m, message: Back at noon }
    routes:
      - { path: /healthz, respond: { body: ok } }
      - { path: /old, rewrite: { regex: ^/old$, to: /healthz } }
      - { path: /*, respond: { body: here } }
  - hosts: [c]
    routes: [{ path: /*, respond: { body: c } }]
)";

std::shared_ptr<const Closures> closed(std::string site, Closure closure = {}) {
  Closures all;
  all.emplace(std::move(site), std::move(closure));
  return std::make_shared<const Closures>(std::move(all));
}

/// Returns when the worker acts on it.
void close_sites(Edge& edge, std::shared_ptr<const Closures> closures) {
  edge.worker().close_sites(std::move(closures));
  std::promise<void> told;
  edge.worker().post([&] { told.set_value(); });
  told.get_future().get();
}

TEST(Maintenance, ClosesOneSite) {
  Edge edge(kSites);
  EXPECT_EQ(edge.ask(get_of("/")).status(), 200);
  close_sites(edge, closed("a"));
  const auto answer = edge.ask(get_of("/", "b"));
  EXPECT_EQ(answer.status(), 503);
  EXPECT_EQ(answer.field("Retry-After"), "300");
  EXPECT_EQ(answer.body, "503 Service Unavailable\nBack at noon\n");
  EXPECT_EQ(edge.ask(get_of("/", "c")).body, "c");
  EXPECT_EQ(edge.ask(get_of("/healthz")).body, "ok");
  EXPECT_EQ(edge.ask(get_of("/public/x")).body, "here");
  EXPECT_EQ(edge.ask(get_of("/healthz/x")).status(), 503);
  EXPECT_EQ(edge.ask(get_of("/old")).status(), 503) << "what counts is the path that was asked for";
  EXPECT_EQ(edge.ask(get_of("/", "a", "X-Forwarded-For: 192.0.2.7\r\n")).body, "here");
  EXPECT_EQ(edge.ask(get_of("/", "a", "X-Forwarded-For: 198.51.100.7\r\n")).status(), 503);
  close_sites(edge, nullptr);
  EXPECT_EQ(edge.ask(get_of("/")).body, "here");
  const auto log = edge.stop();
  EXPECT_EQ(log[1]["error"], "maintenance");
  EXPECT_EQ(log[1]["site"], "a");
}

TEST(Maintenance, AnOperatorsWordsGoFirst) {
  Edge edge(kSites);
  Closure closure;
  closure.retry_after = std::chrono::seconds(7);
  closure.message = "Soon";
  closure.allow = {*Cidr::parse("198.51.100.7")};
  close_sites(edge, closed("a", closure));
  const auto answer = edge.ask(get_of("/"));
  EXPECT_EQ(answer.field("Retry-After"), "7");
  EXPECT_EQ(answer.body, "503 Service Unavailable\nSoon\n");
  EXPECT_EQ(edge.ask(get_of("/", "a", "X-Forwarded-For: 198.51.100.7\r\n")).body, "here");
  EXPECT_EQ(edge.ask(get_of("/", "a", "X-Forwarded-For: 192.0.2.7\r\n")).body, "here");
  closure.retry_after = std::chrono::seconds(0);
  close_sites(edge, closed("a", closure));
  EXPECT_EQ(edge.ask(get_of("/")).field("Retry-After"), "<none>");
}

TEST(Maintenance, TellsWhoFollowsIt) {
  observe::Events events;
  std::vector<std::size_t> told;
  Maintenance maintenance(events, [&](const auto& plan) { told.push_back(plan ? plan->size() : 0); });
  EXPECT_EQ(maintenance.plan(), nullptr);
  maintenance.close("a", {});
  maintenance.close("b", {});
  EXPECT_TRUE(maintenance.open("a"));
  EXPECT_FALSE(maintenance.open("a"));
  EXPECT_TRUE(maintenance.open("b"));
  EXPECT_EQ(told, (std::vector<std::size_t>{1, 2, 1, 0}));
  EXPECT_EQ(maintenance.plan(), nullptr);
}

TEST(Maintenance, ASiteHasSeveralNames) {
  const auto config = read_config(kSites);
  EXPECT_EQ(site_named(config, "a"), "a");
  EXPECT_EQ(site_named(config, "b"), "a");
  EXPECT_EQ(site_named(config, "c"), "c");
  EXPECT_EQ(site_named(config, "d"), std::nullopt);
  EXPECT_EQ(parse_site_path("/v1/sites/%2A.a.example/maintenance"), "*.a.example");
  EXPECT_EQ(parse_site_path("/v1/sites//maintenance"), std::nullopt);
  EXPECT_EQ(parse_site_path("/v1/sites/maintenance"), std::nullopt);
  EXPECT_EQ(parse_site_path("/v1/sites/a%2/maintenance"), std::nullopt);
  EXPECT_EQ(parse_site_path("/v1/sites/a"), std::nullopt);
}

}  // namespace
}  // namespace headgate::proxy
