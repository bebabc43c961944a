// SPDX-License-Identifier: Apache-2.0
// The path of a request through a real worker: sites, routes, rewrites, redirects, header rules, refusals, and the
// life of the worker itself.
#include "proxy/serve.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/proxy/edge.h"
#include "tls/self_signed.h"

namespace headgate::proxy {
namespace {

std::string get_of(const std::string& target, const std::string& host = "a.example", const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n";
}

TEST(Serve, FindsTheSiteByItsHost) {
  Edge edge(R"(
sites:
  - { hosts: [a.example], routes: [{ path: /*, respond: { body: "a" } }] }
  - { hosts: ["*.b.example"], routes: [{ path: /*, respond: { body: "b" } }] }
)");
  EXPECT_EQ(edge.ask(get_of("/", "a.example")).body, "a");
  EXPECT_EQ(edge.ask(get_of("/", "A.Example:8080")).body, "a");
  EXPECT_EQ(edge.ask(get_of("/", "a.example.")).body, "a");
  EXPECT_EQ(edge.ask(get_of("/", "x.b.example")).body, "b");
  EXPECT_EQ(edge.ask(get_of("/", "c.example")).status(), 404);
  EXPECT_EQ(edge.ask(get_of("/", "[::1]:80")).status(), 404);
  const auto log = edge.stop();
  ASSERT_EQ(log.size(), 6u);
  EXPECT_EQ(log[0]["site"], "a.example");
  EXPECT_EQ(log[3]["site"], "*.b.example");
  EXPECT_EQ(log[4]["error"], "no_such_site");
}

TEST(Serve, RefusesPathsThatAreNone) {
  Edge edge("sites: [{ routes: [{ path: /*, respond: { body: \"$uri\" } }] }]");
  for (const char* target : {"/..", "/a/../../b", "/%2e%2e/", "/..%2f", "/%00", "/%zz", "/%", "/a%0ab"}) {
    EXPECT_EQ(edge.ask(get_of(target)).status(), 400) << target;
  }
  EXPECT_EQ(edge.ask(get_of("/a/../b")).body, "/b");
  EXPECT_EQ(edge.ask(get_of("//a///b")).body, "/a/b");
  EXPECT_EQ(edge.ask(get_of("/a%2fb")).body, "/a/b");
  EXPECT_EQ(edge.stop()[0]["error"], "bad_path");
}

TEST(Serve, AnswersWithoutAnOrigin) {
  Edge edge(R"(
sites:
  - response_headers: { set: { X-Site: "$host", Server: edge } }
    routes:
      - { path: /healthz, respond: { status: 200, body: ok } }
      - { path: /teapot, respond: { status: 418, body: "for $arg_who", headers: { X-Kind: "$method" } } }
      - path: /old/*
        redirect: { to: "https://$host/new$uri", status: 301 }
        response_headers: { set: { X-Route: "r" } }
)");
  const auto ok = edge.ask(get_of("/healthz"));
  EXPECT_EQ(ok.status(), 200);
  EXPECT_EQ(ok.body, "ok");
  EXPECT_EQ(ok.field("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(ok.field("X-Site"), "a.example");
  EXPECT_EQ(ok.field("Server"), "edge");
  const auto teapot = edge.ask(get_of("/teapot?who=you"));
  EXPECT_EQ(teapot.status(), 418);
  EXPECT_EQ(teapot.body, "for you");
  EXPECT_EQ(teapot.field("X-Kind"), "GET");
  const auto moved = edge.ask(get_of("/old/caf%C3%A9%20a%3Fb"));
  EXPECT_EQ(moved.status(), 301);
  EXPECT_EQ(moved.field("Location"), "https://a.example/new/old/caf%C3%A9%20a%3Fb");
  EXPECT_EQ(moved.field("X-Route"), "r");
  // The site's headers stand on our own errors, too.
  const auto missing = edge.ask(get_of("/nothing"));
  EXPECT_EQ(missing.status(), 404);
  EXPECT_EQ(missing.field("X-Site"), "a.example");
  EXPECT_EQ(missing.field("Cache-Control"), "no-store");
  const auto log = edge.stop();
  EXPECT_EQ(log[3]["error"], "no_route");
}

TEST(Serve, ALineBreakInAVariableDoesNotSplitTheAnswer) {
  Edge edge(R"(
sites: [{ routes: [{ path: /*, redirect: { to: "/next?$query" }, response_headers: { set: { X-Echo: "$arg_x" } } }] }]
)");
  const auto answer = edge.ask(get_of("/?x=a%0d%0aSet-Cookie:%20b=c"));
  EXPECT_EQ(answer.field("Set-Cookie"), "<none>");
  EXPECT_EQ(answer.field("Location"), "/next?x=a%0d%0aSet-Cookie:%20b=c");
}

TEST(Serve, RewritesLeadToAnotherRoute) {
  Edge edge(R"(
sites:
  - routes:
      - { path: [/merchant/admin*], rewrite: { regex: "^/merchant(/.*)$", to: "$1" } }
      - { path: /admin*, respond: { body: "admin $uri $query" } }
      - { path: /loop, rewrite: { regex: "^/loop$", to: "/loop" } }
      - { path: /bad, rewrite: { regex: "^/bad$", to: "/../../x" } }
      - { path: /stay/*, rewrite: { regex: "^/stay(/.*)$", to: "/moved$1?added=1" }, respond: { body: "$uri $query" } }
      - { path: /drop, rewrite: { regex: "^/drop$", to: "/moved?only=1?" }, respond: { body: "$uri $query" } }
)");
  EXPECT_EQ(edge.ask(get_of("/merchant/admin/users?a=b")).body, "admin /admin/users a=b");
  EXPECT_EQ(edge.ask(get_of("/stay/x?a=b")).body, "/moved/x added=1&a=b");
  EXPECT_EQ(edge.ask(get_of("/stay/x")).body, "/moved/x added=1");
  EXPECT_EQ(edge.ask(get_of("/drop?a=b")).body, "/moved only=1");
  EXPECT_EQ(edge.ask(get_of("/loop")).status(), 500);
  EXPECT_EQ(edge.ask(get_of("/bad")).status(), 500);
  const auto log = edge.stop();
  EXPECT_EQ(log[4]["error"], "rewrite_loop");
  EXPECT_EQ(log[5]["error"], "bad_rewrite");
}

TEST(Serve, OptionsAsteriskIsAboutTheServer) {
  Edge edge("sites: [{ hosts: [a.example], routes: [{ path: /*, respond: { body: x } }] }]");
  EXPECT_EQ(edge.ask("OPTIONS * HTTP/1.1\r\nHost: other\r\n\r\n", true).status(), 204);
}

TEST(Serve, RefusalsAreAnsweredLoggedAndCloseTheConnection) {
  Edge edge(R"(
limits: { max_header_bytes: 1KiB, header_timeout: 100ms }
sites: [{ hosts: [a.example], routes: [{ path: /*, respond: { body: x } }], response_headers: { set: { X-Site: s } } }]
)");
  const struct {
    std::string request;
    int status;
  } table[] = {
      {"GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
      {get_of("/", "a.example", "X: " + std::string(2000, 'x') + "\r\n"), 431},
      {get_of("/" + std::string(2000, 'x')), 414},
      {"GET / HTTP/1.1\r\nHo", 408},
  };
  for (const auto& row : table) {
    Peer client = edge.client();
    client.send(row.request);
    EXPECT_EQ(client.read().status(), row.status) << row.request.substr(0, 60);
    EXPECT_TRUE(client.ended());
  }
  const auto log = edge.stop();
  ASSERT_EQ(log.size(), std::size(table));
  for (const auto& line : log) EXPECT_NE(line["error"], "") << line;
}

TEST(Serve, TheClientsAddressIsBelievedOnlyFromTrustedProxies) {
  const std::string sites = "sites: [{ routes: [{ path: /*, respond: { body: \"$remote_addr\" } }] }]\n";
  Edge stranger(sites);
  EXPECT_EQ(stranger.ask(get_of("/", "a", "X-Forwarded-For: 198.51.100.7\r\n")).body, "127.0.0.1");
  Edge trusting(sites + "trusted_proxies: [127.0.0.0/8]\n");
  EXPECT_EQ(trusting.ask(get_of("/", "a", "X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\n")).body, "198.51.100.7");
  EXPECT_EQ(trusting.stop()[0]["client"], "198.51.100.7");
}

TEST(Serve, ARequestHasAnId) {
  Edge edge("sites: [{ routes: [{ path: /*, respond: { body: \"$request_id\" } }] }]");
  const auto own = edge.ask(get_of("/"));
  EXPECT_EQ(own.body.size(), 32u);
  EXPECT_EQ(edge.ask(get_of("/", "a", "X-Request-Id: mine\r\n")).body, "mine");
  const auto log = edge.stop();
  EXPECT_EQ(log[0]["request_id"], own.body);
  EXPECT_EQ(log[1]["request_id"], "mine");
}

TEST(Serve, PlainRequestsAreSentToTls) {
  const TemporaryFolder folder;
  const auto [cert, key] = tls::make_self_signed({"a.example"});
  std::ofstream(folder / "cert.pem") << cert;
  std::ofstream(folder / "key.pem") << key;
  Edge edge("tls: { certificates: [{ cert: \"" + (folder / "cert.pem") + "\", key: \"" + (folder / "key.pem") +
            R"(" }] }
listeners: [{ address: "127.0.0.1:0" }, { address: "127.0.0.1:0", tls: true, http2: false }]
sites: [{ https: redirect, routes: [{ path: /*, respond: { body: secret } }] }]
)");
  const auto answer = edge.ask(get_of("/a%20b?c=d", "A.example:80"));
  EXPECT_EQ(answer.status(), 308);
  EXPECT_EQ(answer.field("Location"), "https://a.example:" + std::to_string(edge.port(1)) + "/a%20b?c=d");
}

// --- the worker -----------------------------------------------------------------------------------------------------

constexpr const char* kHello = "sites: [{ routes: [{ path: /*, respond: { body: hello } }] }]\n";

TEST(Worker, CountsWhatItDoes) {
  Edge edge(kHello);
  Peer client = edge.client();
  for (int i = 0; i < 3; ++i) {
    client.send(get_of("/"));
    EXPECT_EQ(client.read().body, "hello");
  }
  EXPECT_EQ(edge.connections().total(), 1u);
  edge.worker().stop(Clock::now());
  edge.worker().join();
  EXPECT_EQ(edge.worker().figures().requests, 3u);
  EXPECT_EQ(edge.worker().figures().in_flight, 0u);
  EXPECT_EQ(edge.connections().total(), 0u);
}

TEST(Worker, LimitsTheConnectionsOfAnAddress) {
  Edge edge(std::string("limits: { max_connections_per_ip: 1 }\n") + kHello);
  Peer first = edge.client();
  first.send(get_of("/"));
  EXPECT_EQ(first.read().body, "hello");
  Peer second = edge.client();
  EXPECT_TRUE(second.ended());
  first.send(get_of("/"));
  EXPECT_EQ(first.read().body, "hello");
}

TEST(Worker, ConnectionsThatHaveNotAskedYetAreServedAtTheEnd) {
  Edge edge(kHello);
  Peer silent = edge.client();
  Peer idle = edge.client();
  idle.send(get_of("/"));
  EXPECT_EQ(idle.read().body, "hello");
  edge.worker().stop(Clock::now() + std::chrono::seconds(20));
  EXPECT_TRUE(idle.ended());
  silent.send(get_of("/"));
  const auto answer = silent.read();
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(answer.field("Connection"), "close");
  EXPECT_TRUE(silent.ended());
  EXPECT_EQ(edge.finish().size(), 2u);
}

TEST(Worker, AConnectionInTheQueueIsServedAtTheEnd) {
  for (int round = 0; round < 20; ++round) {
    Edge edge(kHello);
    Peer client = edge.client();
    edge.worker().stop(Clock::now() + std::chrono::seconds(20));
    client.send(get_of("/"));
    EXPECT_EQ(client.read().body, "hello");
    edge.finish();
  }
}

TEST(Worker, AnswersPipelinedRequestsInOrder) {
  Edge edge("sites: [{ routes: [{ path: /*, respond: { body: \"$uri\" } }] }]");
  Peer client = edge.client();
  std::string all;
  for (int i = 0; i < 50; ++i) all += get_of("/" + std::to_string(i));
  client.send(all);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.read().body, "/" + std::to_string(i));
}

}  // namespace
}  // namespace headgate::proxy
