// SPDX-License-Identifier: Apache-2.0
#include "upstream/server_set.h"

#include <array>

#include <gtest/gtest.h>

#include "tests/unit/upstream/origin.h"

namespace headgate::upstream {
namespace {

class ServerSetTest : public ::testing::Test {
 protected:
  Loop loop;
  ServerSet servers{loop};
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

}  // namespace
}  // namespace headgate::upstream
