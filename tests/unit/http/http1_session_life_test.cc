// SPDX-License-Identifier: Apache-2.0
// The life of a connection: deadlines, draining, departures.
#include "http/http1_session.h"
#include "session_fixture.h"

namespace headgate::http {
namespace {

using testing::ElementsAre;

constexpr auto kShort = std::chrono::milliseconds(20);

// --- deadlines ----------------------------------------------------------------------------------------------------

TEST_F(OpenTest, AHeadThatDoesNotArriveInTimeIsRefused) {
  handler.limits.header_timeout = kShort;
  handler.limits.keepalive_timeout = std::chrono::hours(1);
  handler.refused = [this] { connection_->stream.finish(); };
  auto& connection = open(get("/1") + "GET /2 HTTP/1.1\r\nHo");
  connection.run();
  EXPECT_THAT(handler.refusals, ElementsAre("408 header_timeout GET /2"));
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("200 GET /1 ", "408 header_timeout"));
}

TEST_F(OpenTest, DrippingBytesDoNotMoveTheDeadlineOfAHead) {
  handler.limits.header_timeout = kShort;
  handler.refused = [this] { connection_->stream.finish(); };
  auto& connection = open("GET / HTTP/1.1\r\nX: ");
  // As long as the session waits, another byte comes.
  std::size_t sent = 0;
  connection.stream.on_wait_read = [&] {
    if (handler.refusals.empty() && ++sent < 20'000) {
      loop.post([&] { connection.stream.send("x"); });
    }
  };
  connection.stream.send("x");
  connection.run();
  EXPECT_THAT(handler.refusals, ElementsAre("408 header_timeout GET /"));
}

TEST_F(OpenTest, AConnectionThatSendsNothingIsClosed) {
  handler.limits.header_timeout = kShort;
  auto& connection = open();
  EXPECT_TRUE(connection.session.idle());
  connection.run();
  EXPECT_TRUE(connection.orderly());
  EXPECT_EQ(connection.stream.output(), "");
}

TEST_F(OpenTest, AnIdleConnectionIsClosedAfterItsOwnTime) {
  handler.limits.header_timeout = std::chrono::hours(1);
  handler.limits.keepalive_timeout = kShort;
  auto& connection = open(get("/"));
  EXPECT_TRUE(connection.session.idle());
  connection.run();
  EXPECT_TRUE(connection.orderly());
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("200 GET / "));
}

TEST_F(OpenTest, ANewConfigurationsLimitsHoldFromTheNextRequestOn) {
  handler.limits.keepalive_requests = 0;
  auto& connection = open(get("/1"));
  handler.limits.keepalive_requests = 2;
  handler.limits.max_headers = 1;
  send(get("/2", "X: y\r\n"));
  // The limits of the second request were those in force when the first had ended.
  send(get("/3", "X: y\r\n"));
  EXPECT_THAT(handler.seen, ElementsAre("GET /1", "GET /2"));
  EXPECT_THAT(handler.refusals, ElementsAre("431 too_many_headers GET /3"));
  EXPECT_FALSE(connection.ended());  // it lingers
}

TEST_F(OpenTest, OnlyTheLastWholeAnswerIsAnnouncedAsTheEnd) {
  auto& connection = open(get("/1"));
  EXPECT_FALSE(connection.stream.ending());
  send(get("/2", "Connection: close\r\n"));
  EXPECT_TRUE(connection.stream.ending());
  EXPECT_TRUE(connection.ended());
}

TEST_F(OpenTest, ABrokenAnswerIsNotAnnouncedAsTheEnd) {
  handler.answer = [](Exchange& exchange) -> Task<> {
    const ResponseHead head = head_of(200, 100);
    const std::span<const char> body("short", 5);
    co_await exchange.respond(head, body);
  };
  auto& connection = open(get("/", "Connection: close\r\n"));
  EXPECT_TRUE(connection.ended());
  EXPECT_FALSE(connection.orderly());
  EXPECT_FALSE(connection.stream.ending());
}

TEST_F(OpenTest, AClientThatReadsNothingMeetsTheDeadlineOfWriting) {
  handler.limits.body_idle_timeout = kShort;
  connection_ = std::make_unique<Connection>(loop, handler);
  connection_->stream.open_window(10);
  connection_->stream.send(get("/"));
  connection_->run();
  EXPECT_FALSE(connection_->orderly());
  EXPECT_EQ(connection_->stream.output().size(), 10U);
}

// --- drain --------------------------------------------------------------------------------------------------------

TEST_F(OpenTest, DrainServesAConnectionThatHasNotSentItsRequestYet) {
  auto& connection = open();
  connection.session.drain();
  connection.settle();
  EXPECT_FALSE(connection.ended());
  send(get("/1"));
  EXPECT_TRUE(connection.ended());
  EXPECT_TRUE(connection.orderly());
  EXPECT_EQ(answers(connection.stream.output()).at(0).field("connection"), "close");
}

TEST_F(OpenTest, DrainServesAHeadThatHasArrivedInPart) {
  auto& connection = open("GET /1 HTTP/1.1\r\n");
  connection.session.drain();
  connection.settle();
  send("Host: a\r\n\r\n");
  EXPECT_TRUE(connection.ended());
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("200 GET /1 "));
}

TEST_F(OpenTest, DrainClosesAnIdleConnection) {
  auto& connection = open(get("/1"));
  connection.session.drain();
  connection.settle();
  EXPECT_TRUE(connection.ended());
  EXPECT_TRUE(connection.orderly());
}

TEST_F(OpenTest, DrainLosesNoRequestThatHasJustArrived) {
  auto& connection = open(get("/1"));
  // The request and the drain meet in one turn of the loop, in either order.
  connection.stream.send(get("/2"));
  connection.session.drain();
  connection.settle();
  EXPECT_TRUE(connection.ended());
  const auto all = answers(connection.stream.output());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].field("connection"), "close");

  auto& other = open(get("/1"));
  other.session.drain();
  other.stream.send(get("/2"));
  other.settle();
  EXPECT_TRUE(other.ended());
  EXPECT_EQ(answers(other.stream.output()).size(), 2U);
}

TEST_F(OpenTest, DrainDuringARequestMakesItTheLast) {
  handler.answer = [this](Exchange& exchange) { return wait_first(exchange, go); };
  auto& connection = open(get("/1"));
  connection.session.drain();
  connection.settle();
  EXPECT_FALSE(connection.ended());
  go.set();
  connection.settle();
  EXPECT_TRUE(connection.ended());
  EXPECT_EQ(answers(connection.stream.output()).at(0).field("connection"), "close");
}

TEST_F(OpenTest, DrainAfterTheHeadOfTheLastAnswerClosesBehindIt) {
  handler.answer = [](Exchange& exchange) { return respond_text(exchange, 200, "unread"); };
  auto& connection = open("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  // The answer has been sent, the rest of the body is being read away.
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("200 unread"));
  connection.session.drain();
  send("cd");
  EXPECT_TRUE(connection.ended());
}

TEST_F(OpenTest, AnAnnouncedEndLetsAnIdleConnectionAskOnceMore) {
  auto& connection = open(get("/1"));
  connection.session.announce_end();
  connection.settle();
  EXPECT_FALSE(connection.ended());
  send(get("/2"));
  EXPECT_TRUE(connection.ended());
  EXPECT_TRUE(connection.orderly());
  const auto all = answers(connection.stream.output());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].field("connection"), "close");
}

TEST_F(OpenTest, DrainBehindAnAnnouncedEndClosesAnIdleConnection) {
  auto& connection = open(get("/1"));
  connection.session.announce_end();
  connection.session.drain();
  connection.settle();
  EXPECT_TRUE(connection.ended());
  EXPECT_TRUE(connection.orderly());
}

TEST_F(OpenTest, DrainTwiceAndThenCancelEnds) {
  auto& connection = open();
  connection.session.drain();
  connection.session.drain();
  connection.settle();
  EXPECT_FALSE(connection.ended());
  connection.stream.cancel();
  connection.settle();
  EXPECT_TRUE(connection.ended());
}

// --- departures ---------------------------------------------------------------------------------------------------

Task<> watch(Exchange& exchange, std::string& heard) {
  const bool gone = co_await exchange.departed();
  heard = gone ? "gone" : "there";
}

/// Watches the client until `go`, then answers.
Task<> watch_and_answer(Exchange& exchange, Event& go, std::string& heard) {
  Task<> watcher = watch(exchange, heard);
  watcher.start();
  co_await go.wait(kNoDeadline);
  if (!watcher.done()) exchange.cancel_read();
  co_await watcher;
  co_await echo(exchange);
}

class DepartureTest : public OpenTest {
 protected:
  DepartureTest() {
    handler.answer = [this](Exchange& exchange) { return watch_and_answer(exchange, go, heard); };
  }
  std::string heard;
};

TEST_F(DepartureTest, AClientThatLeavesIsNoticed) {
  auto& connection = open(get("/"));
  EXPECT_EQ(heard, "");
  connection.stream.finish();
  connection.settle();
  EXPECT_EQ(heard, "gone");
  go.set();
}

TEST_F(DepartureTest, AResetIsNoticed) {
  auto& connection = open(get("/"));
  connection.stream.reset();
  connection.settle();
  EXPECT_EQ(heard, "gone");
  go.set();
}

TEST_F(DepartureTest, TheNextRequestIsKept) {
  auto& connection = open(get("/1"));
  send(get("/2"));
  EXPECT_EQ(heard, "there");
  go.set();
  connection.settle();
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("200 GET /1 ", "200 GET /2 "));
}

TEST_F(DepartureTest, TheBodyIsKept) {
  auto& connection = open("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
  send("abc" + get("/2"));
  EXPECT_EQ(heard, "there");
  go.set();
  connection.settle();
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("200 POST /1 abc", "200 GET /2 "));
}

TEST_F(DepartureTest, TheWatchCanBeCalledOff) {
  auto& connection = open(get("/1"));
  go.set();
  connection.settle();
  EXPECT_EQ(heard, "there");
  EXPECT_THAT(bodies(connection.stream.output()), ElementsAre("200 GET /1 "));
  EXPECT_TRUE(connection.session.idle());
}

TEST_F(DepartureTest, AHeadThatFillsItsBlockLeavesNoRoomToListen) {
  const std::size_t around = get("/1", "X: \r\n").size();
  auto& connection = open(get("/1", "X: " + std::string(BufferPool::kSmall - around, 'x') + "\r\n"));
  EXPECT_EQ(heard, "there");
  send(get("/2"));
  go.set();
  connection.settle();
  EXPECT_THAT(handler.seen, ElementsAre("GET /1", "GET /2"));
}

}  // namespace
}  // namespace headgate::http
