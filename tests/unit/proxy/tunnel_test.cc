// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/tunnel.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "base/socket.h"
#include "tests/unit/base/run.h"
#include "tests/unit/base/sockets.h"

namespace headgate::proxy {
namespace {

class TunnelTest : public ::testing::Test {
 protected:
  TunnelTest() {
    auto client_pair = tcp_pair();
    auto origin_pair = tcp_pair();
    client_side = std::make_unique<Socket>(loop, std::move(client_pair.ours), Side::kDownstream);
    origin_side = std::make_unique<Socket>(loop, std::move(origin_pair.ours), Side::kUpstream);
    client = std::move(client_pair.theirs);
    origin = std::move(origin_pair.theirs);
  }

  /// Runs the tunnel to its end while `ends` plays client and origin in a thread of its own.
  template <class Ends>
  TunnelResult play(Ends ends, Duration idle = std::chrono::seconds(20), std::string_view early_up = {},
                    std::string_view early_down = {}) {
    TunnelResult result;
    std::thread player(ends);
    run(loop, [](Loop& l, TunnelEnd a, TunnelEnd b, Duration limit, TunnelResult& out) -> Task<> {
      out = co_await run_tunnel(l, a, b, limit);
    }(loop, TunnelEnd{*client_side, early_up}, TunnelEnd{*origin_side, early_down}, idle, result));
    client_side.reset();
    origin_side.reset();
    player.join();
    return result;
  }

  Loop loop;
  std::unique_ptr<Socket> client_side;
  std::unique_ptr<Socket> origin_side;
  UniqueFd client;
  UniqueFd origin;
};

std::string get_all(int fd) {
  std::string all;
  for (;;) {
    const std::string piece = get(fd);
    if (piece.starts_with('<')) return all + piece;
    all += piece;
  }
}

TEST_F(TunnelTest, CarriesBothWaysAndEndsWithBoth) {
  const auto result = play([&] {
    put(client.get(), "ping");
    EXPECT_EQ(get(origin.get()), "ping");
    put(origin.get(), "pong");
    EXPECT_EQ(get(client.get()), "pong");
    client.reset();
    EXPECT_EQ(get(origin.get()), "<eof>");
    origin.reset();
  });
  EXPECT_EQ(result.error, nullptr);
  EXPECT_EQ(result.from_client, 4u);
  EXPECT_EQ(result.from_origin, 4u);
}

TEST_F(TunnelTest, AHalfCloseIsPassedOnAndTheOtherHalfLives) {
  const auto result = play([&] {
    ::shutdown(client.get(), SHUT_WR);
    EXPECT_EQ(get(origin.get()), "<eof>");
    put(origin.get(), "still talking");
    EXPECT_EQ(get(client.get()), "still talking");
    origin.reset();
    EXPECT_EQ(get(client.get()), "<eof>");
  });
  EXPECT_EQ(result.error, nullptr);
  EXPECT_EQ(result.from_origin, 13u);
}

TEST_F(TunnelTest, EarlyBytesGoFirst) {
  const auto result = play(
      [&] {
        EXPECT_EQ(get(origin.get(), 2), "up");
        EXPECT_EQ(get(client.get(), 4), "down");
        client.reset();
        origin.reset();
      },
      std::chrono::seconds(20), "up", "down");
  EXPECT_EQ(result.from_client, 2u);
  EXPECT_EQ(result.from_origin, 4u);
}

TEST_F(TunnelTest, LargeTransfersBothWaysAtOnce) {
  constexpr std::size_t kSize = 8 * 1024 * 1024;
  const auto result = play([&] {
    const auto send = [](int fd, char letter) {
      const std::string all(kSize, letter);
      std::size_t sent = 0;
      while (sent < kSize) {
        const ssize_t n = ::send(fd, all.data() + sent, kSize - sent, MSG_NOSIGNAL);
        ASSERT_GT(n, 0);
        sent += static_cast<std::size_t>(n);
      }
      ::shutdown(fd, SHUT_WR);
    };
    std::thread up(send, client.get(), 'u');
    std::thread down(send, origin.get(), 'd');
    std::string at_origin;
    std::thread reader([&] { at_origin = get_all(origin.get()); });
    EXPECT_EQ(get_all(client.get()), std::string(kSize, 'd') + "<eof>");
    up.join();
    down.join();
    reader.join();
    EXPECT_EQ(at_origin, std::string(kSize, 'u') + "<eof>");
  });
  EXPECT_EQ(result.error, nullptr);
  EXPECT_EQ(result.from_client, kSize);
  EXPECT_EQ(result.from_origin, kSize);
}

// Each side's failure was told as the other direction's "cancelled".
TEST_F(TunnelTest, AFailureOfEitherSideEndsBothAndIsNamed) {
  const auto of_client = play([&] {
    put(client.get(), "x");
    EXPECT_EQ(get(origin.get()), "x");
    break_off(client);
    EXPECT_NE(get(origin.get()), "x");
  });
  ASSERT_NE(of_client.error, nullptr);
  EXPECT_STREQ(of_client.error, "client_reset");
}

TEST_F(TunnelTest, AFailureOfTheOriginIsNamed) {
  const auto of_origin = play([&] {
    put(origin.get(), "x");
    EXPECT_EQ(get(client.get()), "x");
    break_off(origin);
    EXPECT_NE(get(client.get()), "x");
  });
  ASSERT_NE(of_origin.error, nullptr);
  EXPECT_STREQ(of_origin.error, "upstream_reset");
}

TEST_F(TunnelTest, SilenceOfBothEndsIt) {
  const auto result = play([] {}, std::chrono::milliseconds(30));
  ASSERT_NE(result.error, nullptr);
  EXPECT_STREQ(result.error, "timeout");
}

TEST_F(TunnelTest, CancellingOneStreamEndsIt) {
  loop.post([&] { client_side->cancel(); });
  const auto result = play([] {});
  ASSERT_NE(result.error, nullptr);
  EXPECT_STREQ(result.error, "cancelled");
}

}  // namespace
}  // namespace headgate::proxy
