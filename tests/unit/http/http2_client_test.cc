// SPDX-License-Identifier: Apache-2.0
// The client's connection against nghttp2's server, in memory.
#include "http/http2_client.h"

#include "client_fixture.h"
#include "http2_server_peer.h"

namespace headgate::http {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Pair;
using Fate = ClientExchange::Fate;
using namespace std::chrono_literals;

constexpr Error kReset{Errc::kReset, Side::kUpstream, ""};

/// One request and what came of it. It lives no longer than the connection.
struct Call {
  ClientExchangePtr exchange;
  Reply reply;
  bool done = false;
};

Task<Result<>> send(Call& call, std::span<const char> body) {
  return body.empty() ? call.exchange->finish(nullptr) : call.exchange->write(body, true);
}

Task<> ask(Loop& loop, Call& call, RequestHead head, std::string body) {
  head.body = body.empty() ? BodyKind::kNone : BodyKind::kChunked;
  call.exchange->start(head);
  const auto sent = co_await send(call, body);
  if (!sent) call.reply.error = sent.error().reason;
  if (sent) co_await read_answer(*call.exchange, kNoDeadline, call.reply);
  call.done = true;
  loop.stop();
}

class Http2ClientTest : public testing::Test {
 protected:
  Http2ClientTest() { limits.idle_timeout = 1h; }

  OriginPeer& open(Texts settings = {}) {
    peer = std::make_unique<OriginPeer>(loop, limits, std::move(settings));
    peer->start();
    return *peer;
  }
  Call& call(RequestHead head = get_request(), std::string body = {}) {
    calls.push_back(std::make_unique<Call>());
    Call& made = *calls.back();
    made.exchange = peer->client->begin();
    group.spawn(ask(loop, made, head, std::move(body)));
    return made;
  }
  void TearDown() override {
    if (peer) peer->client->cancel();
    if (peer && !peer->ended()) peer->settle();
    calls.clear();
    peer.reset();
  }

  Loop loop;
  Http2Client::Limits limits;
  std::unique_ptr<OriginPeer> peer;
  TaskGroup group{loop};
  std::vector<std::unique_ptr<Call>> calls;
};

const Texts kOk{{":status", "200"}};

TEST_F(Http2ClientTest, AsksAndHears) {
  auto& origin = open();
  RequestHead head = request_of(Method::kPost, "POST", "/a?b=c");
  head.fields.add("X-Name", "value");
  head.takes_trailers = true;
  Call& one = call(head, "hello");
  origin.settle();
  EXPECT_THAT(origin.asked(1).fields,
              ElementsAre(Pair(":method", "POST"), Pair(":scheme", "http"), Pair(":authority", "origin:1"),
                          Pair(":path", "/a?b=c"), Pair("x-name", "value"), Pair("te", "trailers")));
  EXPECT_EQ(origin.asked(1).body, "hello");
  EXPECT_TRUE(origin.asked(1).ended);
  origin.respond(1, {{":status", "201"}, {"x-a", "b"}}, "answer", false, {{"x-sum", "1"}});
  origin.settle();
  EXPECT_TRUE(one.done);
  EXPECT_EQ(one.reply.status, 201);
  EXPECT_EQ(one.reply.fields, "x-a=b;");
  EXPECT_EQ(one.reply.body, "answer");
  EXPECT_EQ(one.reply.trailers, "x-sum=1;");
  EXPECT_TRUE(one.exchange->reusable());
}

TEST_F(Http2ClientTest, ATurnsRequestsLeaveInOneWrite) {
  auto& origin = open();
  const auto before = origin.stream().writes();
  for (int i = 0; i < 20; ++i) call();
  origin.settle();
  EXPECT_EQ(origin.stream().writes() - before, 1U);
  EXPECT_TRUE(origin.asked(39).ended);
}

TEST_F(Http2ClientTest, TakesNoMoreThanTheOriginDoes) {
  auto& origin = open({{"3", "2"}});
  EXPECT_EQ(origin.client->places(), 2U);
  Call& first = call();
  call();
  EXPECT_FALSE(origin.client->has_place());
  origin.settle();
  origin.respond(1, kOk);
  origin.settle();
  first.exchange.reset();
  EXPECT_TRUE(origin.client->has_place());
}

TEST_F(Http2ClientTest, NoPlaceBeforeSettings) {
  peer = std::make_unique<OriginPeer>(loop, limits);
  peer->answers = false;
  peer->start();
  EXPECT_FALSE(peer->client->has_place());
  peer->answers = true;
  peer->settle();
  EXPECT_TRUE(peer->client->has_place());
}

// --- flow control ---------------------------------------------------------------------------------------------------

TEST_F(Http2ClientTest, NoMoreThanTheWindowWaitsForAReaderThatDoesNotRead) {
  auto& origin = open();
  auto exchange = origin.client->begin();
  exchange->start(get_request());
  EXPECT_TRUE(exchange->finish(nullptr).done());
  origin.settle();
  origin.respond(1, kOk, std::string(1'000'000, 'x'));
  origin.settle();
  EXPECT_EQ(nghttp2_session_get_stream_remote_window_size(origin.server(), 1), 0);
  exchange.reset();
  origin.settle();
  EXPECT_TRUE(origin.asked(1).closed);
  EXPECT_EQ(origin.asked(1).code, NGHTTP2_CANCEL);
}

TEST_F(Http2ClientTest, AnswersThatNobodyReadGiveTheirWindowBack) {
  auto& origin = open();
  for (std::int32_t id = 1; id < 600; id += 2) {
    auto exchange = origin.client->begin();
    exchange->start(get_request());
    EXPECT_TRUE(exchange->finish(nullptr).done());
    origin.settle();
    origin.respond(id, kOk, std::string(100'000, 'x'));
    origin.settle();
    exchange.reset();
    origin.settle();
  }
  EXPECT_GT(nghttp2_session_get_remote_window_size(origin.server()), Http2Client::kConnectionWindow / 2);
}

TEST_F(Http2ClientTest, AWriterWaitsForTheOriginsWindow) {
  auto& origin = open();
  nghttp2_session_set_local_window_size(origin.server(), NGHTTP2_FLAG_NONE, 0, 1 << 20);
  const std::string body(300'000, 'b');
  Call& one = call(request_of(Method::kPost, "POST"), body);
  origin.settle();
  for (int i = 0; i < 10; ++i) origin.settle();
  EXPECT_EQ(origin.asked(1).body.size(), body.size());
  origin.respond(1, kOk);
  origin.settle();
  EXPECT_EQ(one.reply.status, 200);
}

// --- the ends -------------------------------------------------------------------------------------------------------

TEST_F(Http2ClientTest, WhatIsRefusedIsUntouched) {
  auto& origin = open();
  Call& one = call();
  origin.settle();
  nghttp2_submit_rst_stream(origin.server(), NGHTTP2_FLAG_NONE, 1, NGHTTP2_REFUSED_STREAM);
  origin.settle();
  EXPECT_EQ(one.reply.error, "upstream_refused_stream");
  EXPECT_EQ(one.exchange->fate(kReset), Fate::kUntouched);
  EXPECT_FALSE(origin.client->has_place());
}

TEST_F(Http2ClientTest, WhatIsResetIsNot) {
  auto& origin = open();
  Call& one = call();
  origin.settle();
  nghttp2_submit_rst_stream(origin.server(), NGHTTP2_FLAG_NONE, 1, NGHTTP2_INTERNAL_ERROR);
  origin.settle();
  EXPECT_EQ(one.reply.error, "upstream_reset_stream");
  EXPECT_EQ(one.exchange->fate(kReset), Fate::kUnknown);
  EXPECT_TRUE(origin.client->has_place());
}

TEST_F(Http2ClientTest, AGoawayLeavesThoseAboveUntouchedAndTheOthersEnd) {
  auto& origin = open();
  Call& first = call();
  Call& second = call();
  origin.settle();
  nghttp2_submit_goaway(origin.server(), NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR, nullptr, 0);
  origin.settle();
  EXPECT_EQ(second.exchange->fate(kReset), Fate::kUntouched);
  EXPECT_FALSE(first.done);
  EXPECT_FALSE(origin.client->has_place());
  origin.respond(1, kOk, "x");
  origin.settle();
  EXPECT_EQ(first.reply.body, "x");
  calls.clear();
  origin.settle();
  EXPECT_TRUE(origin.ended());
}

TEST_F(Http2ClientTest, AConnectionThatEndsLosesWhatHadNoAnswer) {
  auto& origin = open();
  Call& silent = call();
  Call& begun = call();
  origin.settle();
  origin.respond(3, kOk, "part", true);
  origin.settle();
  origin.stream().finish();
  origin.settle();
  EXPECT_EQ(silent.reply.error, "upstream_closed");
  EXPECT_EQ(silent.exchange->fate(kReset), Fate::kLost);
  EXPECT_EQ(begun.reply.error, "upstream_truncated");
  EXPECT_EQ(begun.exchange->fate(kReset), Fate::kUnknown);
}

TEST_F(Http2ClientTest, CancelResetsTheStreamAndNotTheConnection) {
  auto& origin = open();
  Call& one = call();
  Call& other = call();
  origin.settle();
  one.exchange->cancel();
  origin.settle();
  EXPECT_EQ(one.reply.error, "cancelled");
  EXPECT_EQ(origin.asked(1).code, NGHTTP2_CANCEL);
  origin.respond(3, kOk);
  origin.settle();
  EXPECT_EQ(other.reply.status, 200);
}

TEST_F(Http2ClientTest, AnEarlyAnswerIsWholeThoughTheUploadIsNot) {
  auto& origin = open();
  const std::string body(200'000, 'b');
  auto exchange = origin.client->begin();
  RequestHead head = request_of(Method::kPost, "POST");
  head.body = BodyKind::kChunked;
  exchange->start(head);
  Task<Result<>> write = exchange->write(body, true);
  write.start();
  Reply reply;
  group.spawn(read_answer(*exchange, kNoDeadline, reply));
  origin.settle();
  origin.respond(1, kOk, "enough");
  origin.settle();
  nghttp2_submit_rst_stream(origin.server(), NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR);
  origin.settle();
  EXPECT_EQ(reply.body + reply.error, "enough");
  EXPECT_TRUE(write.done());
}

TEST_F(Http2ClientTest, AfterItsLastRequestItSaysGoodbye) {
  limits.max_requests = 1;
  auto& origin = open();
  Call& one = call();
  EXPECT_FALSE(origin.client->has_place());
  origin.settle();
  origin.respond(1, kOk);
  origin.settle();
  EXPECT_EQ(one.reply.status, 200);
  calls.clear();
  origin.settle();
  EXPECT_TRUE(origin.ended());
}

TEST_F(Http2ClientTest, IdleItEnds) {
  limits.idle_timeout = 20ms;
  auto& origin = open();
  origin.run();
  EXPECT_TRUE(origin.ended());
}

TEST_F(Http2ClientTest, RetireLetsWhatIsUnderWayEnd) {
  auto& origin = open();
  Call& one = call();
  origin.settle();
  origin.client->retire();
  EXPECT_FALSE(origin.client->has_place());
  origin.respond(1, kOk);
  origin.settle();
  EXPECT_EQ(one.reply.status, 200);
  calls.clear();
  origin.settle();
  EXPECT_TRUE(origin.ended());
}

// --- silence --------------------------------------------------------------------------------------------------------

TEST_F(Http2ClientTest, ASilentOriginThatAnswersNoPingIsGivenUp) {
  limits.silence = limits.ping_timeout = 20ms;
  auto& origin = open();
  Call& one = call();
  origin.settle();
  origin.answers = false;
  while (!one.done) loop.run();
  EXPECT_EQ(one.reply.error, "upstream_ping_timeout");
}

TEST_F(Http2ClientTest, OneThatAnswersIsNotAskedAgainSoon) {
  limits.silence = limits.ping_timeout = 5ms;
  auto& origin = open();
  Call& one = call();
  TimePoint until = Clock::now() + 200ms;
  while (Clock::now() < until) origin.settle();
  EXPECT_FALSE(one.done);
  origin.respond(1, kOk);
  origin.settle();
  EXPECT_EQ(one.reply.status, 200);
}

// --- hostile origins ------------------------------------------------------------------------------------------------

TEST_F(Http2ClientTest, InterimHeadsAreGivenInTurnAndBounded) {
  auto& origin = open();
  Call& one = call();
  Call& flood = call();
  origin.settle();
  origin.interim(1, {{":status", "103"}, {"link", "a"}});
  origin.interim(1, {{":status", "103"}, {"link", "b"}});
  for (unsigned i = 0; i <= kMaxInterim; ++i) origin.interim(3, {{":status", "103"}});
  origin.respond(1, kOk);
  origin.settle();
  EXPECT_THAT(one.reply.interim, ElementsAre(103, 103));
  EXPECT_EQ(one.reply.status, 200);
  EXPECT_EQ(flood.reply.error, "upstream_bad_response");
  EXPECT_TRUE(origin.client->has_place());
}

TEST_F(Http2ClientTest, AHeadBeyondTheLimitsBreaksItsStreamOnly) {
  auto& origin = open();
  Call& large = call();
  Call& many = call();
  Call& other = call();
  origin.settle();
  Texts fields = kOk;
  for (int i = 0; i < 200; ++i) fields.emplace_back("x", std::string(300, 'a'));  // and 32 for each
  origin.respond(1, fields);
  fields = kOk;
  for (std::size_t i = 0; i <= kMaxOriginFields; ++i) fields.emplace_back("x", "");
  origin.respond(3, fields);
  origin.respond(5, kOk, "fine");
  origin.settle();
  EXPECT_EQ(large.reply.error, "upstream_header_too_large");
  EXPECT_EQ(many.reply.error, "upstream_header_too_large");
  EXPECT_EQ(other.reply.body, "fine");
}

TEST_F(Http2ClientTest, WhatIsNoHttp2IsToldBeforeAnythingIsSent) {
  peer = std::make_unique<OriginPeer>(loop, limits);
  peer->answers = false;
  peer->stream().send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  Result<> outcome;
  peer->start();
  group.spawn([](Http2Client& client, Result<>& out) -> Task<> { out = co_await client.ready(kNoDeadline); }(
                                                         *peer->client, outcome));
  peer->run();
  ASSERT_FALSE(outcome);
  EXPECT_STREQ(outcome.error().reason, "upstream_not_http2");
}

}  // namespace
}  // namespace headgate::http
