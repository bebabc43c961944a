// SPDX-License-Identifier: Apache-2.0
#include "proxy/error_pages.h"

#include <gtest/gtest.h>

#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

TEST(ErrorPages, TheStatusItselfGoesBeforeItsClass) {
  ErrorPages pages;
  pages.add({5, nullptr, "/5xx", nullptr});
  pages.add({404, nullptr, "/404", nullptr});
  pages.add({503, nullptr, "/503", nullptr});
  pages.add({4, nullptr, "/4xx", nullptr});
  const auto path_of = [&](int status) {
    const auto* const page = pages.find(status);
    return page == nullptr ? std::string("none") : page->path;
  };
  EXPECT_EQ(path_of(404), "/404");
  EXPECT_EQ(path_of(400), "/4xx");
  EXPECT_EQ(path_of(499), "/4xx");
  EXPECT_EQ(path_of(503), "/503");
  EXPECT_EQ(path_of(500), "/5xx");
  EXPECT_EQ(path_of(399), "none");
  EXPECT_EQ(path_of(200), "none");
  EXPECT_EQ(ErrorPages().find(404), nullptr);
}

std::string problems(const std::string& site) {
  const auto config = read_config("sites: [{ " + site + " }]");
  const routing::RouteTable routes(config);
  std::string text;
  for (const auto& one : lost_error_pages(config, routes)) text += config::to_string(one) + "\n";
  return text;
}

TEST(ErrorPages, MustBeOfTheSite) {
  EXPECT_EQ(problems("error_pages: { 404: /e/404.html }, routes: [{ path: /e/*, static: { root: /r } }]"), "");
  EXPECT_EQ(problems("error_pages: { 404: /e/404.html }, routes: [{ path: /e/*, proxy: 'http://127.0.0.1:1' }]"),
            "test.yaml:1:31: sites[0].error_pages: no route of the site has /e/404.html, from files or as a respond with "
            "a body\n");
  EXPECT_EQ(problems("error_pages: { 404: /e/404.html }, routes: [{ path: /e/*, respond: { body: lost } }]"), "");
  EXPECT_NE(problems("error_pages: { 404: /e/404.html }, routes: [{ path: /e/*, respond: { status: 200 } }]"), "");
  EXPECT_NE(problems("error_pages: { 404: /404.html }, routes: [{ path: /e/*, static: { root: /r } }]"), "");
  EXPECT_NE(problems("error_pages: { 404: /404.html }, routes: [{ path: /*, methods: POST, static: { root: /r } }]"),
            "");
  EXPECT_NE(
      problems("error_pages: { 404: /404.html }, routes: [{ path: /*, headers: { X: y }, static: { root: /r } }]"), "");
  EXPECT_NE(problems("error_pages: { 404: /404.html }, routes: [{ path: /404.html, rewrite: { regex: a, to: b } }]"),
            "");
}

class Pages : public testing::Test {
 protected:
  Pages() {
    write("404.html", "<h1>not here</h1>");
    write("5xx.html", "<h1>sorry</h1>");
    write("index.html", "<h1>the application</h1>");
  }
  void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }
  /// `site` begins after the site's own routes.
  std::string yaml(const std::string& site, const std::string& routes) {
    return "limits: { max_body: 4 }\nsites:\n  - " + site +
           "\n    routes:\n      - { path: /pages/*, strip_prefix: /pages, "
           "static: { root: \"" +
           (folder_ / "") + "\", spa: true } }\n" + routes;
  }
  std::string ask_text(std::string_view path, std::string_view more = {}, std::string_view method = "GET") {
    return std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(more) + "\r\n";
  }

  TemporaryFolder folder_;
};

constexpr const char* kSite = "error_pages: { 404: /pages/404.html, 5xx: /pages/5xx.html, 403: /pages/none.html }";

TEST_F(Pages, StandForOurOwnErrors) {
  Edge edge(yaml(kSite, R"(      - { path: /down, proxy: "http://127.0.0.1:1" }
      - { path: /gone, respond: { status: 404 }, response_headers: { set: { X-R: r } } }
      - { path: /said, respond: { status: 404, body: mine } }
      - { path: /secret, respond: { status: 403 } }
)"));
  const auto missing = edge.ask(ask_text("/nothing"));
  EXPECT_EQ(missing.status(), 404);
  EXPECT_EQ(missing.body, "<h1>not here</h1>");
  EXPECT_EQ(missing.field("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(missing.field("Cache-Control"), "no-store");
  EXPECT_EQ(missing.field("ETag"), "<none>");
  EXPECT_EQ(edge.ask(ask_text("/pages/missing.js")).body, "<h1>not here</h1>");
  EXPECT_EQ(edge.ask(ask_text("/down")).body, "<h1>sorry</h1>");
  EXPECT_EQ(edge.ask(ask_text("/down")).status(), 502);
  EXPECT_EQ(edge.ask(ask_text("/gone")).body, "<h1>not here</h1>");
  EXPECT_EQ(edge.ask(ask_text("/gone")).field("X-R"), "r");
  EXPECT_EQ(edge.ask(ask_text("/said")).body, "mine");
  // A page that is not there is not another file.
  EXPECT_EQ(edge.ask(ask_text("/secret")).body, "");
  EXPECT_EQ(edge.ask(ask_text("/bad%00")).body.substr(0, 4), "400 ");
  const auto log = edge.stop();
  EXPECT_EQ(log[0]["error"], "no_route");
  EXPECT_EQ(log[0]["status"], 404);
}

TEST_F(Pages, MayBeAnswersOfTheConfiguration) {
  Edge edge(yaml("error_pages: { 404: /lost }",
                 R"(      - path: /lost
        respond: { status: 200, body: "<p>no $uri\nhere</p>", headers: { Content-Type: text/html, X-Page: lost } }
)"));
  const auto answer = edge.ask(ask_text("/nothing"));
  EXPECT_EQ(answer.status(), 404);
  EXPECT_EQ(answer.body, "<p>no /nothing\nhere</p>");
  EXPECT_EQ(answer.field("Content-Type"), "text/html");
  EXPECT_EQ(answer.field("Cache-Control"), "no-store");
  EXPECT_EQ(answer.field("X-Page"), "lost");
  EXPECT_EQ(edge.ask(ask_text("/lost")).status(), 200);
  EXPECT_EQ(edge.ask(ask_text("/nothing", "", "HEAD"), true).field("Content-Length"), "23");
}

TEST_F(Pages, AreForWhoTakesThem) {
  Edge edge(yaml(kSite, ""));
  const auto json = edge.ask(ask_text("/nothing", "Accept: application/json, text/plain, */*\r\n"));
  EXPECT_EQ(json.body, "404 Not Found\n");
  EXPECT_EQ(edge.ask(ask_text("/nothing", "Accept: text/html, application/json\r\n")).body, "<h1>not here</h1>");
  // Neither conditions nor ranges were meant for the page.
  EXPECT_EQ(edge.ask(ask_text("/nothing", "Range: bytes=0-3\r\nIf-None-Match: *\r\n")).body, "<h1>not here</h1>");
  const auto head = edge.ask(ask_text("/nothing", "", "HEAD"), true);
  EXPECT_EQ(head.status(), 404);
  EXPECT_EQ(head.field("Content-Length"), "17");
  const auto post = edge.ask(ask_text("/nothing", "Content-Length: 0\r\n", "POST"));
  EXPECT_EQ(post.body, "<h1>not here</h1>");
}

TEST_F(Pages, MayStandForAnUpstreamsErrors) {
  Origin origin;
  for (const bool intercept : {false, true}) {
    Edge edge(yaml(std::string(kSite) + (intercept ? "\n    error_pages_intercept: true" : ""),
                   "      - { path: /*, proxy: \"http://" + origin.address() + "\" }\n"));
    Peer client = edge.client();
    Peer server = [&] {
      client.send(ask_text("/a"));
      return origin.accept();
    }();
    EXPECT_EQ(server.read().head.substr(0, 6), "GET /a");
    server.send(
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nETag: \"x\"\r\nX-App: 1\r\n"
        "Cache-Control: max-age=60\r\nContent-Length: 5\r\n\r\nnope\n");
    const auto answer = client.read();
    EXPECT_EQ(answer.status(), 404);
    EXPECT_EQ(answer.field("X-App"), "1");
    EXPECT_EQ(answer.body, intercept ? "<h1>not here</h1>" : "nope\n");
    EXPECT_EQ(answer.field("ETag"), intercept ? "<none>" : "\"x\"");
    EXPECT_EQ(answer.field("Cache-Control"), intercept ? "no-store" : "max-age=60");
    // The connection to the origin is as good as before; a status without a page stays as it is.
    client.send(ask_text("/b"));
    EXPECT_EQ(server.read().head.substr(0, 6), "GET /b");
    server.send("HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno");
    EXPECT_EQ(client.read().body, "no");
  }
}

TEST_F(Pages, ThatCannotBeHadLeaveTheShortAnswer) {
  Edge edge(yaml("error_pages: { 404: /pages/late.html }", ""));
  EXPECT_EQ(edge.ask(ask_text("/nothing")).body, "404 Not Found\n");
  write("big.html", std::string(8 << 20, 'x'));
  Edge other(yaml("error_pages: { 404: /pages/big.html }", ""));
  EXPECT_EQ(other.ask(ask_text("/nothing")).body, "404 Not Found\n") << "larger than what is held in memory";
}

}  // namespace
}  // namespace headgate::proxy
