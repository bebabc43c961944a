// SPDX-License-Identifier: Apache-2.0
#include "proxy/listener_sockets.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

#include "tests/unit/base/sockets.h"

namespace headgate::proxy {
namespace {

config::Listener ip_listener(const std::string& host, std::uint16_t port) {
  config::Listener listener;
  listener.address.kind = config::Address::Kind::kIp;
  listener.address.ip = *IpAddress::parse(host);
  listener.address.port = port;
  listener.address.text = host + ":" + std::to_string(port);
  return listener;
}

config::Listener any_listener() {
  config::Listener listener;
  listener.address.text = ":0";
  return listener;
}

config::Listener unix_listener(const std::string& path) {
  config::Listener listener;
  listener.address.kind = config::Address::Kind::kUnix;
  listener.address.path = path;
  listener.address.text = "unix:" + path;
  return listener;
}

TEST(ListenerSockets, OneSocketForEachWorkerOnOnePort) {
  const auto bound = bind_listener(ip_listener("127.0.0.1", 0), 3);
  ASSERT_EQ(bound->sockets->size(), 3u);
  EXPECT_NE(bound->local.port(), 0);
  for (const auto& socket : bound->sockets->open()) {
    EXPECT_EQ(local_address(socket->fd()).to_string(), bound->local.to_string());
  }
  const UniqueFd client = dial(bound->local);
}

TEST(ListenerSockets, AnyAddressTakesBothFamilies) {
  const auto bound = bind_listener(any_listener(), 2);
  const UniqueFd v4 = dial(loopback(bound->local.port()));
  if (bound->local.family() == AF_INET6) {
    const UniqueFd v6 = dial(SocketAddress::ip(*IpAddress::parse("::1"), bound->local.port()));
  }
}

TEST(ListenerSockets, WhatIsTheSameIsKept) {
  const std::vector<config::Listener> before = {ip_listener("127.0.0.1", 0), ip_listener("127.0.0.2", 0)};
  const auto old = bind_listeners(before, {}, 1);
  auto after = before;
  after[1].tls = true;  // the same address with another meaning is another listener, on the same sockets
  const auto now = bind_listeners(after, old, 1);
  EXPECT_EQ(now[0], old[0]);
  EXPECT_NE(now[1], old[1]);
  EXPECT_TRUE(now[1]->config.tls);
  EXPECT_EQ(now[1]->sockets, old[1]->sockets);
  EXPECT_NE(now[1]->sockets, now[0]->sockets);
  EXPECT_EQ(now[1]->local.to_string(), old[1]->local.to_string());
}

TEST(ListenerSockets, AUnixPathChangesItsMeaning) {
  const TemporaryFolder folder;
  const auto path = folder / "sock";
  const std::vector<config::Listener> before = {unix_listener(path)};
  const auto old = bind_listeners(before, {}, 2);
  auto after = before;
  after[0].h2c = true;
  const auto now = bind_listeners(after, old, 2);  // the old one listens still
  EXPECT_TRUE(now[0]->config.h2c);
  EXPECT_EQ(now[0]->sockets, old[0]->sockets);
}

TEST(ListenerSockets, WhatIsTheSameGoesBeforeWhatOnlyHasItsAddress) {
  auto plain = ip_listener("127.0.0.1", 0);
  auto h2c = plain;
  h2c.h2c = true;
  const auto old = bind_listeners({plain, h2c}, {}, 1);
  const auto now = bind_listeners({h2c}, old, 1);
  EXPECT_EQ(now[0], old[1]);
  const auto swapped = bind_listeners({h2c, plain}, old, 1);
  EXPECT_EQ(swapped[0], old[1]);
  EXPECT_EQ(swapped[1], old[0]);
}

TEST(ListenerSockets, TwoPortsOfTheSystemsChoiceStayTwo) {
  const std::vector<config::Listener> twice = {ip_listener("127.0.0.1", 0), ip_listener("127.0.0.1", 0)};
  const auto first = bind_listeners(twice, {}, 1);
  EXPECT_NE(first[0]->local.port(), first[1]->local.port());
  const auto again = bind_listeners(twice, first, 1);
  EXPECT_EQ(again, first);
}

TEST(ListenerSockets, AFailureNamesItsAddressAndKeepsTheOthers) {
  UniqueFd taken(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SocketAddress any = loopback(0);
  ASSERT_EQ(::bind(taken.get(), any.get(), any.length()), 0);
  const auto port = local_address(taken.get()).port();
  const std::vector<config::Listener> before = {ip_listener("127.0.0.1", 0)};
  const auto old = bind_listeners(before, {}, 1);
  auto after = before;
  after.push_back(ip_listener("127.0.0.1", port));
  try {
    bind_listeners(after, old, 1);
    FAIL() << "bound a port that is taken";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EADDRINUSE);
    EXPECT_NE(std::string(error.what()).find("127.0.0.1:" + std::to_string(port)), std::string::npos);
  }
  const UniqueFd client = dial(old[0]->local);
}

TEST(ListenerSockets, AUnixPathIsSharedByAllWorkersAndRemovedWithItsSocket) {
  const TemporaryFolder folder;
  const auto path = folder / "sock";
  auto bound = bind_listener(unix_listener(path), 4);
  ASSERT_EQ(bound->sockets->size(), 1u);
  const UniqueFd client = dial(SocketAddress::unix_path(path));
  bound.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ListenerSockets, AStaleUnixSocketIsReplacedALivingOneIsNot) {
  const TemporaryFolder folder;
  const auto path = folder / "sock";
  listen_on(SocketAddress::unix_path(path), false).reset();
  ASSERT_TRUE(std::filesystem::exists(path));
  const auto bound = bind_listener(unix_listener(path), 1);
  EXPECT_THROW(bind_listener(unix_listener(path), 1), std::system_error);
  const UniqueFd client = dial(SocketAddress::unix_path(path));
}

TEST(ListenerSockets, AFileThatIsNoSocketIsLeftAlone) {
  const TemporaryFolder folder;
  const auto path = folder / "precious";
  std::ofstream(path) << "data";
  EXPECT_THROW(bind_listener(unix_listener(path), 1), std::system_error);
  EXPECT_TRUE(std::filesystem::is_regular_file(path));
}

// A connection of a listener that a reload took away kept the listener, whose end removed the file of its successor.
TEST(ListenerSockets, AnOldListenersEndDoesNotRemoveItsSuccessorsFile) {
  const TemporaryFolder folder;
  const auto path = folder / "sock";
  auto held_by_a_connection = bind_listener(unix_listener(path), 1);
  held_by_a_connection->sockets->release();  // its acceptors have ended
  const auto successor = bind_listener(unix_listener(path), 1);
  held_by_a_connection.reset();
  const UniqueFd client = dial(SocketAddress::unix_path(path));
}

TEST(ListenerSockets, EachIsSomeWorkersWhateverTheirNumbers) {
  for (const auto& [sockets, workers] : {std::pair{1u, 4u}, {2u, 3u}, {3u, 3u}, {5u, 2u}, {4u, 1u}}) {
    const auto bound = bind_listener(ip_listener("127.0.0.1", 0), sockets);
    std::set<int> taken;
    std::size_t shares = 0;
    for (unsigned worker = 0; worker < workers; ++worker) {
      const auto share = bound->sockets->share_of(worker, workers);
      EXPECT_FALSE(share.empty());
      shares += share.size();
      for (const auto& socket : share) taken.insert(socket->fd());
    }
    EXPECT_EQ(taken.size(), sockets);
    EXPECT_EQ(shares, std::max(sockets, workers));
  }
}

TEST(ListenerSockets, OpenAreThoseThatSomebodyAcceptsFrom) {
  const auto bound = bind_listener(ip_listener("127.0.0.1", 0), 2);
  auto share = bound->sockets->share_of(0, 2);
  bound->sockets->release();
  EXPECT_EQ(bound->sockets->open(), share);
  share.clear();
  EXPECT_TRUE(bound->sockets->open().empty());
}

TEST(ListenerSockets, TheFileOfASocketThatWasHandedOverStays) {
  const TemporaryFolder folder;
  const auto path = folder / "sock";
  auto bound = bind_listener(unix_listener(path), 1);
  std::vector<UniqueFd> inherited;
  inherited.emplace_back(::dup(bound->sockets->open().front()->fd()));
  bound->sockets->open().front()->hand_over();
  bound.reset();
  ASSERT_TRUE(std::filesystem::exists(path));
  bound = adopt_listener(unix_listener(path), std::move(inherited));
  EXPECT_EQ(bound->local.to_string(), "unix:" + path);
  const UniqueFd client = dial(bound->local);
  bound.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ListenerSockets, AdoptedOnesHaveTheRealPort) {
  const auto bound = bind_listener(ip_listener("127.0.0.1", 0), 2);
  std::vector<UniqueFd> inherited;
  for (const auto& socket : bound->sockets->open()) inherited.emplace_back(::dup(socket->fd()));
  auto listener = ip_listener("127.0.0.1", 0);
  listener.tls = true;
  const auto adopted = adopt_listener(listener, std::move(inherited));
  EXPECT_EQ(adopted->local.to_string(), bound->local.to_string());
  EXPECT_TRUE(adopted->config.tls);
  EXPECT_EQ(bind_listeners({listener}, {adopted}, 2).front(), adopted);
}

}  // namespace
}  // namespace headgate::proxy
