// SPDX-License-Identifier: Apache-2.0
#include "proxy/generation.h"

#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

TEST(Generation, ARoutesSettingsStandOverTheOthers) {
  const Generation generation(7, read_config(R"(
limits: { max_body: 5MiB, header_timeout: 3s, keepalive_requests: 9, max_headers: 50 }
upstreams:
  other: { servers: ["127.0.0.1:1"] }
  api: { servers: ["127.0.0.1:2"], timeouts: { connect: 1s, first_byte: 2s, idle: 3s } }
sites:
  - hosts: [a.example]
    routes:
      - { path: /plain/*, proxy: api }
      - { path: /own/*, proxy: api, max_body: 20MiB, timeouts: { first_byte: 120s } }
      - { path: /any/*, proxy: api, max_body: 0 }
)"), monitor(), traffic());
  EXPECT_EQ(generation.number, 7u);
  EXPECT_EQ(generation.session_limits.header_timeout, std::chrono::seconds(3));
  EXPECT_EQ(generation.session_limits.keepalive_requests, 9u);
  EXPECT_EQ(generation.session_limits.max_headers, 50u);
  EXPECT_EQ(generation.certificates, nullptr);
  const auto& routes = generation.sites.at(0).routes;
  EXPECT_EQ(generation.sites[0].name, "a.example");
  EXPECT_EQ(routes.at(0).upstream, 1u);
  EXPECT_EQ(routes[0].max_body, 5u * 1024 * 1024);
  EXPECT_EQ(routes[0].timeouts.connect, std::chrono::seconds(1));
  EXPECT_EQ(routes[0].timeouts.first_byte, std::chrono::seconds(2));
  EXPECT_EQ(routes[0].timeouts.idle, std::chrono::seconds(3));
  EXPECT_EQ(routes[1].max_body, 20u * 1024 * 1024);
  EXPECT_EQ(routes[1].timeouts.first_byte, std::chrono::seconds(120));
  EXPECT_EQ(routes[1].timeouts.connect, std::chrono::seconds(1));
  EXPECT_EQ(routes[2].max_body, 0u);
  // Routes refer to the generation's own copy of the configuration.
  EXPECT_EQ(routes[0].config, &generation.config.sites[0].routes[0]);
}

TEST(Generation, WhatEachRequestLooksAtLiesOnTwoCacheLines) {
  EXPECT_LE(sizeof(CompiledRoute), 128U);
  EXPECT_EQ(alignof(CompiledRoute), 64U);
}

TEST(Generation, WhatCannotBeServedThrows) {
  auto config = read_config("sites: [{ routes: [{ path: /*, proxy: \"http://127.0.0.1:1\" }] }]");
  auto dangling = config;
  std::get<config::Proxy>(dangling.sites[0].routes[0].action).upstream = "nobody";
  EXPECT_THROW(Generation(1, dangling, monitor(), traffic()), std::exception);
  auto bad_template = config;
  bad_template.sites[0].response_headers.set.emplace_back("X-A", "$no_such_variable");
  EXPECT_THROW(Generation(1, bad_template, monitor(), traffic()), std::exception);
  auto no_certificate = config;
  no_certificate.listeners.push_back({});
  no_certificate.listeners.back().tls = true;
  no_certificate.tls.certificates.push_back({"/nowhere/cert.pem", "/nowhere/key.pem", {}});
  EXPECT_THROW(Generation(1, no_certificate, monitor(), traffic()), std::exception);
}

TEST(Generation, AWorkersShareFindsItsServersAgain) {
  const auto yaml =
      "upstreams: { api: { servers: [\"127.0.0.1:1\", \"127.0.0.1:2\"] } }\n"
      "sites: [{ routes: [{ path: /*, proxy: api }] }]\n";
  Loop loop;
  upstream::WorkerSide side(loop, 0, monitor());
  observe::Metrics metrics(1);
  ratelimit::Stores stores;
  ratelimit::SharedStore shared_limits(loop, stores, {});
  const auto first = std::make_shared<const Generation>(1, read_config(yaml), monitor(), traffic());
  auto one = std::make_unique<WorkerGeneration>(first, side, nullptr, metrics, stores, shared_limits);
  const auto second = std::make_shared<const Generation>(2, read_config(yaml), monitor(), traffic());
  const WorkerGeneration two(second, side, nullptr, metrics, stores, shared_limits);
  EXPECT_EQ(side.servers.size(), 2U);
  EXPECT_EQ(two.tls, nullptr);
  one.reset();
  side.servers.sweep();
  EXPECT_EQ(side.servers.size(), 2U);
}

}  // namespace
}  // namespace headgate::proxy
