// SPDX-License-Identifier: Apache-2.0
#include "tls/stream.h"

#include <array>
#include <random>

#include <openssl/err.h>
#include <sys/ioctl.h>

#include "tls_fixture.h"

namespace headgate::tls {
namespace {

class StreamTest : public TlsTest {
 protected:
  StreamTest() : server_(server(store({authority_.issue({.names = {"DNS:a.example"}})}))), client_(trusting()) {}

  Handshake connected() {
    auto [left, right] = descriptors();
    return shake_over(server_, client_, "a.example", std::move(left), std::move(right));
  }

  /// With the kernel's smallest buffers, so that both directions block all the time.
  Handshake connected_narrowly() {
    auto [left, right] = descriptors();
    for (const int fd : {left.get(), right.get()}) {
      const int tiny = 1;
      ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &tiny, sizeof tiny);
      ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof tiny);
    }
    return shake_over(server_, client_, "a.example", std::move(left), std::move(right));
  }

  static std::string noise(std::size_t size) {
    std::string text(size, '\0');
    std::mt19937 random(42);
    for (auto& c : text) c = static_cast<char>(random());
    return text;
  }

  Task<Wake> wait_once(TlsStream& stream) { co_return co_await stream.wait_read(soon()); }

  /// Writes and reads at the same time.
  Task<bool> exchange(TlsStream& stream, std::string out, std::string& in, std::size_t expected) {
    TaskGroup group(loop_);
    Result<> sent = Error{};
    group.spawn(sending(stream, std::move(out), sent));
    in = co_await receive(stream, expected);
    co_await group.join(kNoDeadline);
    co_return sent.has_value();
  }
  Task<> sending(TlsStream& stream, std::string out, Result<>& sent) { sent = co_await send(stream, std::move(out)); }

  Task<StreamResult> accept_in_place(std::unique_ptr<Socket> from) {
    auto stream = co_await accept(server_, std::move(from), soon());
    co_return std::move(stream);
  }
  Task<StreamResult> connect_in_place(std::unique_ptr<Socket> from) {
    const std::string name = "a.example";
    auto stream = co_await connect(client_, std::move(from), name, soon());
    co_return std::move(stream);
  }

  void carry_both_ways(Handshake& both) {
    const std::string up = noise(700'001);
    const std::string down = noise(900'003);
    std::string got_up;
    std::string got_down;
    const auto done =
        run_both(exchange(**both.server, down, got_up, up.size()), exchange(**both.client, up, got_down, down.size()));
    EXPECT_TRUE(done.first);
    EXPECT_TRUE(done.second);
    EXPECT_TRUE(got_up == up);
    EXPECT_TRUE(got_down == down);
  }

  /// Runs a server handshake against a peer that is just a descriptor.
  StreamResult accept_from(UniqueFd fd, TimePoint deadline) {
    return run(accept(server_, socket(std::move(fd), Side::kDownstream), deadline));
  }

  ServerContext server_;
  ClientContext client_;
};

TEST_F(StreamTest, CarriesBytesBothWaysAtOnceThroughTinyBuffers) {
  Handshake both = connected_narrowly();
  ASSERT_TRUE(both.ok());
  carry_both_ways(both);
}

TEST_F(StreamTest, CarriesBytesBothWaysAtOnceOverTcp) {
  auto [left, right] = tcp_descriptors();
  Handshake both = shake_over(server_, client_, "a.example", std::move(left), std::move(right));
  ASSERT_TRUE(both.ok());
  carry_both_ways(both);
}

TEST_F(StreamTest, ACloseOverTcpWithoutCloseNotifyIsTruncation) {
  auto [left, right] = tcp_descriptors();
  Handshake both = shake_over(server_, client_, "a.example", std::move(left), std::move(right));
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(pass(**both.server, **both.client, "x"), "x");
  EXPECT_EQ(pass(**both.client, **both.server, "data"), "data");
  both.client = Error{};
  const auto end = read_once(**both.server);
  ASSERT_FALSE(end.has_value());
  EXPECT_STREQ(end.error().reason, "tls_truncated");
}

TEST_F(StreamTest, AbortOnCloseIsAReset) {
  auto [left, right] = tcp_descriptors();
  Handshake both = shake_over(server_, client_, "a.example", std::move(left), std::move(right));
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(pass(**both.server, **both.client, "x"), "x");
  (*both.client)->abort_on_close();
  both.client = Error{};
  const auto end = read_once(**both.server);
  ASSERT_FALSE(end.has_value());
  EXPECT_EQ(end.error().code, Errc::kReset);
  EXPECT_STREQ(end.error().reason, "client_reset");
}

TEST_F(StreamTest, SmallPiecesGoOutAsOneRecord) {
  Handshake both = connected();
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(pass(**both.server, **both.client, "x"), "x");  // behind the tickets
  std::string head = "HTTP/1.1 200 OK\r\n\r\n";
  std::string body = "hello";
  const std::array<iovec, 3> pieces{{{head.data(), head.size()}, {nullptr, 0}, {body.data(), body.size()}}};
  const IoResult put = (*both.server)->try_write(pieces);
  ASSERT_EQ(put.kind, IoResult::Kind::kOk);
  EXPECT_EQ(put.bytes, head.size() + body.size());
  int on_the_wire = 0;
  ASSERT_EQ(::ioctl((*both.client)->socket().fd(), FIONREAD, &on_the_wire), 0);
  EXPECT_EQ(on_the_wire, static_cast<int>(head.size() + body.size() + 22));  // one head, one tag, one type byte
  EXPECT_EQ(run(receive(**both.client, put.bytes)), head + body);
}

TEST_F(StreamTest, TheTicketLeavesWithTheFirstAnswer) {
  Handshake both = connected();
  ASSERT_TRUE(both.ok());
  int on_the_wire = 0;
  ASSERT_EQ(::ioctl((*both.client)->socket().fd(), FIONREAD, &on_the_wire), 0);
  EXPECT_EQ(on_the_wire, 0);
  ASSERT_TRUE(run(send(**both.client, "question")).has_value());
  EXPECT_EQ(read_once(**both.server).value(), 8u);
  EXPECT_EQ(pass(**both.server, **both.client, "answer"), "answer");
}

TEST_F(StreamTest, AServerThatEndsAtOnceSendsTheTicketBeforeItsEnd) {
  for (const bool clean : {false, true}) {
    Handshake both = connected();
    ASSERT_TRUE(both.ok());
    if (clean) (*both.server)->shutdown_write();
    both.server = Error{};
    int on_the_wire = 0;
    ASSERT_EQ(::ioctl((*both.client)->socket().fd(), FIONREAD, &on_the_wire), 0);
    EXPECT_GT(on_the_wire, 200);
    EXPECT_EQ(read_once(**both.client).has_value(), clean);
  }
}

TEST_F(StreamTest, TheTicketGoesBeforeAnAnswerThatTheSocketTakesInPieces) {
  Handshake both = connected_narrowly();
  ASSERT_TRUE(both.ok());
  const std::string text = noise(100'000);
  EXPECT_TRUE(pass(**both.server, **both.client, text) == text);
}

TEST_F(StreamTest, TheLastWriteAndTheEndArriveInOrder) {
  auto [left, right] = tcp_descriptors();
  Handshake both = shake_over(server_, client_, "a.example", std::move(left), std::move(right));
  ASSERT_TRUE(both.ok());
  (*both.server)->end_after_write();
  EXPECT_TRUE(run(send(**both.server, "last words")).has_value());
  (*both.server)->shutdown_write();
  EXPECT_EQ(run(receive(**both.client, 100)), "last words");
  EXPECT_EQ(*read_once(**both.client), 0u);
}

TEST_F(StreamTest, ManyPiecesArriveInOrder) {
  Handshake both = connected_narrowly();
  ASSERT_TRUE(both.ok());
  const std::string all = noise(100'000);
  std::vector<iovec> pieces;
  std::size_t at = 0;
  for (std::size_t size = 1; at < all.size(); size = size * 3 % 20'011) {
    const std::size_t part = std::min(size, all.size() - at);
    pieces.push_back({const_cast<char*>(all.data()) + at, part});
    at += part;
  }
  const auto done = run_both(write_all(**both.client, pieces, loop_, std::chrono::seconds(20), Side::kUpstream),
                             receive(**both.server, at));
  EXPECT_TRUE(done.first.has_value());
  EXPECT_TRUE(done.second == all);
}

TEST_F(StreamTest, ASmallReaderGetsEverythingWithoutAnotherEdge) {
  Handshake both = connected();
  ASSERT_TRUE(both.ok());
  const std::string text = noise(30'000);
  ASSERT_TRUE(run(send(**both.client, text)).has_value());
  // Everything is read from the socket at the first read; what follows lies in OpenSSL's buffer alone.
  std::string got;
  std::array<char, 7> piece;
  while (got.size() < text.size()) {
    const Wake wake = run(wait_once(**both.server));
    ASSERT_EQ(wake, Wake::kReady);
    const IoResult read = (*both.server)->try_read(piece);
    if (read.kind == IoResult::Kind::kWouldBlock) continue;
    ASSERT_EQ(read.kind, IoResult::Kind::kOk);
    got.append(piece.data(), read.bytes);
  }
  EXPECT_TRUE(got == text);
}

TEST_F(StreamTest, HalfCloseInBothOrders) {
  for (const bool server_first : {false, true}) {
    Handshake both = connected();
    ASSERT_TRUE(both.ok());
    TlsStream& first = server_first ? **both.server : **both.client;
    TlsStream& second = server_first ? **both.client : **both.server;
    EXPECT_EQ(pass(first, second, "last words"), "last words");
    first.shutdown_write();
    const auto end = read_once(second);
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(*end, 0u);
    EXPECT_EQ(*read_once(second), 0u);  // and stays ended
    EXPECT_EQ(pass(second, first, "an answer after it"), "an answer after it");
    second.shutdown_write();
    EXPECT_EQ(*read_once(first), 0u);
  }
}

TEST_F(StreamTest, TheEndComesAfterTheData) {
  Handshake both = connected();
  ASSERT_TRUE(both.ok());
  ASSERT_TRUE(run(send(**both.client, "data")).has_value());
  (*both.client)->shutdown_write();
  EXPECT_EQ(run(receive(**both.server, 100)), "data");
  EXPECT_EQ(*read_once(**both.server), 0u);
}

TEST_F(StreamTest, ATruncatedEndIsAnError) {
  Handshake both = connected();
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(pass(**both.server, **both.client, "x"), "x");  // unread tickets would make the close a reset
  ASSERT_TRUE(run(send(**both.client, "data")).has_value());
  both.client = Error{};  // closes without close_notify
  EXPECT_EQ(run(receive(**both.server, 4)), "data");
  const auto end = read_once(**both.server);
  ASSERT_FALSE(end.has_value());
  EXPECT_EQ(end.error().code, Errc::kReset);
  EXPECT_EQ(end.error().side, Side::kDownstream);
  EXPECT_STREQ(end.error().reason, "tls_truncated");
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(StreamTest, WritingToAClosedPeerFailsWithoutASignal) {
  Handshake both = connected();
  ASSERT_TRUE(both.ok());
  std::signal(SIGPIPE, SIG_DFL);  // would end the test program
  both.client = Error{};
  const Result<> sent = run(send(**both.server, noise(1'000'000)));
  std::signal(SIGPIPE, SIG_IGN);
  ASSERT_FALSE(sent.has_value());
  EXPECT_EQ(sent.error().code, Errc::kReset);
}

TEST_F(StreamTest, ABrokenRecordIsAnErrorForBothEnds) {
  Handshake both = connected();
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(pass(**both.server, **both.client, "x"), "x");
  // A record of application data that no key fits.
  std::string bad("\x17\x03\x03\x00\x20", 5);
  bad += std::string(32, 'z');
  const int raw = (*both.client)->socket().fd();
  ASSERT_EQ(::send(raw, bad.data(), bad.size(), 0), static_cast<ssize_t>(bad.size()));
  const auto got = read_once(**both.server);
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code, Errc::kTls);
  EXPECT_STREQ(got.error().reason, "tls_bad_record");
  const auto alert = read_once(**both.client);
  ASSERT_FALSE(alert.has_value());
  EXPECT_STREQ(alert.error().reason, "tls_peer_alert");
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(StreamTest, PendingInputIsAnAnswerOrAnEndButNotATicket) {
  Handshake both = connected();
  ASSERT_TRUE(both.ok());
  // The ticket is sent when the server would wait, and on the wire then.
  std::array<char, 1> byte;
  EXPECT_EQ((*both.server)->try_read(byte).kind, IoResult::Kind::kWouldBlock);
  int waiting = 0;
  ASSERT_EQ(::ioctl((*both.client)->socket().fd(), FIONREAD, &waiting), 0);
  EXPECT_GT(waiting, 0);
  EXPECT_FALSE((*both.client)->has_pending_input());
  EXPECT_FALSE((*both.server)->has_pending_input());
  ASSERT_TRUE(run(send(**both.server, "early")).has_value());
  EXPECT_EQ(run(wait_once(**both.client)), Wake::kReady);
  EXPECT_TRUE((*both.client)->has_pending_input());
  EXPECT_EQ(run(receive(**both.client, 5)), "early");
  EXPECT_FALSE((*both.client)->has_pending_input());
}

TEST_F(StreamTest, AClosedPeerIsPendingInput) {
  for (const bool clean : {false, true}) {
    Handshake both = connected();
    ASSERT_TRUE(both.ok());
    EXPECT_EQ(pass(**both.server, **both.client, "x"), "x");
    EXPECT_FALSE((*both.client)->has_pending_input());
    if (clean) (*both.server)->shutdown_write();
    both.server = Error{};
    EXPECT_EQ(run(wait_once(**both.client)), Wake::kReady);
    EXPECT_TRUE((*both.client)->has_pending_input());
    const auto end = read_once(**both.client);
    EXPECT_EQ(end.has_value(), clean);
  }
}

TEST_F(StreamTest, CancelEndsWaits) {
  Handshake both = connected();
  ASSERT_TRUE(both.ok());
  TaskGroup group(loop_);
  std::vector<char> piece(100);
  Task<Result<std::size_t>> reading = read_some(**both.server, piece, kNoDeadline, Side::kDownstream);
  reading.start();
  ASSERT_FALSE(reading.done());
  (*both.server)->cancel();
  const auto got = run(std::move(reading));
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code, Errc::kCancelled);
}

TEST_F(StreamTest, InterruptReadEndsOneWait) {
  Handshake both = connected();
  ASSERT_TRUE(both.ok());
  std::vector<char> piece(100);
  Task<Result<std::size_t>> reading = read_some(**both.server, piece, kNoDeadline, Side::kDownstream);
  reading.start();
  ASSERT_FALSE(reading.done());
  (*both.server)->interrupt_read();
  EXPECT_FALSE(run(std::move(reading)).has_value());
  EXPECT_EQ(pass(**both.client, **both.server, "later"), "later");
}

TEST_F(StreamTest, AReadEndsAtItsDeadline) {
  Handshake both = connected();
  ASSERT_TRUE(both.ok());
  std::vector<char> piece(100);
  const TimePoint passed = loop_.now();
  const auto got = run(read_some(**both.server, piece, passed, Side::kDownstream));
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code, Errc::kTimeout);
}

TEST_F(StreamTest, NoSendFile) {
  Handshake both = connected();
  ASSERT_TRUE(both.ok());
  EXPECT_FALSE((*both.server)->can_send_file());
  off_t at = 0;
  EXPECT_EQ((*both.server)->try_send_file(0, at, 1).kind, IoResult::Kind::kError);
}

// --- peers that are not what they should be -------------------------------------------------------------------------

TEST_F(StreamTest, GarbageInPlaceOfAClientHello) {
  const std::string noisy = noise(3000);
  for (const std::string& text :
       {std::string("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09", 10), noisy, std::string("SSH-2.0-OpenSSH_9.2\r\n")}) {
    auto [left, right] = descriptors();
    ASSERT_EQ(::send(right.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    const StreamResult got = accept_from(std::move(left), soon());
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code, Errc::kTls);
    EXPECT_EQ(got.error().side, Side::kDownstream);
    EXPECT_STREQ(got.error().reason, "tls_not_tls");
    EXPECT_EQ(ERR_peek_error(), 0u);
  }
}

TEST_F(StreamTest, PlainHttpIsRecognised) {
  auto [left, right] = descriptors();
  const std::string text = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
  ASSERT_EQ(::send(right.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  const StreamResult got = accept_from(std::move(left), soon());
  ASSERT_FALSE(got.has_value());
  EXPECT_STREQ(got.error().reason, "tls_plain_http");
}

TEST_F(StreamTest, ASilentPeerRunsIntoTheDeadline) {
  auto [left, right] = descriptors();
  const StreamResult got = accept_from(std::move(left), loop_.now());
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code, Errc::kTimeout);
  EXPECT_STREQ(got.error().reason, "tls_handshake_timeout");
}

TEST_F(StreamTest, APeerThatLeavesAtOnce) {
  auto [left, right] = descriptors();
  right.reset();
  const StreamResult got = accept_from(std::move(left), soon());
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code, Errc::kClosed);
  EXPECT_STREQ(got.error().reason, "tls_handshake_closed");
}

TEST_F(StreamTest, ACoroutineMayAwaitBothEndsInPlace) {
  // The socket is handed over within the co_await expression, as callers write it.
  auto [left, right] = descriptors();
  const auto both = run_both(accept_in_place(socket(std::move(left), Side::kDownstream)),
                             connect_in_place(socket(std::move(right), Side::kUpstream)));
  ASSERT_TRUE(both.first.has_value());
  ASSERT_TRUE(both.second.has_value());
  EXPECT_EQ(pass(**both.first, **both.second, "x"), "x");
}

TEST_F(StreamTest, AHandshakeCanBeCancelled) {
  auto [left, right] = descriptors();
  auto waiting = socket(std::move(left), Side::kDownstream);
  Socket* raw = waiting.get();
  Task<StreamResult> accepting = accept(server_, std::move(waiting), kNoDeadline);
  accepting.start();
  ASSERT_FALSE(accepting.done());
  raw->cancel();
  const StreamResult got = run(std::move(accepting));
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code, Errc::kCancelled);
}

TEST_F(StreamTest, AFailedHandshakeEndsWithoutAReset) {
  // A close with unread input would be one, and could overtake an alert.
  auto [left, right] = descriptors();
  const std::string text = noise(60'000);
  ASSERT_EQ(::send(right.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  ASSERT_FALSE(accept_from(std::move(left), soon()).has_value());
  std::array<char, 64> answer{};
  EXPECT_EQ(::recv(right.get(), answer.data(), answer.size(), 0), 0);
}

}  // namespace
}  // namespace headgate::tls
