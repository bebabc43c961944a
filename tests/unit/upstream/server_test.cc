// SPDX-License-Identifier: Apache-2.0
#include "upstream/server.h"

#include <array>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/upstream/origin.h"

namespace headgate::upstream {
namespace {

class ServerTest : public ::testing::Test {
 protected:
  ServerRef make(Server::Settings settings) { return ServerRef(new Server(loop, std::move(settings), nullptr)); }
  ServerRef make() { return make(settings_of(origin.address())); }

  Lease lease(Server& server, Server::Age age = Server::Age::kAny) {
    auto taken = take(loop, server, age);
    EXPECT_TRUE(bool(taken)) << taken.error().reason;
    return std::move(*taken);
  }

  Loop loop;
  Origin origin;
};

TEST_F(ServerTest, AKeptConnectionIsUsedAgain) {
  const auto server = make();
  ByteStream* first = nullptr;
  {
    Lease one = lease(*server);
    EXPECT_FALSE(one.reused());
    first = &one.stream();
    one.give_back();
  }
  EXPECT_EQ(server->idle_connections(), 1u);
  const UniqueFd peer = origin.accept();
  Lease again = lease(*server);
  EXPECT_TRUE(again.reused());
  EXPECT_EQ(&again.stream(), first);
  EXPECT_EQ(server->idle_connections(), 0u);
}

TEST_F(ServerTest, TheOneUsedLastComesFirst) {
  const auto server = make();
  Lease a = lease(*server);
  Lease b = lease(*server);
  Lease c = lease(*server);
  ByteStream* const streams[] = {&a.stream(), &b.stream(), &c.stream()};
  a.give_back();
  c.give_back();
  b.give_back();
  Lease first = lease(*server);
  Lease second = lease(*server);
  Lease third = lease(*server);
  EXPECT_EQ(&first.stream(), streams[1]);
  EXPECT_EQ(&second.stream(), streams[2]);
  EXPECT_EQ(&third.stream(), streams[0]);
}

TEST_F(ServerTest, AFreshOneIsNew) {
  const auto server = make();
  lease(*server).give_back();
  Lease fresh = lease(*server, Server::Age::kNew);
  EXPECT_FALSE(fresh.reused());
  EXPECT_EQ(server->idle_connections(), 1u);
}

TEST_F(ServerTest, ALeaseThatIsNotGivenBackIsClosed) {
  const auto server = make();
  { const Lease dropped = lease(*server); }
  EXPECT_EQ(server->idle_connections(), 0u);
  const UniqueFd peer = origin.accept();
  EXPECT_EQ(get(peer.get()), "<eof>");
}

TEST_F(ServerTest, AConnectionCarriesNoMoreThanMaxRequests) {
  auto settings = settings_of(origin.address());
  settings.keepalive.max_requests = 2;
  const auto server = make(settings);
  lease(*server).give_back();
  const UniqueFd peer = origin.accept();
  EXPECT_EQ(server->idle_connections(), 1u);
  Lease second = lease(*server);
  EXPECT_TRUE(second.reused());
  second.give_back();
  EXPECT_EQ(server->idle_connections(), 0u);
  EXPECT_EQ(get(peer.get()), "<eof>");
}

TEST_F(ServerTest, KeepsNoMoreThanItMayAndDropsTheOldest) {
  auto settings = settings_of(origin.address());
  settings.keepalive.idle_connections = 2;
  const auto server = make(settings);
  std::vector<Lease> leases;
  std::vector<UniqueFd> peers;
  for (int i = 0; i < 3; ++i) {
    leases.push_back(lease(*server));
    peers.push_back(origin.accept());
  }
  ByteStream* const last = &leases[2].stream();
  for (auto& one : leases) one.give_back();
  EXPECT_EQ(server->idle_connections(), 2u);
  EXPECT_EQ(get(peers[0].get()), "<eof>");
  EXPECT_EQ(&lease(*server).stream(), last);
}

TEST_F(ServerTest, MayKeepNone) {
  auto settings = settings_of(origin.address());
  settings.keepalive.idle_connections = 0;
  const auto server = make(settings);
  lease(*server).give_back();
  EXPECT_EQ(server->idle_connections(), 0u);
}

TEST_F(ServerTest, AConnectionThatTheOriginClosedIsNotUsed) {
  const auto server = make();
  lease(*server).give_back();
  UniqueFd peer = origin.accept();
  peer.reset();
  turn(loop);
  Lease next = lease(*server);
  EXPECT_FALSE(next.reused());
}

TEST_F(ServerTest, AConnectionWithUnaskedBytesIsNotUsed) {
  const auto server = make();
  lease(*server).give_back();
  const UniqueFd peer = origin.accept();
  put(peer.get(), "HTTP/1.1 408 Request Timeout\r\n\r\n");
  turn(loop);
  Lease next = lease(*server);
  EXPECT_FALSE(next.reused());
}

TEST_F(ServerTest, SweepDropsTheOldAndTheClosed) {
  auto settings = settings_of(origin.address());
  settings.keepalive.idle_timeout = std::chrono::milliseconds(20);
  const auto short_lived = make(settings);
  settings.keepalive.idle_timeout = std::chrono::hours(1);
  const auto long_lived = make(settings);
  Lease one = lease(*short_lived);
  const UniqueFd first_peer = origin.accept();
  one.give_back();
  Lease two = lease(*long_lived);
  UniqueFd second_peer = origin.accept();
  two.give_back();
  short_lived->sweep();
  EXPECT_EQ(short_lived->idle_connections(), 1u);
  run(loop, [](Loop& l) -> Task<> {
    Event event(l);
    co_await event.wait(in(std::chrono::milliseconds(50)));
  }(loop));
  short_lived->sweep();
  long_lived->sweep();
  EXPECT_EQ(short_lived->idle_connections(), 0u);
  EXPECT_EQ(long_lived->idle_connections(), 1u);
  EXPECT_EQ(get(first_peer.get()), "<eof>");
  second_peer.reset();
  turn(loop);
  long_lived->sweep();
  EXPECT_EQ(long_lived->idle_connections(), 0u);
}

TEST_F(ServerTest, CancelEndsTheWaitsOfWhatIsOutOnLoan) {
  const auto server = make();
  lease(*server).give_back();
  run(loop, [](Loop& l, Server& s) -> Task<> {
    auto kept = co_await s.lease(kNoDeadline, Server::Age::kNew);
    CO_REQUIRE(kept);
    kept->give_back();
    auto lent = co_await s.lease(kNoDeadline, Server::Age::kNew);
    CO_REQUIRE(lent);
    TaskGroup group(l);
    Wake wake{};
    group.spawn([](ByteStream& stream, Wake& out) -> Task<> {
      std::array<char, 1> byte{};
      EXPECT_EQ(stream.try_read(byte).kind, IoResult::Kind::kWouldBlock);
      out = co_await stream.wait_read(kNoDeadline);
    }(lent->stream(), wake));
    s.cancel_leased();
    co_await group.join(kNoDeadline);
    EXPECT_EQ(wake, Wake::kCancelled);
    // What was kept meanwhile is as good as before.
    auto next = co_await s.lease(kNoDeadline, Server::Age::kAny);
    CO_REQUIRE(next);
    EXPECT_TRUE(next->reused());
    std::array<char, 1> byte{};
    EXPECT_EQ(next->stream().try_read(byte).kind, IoResult::Kind::kWouldBlock);
    const Wake wait = co_await next->stream().wait_read(in(std::chrono::milliseconds(1)));
    EXPECT_EQ(wait, Wake::kTimeout);
  }(loop, *server));
}

TEST_F(ServerTest, ALeaseKeepsItsServer) {
  const auto server = make();
  EXPECT_EQ(server->use_count(), 1u);
  {
    const Lease one = lease(*server);
    EXPECT_EQ(server->use_count(), 2u);
  }
  EXPECT_EQ(server->use_count(), 1u);
}

TEST_F(ServerTest, ARefusalIsTheErrorOfTheLease) {
  const RefusingPort nobody;
  const auto server = make(settings_of(ip_address("127.0.0.1", nobody.port)));
  const auto taken = take(loop, *server);
  ASSERT_FALSE(bool(taken));
  EXPECT_EQ(taken.error().code, Errc::kRefused);
  EXPECT_EQ(taken.error().side, Side::kUpstream);
}

TEST_F(ServerTest, ReachesAUnixPath) {
  const TemporaryFolder folder;
  const auto path = folder / "origin";
  const UniqueFd listener = listen_on(SocketAddress::unix_path(path), false);
  const auto server = make(settings_of(SocketAddress::unix_path(path)));
  EXPECT_FALSE(lease(*server).reused());
  EXPECT_EQ(server->name(), "unix:" + path);
}

TEST_F(ServerTest, StopClosesWhatIsKept) {
  const auto server = make();
  lease(*server).give_back();
  const UniqueFd peer = origin.accept();
  run(loop, server->stop());
  EXPECT_EQ(get(peer.get()), "<eof>");
}

TEST(ServerSettings, TellServersApart) {
  const auto base = settings_of(ip_address("127.0.0.1", 80));
  EXPECT_EQ(base.identity(), settings_of(ip_address("127.0.0.1", 80)).identity());
  std::vector<Server::Settings> others(6, base);
  others[0].address = address_of(ip_address("127.0.0.1", 81));
  others[1].scheme = config::Scheme::kHttps;
  others[2].keepalive.max_requests = 1;
  others[3].keepalive.idle_connections = 1;
  others[4].keepalive.idle_timeout = std::chrono::seconds(1);
  others[5].scheme = config::Scheme::kHttps;
  others[5].tls_name = "other.example";
  for (std::size_t i = 0; i < others.size(); ++i) {
    EXPECT_NE(others[i].identity(), base.identity()) << i;
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(others[i].identity(), others[j].identity()) << i << " " << j;
  }
  // Without TLS its settings make no difference.
  auto plain = base;
  plain.tls.ca = "/other";
  EXPECT_EQ(plain.identity(), base.identity());
}

}  // namespace
}  // namespace headgate::upstream
