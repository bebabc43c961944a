// SPDX-License-Identifier: Apache-2.0
// The request's body: read, not read, waited for, too large, broken.
#include "http/http1_session.h"
#include "session_fixture.h"

namespace headgate::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

Task<> ignore_body(Exchange& exchange) {
  return respond_text(exchange, 200, "ignored");
}

Task<> collect(Exchange& exchange, std::vector<std::string>& pieces) {
  for (;;) {
    const auto piece = co_await exchange.read_body();
    if (!piece || piece->empty()) break;
    pieces.emplace_back(piece->data(), piece->size());
  }
  if (exchange.body_finished()) pieces.emplace_back("end");
  co_await respond_text(exchange, 200, "collected");
}

TEST_F(OpenTest, ABodyIsGivenOutAsItArrives) {
  std::vector<std::string> pieces;
  handler.answer = [&](Exchange& exchange) { return collect(exchange, pieces); };
  open("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_THAT(pieces, IsEmpty());
  send("3\r\none");
  EXPECT_THAT(pieces, ElementsAre("one"));
  send("\r\n3");
  send("\r\n");
  EXPECT_THAT(pieces, ElementsAre("one")) << "framing alone is no piece";
  send("two\r\n5\r\nth");
  EXPECT_THAT(pieces, ElementsAre("one", "twoth"));
  send("ree\r\n0\r\n\r\n");
  EXPECT_THAT(pieces, ElementsAre("one", "twoth", "ree", "end"));
}

TEST_F(OpenTest, WhatIsNotReadIsNotTakenFromTheTransport) {
  handler.answer = [this](Exchange& exchange) { return wait_first(exchange, go); };
  auto& connection = open(post("/", std::string(1'000'000, 'x')) + get("/2"));
  EXPECT_GE(connection.stream.unread(), 990'000U);
  go.set();
  connection.settle();
  EXPECT_THAT(handler.seen, ElementsAre("POST /", "GET /2"));
}

TEST_F(OpenTest, RequestsSentAheadAreNotTakenFromTheTransport) {
  handler.answer = [this](Exchange& exchange) { return wait_first(exchange, go); };
  std::string input;
  for (int i = 0; i < 10'000; ++i) input += get("/");
  auto& connection = open(input);
  EXPECT_GE(connection.stream.unread(), input.size() - 8192);
  EXPECT_EQ(handler.seen.size(), 1U);
  go.set();
}

// --- bodies that nobody reads -------------------------------------------------------------------------------------

TEST_F(SessionTest, ASmallBodyThatNobodyWantedIsReadAway) {
  handler.answer = ignore_body;
  const auto served =
      serve(post("/1", std::string(60'000, 'x')) + post_chunked("/2", "3\r\nabc\r\n0\r\nT: 1\r\n\r\n") + get("/3"));
  EXPECT_THAT(served.seen, ElementsAre("POST /1", "POST /2", "GET /3"));
  EXPECT_TRUE(served.orderly);
}

TEST_F(OpenTest, ALargeBodyThatNobodyWantedEndsTheConnectionAfterItsAnswerHasArrived) {
  handler.answer = ignore_body;
  for (const bool chunked : {false, true}) {
    const std::string body(200'000, 'x');
    auto& connection = open(chunked ? post_chunked("/", "30d40\r\n" + body + "\r\n0\r\n\r\n") : post("/", body));
    EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("200 ignored"));
    // The half that says "no more" is closed; the other is read until the client has gone.
    EXPECT_TRUE(connection.stream.shut());
    EXPECT_FALSE(connection.ended());
    EXPECT_EQ(connection.stream.unread(), 0U);
    connection.stream.finish();
    connection.settle();
    EXPECT_TRUE(connection.ended());
    EXPECT_TRUE(connection.orderly());
  }
}

TEST_F(OpenTest, ARefusedUploadIsNotReadAway) {
  handler.answer = [](Exchange& exchange) { return respond_text(exchange, 403, "no"); };
  auto& connection = open("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(answers(connection.stream.output()).at(0).field("connection"), "close");
  EXPECT_TRUE(connection.stream.shut());
}

TEST_F(SessionTest, RequestsThatArriveBeforeACloseAreReadBeforeIt) {
  // A close on unread bytes would be a reset, and could take the answer with it.
  handler.answer = ignore_body;
  Connection connection(loop, handler);
  connection.stream.read_piece = get("/1", "Connection: close\r\n").size();
  connection.start();
  connection.stream.send(get("/1", "Connection: close\r\n") + get("/2"));
  connection.settle();
  EXPECT_EQ(connection.stream.unread(), 0U);
  EXPECT_TRUE(connection.stream.shut());
  connection.stream.finish();
  connection.run();
  EXPECT_THAT(handler.seen, ElementsAre("GET /1"));
}

TEST_F(OpenTest, ABadChunkOfABodyThatNobodyWantedLingersToo) {
  handler.answer = ignore_body;
  auto& connection = open(post_chunked("/", "3\r\nabcX"));
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("200 ignored"));
  EXPECT_TRUE(connection.stream.shut());
  EXPECT_FALSE(connection.ended());
}

// --- Expect: 100-continue -----------------------------------------------------------------------------------------

const std::string kExpecting = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";

TEST_F(OpenTest, AClientThatWaitsIsToldToGoOnWhenItsBodyIsRead) {
  auto& connection = open(kExpecting);
  EXPECT_EQ(connection.stream.output(), kContinue);
  send("abc" + get("/2"));
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("100 ", "200 POST /1 abc", "200 GET /2 "));
  EXPECT_THAT(connection.stream.output(), Not(HasSubstr("Connection: close")));
}

TEST_F(SessionTest, AClientThatDoesNotWaitIsNotTold) {
  const auto served = serve(kExpecting + "abc" + get("/2"), kWays[0]);
  EXPECT_THAT(bodies(served.output), ElementsAre("200 POST /1 abc", "200 GET /2 "));
}

TEST_F(OpenTest, AnAnswerInsteadOf100EndsTheConnection) {
  // Nobody can tell whether the client sends its body now: what follows cannot be read as a request.
  handler.answer = ignore_body;
  auto& connection = open(kExpecting);
  const auto all = answers(connection.stream.output());
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].status, 200);
  EXPECT_EQ(all[0].field("connection"), "close");
  send("GET /evil HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(handler.seen, ElementsAre("POST /1"));
}

TEST_F(OpenTest, ALimitIsToldBefore100) {
  handler.answer = [](Exchange& exchange) {
    exchange.limit_body(2);
    return echo(exchange);
  };
  auto& connection = open(kExpecting);
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("400 POST /1 !body_too_large"));
}

/// Answers when `go` says so, while another task reads the body.
Task<> answer_beside_reader(Exchange& exchange, Event& go) {
  BodyRead body;
  Task<> reader = read_all(exchange, body);
  reader.start();
  co_await go.wait(kNoDeadline);
  co_await respond_text(exchange, 200, "early");
  exchange.cancel_read();
  co_await reader;
}

TEST_F(OpenTest, An100ThatTheTransportDoesNotTakeDoesNotMeetTheAnswer) {
  for (const std::size_t window : {0UL, 1UL, 24UL}) {
    go.clear();
    handler.answer = [this](Exchange& exchange) { return answer_beside_reader(exchange, go); };
    connection_ = std::make_unique<Connection>(loop, handler);
    auto& connection = *connection_;
    connection.stream.open_window(window);
    connection.start();
    send(kExpecting);
    go.set();
    connection.settle();
    EXPECT_EQ(connection.stream.output(), kContinue.substr(0, window));
    connection.stream.open_window(WireStream::kUnlimited);
    connection.settle();
    EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("100 ", "200 early"));
    connection.stream.finish();
    connection.settle();
    EXPECT_TRUE(connection.ended()) << "no task may wait for ever";
  }
}

Task<> interim_then_read(Exchange& exchange) {
  ResponseHead hints;
  hints.status = 103;
  const auto sent = co_await exchange.send_interim(hints);
  EXPECT_TRUE(sent.has_value());
  co_await echo(exchange);
}

TEST_F(OpenTest, An100FollowsAnotherInterimAnswer) {
  handler.answer = interim_then_read;
  auto& connection = open(kExpecting);
  EXPECT_EQ(connection.stream.output(), "HTTP/1.1 103 Early Hints\r\n\r\n" + std::string(kContinue));
  send("abc");
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("103 ", "100 ", "200 POST /1 abc"));
}

// --- limits and broken bodies -------------------------------------------------------------------------------------

TEST_F(SessionTest, BodiesAreLimitedInBothFramings) {
  handler.answer = [](Exchange& exchange) {
    exchange.limit_body(5);
    return echo(exchange);
  };
  EXPECT_THAT(bodies(serve(post("/", "12345") + post_chunked("/", "5\r\n12345\r\n0\r\n\r\n")).output),
              ElementsAre("200 POST / 12345", "200 POST / 12345"));
  EXPECT_THAT(bodies(serve(post("/", "123456")).output), ElementsAre("400 POST / !body_too_large"));
  EXPECT_THAT(bodies(serve(post_chunked("/", "6\r\n123456\r\n0\r\n\r\n"), kWays[0]).output),
              ElementsAre("400 POST / !body_too_large"));
  EXPECT_THAT(bodies(serve(post_chunked("/", "3\r\n123\r\n3\r\n456\r\n"), kWays[3]).output),
              ElementsAre("400 POST / !body_too_large"));
}

TEST_F(SessionTest, ABodyThatBreaksOffIsAnError) {
  for (const auto& way : kWays) {
    EXPECT_THAT(bodies(serve("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1234", way).output),
                ElementsAre("400 POST / !client_closed"));
    EXPECT_THAT(bodies(serve(post_chunked("/", "5\r\n12345\r\n0\r\n"), way).output),
                ElementsAre("400 POST / !client_closed"));
  }
}

TEST_F(SessionTest, ABadChunkIsAnErrorAndEndsTheConnection) {
  for (const auto& way : kWays) {
    const auto served = serve(post_chunked("/", "5\r\n12345X\r\n0\r\n\r\n") + get("/evil"), way);
    EXPECT_THAT(bodies(served.output), ElementsAre("400 POST / !bad_chunk"));
    EXPECT_EQ(answers(served.output).at(0).field("connection"), "close");
    EXPECT_THAT(served.seen, ElementsAre("POST /"));
  }
}

TEST_F(OpenTest, ASlowBodyMeetsItsDeadline) {
  handler.limits.body_idle_timeout = std::chrono::milliseconds(20);
  connection_ = std::make_unique<Connection>(loop, handler);
  BodyRead body;
  handler.answer = [&](Exchange& exchange) { return read_all(exchange, body); };
  connection_->stream.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1234");
  connection_->run();
  EXPECT_EQ(body.text, "1234");
  EXPECT_EQ(body.error, "body_timeout");
}

TEST_F(OpenTest, AReaderCanBeCancelledAndTheConnectionGoesOn) {
  handler.answer = [this](Exchange& exchange) { return answer_beside_reader(exchange, go); };
  auto& connection = open("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n123");
  EXPECT_TRUE(connection.stream.has_reader());
  go.set();
  connection.settle();
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("200 early"));
  handler.answer = echo;
  send("45" + get("/2"));
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("200 early", "200 GET /2 "));
}

}  // namespace
}  // namespace headgate::http
