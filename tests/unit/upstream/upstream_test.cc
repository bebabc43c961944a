// SPDX-License-Identifier: Apache-2.0
#include "upstream/upstream.h"

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/upstream/origin.h"

namespace headgate::upstream {
namespace {

class PickTest : public ::testing::Test {
 protected:
  Upstream& make(const std::vector<std::uint32_t>& weights) {
    config.name = "api";
    config.pools.assign(1, {});
    config.pools[0].name = "blue";
    for (const auto weight : weights) {
      config::Server server;
      server.address = ip_address("127.0.0.1", static_cast<std::uint16_t>(1000 + config.pools[0].servers.size()));
      server.weight = weight;
      config.pools[0].servers.push_back(server);
    }
    upstream = std::make_unique<Upstream>(config, servers);
    return *upstream;
  }

  static std::string picks(Upstream& upstream, int count, std::uint64_t but = 0) {
    std::string order;
    for (int i = 0; i < count; ++i) order += static_cast<char>('a' + upstream.pick(but));
    return order;
  }

  Loop loop;
  Resolver resolver;
  ServerSet servers{loop, resolver};
  config::Upstream config;
  std::unique_ptr<Upstream> upstream;
};

TEST_F(PickTest, EqualServersTakeTurns) {
  EXPECT_EQ(picks(make({1, 1, 1}), 7), "abcabca");
}

TEST_F(PickTest, WeightsAreSmooth) {
  EXPECT_EQ(picks(make({5, 1, 1}), 14), "aabacaaaabacaa");
}

TEST_F(PickTest, WeightsAreExactOverARound) {
  auto& three = make({7, 3, 2});
  std::map<std::size_t, int> counts;
  for (int i = 0; i < 1200; ++i) ++counts[three.pick(0)];
  EXPECT_EQ(counts[0], 700);
  EXPECT_EQ(counts[1], 300);
  EXPECT_EQ(counts[2], 200);
}

TEST_F(PickTest, ExcludedServersArePassedOver) {
  auto& three = make({5, 1, 1});
  EXPECT_EQ(picks(three, 6, 0b001), "bcbcbc");
  EXPECT_EQ(picks(three, 3, 0b011), "ccc");
  EXPECT_EQ(picks(three, 3, 0b110), "aaa");
}

TEST_F(PickTest, WhenAllAreExcludedAllAreUsed) {
  auto& two = make({1, 1});
  EXPECT_EQ(picks(two, 4, 0b11), "abab");
  EXPECT_EQ(two.size(), 2u);
}

TEST_F(PickTest, AnOnlyServerIsAlwaysTheOne) {
  auto& one = make({1});
  EXPECT_EQ(one.pick(0), 0u);
  EXPECT_EQ(one.pick(~std::uint64_t{0}), 0u);
}

TEST_F(PickTest, ServersBeyondTheBitsAreNeverExcluded) {
  auto& many = make(std::vector<std::uint32_t>(70, 1));
  for (int i = 0; i < 12; ++i) EXPECT_GE(many.pick(~std::uint64_t{0}), 64u);
}

TEST_F(PickTest, KnowsItsNames) {
  auto& two = make({1, 1});
  EXPECT_EQ(two.pool_name(), "blue");
  EXPECT_EQ(two.config().name, "api");
  EXPECT_EQ(two.server(1).name(), "127.0.0.1:1001");
}

class ServerSetTest : public ::testing::Test {
 protected:
  Loop loop;
  Resolver resolver;
  ServerSet servers{loop, resolver};
  Origin origin;
};

TEST_F(ServerSetTest, TheSameSettingsAreTheSameServer) {
  auto settings = settings_of(origin.address());
  const auto one = servers.get(settings);
  EXPECT_EQ(servers.get(settings), one);
  settings.keepalive.max_requests = 5;
  EXPECT_NE(servers.get(settings), one);
}

TEST_F(ServerSetTest, ForgetsWhatNobodyUses) {
  auto used = servers.get(settings_of(origin.address()));
  servers.sweep();
  EXPECT_EQ(servers.size(), 1u);
  used.reset();
  EXPECT_EQ(servers.size(), 1u);
  servers.sweep();
  EXPECT_EQ(servers.size(), 0u);
}

TEST_F(ServerSetTest, AReloadFindsItsConnectionsAgain) {
  const auto settings = settings_of(origin.address());
  auto server = servers.get(settings);
  auto lease = take(loop, *server);
  ASSERT_TRUE(bool(lease));
  lease->give_back();
  lease = Error{};
  UniqueFd peer = origin.accept();
  server.reset();
  servers.sweep();
  ASSERT_EQ(servers.size(), 1u) << "it still has a connection that may be wanted";
  EXPECT_EQ(servers.get(settings)->idle_connections(), 1u);
  peer.reset();
  turn(loop);
  servers.sweep();
  EXPECT_EQ(servers.size(), 0u);
}

TEST_F(ServerSetTest, CancelsAndStopsAll) {
  const auto server = servers.get(settings_of(origin.address()));
  auto lease = take(loop, *server);
  ASSERT_TRUE(bool(lease));
  servers.cancel_leased();
  run(loop, [](ByteStream& stream) -> Task<> {
    std::array<char, 1> byte{};
    static_cast<void>(stream.try_read(byte));
    const Wake wake = co_await stream.wait_read(kNoDeadline);
    EXPECT_EQ(wake, Wake::kCancelled);
  }(lease->stream()));
  run(loop, servers.stop());
  EXPECT_NE(servers.get(settings_of(origin.address())), server);
}

/// Fails to reach the server until a lookup runs beside that: none of it lets the loop turn, which would tell its end.
Task<> until_looking_up(Loop& loop, Server& server) {
  for (int i = 0; i < 100 && !server.busy(); ++i) {
    const auto taken = co_await server.lease(loop.now() + std::chrono::seconds(10), false);
    CO_REQUIRE(!taken);
  }
  CO_REQUIRE(server.busy());
}

// A lookup beside the traffic refers to its server: forgetting the server meanwhile freed it under the lookup.
TEST_F(ServerSetTest, AServerIsNotForgottenWhileItsNameIsLookedUp) {
  const RefusingPort nobody;
  run(loop, [](Loop& l, ServerSet& set, std::uint16_t port) -> Task<> {
    auto server = set.get(settings_of(name_address("localhost", port)));
    co_await until_looking_up(l, *server);
    server.reset();
    set.sweep();
    EXPECT_EQ(set.size(), 1u);
    co_await set.stop();
    EXPECT_EQ(set.size(), 0u);
  }(loop, servers, nobody.port));
}

TEST_F(ServerSetTest, SweepingWhileStoppingIsHarmless) {
  const RefusingPort nobody;
  run(loop, [](Loop& l, ServerSet& set, std::uint16_t port) -> Task<> {
    auto server = set.get(settings_of(name_address("localhost", port)));
    co_await until_looking_up(l, *server);
    server.reset();
    Task<> stopping = set.stop();
    stopping.start();
    while (!stopping.done()) {
      set.sweep();
      co_await l.yield();
    }
    co_await stopping;
  }(loop, servers, nobody.port));
}

}  // namespace
}  // namespace headgate::upstream
