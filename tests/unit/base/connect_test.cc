// SPDX-License-Identifier: Apache-2.0
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include "base/socket.h"
#include "tests/unit/base/run.h"
#include "tests/unit/base/sockets.h"

namespace headgate {
namespace {

Result<UniqueFd> try_connect(Loop& loop, const SocketAddress& to, TimePoint deadline = kNoDeadline) {
  Result<UniqueFd> outcome = Error{};
  run(loop, [](Loop& l, const SocketAddress& address, TimePoint latest, Result<UniqueFd>& out) -> Task<> {
    out = co_await connect(l, address, latest);
  }(loop, to, deadline, outcome));
  return outcome;
}

TEST(Connect, ReachesAListener) {
  Loop loop;
  const TemporaryFolder folder;
  for (const auto& address : {loopback(0), SocketAddress::unix_path(folder / "listener")}) {
    const UniqueFd listener = listen_on(address, false);
    const auto connected = try_connect(loop, local_address(listener.get()));
    ASSERT_TRUE(bool(connected)) << connected.error().reason;
    const UniqueFd accepted(::accept(listener.get(), nullptr, nullptr));
    put(accepted.get(), "hello");
    char text[5];
    ASSERT_EQ(::recv(connected->get(), text, 5, 0), 5);
    EXPECT_EQ(::fcntl(connected->get(), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  }
}

TEST(Connect, TellsWhyNot) {
  Loop loop;
  const TemporaryFolder folder;
  const RefusingPort nobody;
  const auto refused = try_connect(loop, loopback(nobody.port));
  ASSERT_FALSE(bool(refused));
  EXPECT_EQ(refused.error().code, Errc::kRefused);
  EXPECT_EQ(refused.error().side, Side::kUpstream);
  EXPECT_STREQ(refused.error().reason, "connect_refused");

  const auto missing = try_connect(loop, SocketAddress::unix_path(folder / "nothing"));
  ASSERT_FALSE(bool(missing));
  EXPECT_EQ(missing.error().code, Errc::kRefused);

  const auto stale_path = SocketAddress::unix_path(folder / "stale");
  listen_on(stale_path, false).reset();
  const auto stale = try_connect(loop, stale_path);
  ASSERT_FALSE(bool(stale));
  EXPECT_EQ(stale.error().code, Errc::kRefused);

  const auto no_folder = try_connect(loop, SocketAddress::unix_path((folder / "stale") + "/below"));
  ASSERT_FALSE(bool(no_folder));
  EXPECT_EQ(no_folder.error().code, Errc::kUnreachable);
}

/// A listener whose queue is full and stays so: the kernel answers no further SYN.
struct FullListener {
  UniqueFd fd;
  std::vector<UniqueFd> waiting;
  explicit FullListener(const SocketAddress& address)
      : fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    EXPECT_EQ(::bind(fd.get(), address.get(), address.length()), 0);
    EXPECT_EQ(::listen(fd.get(), 0), 0);
    const SocketAddress to = local_address(fd.get());
    for (int i = 0; i < 4; ++i) {
      waiting.emplace_back(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      static_cast<void>(::connect(waiting.back().get(), to.get(), to.length()));
    }
  }
};

TEST(Connect, TimesOutWhereNobodyAnswers) {
  Loop loop;
  const FullListener full(loopback(0));
  const auto outcome = try_connect(loop, local_address(full.fd.get()), in(std::chrono::milliseconds(50)));
  ASSERT_FALSE(bool(outcome));
  EXPECT_EQ(outcome.error().code, Errc::kTimeout);
  EXPECT_STREQ(outcome.error().reason, "connect_timeout");
}

TEST(Connect, AFullUnixListenerRefuses) {
  Loop loop;
  const TemporaryFolder folder;
  const FullListener full(SocketAddress::unix_path(folder / "full"));
  const auto outcome = try_connect(loop, SocketAddress::unix_path(folder / "full"));
  ASSERT_FALSE(bool(outcome));
  EXPECT_EQ(outcome.error().code, Errc::kRefused);
}

TEST(Listen, NamesTheAddressThatCannotBeBound) {
  UniqueFd taken(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SocketAddress any = loopback(0);
  ASSERT_EQ(::bind(taken.get(), any.get(), any.length()), 0);
  const SocketAddress address = local_address(taken.get());
  try {
    listen_on(address, true);
    FAIL() << "bound " << address.to_string() << " twice";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EADDRINUSE);
    EXPECT_NE(std::string(error.what()).find(address.to_string()), std::string::npos);
  }
}

}  // namespace
}  // namespace headgate
