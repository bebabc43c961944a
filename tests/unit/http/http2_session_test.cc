// SPDX-License-Identifier: Apache-2.0
// The session against nghttp2's client, in memory.
#include "http/http2_session.h"

#include "http2_peer.h"

namespace headgate::http {
namespace {

using testing::ElementsAre;
using testing::Pair;

constexpr auto kShort = std::chrono::milliseconds(20);
constexpr std::int32_t kAny = 0x7fffffff;

class Http2SessionTest : public testing::Test {
 protected:
  Http2SessionTest() { handler.answer = echo; }
  Connection2& open(std::uint32_t window = 65535) {
    connection = std::make_unique<Connection2>(loop, handler, window);
    connection->start();
    return *connection;
  }
  void TearDown() override { connection.reset(); }

  Loop loop;
  TestHandler handler;
  Event go{loop};
  std::unique_ptr<Connection2> connection;
};

Task<> answer_large(Exchange& exchange, std::size_t size) {
  const std::string body(size, 'x');
  const ResponseHead head = head_of(200, size);
  co_await exchange.respond(head, body);
}

// --- answers --------------------------------------------------------------------------------------------------------

TEST_F(Http2SessionTest, Answers) {
  auto& peer = open();
  const auto id = peer.request(get2("/a?b=c"));
  peer.settle();
  EXPECT_EQ(peer.heard(id).status(), "200");
  EXPECT_EQ(peer.heard(id).body, "GET /a?b=c ");
  EXPECT_EQ(peer.heard(id).field("content-length"), "11");
  EXPECT_TRUE(peer.heard(id).closed);
  EXPECT_EQ(peer.heard(id).code, NGHTTP2_NO_ERROR);
}

TEST_F(Http2SessionTest, ATurnsAnswersLeaveInOneWrite) {
  auto& peer = open();
  const auto before = peer.stream.writes();
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(peer.request(get2("/" + std::to_string(i))));
  peer.settle();
  for (const auto id : ids) EXPECT_TRUE(peer.heard(id).closed);
  EXPECT_EQ(peer.stream.writes() - before, 1U);
}

TEST_F(Http2SessionTest, ReadsABody) {
  auto& peer = open();
  const std::string body(300'000, 'b');
  const auto id = peer.request(post2("/"), body);
  peer.settle();
  peer.settle();
  EXPECT_EQ(peer.heard(id).body.size(), body.size() + 7);
}

TEST_F(Http2SessionTest, NoMoreThanTheWindowWaitsForAHandlerThatDoesNotRead) {
  handler.answer = [this](Exchange& exchange) { return wait_first(exchange, go); };
  auto& peer = open();
  const auto id = peer.request(post2("/"), std::string(1'000'000, 'b'));
  peer.settle();
  EXPECT_EQ(nghttp2_session_get_stream_remote_window_size(peer.client(), id), 0);
  go.set();
  for (int i = 0; i < 4; ++i) peer.settle();
  EXPECT_EQ(peer.heard(id).body.size(), 1'000'007U);
}

TEST_F(Http2SessionTest, UnreadUploadsGiveTheConnectionsWindowBack) {
  handler.answer = [](Exchange& exchange) { return respond_text(exchange, 200, "unread"); };
  auto& peer = open();
  for (int i = 0; i < 20; ++i) {
    const auto id = peer.request(post2("/"), std::string(120'000, 'b'));
    peer.settle();
    EXPECT_EQ(peer.heard(id).body, "unread") << i;
    EXPECT_EQ(peer.heard(id).code, NGHTTP2_NO_ERROR);
  }
}

TEST_F(Http2SessionTest, UploadsThatWereReadGiveTheConnectionsWindowBackToTheLastByte) {
  auto& peer = open();
  for (int i = 0; i < 150; ++i) {
    const auto id = peer.request(post2("/"), std::string(15'000, 'b'));
    peer.settle();
    ASSERT_EQ(peer.heard(id).body.size(), 15'007U) << i;
  }
  // What is not told yet is less than half of the window.
  EXPECT_GT(nghttp2_session_get_remote_window_size(peer.client()), Http2Session::kConnectionWindow / 2);
}

TEST_F(Http2SessionTest, ALargeAnswerWaitsForTheClientsWindow) {
  handler.answer = [](Exchange& exchange) { return answer_large(exchange, 200'000); };
  auto& peer = open(10'000);
  const auto id = peer.request(get2("/"));
  for (int i = 0; i < 10; ++i) peer.settle();
  EXPECT_EQ(peer.heard(id).body.size(), 200'000U);
  EXPECT_TRUE(peer.heard(id).closed);
}

TEST_F(Http2SessionTest, WithTheTransportBlockedOneBlockIsPackedAndNoMore) {
  handler.answer = [](Exchange& exchange) { return answer_large(exchange, 60'000); };
  auto& peer = open();
  peer.stream.open_window(0);
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(peer.request(get2("/")));
  peer.settle();
  const auto before = peer.received();
  peer.stream.open_window(BufferPool::kLarge);
  peer.talk();
  peer.settle();
  EXPECT_LE(peer.received() - before, BufferPool::kLarge);
  peer.stream.open_window(WireStream::kUnlimited);
  for (int i = 0; i < 10; ++i) peer.settle();
  for (const auto id : ids) EXPECT_EQ(peer.heard(id).body.size(), 60'000U);
}

TEST_F(Http2SessionTest, AHeadThatWaitsForRoomIsForgottenWithItsStream) {
  handler.answer = [](Exchange& exchange) {
    return exchange.request.target == "/filler" ? answer_large(exchange, 70'000) : respond_text(exchange, 200, "");
  };
  auto& peer = open(1 << 20);
  peer.stream.open_window(0);
  peer.request(get2("/filler"));
  peer.settle();
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(peer.request(get2("/", {{"x-a", std::string(100, 'a')}})));
  peer.settle();
  for (const auto id : ids) nghttp2_submit_rst_stream(peer.client(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  peer.settle();
  peer.stream.open_window(WireStream::kUnlimited);
  peer.settle();
  const auto after = peer.request(get2("/"));
  peer.settle();
  EXPECT_EQ(peer.heard(after).status(), "200");
}

TEST_F(Http2SessionTest, PiecesOfAnySizeMakeNoDifference) {
  handler.answer = [](Exchange& exchange) { return answer_large(exchange, 3'000); };
  auto& peer = open();
  peer.stream.read_piece = 3;
  peer.stream.write_piece = 7;
  peer.stream.pauses = true;
  const auto first = peer.request(get2("/1"));
  const auto second = peer.request(get2("/2"));
  for (int i = 0; i < 40; ++i) peer.settle();
  EXPECT_EQ(peer.heard(first).body.size(), 3'000U);
  EXPECT_EQ(peer.heard(second).body.size(), 3'000U);
}

Task<> with_trailers(Exchange& exchange) {
  BodyRead body;
  co_await read_all(exchange, body);
  const ResponseHead head = head_of(200);
  exchange.start(head);
  const std::span<const char> text(body.text);
  co_await exchange.write(text, false);
  Fields trailers;
  trailers.add("X-Sum", "1");
  trailers.add("Content-Length", "7");
  co_await exchange.finish(&trailers);
}

TEST_F(Http2SessionTest, TrailersOfAnAnswer) {
  handler.answer = with_trailers;
  auto& peer = open();
  const auto id = peer.request(post2("/"), "content");
  const auto empty = peer.request(get2("/"));
  peer.settle();
  EXPECT_EQ(peer.heard(id).body, "content");
  EXPECT_THAT(peer.heard(id).trailers, ElementsAre(Pair("x-sum", "1")));
  EXPECT_THAT(peer.heard(empty).trailers, ElementsAre(Pair("x-sum", "1")));
  EXPECT_TRUE(peer.heard(empty).closed);
}

Task<> cut_short(Exchange& exchange) {
  const ResponseHead head = head_of(200, 10);
  const std::string_view text = "half";
  const std::span<const char> body(text.data(), text.size());
  co_await exchange.respond(head, body);
}

TEST_F(Http2SessionTest, AnAnswerShorterThanDeclaredIsAReset) {
  handler.answer = cut_short;
  auto& peer = open();
  const auto id = peer.request(get2("/"));
  peer.settle();
  EXPECT_EQ(peer.heard(id).code, NGHTTP2_INTERNAL_ERROR);
  EXPECT_FALSE(peer.ended());
}

TEST_F(Http2SessionTest, ARefusalLeavesTheOthersAlone) {
  handler.limits.max_headers = 3;
  auto& peer = open();
  const auto good = peer.request(get2("/good"));
  const auto bad = peer.request(get2("/bad", {{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}));
  peer.settle();
  EXPECT_EQ(peer.heard(good).status(), "200");
  EXPECT_EQ(peer.heard(bad).status(), "431");
  EXPECT_THAT(handler.refusals, ElementsAre("431 too_many_headers GET /bad"));
  EXPECT_TRUE(peer.goaways().empty());
}

// --- ends -----------------------------------------------------------------------------------------------------------

TEST_F(Http2SessionTest, ADepartureIsSeen) {
  bool departed = false;
  handler.answer = [&](Exchange& exchange) {
    return [](Exchange& e, bool& d) -> Task<> { d = co_await e.departed(); }(exchange, departed);
  };
  auto& peer = open();
  const auto id = peer.request(get2("/"));
  peer.settle();
  EXPECT_FALSE(departed);
  nghttp2_submit_rst_stream(peer.client(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  peer.settle();
  EXPECT_TRUE(departed);
  EXPECT_FALSE(peer.ended());
}

/// Notes what it is told, and lets its exchange wait for `go`.
struct Watching final : Exchange::Onlooker {
  explicit Watching(Loop& loop) : go(loop) {}
  void client_departed(const Error& error) override { reasons.emplace_back(error.reason); }
  Task<> answer(Exchange& exchange) {
    EXPECT_TRUE(exchange.watch(this));
    co_await go.wait(kNoDeadline);
    const ResponseHead head = head_of(200, 0);
    co_await exchange.respond(head, {});
  }
  Event go;
  std::vector<std::string> reasons;
};

TEST_F(Http2SessionTest, AnOnlookerIsToldAtOnceAndWhileTheBodyIsOnItsWay) {
  Watching resetting(loop);
  Watching leaving(loop);
  handler.answer = [&](Exchange& exchange) {
    return exchange.request.target == "/reset" ? resetting.answer(exchange) : leaving.answer(exchange);
  };
  auto& peer = open();
  const auto id = peer.request(post2("/reset"), "begun", true);
  peer.request(post2("/leave"), "begun", true);
  peer.settle();
  peer.more(id, "and ended", true);  // its half is closed: it waits for its answer
  peer.settle();
  EXPECT_TRUE(resetting.reasons.empty());
  nghttp2_submit_rst_stream(peer.client(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  peer.settle();
  EXPECT_THAT(resetting.reasons, ElementsAre("client_reset"));
  EXPECT_TRUE(leaving.reasons.empty());
  peer.stream.finish();
  peer.settle();
  EXPECT_THAT(leaving.reasons, ElementsAre("client_closed"));
  resetting.go.set();
  leaving.go.set();
  peer.run();
  EXPECT_EQ(resetting.reasons.size() + leaving.reasons.size(), 2u);
}

TEST_F(Http2SessionTest, AnOnlookerHearsNothingOfAnAnswerThatWasGiven) {
  Watching watching(loop);
  handler.answer = [&](Exchange& exchange) { return watching.answer(exchange); };
  auto& peer = open();
  const auto id = peer.request(get2("/"));
  peer.settle();
  watching.go.set();
  peer.settle();
  EXPECT_EQ(peer.heard(id).status(), "200");
  EXPECT_TRUE(watching.reasons.empty());
}

TEST_F(Http2SessionTest, TheEndOfTheConnectionEndsEveryWait) {
  handler.answer = [](Exchange& exchange) { return answer_large(exchange, 200'000); };
  auto& peer = open(0);
  peer.request(get2("/waits for a window"));
  handler.answer = echo;
  peer.settle();
  peer.request(post2("/waits for content"), "", true);
  peer.settle();
  peer.stream.finish();
  peer.run();
  EXPECT_TRUE(peer.ended());
}

TEST_F(Http2SessionTest, DrainFinishesWhatIsUnderWay) {
  handler.answer = [this](Exchange& exchange) {
    return exchange.request.target == "/1" ? wait_first(exchange, go) : echo(exchange);
  };
  auto& peer = open();
  const auto first = peer.request(get2("/1"));
  peer.settle();
  peer.session.drain();
  const auto crossing = peer.request(get2("/2"));
  peer.settle();
  EXPECT_THAT(peer.goaways(), ElementsAre(Pair(kAny, NGHTTP2_NO_ERROR), Pair(crossing, NGHTTP2_NO_ERROR)));
  EXPECT_FALSE(peer.ended());
  go.set();
  peer.settle();
  EXPECT_EQ(peer.heard(first).status(), "200");
  EXPECT_EQ(peer.heard(crossing).status(), "200");
  EXPECT_TRUE(peer.stream.shut());
  peer.stream.finish();
  peer.run();
  EXPECT_TRUE(peer.orderly());
}

TEST_F(Http2SessionTest, DrainLetsAConnectionThatHasNotAskedYetAsk) {
  auto& peer = open();
  peer.session.drain();
  peer.settle();
  EXPECT_TRUE(peer.goaways().empty());
  const auto id = peer.request(get2("/first"));
  peer.settle();
  EXPECT_EQ(peer.heard(id).status(), "200");
  EXPECT_FALSE(peer.goaways().empty());  // nghttp2's client reads no further, having nothing under way
  EXPECT_TRUE(peer.stream.shut());
}

TEST_F(Http2SessionTest, AnIdleConnectionIsClosedAfterItsTime) {
  handler.limits.keepalive_timeout = kShort;
  auto& peer = open();
  peer.request(get2("/"));
  peer.settle();
  peer.stream.finish();
  peer.run();
  EXPECT_TRUE(peer.orderly());
}

TEST_F(Http2SessionTest, AClientThatTakesNothingIsLeft) {
  handler.limits.body_idle_timeout = kShort;
  handler.answer = [](Exchange& exchange) { return answer_large(exchange, 60'000); };
  auto& peer = open();
  peer.stream.open_window(0);
  peer.request(get2("/"));
  peer.talk();
  peer.run();
  EXPECT_FALSE(peer.orderly());
  EXPECT_THAT(handler.reasons, ElementsAre("send_timeout"));  // once, and not for the stream as well
}

TEST_F(Http2SessionTest, AStreamWithoutWindowIsBrokenOffAndTheConnectionLives) {
  handler.limits.body_idle_timeout = kShort;
  std::string error;
  handler.answer = [&](Exchange& exchange) {
    return [](Exchange& e, std::string& reason, Loop& turning) -> Task<> {
      const std::string body(1000, 'x');
      const ResponseHead head = head_of(200, body.size());
      const auto sent = co_await e.respond(head, body);
      if (!sent) reason = sent.error().reason;
      turning.stop();
    }(exchange, error, loop);
  };
  auto& peer = open(0);
  const auto id = peer.request(get2("/"));
  peer.settle();
  while (error.empty()) loop.run();
  peer.settle();
  EXPECT_EQ(error, "send_timeout");
  EXPECT_EQ(peer.heard(id).code, NGHTTP2_CANCEL);
  EXPECT_FALSE(peer.ended());
  EXPECT_THAT(handler.reasons, ElementsAre("send_timeout"));
}

TEST_F(Http2SessionTest, FailuresAtEveryOperationEndTheSession) {
  for (std::size_t at = 0; at < 40; ++at) {
    auto& peer = open();
    peer.stream.fail_at = peer.stream.operations() + at;
    peer.request(post2("/"), std::string(100'000, 'b'));
    peer.request(get2("/"));
    for (int i = 0; i < 3 && !peer.ended(); ++i) peer.settle();
    if (!peer.ended()) peer.stream.finish();
    peer.run();
    connection.reset();
  }
}

// --- extended CONNECT -----------------------------------------------------------------------------------------------

Task<> switch_and_echo(Exchange& exchange, std::string& seen) {
  seen = std::string(exchange.request.method_name) + " " + std::string(exchange.request.upgrade) + " " +
         std::to_string(exchange.request.fields.get("Sec-WebSocket-Key").value_or("").size());
  ResponseHead head;
  head.status = 101;
  head.fields.add("Upgrade", "websocket");
  const auto tunnel = co_await exchange.upgrade(head);
  if (!tunnel) co_return;
  std::string block(1000, '\0');
  for (;;) {
    const auto got = co_await read_some(*tunnel->stream, block, kNoDeadline, Side::kDownstream);
    if (!got || *got == 0) break;
    iovec piece{block.data(), *got};
    const auto sent = co_await write_all(*tunnel->stream, {&piece, 1}, exchange.loop(), {}, Side::kDownstream);
    if (!sent) co_return;
  }
  tunnel->stream->shutdown_write();
}

TEST_F(Http2SessionTest, AnExtendedConnectBecomesAnUpgrade) {
  std::string seen;
  handler.answer = [&](Exchange& exchange) { return switch_and_echo(exchange, seen); };
  auto& peer = open(5'000);
  Texts fields = get2("/chat");
  fields[0].second = "CONNECT";
  fields.emplace_back(":protocol", "websocket");
  const auto id = peer.request(fields, "", true);
  peer.settle();
  EXPECT_EQ(seen, "GET websocket 24");
  EXPECT_EQ(peer.heard(id).status(), "200");
  EXPECT_EQ(peer.heard(id).field("upgrade"), "");
  const std::string text(20'000, 't');
  peer.more(id, text, true);
  for (int i = 0; i < 10; ++i) peer.settle();
  EXPECT_EQ(peer.heard(id).body, text);
  EXPECT_TRUE(peer.heard(id).closed);
  EXPECT_EQ(peer.heard(id).code, NGHTTP2_NO_ERROR);
}

}  // namespace
}  // namespace headgate::http
