// SPDX-License-Identifier: Apache-2.0
// What an answer's head says in the end: the application's fields, CORS, security_headers, the site's rules, the
// route's.
#include <gtest/gtest.h>

#include "proxy/security_headers.h"
#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

std::string get_of(std::string_view path, std::string_view more = {}, std::string_view method = "GET") {
  return std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(more) + "\r\n";
}

TEST(ResponseHeaders, TheSitesRulesComeFirstThenTheRoutes) {
  const struct {
    const char* site;
    const char* route;
    const char* expected;  // of X-A
  } table[] = {
      {"set: { X-A: s }", "", "s"},
      {"set: { X-A: s }", "set: { X-A: r }", "r"},
      {"set: { X-A: s }", "add: { X-A: r }", "s|r"},
      {"set: { X-A: s }", "remove: [x-a]", "<none>"},
      {"add: { X-A: s }", "add: { X-A: r }", "own|s|r"},
      {"add: { X-A: s }", "set: { X-A: r }", "r"},
      {"remove: [X-A]", "", "<none>"},
      {"remove: [X-A]", "add: { X-A: r }", "r"},
      {"remove: [X-A], add: { X-A: s }", "", "s"},
      {"remove: [X-A], set: { X-A: s }, add: { X-A: t }", "", "s|t"},
      {"", "set: { X-A: r }", "r"},
      {"", "", "own"},
  };
  for (const auto& row : table) {
    Edge edge(std::string("sites: [{ response_headers: { ") + row.site +
              " }, routes: [{ path: /*, respond: { headers: { X-A: own } }, response_headers: { " + row.route +
              " } }] }]");
    EXPECT_EQ(edge.ask(get_of("/")).field("X-A"), row.expected) << row.site << " / " << row.route;
  }
}

TEST(ResponseHeaders, ValuesPassByteForByte) {
  const std::string policy =
      "default-src 'self'; script-src 'nonce-r4nd0m+/=' 'strict-dynamic' https:; style-src 'unsafe-inline'; "
      "report-uri https://r.example/?a=1&b=\\\"2\\\"";
  Edge edge("sites: [{ response_headers: { set: { Content-Security-Policy: \"" + policy +
            "\", X-Price: \"5$$ or $$1\", X-Host: \"$host$$\" } }, routes: [{ path: /*, respond: { body: x } }] }]");
  const auto answer = edge.ask(get_of("/"));
  EXPECT_EQ(answer.field("Content-Security-Policy"),
            "default-src 'self'; script-src 'nonce-r4nd0m+/=' 'strict-dynamic' https:; style-src 'unsafe-inline'; "
            "report-uri https://r.example/?a=1&b=\"2\"");
  EXPECT_EQ(answer.field("X-Price"), "5$ or $1");
  EXPECT_EQ(answer.field("X-Host"), "a$");
}

TEST(SecurityHeaders, StandOnEveryAnswerUnlessSomebodySaysOtherwise) {
  Edge edge(R"(
sites:
  - security_headers: strict
    response_headers: { remove: [Referrer-Policy] }
    routes:
      - { path: /plain, respond: { body: x } }
      - { path: /own, respond: { body: x, headers: { x-frame-options: DENY } } }
      - { path: /route, respond: { body: x }, response_headers: { set: { X-Content-Type-Options: other } } }
)");
  const auto plain = edge.ask(get_of("/plain"));
  EXPECT_EQ(plain.field("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(plain.field("X-Frame-Options"), "SAMEORIGIN");
  EXPECT_EQ(plain.field("Referrer-Policy"), "<none>");
  EXPECT_EQ(plain.field("Strict-Transport-Security"), "<none>");  // in clear
  EXPECT_EQ(edge.ask(get_of("/own")).field("X-Frame-Options"), "DENY");
  EXPECT_EQ(edge.ask(get_of("/route")).field("X-Content-Type-Options"), "other");
  EXPECT_EQ(edge.ask(get_of("/nothing")).field("X-Frame-Options"), "SAMEORIGIN");
}

TEST(SecurityHeaders, HstsIsForTls) {
  http::Fields secure;
  add_strict_headers(true, secure);
  EXPECT_EQ(secure.get("strict-transport-security"), "max-age=31536000");
  EXPECT_EQ(secure.size(), kStrictHeaders.size());
  http::Fields own;
  own.add("STRICT-transport-security", "max-age=0");
  add_strict_headers(true, own);
  EXPECT_EQ(own.get("strict-transport-security"), "max-age=0");
  EXPECT_EQ(own.size(), kStrictHeaders.size());
}

// --- preflights on their way ----------------------------------------------------------------------------------------

constexpr const char* kAsk = "Origin: https://a.example\r\nAccess-Control-Request-Method: ";

TEST(Preflight, FindsTheRouteOfTheRequestThatItAnnounces) {
  Edge edge(R"(
sites:
  - routes:
      - { path: /x, methods: [PUT], respond: { body: put }, cors: { origins: "https://a.example", methods: PUT } }
      - { path: /x, methods: [OPTIONS], respond: { body: options } }
      - { path: /x, respond: { body: other } }
      - { path: /old, rewrite: { regex: ^/old$, to: /x } }
)");
  const auto put = edge.ask(get_of("/x", std::string(kAsk) + "PUT\r\n", "OPTIONS"), true);
  EXPECT_EQ(put.status(), 204);
  EXPECT_EQ(put.field("Access-Control-Allow-Methods"), "PUT");
  EXPECT_EQ(edge.ask(get_of("/old", std::string(kAsk) + "PUT\r\n", "OPTIONS"), true).status(), 204);
  // Where the announced request has no CORS, an OPTIONS is one like any other.
  EXPECT_EQ(edge.ask(get_of("/x", std::string(kAsk) + "GET\r\n", "OPTIONS")).body, "options");
  EXPECT_EQ(edge.ask(get_of("/old", std::string(kAsk) + "GET\r\n", "OPTIONS")).body, "options");
  EXPECT_EQ(edge.ask(get_of("/x", "Origin: https://a.example\r\n", "OPTIONS")).body, "options");
  const auto log = edge.stop();
  EXPECT_EQ(log[0]["status"], 204);
  EXPECT_EQ(log[0]["route"], "/x");
}

TEST(Preflight, OfASiteAndOfARouteThatHasNone) {
  Edge edge(R"(
sites:
  - cors: { origins: "https://a.example", credentials: true }
    routes:
      - { path: /x, respond: { body: x } }
      - { path: /off, respond: { body: off }, cors: off }
      - { path: /own, respond: { body: own }, cors: { origins: "*" } }
)");
  const auto ask = [&](const char* path) {
    return edge.ask(get_of(path, std::string(kAsk) + "POST\r\n", "OPTIONS"), true);
  };
  EXPECT_EQ(ask("/x").field("Access-Control-Allow-Credentials"), "true");
  EXPECT_EQ(ask("/nowhere").field("Access-Control-Allow-Origin"), "https://a.example");
  EXPECT_EQ(ask("/own").field("Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(edge.ask(get_of("/off", std::string(kAsk) + "POST\r\n", "OPTIONS")).body, "off");
  const auto get = [&](const char* path) { return edge.ask(get_of(path, "Origin: https://a.example\r\n")); };
  EXPECT_EQ(get("/nowhere").status(), 404);
  EXPECT_EQ(get("/nowhere").field("Access-Control-Allow-Origin"), "https://a.example");
  EXPECT_EQ(get("/off").field("Access-Control-Allow-Origin"), "<none>");
  EXPECT_EQ(get("/off").field("Vary"), "<none>");
  EXPECT_EQ(get("/own").field("Access-Control-Allow-Origin"), "*");
}

TEST(Preflight, IsNoRequestToARateLimit) {
  Edge edge(R"(
rate_limits: { one: { key: $remote_addr, rate: 1/h } }
sites: [{ routes: [{ path: /*, respond: { body: x }, rate_limit: one, cors: { origins: "https://a.example" } }] }]
)");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(edge.ask(get_of("/", std::string(kAsk) + "GET\r\n", "OPTIONS"), true).status(), 204);
  }
  EXPECT_EQ(edge.ask(get_of("/", "Origin: https://a.example\r\n")).status(), 200);
  const auto limited = edge.ask(get_of("/", "Origin: https://a.example\r\n"));
  EXPECT_EQ(limited.status(), 429);
  EXPECT_EQ(limited.field("Access-Control-Allow-Origin"), "https://a.example");
  const auto stranger =
      edge.ask(get_of("/", "Origin: https://b.example\r\nAccess-Control-Request-Method: GET\r\n", "OPTIONS"), true);
  EXPECT_EQ(stranger.status(), 204);
  EXPECT_EQ(stranger.field("Access-Control-Allow-Origin"), "<none>");
  EXPECT_EQ(edge.stop().back()["error"], "cors_origin");
}

}  // namespace
}  // namespace headgate::proxy
