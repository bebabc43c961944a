// SPDX-License-Identifier: Apache-2.0
#include "base/socket.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "tests/unit/base/run.h"
#include "tests/unit/base/sockets.h"

namespace headgate {
namespace {

using Kind = IoResult::Kind;

class SocketTest : public ::testing::Test {
 protected:
  void open(SocketPair pair, Side side = Side::kDownstream) {
    socket = std::make_unique<Socket>(loop, std::move(pair.ours), side);
    peer = std::move(pair.theirs);
  }

  /// One try; what it read, or what it was.
  std::string read(std::size_t size = 100) {
    std::string text(size, '\0');
    const IoResult got = socket->try_read(text);
    switch (got.kind) {
      case Kind::kOk:
        return text.substr(0, got.bytes);
      case Kind::kWouldBlock:
        return "<would block>";
      case Kind::kEof:
        return "<eof>";
      case Kind::kError:
        return std::string("<") + got.error.reason + ">";
    }
    return {};
  }

  IoResult write(std::string_view text) {
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    return socket->try_write({&piece, 1});
  }

  /// Writes until the kernel takes no more; how much it took.
  std::size_t fill() {
    const std::string block(32 * 1024, 'f');
    std::size_t total = 0;
    for (;;) {
      const IoResult put = write(block);
      if (put.kind != Kind::kOk) {
        EXPECT_EQ(put.kind, Kind::kWouldBlock);
        return total;
      }
      total += put.bytes;
    }
  }

  /// Reads `total` bytes at the peer's end.
  void drain_peer(std::size_t total) {
    while (total > 0) {
      const std::string got = get(peer.get(), std::min<std::size_t>(total, 65536));
      ASSERT_NE(got.front(), '<');
      total -= got.size();
    }
  }

  Loop loop;
  std::unique_ptr<Socket> socket;
  UniqueFd peer;
};

TEST_F(SocketTest, NothingThereWouldBlock) {
  for (const bool tcp : {false, true}) {
    open(tcp ? tcp_pair() : unix_pair());
    EXPECT_EQ(read(), "<would block>");
    turn(loop);
    EXPECT_EQ(read(), "<would block>");
  }
}

TEST_F(SocketTest, AShortReadIsNotFollowedByAnotherAttempt) {
  open(unix_pair());
  put(peer.get(), "abc");
  turn(loop);
  EXPECT_EQ(read(), "abc");
  put(peer.get(), "de");
  // Nothing is asked of the kernel until it has told of the new bytes.
  EXPECT_EQ(read(), "<would block>");
  turn(loop);
  EXPECT_EQ(read(), "de");
}

TEST_F(SocketTest, AFullReadGoesOn) {
  open(unix_pair());
  put(peer.get(), "abcdef");
  turn(loop);
  EXPECT_EQ(read(3), "abc");
  EXPECT_EQ(read(3), "def");
  EXPECT_EQ(read(3), "<would block>");
}

TEST_F(SocketTest, TheEndIsSeenBehindAShortRead) {
  for (const bool tcp : {false, true}) {
    open(tcp ? tcp_pair() : unix_pair());
    put(peer.get(), "abc");
    peer.reset();
    turn(loop);
    EXPECT_EQ(read(), "abc");
    EXPECT_EQ(read(), "<eof>");
    EXPECT_EQ(read(), "<eof>");
  }
}

TEST_F(SocketTest, TheEndThatComesAfterAShortReadWakesItsReader) {
  open(tcp_pair());
  put(peer.get(), "abc");
  turn(loop);
  EXPECT_EQ(read(), "abc");
  peer.reset();
  run(loop, [](Socket& s) -> Task<> {
    const Wake wake = co_await s.wait_read(kNoDeadline);
    EXPECT_EQ(wake, Wake::kReady);
  }(*socket));
  EXPECT_EQ(read(), "<eof>");
}

TEST_F(SocketTest, MayBeReadUntilAReadHasEmptiedIt) {
  open(tcp_pair());
  EXPECT_TRUE(socket->may_read());  // nobody has looked yet
  EXPECT_EQ(read(), "<would block>");
  EXPECT_FALSE(socket->may_read());
  put(peer.get(), "abc");
  turn(loop);
  EXPECT_TRUE(socket->may_read());
  EXPECT_EQ(read(), "abc");
  EXPECT_FALSE(socket->may_read());
  peer.reset();
  turn(loop);
  EXPECT_TRUE(socket->may_read());
  EXPECT_EQ(read(), "<eof>");
  EXPECT_TRUE(socket->may_read());  // it says so for ever
}

TEST_F(SocketTest, AHalfClosedPeerCanStillBeWrittenTo) {
  for (const bool tcp : {false, true}) {
    open(tcp ? tcp_pair() : unix_pair());
    ASSERT_EQ(::shutdown(peer.get(), SHUT_WR), 0);
    turn(loop);
    EXPECT_EQ(read(), "<eof>");
    EXPECT_EQ(write("still here").bytes, 10u);
    EXPECT_EQ(get(peer.get()), "still here");
    socket->shutdown_write();
    EXPECT_EQ(get(peer.get()), "<eof>");
    EXPECT_EQ(write("too late").error.code, Errc::kReset);
  }
}

TEST_F(SocketTest, TheLastWriteArrivesBeforeTheEnd) {
  for (const bool tcp : {false, true}) {
    open(tcp ? tcp_pair() : unix_pair());
    socket->end_after_write();
    EXPECT_EQ(write("last ").bytes, 5u);
    EXPECT_EQ(write("words").bytes, 5u);
    socket->shutdown_write();
    EXPECT_EQ(get(peer.get()), "last words");
    EXPECT_EQ(get(peer.get()), "<eof>");
  }
}

TEST_F(SocketTest, WhatWasWrittenLastAlsoLeavesWithAClose) {
  open(tcp_pair());
  socket->end_after_write();
  EXPECT_EQ(write("last words").bytes, 10u);
  socket.reset();
  EXPECT_EQ(get(peer.get()), "last words");
  EXPECT_EQ(get(peer.get()), "<eof>");
}

TEST_F(SocketTest, ShutdownLeavesReadingPossible) {
  open(tcp_pair());
  socket->shutdown_write();
  EXPECT_EQ(get(peer.get()), "<eof>");
  put(peer.get(), "answer");
  turn(loop);
  EXPECT_EQ(read(), "answer");
}

TEST_F(SocketTest, AResetIsAnErrorOfItsSide) {
  for (const Side side : {Side::kDownstream, Side::kUpstream}) {
    open(tcp_pair(), side);
    break_off(peer);
    turn(loop);
    std::array<char, 10> into{};
    const IoResult got = socket->try_read(into);
    ASSERT_EQ(got.kind, Kind::kError);
    EXPECT_EQ(got.error.code, Errc::kReset);
    EXPECT_EQ(got.error.side, side);
    EXPECT_STREQ(got.error.reason, side == Side::kUpstream ? "upstream_reset" : "client_reset");
    EXPECT_EQ(got.error.sys, ECONNRESET);
  }
}

TEST_F(SocketTest, BytesBeforeAResetAreStillRead) {
  open(tcp_pair(), Side::kUpstream);
  put(peer.get(), "abc");
  break_off(peer);
  turn(loop);
  EXPECT_EQ(read(), "abc");
  EXPECT_EQ(read(), "<upstream_reset>");
}

TEST_F(SocketTest, WritingToAClosedPeerFailsWithoutASignal) {
  std::signal(SIGPIPE, SIG_DFL);
  open(unix_pair());
  peer.reset();
  const IoResult put = write("x");
  ASSERT_EQ(put.kind, Kind::kError);
  EXPECT_EQ(put.error.code, Errc::kReset);
  const iovec two[] = {{const_cast<char*>("a"), 1}, {const_cast<char*>("b"), 1}};
  EXPECT_EQ(socket->try_write(two).kind, Kind::kError);
}

TEST_F(SocketTest, AFullPeerBlocksAndWakesItsWriter) {
  for (const bool tcp : {false, true}) {
    open(tcp ? tcp_pair() : unix_pair());
    turn(loop);
    const std::size_t total = fill();
    ASSERT_GT(total, 0u);
    run(loop, [](Socket& s) -> Task<> {
      const Wake wake = co_await s.wait_write(in(std::chrono::milliseconds(20)));
      EXPECT_EQ(wake, Wake::kTimeout);
    }(*socket));
    EXPECT_EQ(write("x").kind, Kind::kWouldBlock);
    drain_peer(total);
    run(loop, [](Socket& s) -> Task<> {
      const Wake wake = co_await s.wait_write(kNoDeadline);
      EXPECT_EQ(wake, Wake::kReady);
    }(*socket));
    EXPECT_EQ(write("x").bytes, 1u);
  }
}

TEST_F(SocketTest, CancelEndsWaitsOfBothDirectionsNowAndLater) {
  open(unix_pair());
  EXPECT_EQ(read(), "<would block>");
  fill();
  run(loop, [](Loop& l, Socket& s) -> Task<> {
    TaskGroup group(l);
    std::vector<Wake> wakes;
    const auto wait = [](Socket& which, bool reading, std::vector<Wake>& out) -> Task<> {
      if (reading) {
        const Wake wake = co_await which.wait_read(kNoDeadline);
        out.push_back(wake);
      } else {
        const Wake wake = co_await which.wait_write(kNoDeadline);
        out.push_back(wake);
      }
    };
    group.spawn(wait(s, true, wakes));
    group.spawn(wait(s, false, wakes));
    s.cancel();
    co_await group.join(kNoDeadline);
    group.spawn(wait(s, true, wakes));
    group.spawn(wait(s, false, wakes));
    EXPECT_EQ(wakes, std::vector(4, Wake::kCancelled));
  }(loop, *socket));
}

TEST_F(SocketTest, InterruptEndsOneRead) {
  open(unix_pair());
  EXPECT_EQ(read(), "<would block>");
  run(loop, [](Loop& l, Socket& s) -> Task<> {
    TaskGroup group(l);
    Wake first{};
    group.spawn([](Socket& which, Wake& out) -> Task<> { out = co_await which.wait_read(kNoDeadline); }(s, first));
    s.interrupt_read();
    co_await group.join(kNoDeadline);
    EXPECT_EQ(first, Wake::kCancelled);
    const Wake second = co_await s.wait_read(in(std::chrono::milliseconds(1)));
    EXPECT_EQ(second, Wake::kTimeout);
  }(loop, *socket));
}

TEST_F(SocketTest, AbortOnCloseResetsThePeer) {
  open(tcp_pair());
  socket->abort_on_close();
  socket.reset();
  EXPECT_EQ(get(peer.get()), "<error " + std::to_string(ECONNRESET) + ">");
}

TEST_F(SocketTest, AnOrderlyCloseDoesNot) {
  open(tcp_pair());
  EXPECT_EQ(write("bye").bytes, 3u);
  socket.reset();
  EXPECT_EQ(get(peer.get()), "bye");
  EXPECT_EQ(get(peer.get()), "<eof>");
}

TEST_F(SocketTest, PendingInputIsDataOrAnEnd) {
  for (const bool tcp : {false, true}) {
    open(tcp ? tcp_pair() : unix_pair());
    EXPECT_FALSE(socket->has_pending_input());
    turn(loop);
    EXPECT_FALSE(socket->has_pending_input());
    put(peer.get(), "x");
    turn(loop);
    EXPECT_TRUE(socket->has_pending_input());
    EXPECT_EQ(read(), "x");
    EXPECT_FALSE(socket->has_pending_input());
    peer.reset();
    turn(loop);
    EXPECT_TRUE(socket->has_pending_input());
  }
}

TEST_F(SocketTest, SendsFiles) {
  open(tcp_pair());
  const UniqueFd file(::memfd_create("file", MFD_CLOEXEC));
  const std::string content = "0123456789";
  ASSERT_EQ(::write(file.get(), content.data(), content.size()), 10);
  ASSERT_TRUE(socket->can_send_file());
  off_t offset = 2;
  const IoResult put = socket->try_send_file(file.get(), offset, 5);
  EXPECT_EQ(put.bytes, 5u);
  EXPECT_EQ(offset, 7);
  EXPECT_EQ(get(peer.get()), "23456");
  offset = 10;
  const IoResult beyond = socket->try_send_file(file.get(), offset, 1);
  EXPECT_EQ(beyond.kind, Kind::kError);
  EXPECT_STREQ(beyond.error.reason, "file_truncated");
  EXPECT_EQ(beyond.error.side, Side::kInternal);
}

TEST_F(SocketTest, AFileWaitsForASlowPeer) {
  open(tcp_pair());
  const UniqueFd file(::memfd_create("file", MFD_CLOEXEC));
  constexpr off_t kSize = 64 * 1024 * 1024;
  ASSERT_EQ(::ftruncate(file.get(), kSize), 0);
  off_t offset = 0;
  IoResult put = IoResult::ok(0);
  while (put.kind == Kind::kOk && offset < kSize) put = socket->try_send_file(file.get(), offset, 1024 * 1024);
  ASSERT_EQ(put.kind, Kind::kWouldBlock);
  drain_peer(static_cast<std::size_t>(offset));
  run(loop, [](Socket& s) -> Task<> {
    const Wake wake = co_await s.wait_write(kNoDeadline);
    EXPECT_EQ(wake, Wake::kReady);
  }(*socket));
  EXPECT_EQ(socket->try_send_file(file.get(), offset, 1).kind, Kind::kOk);
}

TEST_F(SocketTest, ADescriptorThatCannotBeWatchedFailsEveryTry) {
  socket = std::make_unique<Socket>(loop, UniqueFd(::memfd_create("no socket", MFD_CLOEXEC)), Side::kUpstream);
  EXPECT_EQ(read(), "<socket_error>");
  EXPECT_EQ(write("x").kind, Kind::kError);
}

// --- read_some and write_all ----------------------------------------------------------------------------------------

TEST_F(SocketTest, ReadSomeWaitsForBytesAndTellsTheEnd) {
  open(unix_pair());
  run(loop, [](Loop& l, Socket& s, UniqueFd& other) -> Task<> {
    std::array<char, 10> into{};
    const auto late = co_await read_some(s, into, in(std::chrono::milliseconds(1)), Side::kDownstream);
    CO_REQUIRE(!late);
    EXPECT_EQ(late.error().code, Errc::kTimeout);
    EXPECT_EQ(late.error().side, Side::kDownstream);
    l.post([&other] { put(other.get(), "abc"); });
    const auto got = co_await read_some(s, into, kNoDeadline, Side::kDownstream);
    CO_REQUIRE(got);
    EXPECT_EQ(std::string_view(into.data(), *got), "abc");
    l.post([&other] { other.reset(); });
    const auto end = co_await read_some(s, into, kNoDeadline, Side::kDownstream);
    CO_REQUIRE(end);
    EXPECT_EQ(*end, 0u);
    s.cancel();
  }(loop, *socket, peer));
}

Task<> receive(Socket& socket, std::size_t total, std::string& out) {
  std::array<char, 4096> into{};
  while (out.size() < total) {
    const auto got = co_await read_some(socket, into, kNoDeadline, Side::kUpstream);
    CO_REQUIRE(got && *got > 0);
    out.append(into.data(), *got);
  }
}

TEST_F(SocketTest, WriteAllSendsEveryPieceInOrderHoweverMany) {
  auto pair = unix_pair();
  set_blocking(pair.theirs.get(), false);
  const int small = 4096;
  ::setsockopt(pair.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  Socket ours(loop, std::move(pair.ours), Side::kDownstream);
  Socket theirs(loop, std::move(pair.theirs), Side::kUpstream);
  run(loop, [](Loop& l, Socket& from, Socket& to) -> Task<> {
    std::string expected;
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < 500; ++i) {
      texts.emplace_back(i % 7 == 0 ? 0 : i % 100, static_cast<char>('a' + i % 26));
      if (i % 100 == 99) texts.back().assign(20'000, '9');
      expected += texts.back();
    }
    std::vector<iovec> pieces;
    for (auto& text : texts) pieces.push_back({text.data(), text.size()});
    std::string received;
    TaskGroup group(l);
    group.spawn(receive(to, expected.size(), received));
    const auto sent = co_await write_all(from, pieces, l, std::chrono::seconds(10), Side::kDownstream);
    EXPECT_TRUE(bool(sent));
    co_await group.join(kNoDeadline);
    EXPECT_EQ(received, expected);
  }(loop, ours, theirs));
}

TEST_F(SocketTest, WriteAllGivesUpAfterItsIdleTime) {
  open(unix_pair());
  fill();
  run(loop, [](Loop& l, Socket& s) -> Task<> {
    char byte = 'x';
    iovec piece{&byte, 1};
    const std::span<iovec> pieces(&piece, 1);
    const auto sent = co_await write_all(s, pieces, l, std::chrono::milliseconds(10), Side::kUpstream);
    CO_REQUIRE(!sent);
    EXPECT_EQ(sent.error().code, Errc::kTimeout);
    EXPECT_EQ(sent.error().side, Side::kUpstream);
  }(loop, *socket));
}

TEST(Consume, DropsWholePiecesAndCutsTheNext) {
  char text[] = "abcdef";
  iovec pieces[] = {{text, 2}, {nullptr, 0}, {text + 2, 2}, {nullptr, 0}, {text + 4, 2}};
  auto rest = consume(pieces, 3);
  ASSERT_EQ(rest.size(), 3u);
  EXPECT_EQ(rest[0].iov_base, text + 3);
  EXPECT_EQ(rest[0].iov_len, 1u);
  rest = consume(rest, 1);
  ASSERT_EQ(rest.size(), 1u) << "empty pieces in front go too";
  EXPECT_TRUE(consume(rest, 2).empty());
}

}  // namespace
}  // namespace headgate
