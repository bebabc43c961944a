// SPDX-License-Identifier: Apache-2.0
// Places on HTTP/2 connections, against an origin whose frames are written by hand.
#include "upstream/shared_connections.h"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/upstream/origin.h"

namespace headgate::upstream {
namespace {

using namespace std::chrono_literals;

std::string frame(char type, char flags, char stream, const std::string& payload = {}) {
  std::string bytes(9, '\0');
  bytes[2] = static_cast<char>(payload.size());
  bytes[3] = type;
  bytes[4] = flags;
  bytes[8] = stream;
  return bytes + payload;
}
/// MAX_CONCURRENT_STREAMS, or nothing.
std::string settings(char streams = 0) {
  return frame(4, 0, 0, streams == 0 ? std::string() : std::string("\0\3\0\0\0", 5) + streams);
}
std::string goaway(char last) {
  return frame(7, 0, 0, std::string("\0\0\0", 3) + last + std::string(4, '\0'));
}

struct Taking {
  std::optional<Result<Lease>> lease;
  bool granted() const { return lease.has_value() && bool(*lease); }
};

class SharedConnectionsTest : public ::testing::Test {
 protected:
  SharedConnectionsTest() {
    auto chosen = settings_of(origin.address());
    chosen.scheme = config::Scheme::kH2c;
    chosen.keepalive.idle_timeout = 1h;
    server = ServerRef(new Server(loop, chosen, nullptr));
    set_blocking(origin.listener.get(), false);
  }
  void TearDown() override {
    taken.clear();
    peers.clear();
    run(loop, server->stop());
  }

  Taking& take(Duration limit = 10s) {
    taken.push_back(std::make_unique<Taking>());
    group.spawn([](Server& from, TimePoint deadline, Taking& into) -> Task<> {
      into.lease.emplace(co_await from.lease(deadline, Server::Age::kAny));
    }(*server, Clock::now() + limit, *taken.back()));
    return *taken.back();
  }
  void settle() {
    for (int i = 0; i < 50; ++i) turn(loop);
  }
  /// The next connection, which says this first.
  int accept(const std::string& first) {
    UniqueFd peer;
    while (!peer) {
      turn(loop);
      peer = origin.accept();
    }
    put(peer.get(), first);
    peers.push_back(std::move(peer));
    settle();
    return peers.back().get();
  }
  bool nobody_else_connects() {
    settle();
    return !origin.accept();
  }

  Loop loop;
  Origin origin;
  ServerRef server;
  TaskGroup group{loop};
  std::vector<std::unique_ptr<Taking>> taken;
  std::vector<UniqueFd> peers;
};

TEST_F(SharedConnectionsTest, ThoseThatComeWhileAConnectionIsOpenedShareIt) {
  for (int i = 0; i < 20; ++i) take();
  accept(settings());
  for (const auto& one : taken) EXPECT_TRUE(one->granted());
  EXPECT_TRUE(nobody_else_connects());
  EXPECT_TRUE(take().granted()) << "without a wait";
  EXPECT_TRUE((*taken.back()->lease)->reused());
}

TEST_F(SharedConnectionsTest, NoPlaceBeforeSettings) {
  auto& one = take();
  accept("");
  EXPECT_FALSE(one.lease.has_value());
  put(peers.back().get(), settings());
  settle();
  EXPECT_TRUE(one.granted());
}

TEST_F(SharedConnectionsTest, AFurtherConnectionWhenTheOriginTakesNoMore) {
  take();
  take();
  take();
  accept(settings(2));
  accept(settings(2));
  for (const auto& one : taken) EXPECT_TRUE(one->granted());
  EXPECT_TRUE(nobody_else_connects());
}

TEST_F(SharedConnectionsTest, APlaceThatIsGivenUpIsTakenByWhoWaits) {
  auto& first = take();
  accept(settings(1));
  ASSERT_TRUE(first.granted());
  auto& second = take();
  accept("");  // the second connection is slow
  EXPECT_FALSE(second.lease.has_value());
  first.lease.reset();
  settle();
  EXPECT_TRUE(second.granted());
}

TEST_F(SharedConnectionsTest, NoNewOnesAfterAGoaway) {
  auto& first = take();
  const int peer = accept(settings());
  ASSERT_TRUE(first.granted());
  put(peer, goaway(0));
  settle();
  auto& second = take();
  EXPECT_FALSE(second.lease.has_value());
  accept(settings());
  EXPECT_TRUE(second.granted());
}

TEST_F(SharedConnectionsTest, AllThatWaitHearOfAFailure) {
  auto& first = take();
  auto& second = take();
  accept("HTTP/1.1 400 Bad Request\r\n\r\n");
  ASSERT_TRUE(first.lease && second.lease);
  ASSERT_FALSE(first.granted() || second.granted());
  EXPECT_STREQ(first.lease->error().reason, "upstream_not_http2");
  EXPECT_STREQ(second.lease->error().reason, "upstream_not_http2");
}

TEST_F(SharedConnectionsTest, AnImpatientRequestDoesNotSpoilItForTheOthers) {
  auto& hasty = take(1ms);
  auto& patient = take();
  accept("");
  while (!hasty.lease) turn(loop);
  EXPECT_STREQ(hasty.lease->error().reason, "connect_timeout");
  put(peers.back().get(), settings());
  settle();
  EXPECT_TRUE(patient.granted());
  EXPECT_TRUE(nobody_else_connects());
}

TEST_F(SharedConnectionsTest, AnOriginThatTakesNoStreams) {
  auto& one = take();
  accept(frame(4, 0, 0, std::string("\0\3\0\0\0\0", 6)));
  ASSERT_TRUE(one.lease && !one.granted());
  EXPECT_STREQ(one.lease->error().reason, "upstream_takes_no_streams");
}

TEST_F(SharedConnectionsTest, CancelEndsWhatIsUnderWay) {
  auto& one = take();
  accept(settings());
  ASSERT_TRUE(one.granted());
  server->cancel_leased();
  settle();
  std::optional<http::Http1ClientExchange> own;
  auto& exchange = (*one.lease)->exchange(loop, own, 1s);
  http::RequestHead head;
  head.authority = "a";
  head.target = "/";
  head.method_name = "GET";
  exchange.start(head);
  run(loop, [](http::ClientExchange& asked) -> Task<> {
    const auto sent = co_await asked.finish(nullptr);
    CO_REQUIRE(!sent);
    EXPECT_EQ(sent.error().code, Errc::kCancelled);
  }(exchange));
  EXPECT_TRUE(server->busy()) << "until the last place has been given up";
  taken.clear();
  settle();
  EXPECT_FALSE(server->busy());
}

}  // namespace
}  // namespace headgate::upstream
