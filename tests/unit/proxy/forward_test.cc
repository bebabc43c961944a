// SPDX-License-Identifier: Apache-2.0
// Forwarding through a real worker: what reaches the origin, what the client is told, and what the log says.
#include "proxy/handlers/forward.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "proxy/handlers/body_copy.h"
#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

std::string yaml(const std::vector<std::string>& servers, const std::string& upstream = "",
                 const std::string& route = "", const std::string& rest = "") {
  std::string list;
  for (const auto& server : servers) list += (list.empty() ? "\"" : ", \"") + server + "\"";
  return "upstreams: { api: { servers: [" + list + "]" + (upstream.empty() ? "" : ", " + upstream) + " } }\n" +
         "sites: [{ routes: [{ path: /*, proxy: api" + (route.empty() ? "" : ", " + route) + " }] }]\n" + rest;
}

class ForwardTest : public ::testing::Test {
 protected:
  std::string with(const std::string& upstream = "", const std::string& route = "", const std::string& rest = "") {
    return yaml({origin.address()}, upstream, route, rest);
  }

  /// Leaves a kept connection to the origin behind.
  Peer warm_up(Edge& edge) {
    Peer client = edge.client();
    client.send(kGet);
    Peer server = origin.accept();
    server.read();
    server.send(kOk);
    EXPECT_EQ(client.read().status(), 200);
    return server;
  }

  Origin origin;
};

// --- the main line --------------------------------------------------------------------------------------------------

TEST_F(ForwardTest, PassesRequestAndAnswer) {
  Edge edge(with());
  Peer client = edge.client();
  client.send(
      "POST /a?b=c HTTP/1.1\r\nHost: shop.example\r\nX-Custom: 1\r\nConnection: x-secret\r\nX-Secret: 2\r\n"
      "X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX-Request-Id: trace\r\nContent-Length: 4\r\n\r\nbody");
  Peer server = origin.accept();
  const auto request = server.read();
  EXPECT_TRUE(request.head.starts_with("POST /a?b=c HTTP/1.1\r\nHost: shop.example\r\n")) << request.head;
  EXPECT_EQ(request.body, "body");
  EXPECT_EQ(request.field("X-Custom"), "1");
  EXPECT_EQ(request.field("X-Secret"), "<none>");
  EXPECT_EQ(request.field("X-Forwarded-For"), "127.0.0.1");
  EXPECT_EQ(request.field("X_Forwarded_For"), "<none>");
  EXPECT_EQ(request.field("X-Forwarded-Proto"), "http");
  EXPECT_EQ(request.field("X-Request-Id"), "trace");
  server.send("HTTP/1.1 201 Created\r\nX-Answer: 3\r\nConnection: x-hop\r\nX-Hop: 4\r\nContent-Length: 5\r\n\r\nhello");
  const auto answer = client.read();
  EXPECT_EQ(answer.status(), 201);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(answer.field("X-Answer"), "3");
  EXPECT_EQ(answer.field("X-Hop"), "<none>");
  client.close();
  const auto log = edge.stop();
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0]["status"], 201);
  EXPECT_EQ(log[0]["bytes_in"], 4);
  EXPECT_EQ(log[0]["bytes_out"], 5);
  EXPECT_EQ(log[0]["upstream"], "api");
  EXPECT_EQ(log[0]["server"], origin.address());
  EXPECT_EQ(log[0]["attempts"], 1);
  EXPECT_EQ(log[0]["error"], "");
}

TEST_F(ForwardTest, AConnectionToTheOriginIsUsedAgain) {
  Edge edge(with());
  Peer server = warm_up(edge);
  Peer client = edge.client();
  for (int i = 0; i < 3; ++i) {
    client.send(kGet);
    EXPECT_FALSE(server.read().head.empty());
    server.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    const auto answer = client.read();
    EXPECT_EQ(answer.body, "abc");
    EXPECT_TRUE(answer.whole);
  }
  EXPECT_FALSE(origin.asked());
}

TEST_F(ForwardTest, ChunkedBodiesAndTrailersGoBothWays) {
  Edge edge(with());
  Peer client = edge.client();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n");
  Peer server = origin.accept();
  EXPECT_EQ(server.read_until("0\r\nX-Sum: 1\r\n\r\n").substr(0, 7), "POST / ");
  server.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\nX-End: 2\r\n\r\n");
  EXPECT_TRUE(client.read_until("0\r\nX-End: 2\r\n\r\n").ends_with("2\r\nde\r\n0\r\nX-End: 2\r\n\r\n"));
}

TEST_F(ForwardTest, EventsArriveAsTheyAreWritten) {
  Edge edge(with());
  Peer client = edge.client();
  client.send(kGet);
  Peer server = origin.accept();
  server.read();
  server.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
  EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
  server.send("data: 1\n\n");
  EXPECT_NE(client.read_until("data: 1\n\n").find("data: 1"), std::string::npos);
  server.send("data: 2\n\n");
  EXPECT_NE(client.read_until("data: 2\n\n").find("data: 2"), std::string::npos);
  server.close();
  EXPECT_TRUE(client.read_until("0\r\n\r\n").ends_with("0\r\n\r\n"));
}

TEST_F(ForwardTest, InterimAnswersArePassedOn) {
  Edge edge(with());
  Peer client = edge.client();
  client.send(kGet);
  Peer server = origin.accept();
  server.read();
  server.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
  EXPECT_NE(client.read_head().find("103 Early Hints\r\nLink: </a.css>"), std::string::npos);
  server.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
}

TEST_F(ForwardTest, AnAnswerToHeadHasNoBody) {
  Edge edge(with());
  Peer client = edge.client();
  client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  Peer server = origin.accept();
  server.read();
  server.send("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n");
  const auto answer = client.read(true);
  EXPECT_EQ(answer.field("Content-Length"), "999");
  client.send(kGet);
  server.read();
  server.send(kOk);
  EXPECT_EQ(client.read().body, "ok");
}

TEST_F(ForwardTest, AConnectionWithBytesLeftOverIsNotUsedAgain) {
  Edge edge(with());
  Peer client = edge.client();
  client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  Peer server = origin.accept();
  server.read();
  server.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
  EXPECT_EQ(client.read(true).status(), 200);
  client.send(kGet);
  Peer other = origin.accept();
  other.read();
  other.send(kOk);
  EXPECT_EQ(client.read().body, "ok");
}

// --- kept connections that the origin closed ------------------------------------------------------------------------

TEST_F(ForwardTest, ARequestThatMetAClosingConnectionIsSentAgain) {
  for (const std::string method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}) {
    SCOPED_TRACE(method);
    Edge edge(with());
    Peer stale = warm_up(edge);
    Peer client = edge.client();
    client.send(method + " /again HTTP/1.1\r\nHost: a\r\n\r\n");
    stale.read();
    stale.close();
    Peer server = origin.accept();
    EXPECT_TRUE(server.read().head.starts_with(method + " /again "));
    server.send(kOk);
    EXPECT_EQ(client.read(method == "HEAD").status(), 200);
    client.close();
    const auto log = edge.stop();
    ASSERT_EQ(log.size(), 2u);
    EXPECT_EQ(log[1]["attempts"], 2);
    EXPECT_EQ(log[1]["error"], "");
  }
}

TEST_F(ForwardTest, AResetIsAsGoodAsAClose) {
  Edge edge(with());
  Peer stale = warm_up(edge);
  Peer client = edge.client();
  client.send(kGet);
  stale.read();
  stale.reset();
  Peer server = origin.accept();
  server.read();
  server.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
}

TEST_F(ForwardTest, WhatMayNotBeRepeatedIsNot) {
  for (const std::string request :
       {"POST / HTTP/1.1\r\nHost: a\r\n\r\n", "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PURGE / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"}) {
    SCOPED_TRACE(request);
    Edge edge(with());
    Peer stale = warm_up(edge);
    Peer client = edge.client();
    client.send(request);
    stale.read();
    stale.close();
    EXPECT_EQ(client.read().status(), 502);
    EXPECT_FALSE(origin.asked());
    client.close();
    const auto log = edge.stop();
    ASSERT_EQ(log.size(), 2u);
    EXPECT_EQ(log[1]["error"], "upstream_closed");
    EXPECT_EQ(log[1]["attempts"], 1);
  }
}

// It was sent again with a body that nobody could read any more, and the client got no answer at all.
TEST_F(ForwardTest, ARequestWhoseBodyHasNotComeYetIsSentAgainWhole) {
  Edge edge(with());
  Peer stale = warm_up(edge);
  Peer client = edge.client();
  client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
  stale.read_head();
  stale.close();
  Peer server = origin.accept();
  client.send("whole");
  EXPECT_EQ(server.read().body, "whole");
  server.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
}

TEST_F(ForwardTest, WhatHasBeenReadOfABodyIsSentAgain) {
  Edge edge(with());
  Peer stale = warm_up(edge);
  Peer client = edge.client();
  client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nwh");
  stale.read_until("\r\n\r\nwh");
  stale.close();
  Peer server = origin.accept();
  client.send("ole");
  EXPECT_EQ(server.read().body, "whole");
  server.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
}

TEST_F(ForwardTest, ABodyThatIsTooLargeToKeepIsNotSentAgain) {
  const std::string begun(BodyCopy::kMax + 1, 'x');
  Edge edge(with());
  Peer stale = warm_up(edge);
  Peer client = edge.client();
  client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + begun);
  stale.read_until(begun);
  stale.close();
  EXPECT_EQ(client.read().status(), 502);
  EXPECT_FALSE(origin.asked());
}

TEST_F(ForwardTest, AFreshConnectionThatClosesIsAnError) {
  Edge edge(with());
  Peer client = edge.client();
  client.send(kGet);
  Peer server = origin.accept();
  server.read();
  server.close();
  EXPECT_EQ(client.read().status(), 502);
  EXPECT_FALSE(origin.asked());
  client.close();
  const auto log = edge.stop();
  EXPECT_EQ(log[0]["error"], "upstream_closed");
  EXPECT_EQ(log[0]["attempts"], 1);
}

TEST_F(ForwardTest, AnAnswerThatHasBegunIsNotAskedForAgain) {
  Edge edge(with());
  Peer stale = warm_up(edge);
  Peer client = edge.client();
  client.send(kGet);
  stale.read();
  stale.send("HTTP/1.1 20");
  stale.close();
  EXPECT_EQ(client.read().status(), 502);
  EXPECT_FALSE(origin.asked());
}

// --- servers that cannot be reached ---------------------------------------------------------------------------------

TEST_F(ForwardTest, AServerThatRefusesIsPassedOver) {
  const RefusingPort nobody;
  const std::string refusing = "127.0.0.1:" + std::to_string(nobody.port);
  Edge edge(yaml({refusing, origin.address()}));
  for (int i = 0; i < 2; ++i) {
    Peer client = edge.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    Peer server = origin.accept();
    EXPECT_EQ(server.read().body, "x");
    server.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    EXPECT_EQ(client.read().status(), 200);
  }
  const auto log = edge.stop();
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[0]["attempts"], 2);
  EXPECT_EQ(log[0]["server"], origin.address());
}

// The try on the stale connection was counted as if the server had been unreachable: the other was never asked.
TEST_F(ForwardTest, AServerThatRestartsLeavesItsRequestsToTheOthers) {
  Origin first;
  Edge edge(yaml({first.address(), origin.address()}));
  Peer client = edge.client();
  client.send(kGet);
  Peer kept = first.accept();
  kept.read();
  kept.send(kOk);
  client.read();
  client.send(kGet);  // the second server's turn
  Peer second = origin.accept();
  second.read();
  second.send(kOk);
  client.read();
  first.stop_listening();
  client.send(kGet);
  kept.read();
  kept.close();
  Peer instead = origin.accept();
  instead.read();
  instead.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
  client.close();
  const auto log = edge.stop();
  EXPECT_EQ(log[2]["attempts"], 2);
}

TEST_F(ForwardTest, WhenAllRefuseItIs502) {
  const RefusingPort one;
  const RefusingPort two;
  Edge edge(yaml({"127.0.0.1:" + std::to_string(one.port), "127.0.0.1:" + std::to_string(two.port)}));
  EXPECT_EQ(edge.ask(kGet).status(), 502);
  const auto log = edge.stop();
  EXPECT_EQ(log[0]["error"], "connect_refused");
  EXPECT_EQ(log[0]["attempts"], 2);
}

TEST_F(ForwardTest, WithoutRetriesNoOtherServerIsAsked) {
  const RefusingPort one;
  const RefusingPort two;
  Edge edge(yaml({"127.0.0.1:" + std::to_string(one.port), "127.0.0.1:" + std::to_string(two.port)},
                 "retry: { attempts: 0 }"));
  EXPECT_EQ(edge.ask(kGet).status(), 502);
  EXPECT_EQ(edge.stop()[0]["attempts"], 1);
}

TEST_F(ForwardTest, AServerThatDoesNotAnswerConnectsIs504) {
  UniqueFd full(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SocketAddress any = loopback(0);
  ASSERT_EQ(::bind(full.get(), any.get(), any.length()), 0);
  ASSERT_EQ(::listen(full.get(), 0), 0);
  const SocketAddress to = local_address(full.get());
  std::vector<UniqueFd> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    static_cast<void>(::connect(waiting.back().get(), to.get(), to.length()));
  }
  Edge edge(yaml({to.to_string()}, "timeouts: { connect: 50ms }"));
  EXPECT_EQ(edge.ask(kGet).status(), 504);
  EXPECT_EQ(edge.stop()[0]["error"], "connect_timeout");
}

// --- origins that fail ----------------------------------------------------------------------------------------------

TEST_F(ForwardTest, ASilentOriginIs504) {
  Edge edge(with("timeouts: { first_byte: 50ms }"));
  Peer client = edge.client();
  client.send(kGet);
  Peer server = origin.accept();
  EXPECT_EQ(client.read().status(), 504);
  server.read();
  EXPECT_TRUE(server.ended());
  client.close();
  EXPECT_EQ(edge.stop()[0]["error"], "upstream_timeout");
}

TEST_F(ForwardTest, ARoutesTimeoutIsStrongerThanItsUpstreams) {
  Edge edge(with("timeouts: { first_byte: 1h }", "timeouts: { first_byte: 50ms }"));
  EXPECT_EQ(edge.ask(kGet).status(), 504);
}

TEST_F(ForwardTest, TheWaitForTheAnswerBeginsWhenTheUploadHasEnded) {
  Edge edge(with("timeouts: { first_byte: 50ms }"));
  Peer client = edge.client();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx");
  Peer server = origin.accept();
  EXPECT_TRUE(server.read_until("\r\n\r\nx").ends_with("x"));
  client.send("y");
  EXPECT_EQ(server.read_until("y"), "y");
  EXPECT_EQ(client.read().status(), 504);
}

TEST_F(ForwardTest, AnOriginThatStopsInTheMiddleBreaksTheAnswerOff) {
  Edge edge(with("timeouts: { idle: 50ms }"));
  Peer client = edge.client();
  client.send(kGet);
  Peer server = origin.accept();
  server.read();
  server.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  const auto answer = client.read();
  EXPECT_EQ(answer.status(), 200);
  EXPECT_FALSE(answer.whole);
  EXPECT_EQ(edge.stop()[0]["error"], "upstream_timeout");
}

TEST_F(ForwardTest, ATruncatedAnswerIsNoCleanEnd) {
  for (const std::string answer : {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
                                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf"}) {
    for (const std::string version : {"1.1", "1.0"}) {
      SCOPED_TRACE(answer + version);
      Edge edge(with());
      Peer client = edge.client();
      client.send("GET / HTTP/" + version + "\r\nHost: a\r\n\r\n");
      Peer server = origin.accept();
      server.read();
      server.send(answer);
      server.close();
      const auto got = client.read();
      EXPECT_EQ(got.status(), 200);
      EXPECT_FALSE(got.whole);
      EXPECT_EQ(edge.stop()[0]["error"], "upstream_truncated");
    }
  }
}

// The reset was met while looking whether content was at hand, and forgotten: the next read said "end".
TEST_F(ForwardTest, AResetBehindAHeadWithoutALengthIsNoCleanEnd) {
  for (int round = 0; round < 20; ++round) {
    Edge edge(with());
    Peer client = edge.client();
    client.send(kGet);
    Peer server = origin.accept();
    server.read();
    server.send("HTTP/1.1 200 OK\r\n\r\n");
    server.reset();
    const auto answer = client.read();
    EXPECT_FALSE(answer.whole) << answer.head;
    EXPECT_EQ(edge.stop()[0]["error"], "upstream_reset");
  }
}

TEST_F(ForwardTest, WhatIsNoHttpIs502) {
  const struct {
    std::string answer;
    const char* error;
  } table[] = {
      {"hello\r\n\r\n", "upstream_bad_response"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "upstream_bad_response"},
      {"HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n", "upstream_header_too_large"},
      {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "upstream_unasked_upgrade"}};
  for (const auto& row : table) {
    Edge edge(with());
    Peer client = edge.client();
    client.send(kGet);
    Peer server = origin.accept();
    server.read();
    server.send(row.answer);
    EXPECT_EQ(client.read().status(), 502);
    client.close();
    server.close();
    EXPECT_EQ(edge.stop()[0]["error"], row.error);
  }
}

// --- clients that fail ----------------------------------------------------------------------------------------------

TEST_F(ForwardTest, ADeclaredBodyAboveTheLimitIs413AndNobodyIsAsked) {
  Edge edge(with("", "max_body: 10"));
  const auto answer = edge.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
  EXPECT_EQ(answer.status(), 413);
  EXPECT_NE(answer.body.find("10"), std::string::npos) << answer.body;
  EXPECT_FALSE(origin.asked());
  EXPECT_EQ(edge.stop()[0]["error"], "body_too_large");
}

TEST_F(ForwardTest, AChunkedBodyAboveTheLimitIs413) {
  Edge edge(with("", "max_body: 10"));
  Peer client = edge.client();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n");
  Peer server = origin.accept();
  server.read_until("12345");
  client.send("6\r\n123456\r\n");
  EXPECT_EQ(client.read().status(), 413);
  EXPECT_EQ(server.read_until("never"), "\r\n") << "the origin must not take the request for complete";
}

TEST_F(ForwardTest, ABodyThatStallsIs408) {
  Edge edge(with("", "", "limits: { body_idle_timeout: 50ms }"));
  Peer client = edge.client();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
  Peer server = origin.accept();
  EXPECT_EQ(client.read().status(), 408);
  EXPECT_FALSE(server.read().whole);
  client.close();
  EXPECT_EQ(edge.stop()[0]["error"], "body_timeout");
}

TEST_F(ForwardTest, AMalformedBodyIs400) {
  Edge edge(with());
  Peer client = edge.client();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
  Peer server = origin.accept();
  EXPECT_EQ(client.read().status(), 400);
  server.read_head();
  EXPECT_TRUE(server.ended());
}

TEST_F(ForwardTest, AClientThatLeavesEndsTheWaitForItsOrigin) {
  Edge edge(with());
  Peer client = edge.client();
  client.send(kGet);
  Peer server = origin.accept();
  server.read();
  client.close();
  EXPECT_TRUE(server.ended());
  const auto log = edge.stop();
  EXPECT_EQ(log[0]["status"], 499);
  EXPECT_EQ(log[0]["error"], "client_closed");
}

TEST_F(ForwardTest, AClientThatOnlyHalfClosedGetsAPromptAnswer) {
  Edge edge(with());
  Peer client = edge.client();
  client.send(kGet);
  client.finish_sending();
  Peer server = origin.accept();
  server.read();
  server.send(kOk);
  EXPECT_EQ(client.read().body, "ok");
}

TEST_F(ForwardTest, AClientThatLeavesDuringAQuietStreamEndsIt) {
  Edge edge(with());
  Peer client = edge.client();
  client.send(kGet);
  Peer server = origin.accept();
  server.read();
  server.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
  client.read_until("data: 1\n\n");
  client.close();
  EXPECT_TRUE(server.ended());
  EXPECT_EQ(edge.stop()[0]["error"], "client_closed");
}

TEST_F(ForwardTest, AnUploadThatBreaksOffIsNotACompleteRequest) {
  Edge edge(with());
  Peer client = edge.client();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
  Peer server = origin.accept();
  server.read_until("half");
  client.reset();
  EXPECT_EQ(server.read_until("never"), "\r\n");
  const auto log = edge.stop();
  EXPECT_EQ(log[0]["error"], "client_reset");
  EXPECT_EQ(log[0]["bytes_in"], 4);
}

// --- both at once ---------------------------------------------------------------------------------------------------

TEST_F(ForwardTest, AnOriginMayAnswerBeforeItHasReadEverything) {
  Edge edge(with());
  Peer client = edge.client();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nbegin");
  Peer server = origin.accept();
  server.read_until("begin");
  server.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  const auto answer = client.read();
  EXPECT_EQ(answer.status(), 403);
  EXPECT_EQ(answer.body, "no");
  EXPECT_TRUE(server.ended()) << "half a request is on that connection";
}

TEST_F(ForwardTest, AnOriginMayRefuseALargeUploadAndClose) {
  Edge edge(with("", "max_body: 64MiB"));
  Peer client = edge.client();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 33554432\r\n\r\n");
  Peer server = origin.accept();
  server.read_head();
  server.send("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nbig");
  server.finish_sending();
  client.send(std::string(1024 * 1024, 'x'));
  const auto answer = client.read();
  EXPECT_EQ(answer.status(), 413);
  EXPECT_EQ(answer.body, "big");
}

TEST_F(ForwardTest, ContinueIsSentWhenTheBodyIsWanted) {
  Edge edge(with());
  Peer client = edge.client();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  Peer server = origin.accept();
  EXPECT_EQ(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("body");
  const auto request = server.read();
  EXPECT_EQ(request.body, "body");
  EXPECT_EQ(request.field("Expect"), "<none>");
  server.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
}

// --- protocol switches ----------------------------------------------------------------------------------------------

constexpr std::string_view kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
constexpr std::string_view kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

TEST_F(ForwardTest, AnUpgradeBecomesATunnel) {
  Edge edge(with());
  Peer client = edge.client();
  client.send(std::string(kUpgrade) + "early");
  Peer server = origin.accept();
  EXPECT_EQ(server.read(true).field("Upgrade"), "websocket");
  server.send(std::string(kSwitch) + "hello");
  const auto answer = client.read(true);
  EXPECT_EQ(answer.status(), 101);
  EXPECT_EQ(answer.field("Upgrade"), "websocket");
  EXPECT_EQ(client.read_until("hello"), "hello");
  EXPECT_EQ(server.read_until("early"), "early");
  client.send("ping");
  EXPECT_EQ(server.read_until("ping"), "ping");
  client.finish_sending();
  EXPECT_TRUE(server.ended());
  server.send("last words");
  EXPECT_EQ(client.read_until("last words"), "last words");
  server.close();
  EXPECT_TRUE(client.ended());
  const auto log = edge.stop();
  EXPECT_EQ(log[0]["status"], 101);
  EXPECT_EQ(log[0]["error"], "");
}

TEST_F(ForwardTest, ARefusedUpgradeIsAnAnswerLikeOthers) {
  Edge edge(with());
  Peer client = edge.client();
  client.send(kUpgrade);
  Peer server = origin.accept();
  server.read();
  server.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  EXPECT_EQ(client.read().body, "no");
  client.send(kGet);
  server.read();
  server.send(kOk);
  EXPECT_EQ(client.read().body, "ok");
}

// The upload and the tunnel both read from the client: one of them never woke again, nor did the worker's end.
TEST_F(ForwardTest, ASwitchBeforeTheBodyHasComeIsRefused) {
  Edge edge(with());
  Peer client = edge.client();
  client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n");
  Peer server = origin.accept();
  server.read_head();
  server.send(kSwitch);
  EXPECT_EQ(client.read().status(), 502);
  client.close();
  EXPECT_EQ(edge.stop()[0]["error"], "upstream_unasked_upgrade");
}

// --- the end --------------------------------------------------------------------------------------------------------

TEST_F(ForwardTest, WhatIsUnderWayIsFinishedBeforeTheEnd) {
  Edge edge(with());
  Peer client = edge.client();
  client.send(kGet);
  Peer server = origin.accept();
  server.read();
  edge.worker().stop(Clock::now() + std::chrono::seconds(20));
  server.send(kOk);
  const auto answer = client.read();
  EXPECT_EQ(answer.body, "ok");
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(edge.finish().size(), 1u);
}

TEST_F(ForwardTest, TheEndOfTheGraceIsAnswered) {
  Edge edge(with());
  Peer client = edge.client();
  client.send(kGet);
  Peer server = origin.accept();
  server.read();
  edge.worker().stop(Clock::now() + std::chrono::hours(1));
  edge.worker().stop(Clock::now());  // a second signal
  EXPECT_EQ(client.read().status(), 503);
  EXPECT_EQ(edge.finish()[0]["error"], "stopping");
}

}  // namespace
}  // namespace headgate::proxy
