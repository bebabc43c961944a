// SPDX-License-Identifier: Apache-2.0
// One request after another: keep-alive, pipelining, refusals.
#include "http/http1_session.h"

#include "session_fixture.h"

namespace headgate::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST_F(SessionTest, AnswersOneRequest) {
  const auto served = serve(get("/x?y"));
  EXPECT_TRUE(served.orderly);
  EXPECT_FALSE(served.aborted);
  EXPECT_EQ(served.output, with_date("HTTP/1.1 200 OK", "Content-Length: 9\r\n\r\nGET /x?y "));
}

Task<> respond_without_date(Exchange& exchange) {
  ResponseHead head;
  head.content_length = 0;
  co_await exchange.respond(head, {});
}

TEST_F(SessionTest, ADateIsAddedWhereThereIsNone) {
  handler.answer = respond_without_date;
  const auto served = serve(get("/"), kWays[0]);
  EXPECT_THAT(answers(served.output).at(0).field("date"), testing::EndsWith(" GMT"));
}

TEST_F(SessionTest, NothingIsNothing) {
  EXPECT_EQ(serve(""), (Served{"", true, false, {}, {}, 0}));
  EXPECT_EQ(serve("\r\n"), (Served{"", true, false, {}, {}, 0}));
  EXPECT_EQ(serve("GET / HTTP/1.1\r\nHost: a\r\n"), (Served{"", true, false, {}, {}, 0}));
}

// --- keep-alive and pipelining ------------------------------------------------------------------------------------

TEST_F(SessionTest, RequestsInOneSegmentAreAnsweredInTheirOrder) {
  const std::string input = get("/1") + post("/2", "two") + "\r\n" + get("/3") +
                            post_chunked("/4", "2\r\nfo\r\n2\r\nur\r\n0\r\nT: v\r\n\r\n") + get("/5");
  const auto served = serve(input);
  EXPECT_THAT(bodies(served.output),
              ElementsAre("200 GET /1 ", "200 POST /2 two", "200 GET /3 ", "200 POST /4 four T=v", "200 GET /5 "));
  EXPECT_THAT(served.output, Not(HasSubstr("Connection:")));
  EXPECT_TRUE(served.orderly);
}

TEST_F(SessionTest, ASecondRequestMayBeCutAnywhere) {
  const std::string input = post_chunked("/1", "3;x=y\r\none\r\n0\r\nT: v\r\n\r\n") + post("/2", "two") + get("/3");
  const auto whole = serve(input, kWays[0]);
  ASSERT_THAT(bodies(whole.output), ElementsAre("200 POST /1 one T=v", "200 POST /2 two", "200 GET /3 "));
  for (std::size_t cut = 0; cut <= input.size(); ++cut) {
    Connection connection(loop, handler);
    connection.start();
    connection.stream.send(std::string_view(input).substr(0, cut));
    connection.settle();
    connection.stream.send(std::string_view(input).substr(cut));
    connection.settle();
    ASSERT_EQ(connection.stream.output(), whole.output) << "cut at " << cut;
    EXPECT_TRUE(connection.session.idle());
    connection.stream.finish();
    connection.run();
    EXPECT_TRUE(connection.orderly());
  }
}

TEST_F(SessionTest, BytesBehindAChunkedBodyOfManyReadsAreTheNextHead) {
  // The body fills the block behind the head and goes on in another, from which the next request is then taken.
  std::string chunks;
  for (int i = 0; i < 40; ++i) chunks += "100\r\n" + std::string(256, static_cast<char>('a' + i % 26)) + "\r\n";
  const std::string input = post_chunked("/1", chunks + "0\r\n\r\n") + get("/2") + post("/3", "three") + get("/4");
  const auto served = serve(input);
  ASSERT_EQ(served.seen.size(), 4U);
  EXPECT_THAT(bodies(served.output), ElementsAre(testing::_, "200 GET /2 ", "200 POST /3 three", "200 GET /4 "));
}

TEST_F(SessionTest, ManyRequestsAheadAreServedWithoutBeingHeld) {
  std::string input;
  for (int i = 0; i < 2000; ++i) input += get("/" + std::to_string(i), "X-Filler: " + std::string(100, 'x') + "\r\n");
  const auto served = serve(input, kWays[0]);
  EXPECT_EQ(served.seen.size(), 2000U);
  EXPECT_EQ(served.seen.back(), "GET /1999");
  EXPECT_TRUE(served.orderly);
}

TEST_F(SessionTest, ConnectionCloseEndsIt) {
  const auto served = serve(get("/1", "Connection: close\r\n") + get("/2"));
  EXPECT_THAT(served.seen, ElementsAre("GET /1"));
  EXPECT_EQ(answers(served.output).at(0).field("connection"), "close");
  EXPECT_TRUE(served.orderly);
}

TEST_F(SessionTest, AHandlerMayCloseAfterItsAnswer) {
  handler.answer = [](Exchange& exchange) {
    exchange.close_after();
    return echo(exchange);
  };
  const auto served = serve(get("/1") + get("/2"));
  EXPECT_THAT(served.seen, ElementsAre("GET /1"));
  EXPECT_EQ(answers(served.output).at(0).field("connection"), "close");
}

TEST_F(SessionTest, TheLastOfTheRequestsAllowedSaysSo) {
  handler.limits.keepalive_requests = 3;
  const auto served = serve(get("/1") + get("/2") + get("/3") + get("/4"));
  EXPECT_THAT(served.seen, ElementsAre("GET /1", "GET /2", "GET /3"));
  const auto all = answers(served.output);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1].field("connection"), "(none)");
  EXPECT_EQ(all[2].field("connection"), "close");
}

TEST_F(SessionTest, Http10EndsUnlessAskedNotTo) {
  const std::string keep = "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  const auto served = serve(keep + keep + "GET /2 HTTP/1.0\r\n\r\n" + keep);
  EXPECT_THAT(served.seen, ElementsAre("GET /1", "GET /1", "GET /2"));
  const auto all = answers(served.output);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].field("connection"), "keep-alive");
  EXPECT_EQ(all[2].field("connection"), "close");
}

TEST_F(SessionTest, OneClientThatSendsAheadLeavesTheOthersTheirTurn) {
  Connection connection(loop, handler);
  std::string input;
  for (int i = 0; i < 5000; ++i) input += get("/");
  connection.stream.send(input);
  connection.stream.finish();
  connection.start();  // returns when the session waits or yields
  EXPECT_LT(handler.seen.size(), 1000U);
  connection.run();
  EXPECT_EQ(handler.seen.size(), 5000U);
}

// --- refusals -----------------------------------------------------------------------------------------------------

TEST_F(SessionTest, WhatIsNoRequestIsRefusedAndTheConnectionEnds) {
  const auto served = serve(get("/1") + "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\nbody" + get("/3"));
  EXPECT_THAT(served.seen, ElementsAre("GET /1"));
  ASSERT_EQ(served.refusals.size(), 1U);
  EXPECT_THAT(served.refusals[0], testing::StartsWith("400 "));
  EXPECT_THAT(served.refusals[0], testing::EndsWith(" POST /2"));
  const auto all = answers(served.output);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].status, 400);
  EXPECT_EQ(all[1].field("connection"), "close");
}

TEST_F(SessionTest, EachKindOfRefusalHasItsStatus) {
  handler.limits.max_header_bytes = 4096;
  handler.limits.max_headers = 3;
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  struct {
    std::string input;
    const char* refusal;
  } const cases[] = {
      {"GET /" + std::string(5000, 'a') + " HTTP/1.1\r\n\r\n", "414 uri_too_long GET /"},
      {head + "X: " + std::string(5000, 'x') + "\r\n\r\n", "431 header_too_large GET /"},
      {head + "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", "431 too_many_headers GET /"},
      {"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", "501 method_not_implemented BREW /pot"},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 version_not_supported GET /"},
      {"GET /x HTTP/1.1\r\n\r\n", "400 missing_host GET /x"},
      {"\r\n\x16\x03\x01 x", "400 bad_request \x16\x03\x01 x"},
  };
  for (const auto& c : cases) {
    const auto whole = serve(c.input, kWays[0]);
    ASSERT_EQ(whole.refusals.size(), 1U) << c.input;
    EXPECT_EQ(whole.refusals[0].substr(0, std::string_view(c.refusal).size()), c.refusal);
    EXPECT_THAT(whole.seen, IsEmpty());
    EXPECT_EQ(answers(whole.output).at(0).status, std::stoi(c.refusal));
    // How much of the request can be told depends on what has arrived; the answer does not.
    for (const auto& way : kWays) EXPECT_EQ(serve(c.input, way).output, whole.output) << way.name;
  }
}

TEST_F(SessionTest, ARefusedHeadRequestGetsNoContent) {
  const auto served = serve("HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
  const auto all = answers(served.output, {"HEAD"});
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].status, 400);
}

TEST_F(SessionTest, AHeadMayGrowUpToItsLimit) {
  handler.limits.max_header_bytes = 32 * 1024;
  for (const std::size_t size : {4000UL, 4096UL, 4200UL, 16'000UL, 17'000UL, 32'000UL}) {
    const auto served = serve(get("/1", "X: " + std::string(size - 40, 'x') + "\r\n") + get("/2"), kWays[0]);
    EXPECT_THAT(served.seen, ElementsAre("GET /1", "GET /2")) << size;
    const auto in_pieces = serve(get("/1", "X: " + std::string(size - 40, 'x') + "\r\n") + get("/2"), kWays[5]);
    EXPECT_EQ(in_pieces, served);
  }
}

}  // namespace
}  // namespace headgate::http
