// SPDX-License-Identifier: Apache-2.0
// The answer of an origin, however it arrives.
#include "http/http1_client.h"

#include "client_fixture.h"

namespace headgate::http {
namespace {

using testing::ElementsAre;

TEST_F(ClientTest, AnswersOfEachFraming) {
  struct {
    const char* bytes;
    int status;
    const char* body;
    const char* trailers;
  } const cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", ""},
      {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 404, "", ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", 200, "hello", ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: 1\r\nU: 2\r\n\r\n", 200, "a",
       "T=1;U=2;"},
      {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", ""},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", 304, "", ""},
      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", 200, "a", ""},
  };
  for (const auto& c : cases) {
    const Reply reply = ask(c.bytes);
    EXPECT_EQ(reply.error, "") << c.bytes;
    EXPECT_EQ(reply.status, c.status) << c.bytes;
    EXPECT_EQ(reply.body, c.body) << c.bytes;
    EXPECT_EQ(reply.trailers, c.trailers) << c.bytes;
    EXPECT_TRUE(reply.reusable) << c.bytes;
    EXPECT_TRUE(reply.answered);
  }
}

TEST_F(ClientTest, AnswersThatEndTheConnection) {
  const Reply length = ask("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(length.body, "hello");
  EXPECT_FALSE(length.reusable);
  const Reply old = ask("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_FALSE(old.reusable);
  for (const char* version : {"HTTP/1.0", "HTTP/1.1"}) {
    const Reply until_close = ask(std::string(version) + " 200 OK\r\n\r\nhello\r\n0\r\n\r\n", true);
    EXPECT_EQ(until_close.body, "hello\r\n0\r\n\r\n");
    EXPECT_EQ(until_close.error, "");
    EXPECT_EQ(until_close.length, std::nullopt);
    EXPECT_FALSE(until_close.reusable);
  }
  EXPECT_EQ(ask("HTTP/1.1 200 OK\r\n\r\n", true).body, "");
}

TEST_F(ClientTest, TheAnswerToHeadHasALengthAndNoContent) {
  const auto head = request_of(Method::kHead, "HEAD");
  for (const char* framing : {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""}) {
    const Reply reply = ask("HTTP/1.1 200 OK\r\n" + std::string(framing) + "\r\n", false, head);
    EXPECT_EQ(reply.error, "");
    EXPECT_TRUE(reply.reusable) << framing;
    EXPECT_EQ(reply.length.has_value(), std::string_view(framing).starts_with("Content"));
  }
}

TEST_F(ClientTest, BytesThatNoAnswerAccountsForSpoilTheConnection) {
  EXPECT_FALSE(ask("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc").reusable);
  EXPECT_FALSE(ask("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n").reusable);
  EXPECT_FALSE(ask("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nab").reusable);
  EXPECT_FALSE(ask("HTTP/1.1 304 Not Modified\r\n\r\nab").reusable);
  EXPECT_FALSE(
      ask("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", false, request_of(Method::kHead, "HEAD")).reusable);
}

TEST_F(ClientTest, AnAnswerBeforeTheEndOfTheRequestSpoilsTheConnection) {
  WireStream stream(loop, Side::kUpstream);
  Http1ClientExchange exchange(loop, stream, std::chrono::seconds(20));
  auto head = request_of(Method::kPost, "POST");
  head.body = BodyKind::kLength;
  head.content_length = 5;
  exchange.start(head);
  stream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
  Reply reply;
  run(read_answer(exchange, kNoDeadline, reply));
  EXPECT_EQ(reply.body, "ab");
  EXPECT_FALSE(exchange.reusable());
}

TEST_F(ClientTest, InterimHeadsComeFirst) {
  const Reply reply =
      ask("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 102 P\r\n\r\n"
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
  EXPECT_THAT(reply.interim, ElementsAre(100, 103, 102));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.fields, "Content-Length=1;");
  EXPECT_TRUE(reply.reusable);
}

TEST_F(ClientTest, AFloodOfInterimHeadsIsRefused) {
  std::string some;
  for (int i = 0; i < 32; ++i) some += "HTTP/1.1 103 Early Hints\r\n\r\n";
  const std::string last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(ask(some + last).interim.size(), 32U);
  EXPECT_EQ(ask(some + some + last).error, "upstream_bad_response");
}

TEST_F(ClientTest, InterimHeadsMayFillABlockToItsEnd) {
  // Whatever the size of the block, one of these ends exactly with it and leaves no room to read into.
  const std::string last = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
  const std::string around = "HTTP/1.1 103 Early Hints\r\nX: \r\n\r\n";
  for (const std::size_t block : {BufferPool::kMedium, BufferPool::kLarge}) {
    const std::string interim =
        "HTTP/1.1 103 Early Hints\r\nX: " + std::string(block - around.size(), 'x') + "\r\n\r\n";
    ASSERT_EQ(interim.size(), block);
    const Reply reply = ask(interim + last, false, get_request(), interim.size(), WireStream::kUnlimited, false);
    EXPECT_EQ(reply.body, "a") << reply;
    const Reply at_once = ask(interim + last, false, get_request(), interim.size() + last.size(), block, false);
    EXPECT_EQ(at_once.body, "a") << at_once;
  }
}

TEST_F(ClientTest, AHeadMayGrowOverSeveralBlocks) {
  for (const std::size_t size : {4'000UL, 16'300UL, 16'384UL, 17'000UL, 60'000UL, 64'900UL}) {
    std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n";
    for (int i = 0; bytes.size() + 100 < size; ++i)
      bytes += "X-" + std::to_string(i % 100) + ": " + std::string(500, 'x') + "\r\n";
    const Reply reply = ask(bytes + "\r\na", false, get_request(), 100, WireStream::kUnlimited, false);
    EXPECT_EQ(reply.error, "") << size;
    EXPECT_EQ(reply.body, "a") << size;
    EXPECT_TRUE(reply.reusable);
    EXPECT_EQ(ask(bytes + "\r\na", false, get_request(), 100, 1000, true), reply) << size;
  }
}

TEST_F(ClientTest, AHeadTooLargeIsToldApart) {
  const std::string large = "HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n";
  EXPECT_EQ(ask(large, false, get_request(), large.size(), WireStream::kUnlimited, false).error,
            "upstream_header_too_large");
  EXPECT_EQ(ask(large, false, get_request(), 10, 1000, true).error, "upstream_header_too_large");
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 300; ++i) many += "X: 1\r\n";
  EXPECT_EQ(ask(many + "\r\n", false, get_request(), 10, 1000, true).error, "upstream_header_too_large");
}

TEST_F(ClientTest, WhatIsNoHttpIsToldApart) {
  EXPECT_EQ(ask("SSH-2.0-OpenSSH\r\n").error, "upstream_bad_response");
  EXPECT_EQ(ask("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n").error, "upstream_bad_response");
  EXPECT_EQ(ask("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nX").error, "upstream_bad_chunk");
}

TEST_F(ClientTest, AnOriginMayBreakOffAtEveryByte) {
  const std::string bytes =
      "HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n";
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Reply reply = ask(bytes.substr(0, size), true, get_request(), size, WireStream::kUnlimited, false);
    EXPECT_EQ(reply.error, reply.status == 0 ? "upstream_closed" : "upstream_truncated") << size;
    EXPECT_EQ(reply.answered, size > 0);
    EXPECT_FALSE(reply.reusable);
  }
  EXPECT_EQ(ask("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd", true).error, "upstream_truncated");
}

TEST_F(ClientTest, AnOriginMayFailAtEveryOperation) {
  for (std::size_t at = 0; at < 12; ++at) {
    WireStream stream(loop, Side::kUpstream);
    stream.read_piece = 10;
    stream.fail_at = at;
    stream.send("HTTP/1.1 200 OK\r\n\r\n" + std::string(200, 'x'));
    Http1ClientExchange exchange(loop, stream, std::chrono::seconds(20));
    Reply reply;
    run(fetch(exchange, get_request(), reply));
    EXPECT_EQ(reply.error, "upstream_reset") << at;
    EXPECT_FALSE(reply.reusable);
  }
}

// --- readiness, interruption --------------------------------------------------------------------------------------

class WaitTest : public ClientTest {
 protected:
  WaitTest() : stream(loop, Side::kUpstream), exchange(loop, stream, std::chrono::seconds(20)) {
    exchange.start(get_request());
  }
  void send(std::string_view bytes) {
    stream.send(bytes);
    settle();
  }
  static Task<> keep_head(WaitTest& test, TimePoint deadline) {
    const auto head = co_await test.exchange.read_head(deadline);
    test.said = head ? std::to_string((*head)->status) : head.error().reason;
  }
  static Task<> keep_piece(WaitTest& test, TimePoint deadline) {
    const auto piece = co_await test.exchange.read_body(deadline);
    test.said = piece ? "'" + std::string(piece->data(), piece->size()) + "'" : piece.error().reason;
  }
  WireStream stream;
  Http1ClientExchange exchange;
  std::string said;
};

TEST_F(WaitTest, BodyReadyTellsWhetherAReadWouldWait) {
  stream.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
  run(keep_head(*this, kNoDeadline));
  EXPECT_EQ(said, "200");
  EXPECT_FALSE(exchange.body_ready());
  stream.send("abc");
  EXPECT_TRUE(exchange.body_ready());
  EXPECT_TRUE(exchange.body_ready());
  run(keep_piece(*this, kNoDeadline));
  EXPECT_EQ(said, "'abc'");
  EXPECT_FALSE(exchange.body_ready());
  stream.send("def");
  run(keep_piece(*this, kNoDeadline));
  EXPECT_EQ(said, "'def'");
  EXPECT_TRUE(exchange.body_ready()) << "the end is ready";
}

TEST_F(WaitTest, BodyReadySeesContentBehindTheHead) {
  stream.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  run(keep_head(*this, kNoDeadline));
  EXPECT_TRUE(exchange.body_ready());
  run(keep_piece(*this, kNoDeadline));
  EXPECT_EQ(said, "'abc'");
}

TEST_F(WaitTest, BodyReadyKeepsAnEnd) {
  stream.send("HTTP/1.1 200 OK\r\n\r\n");
  run(keep_head(*this, kNoDeadline));
  stream.finish();
  EXPECT_TRUE(exchange.body_ready());
  run(keep_piece(*this, kNoDeadline));
  EXPECT_EQ(said, "''");
}

TEST_F(WaitTest, AResetThatBodyReadyMetIsNoEnd) {
  // A socket tells of a reset once; read after read it then looks like an end, and a cut answer like a whole one.
  stream.send("HTTP/1.1 200 OK\r\n\r\n");
  run(keep_head(*this, kNoDeadline));
  stream.reset();
  EXPECT_TRUE(exchange.body_ready());
  run(keep_piece(*this, kNoDeadline));
  EXPECT_EQ(said, "upstream_reset");
}

TEST_F(WaitTest, AWaitMeetsItsDeadlineAndCanBeRepeated) {
  run(keep_head(*this, Clock::now() + std::chrono::milliseconds(5)));
  EXPECT_EQ(said, "upstream_timeout");
  stream.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
  run(keep_head(*this, kNoDeadline));
  EXPECT_EQ(said, "200");
  run(keep_piece(*this, Clock::now() + std::chrono::milliseconds(5)));
  EXPECT_EQ(said, "upstream_timeout");
  stream.send("a");
  run(keep_piece(*this, kNoDeadline));
  EXPECT_EQ(said, "'a'");
}

TEST_F(WaitTest, AWaitInTheMiddleOfAHeadCanBeInterruptedAndRepeated) {
  TaskGroup group(loop);
  stream.send("HTTP/1.1 200 OK\r\nConte");
  group.spawn(keep_head(*this, kNoDeadline));
  settle();
  exchange.interrupt_read();
  settle();
  EXPECT_EQ(said, "cancelled");
  stream.send("nt-Length: 1\r\n\r\na");
  run(keep_head(*this, kNoDeadline));
  EXPECT_EQ(said, "200");
  exchange.interrupt_read();  // nobody waits: nothing happens
  run(keep_piece(*this, kNoDeadline));
  EXPECT_EQ(said, "'a'");
}

TEST_F(WaitTest, CancelEndsEveryWait) {
  TaskGroup group(loop);
  group.spawn(keep_head(*this, kNoDeadline));
  settle();
  exchange.cancel();
  settle();
  EXPECT_EQ(said, "cancelled");
  said.clear();
  run(keep_head(*this, kNoDeadline));
  EXPECT_EQ(said, "cancelled");
}

TEST_F(WaitTest, After101TheBytesAreGivenOver) {
  stream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nearly");
  run(keep_head(*this, kNoDeadline));
  EXPECT_EQ(said, "101");
  EXPECT_TRUE(exchange.body_finished());
  const auto tunnel = exchange.upgrade();
  EXPECT_EQ(tunnel.stream, &stream);
  EXPECT_EQ(std::string_view(tunnel.early.data(), tunnel.early.size()), "early");
  EXPECT_FALSE(exchange.reusable());
}

TEST_F(WaitTest, TheBlockIsAsLargeAsTheOriginIsFast) {
  stream.send("HTTP/1.1 200 OK\r\n\r\n");
  run(keep_head(*this, kNoDeadline));
  const auto piece = [&](std::size_t sent) {
    stream.send(std::string(sent, 'x'));
    EXPECT_TRUE(exchange.body_ready());  // what is read behind the head's block must not be bound to its size
    run(keep_piece(*this, kNoDeadline));
    return said.size() - std::string_view("[]").size();
  };
  EXPECT_EQ(piece(20'000), 20'000U);
  EXPECT_EQ(piece(BufferPool::kLarge + 1'000'000), BufferPool::kLarge);
  EXPECT_EQ(piece(0), BufferPool::kHuge);
}

TEST_F(WaitTest, AnOriginThatPoursIsReadInBoundedPieces) {
  stream.send("HTTP/1.1 200 OK\r\n\r\n" + std::string(1'000'000, 'x'));
  run(keep_head(*this, kNoDeadline));
  for (int i = 0; i < 3; ++i) {
    run(keep_piece(*this, kNoDeadline));
    EXPECT_LE(said.size(), BufferPool::kHuge + 2);
  }
  EXPECT_GE(stream.unread(), 1'000'000U - 4 * BufferPool::kHuge);
}

}  // namespace
}  // namespace headgate::http
