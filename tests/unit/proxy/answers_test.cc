// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/answers.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "proxy/generation.h"
#include "tests/unit/proxy/edge.h"
#include "tests/unit/proxy/fake_exchange.h"

namespace headgate::proxy {
namespace {

TEST(StripPrefix, CutsAtTheEndOfASegment) {
  const struct {
    const char* path;
    const char* prefix;
    const char* rest;
  } table[] = {{"/api/v1", "/api", "/v1"},
               {"/api/v1", "/api/", "/v1"},
               {"/api", "/api", "/"},
               {"/api/", "/api", "/"},
               {"/api", "/api/", "/"},
               {"/apix", "/api", "/apix"},
               {"/other", "/api", "/other"},
               {"/a", "", "/a"},
               {"/a", "/", "/a"},
               {"/ap", "/api", "/ap"},
               {"/api//x", "/api", "//x"},
               {"/api/api", "/api", "/api"}};
  for (const auto& row : table)
    EXPECT_EQ(strip_prefix(row.path, row.prefix), row.rest) << row.path << " " << row.prefix;
}

class AnswersTest : public ::testing::Test {
 protected:
  /// A request that has met this route.
  Request& meet(const std::string& route, std::string_view path = "/") {
    generation = std::make_unique<Generation>(1, read_config("sites: [{ routes: [{ path: /*, " + route + " }] }]"), monitor(), traffic());
    exchange = std::make_unique<FakeExchange>(loop, connection);
    exchange->request.method_name = "GET";
    request = std::make_unique<Request>(*exchange, nullptr);
    request->route = &generation->sites[0].routes[0];
    request->path = path;
    request->host = "shop.example";
    return *request;
  }

  void finish(Task<Result<>> task) {
    task.start();
    ASSERT_TRUE(task.done());
    EXPECT_TRUE(exchange->finished);
  }

  Loop loop;
  http::ConnectionInfo connection;
  std::unique_ptr<Generation> generation;
  std::unique_ptr<FakeExchange> exchange;
  std::unique_ptr<Request> request;
};

TEST_F(AnswersTest, ARedirectIsAUrlWhateverWasAskedFor) {
  finish(respond_redirect(
      meet("redirect: { to: \"https://$host/new$uri\", status: 307 }", "/a b\r\n<x>?\"\\%41\xc3\xa9")));
  EXPECT_EQ(exchange->status(), 307);
  EXPECT_EQ(exchange->field("Location"), "https://shop.example/new/a%20b%0D%0A%3Cx%3E%3F%22%5C%2541%C3%A9");
  EXPECT_EQ(exchange->content_length, 0u);
}

TEST_F(AnswersTest, ARedirectKeepsTheQueryAsItIs) {
  meet("redirect: { to: \"/next?$query\" }");
  request->query = "a=%41&b=\"c\" d";
  finish(respond_redirect(*request));
  EXPECT_EQ(exchange->field("Location"), "/next?a=%41&b=%22c%22%20d");
}

TEST_F(AnswersTest, AFixedAnswer) {
  finish(respond_fixed(meet("respond: { status: 200, body: \"hello $host\" }")));
  EXPECT_EQ(exchange->body, "hello shop.example");
  EXPECT_EQ(exchange->field("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(exchange->sends, 1u);
}

TEST_F(AnswersTest, AFixedAnswersOwnTypeStays) {
  finish(respond_fixed(meet("respond: { status: 200, body: \"{}\", headers: { Content-Type: application/json } }")));
  EXPECT_EQ(exchange->field("Content-Type"), "application/json");
}

TEST_F(AnswersTest, NothingHasNoType) {
  finish(respond_fixed(meet("respond: { status: 204 }")));
  EXPECT_EQ(exchange->status(), 204);
  EXPECT_EQ(exchange->field("Content-Type"), "<none>");
}

TEST_F(AnswersTest, ErrorsAreShortAndNamed) {
  auto task = meet("respond: { status: 204 }").respond_error(503, "no_healthy_server", "try again");
  task.start();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(exchange->status(), 503);
  EXPECT_EQ(exchange->body, "503 Service Unavailable\ntry again\n");
  EXPECT_EQ(exchange->field("Cache-Control"), "no-store");
  EXPECT_STREQ(request->error, "no_healthy_server");
  EXPECT_EQ(request->record(Clock::now()).status, 503);
  EXPECT_EQ(request->record(Clock::now()).error, "no_healthy_server");
}

TEST_F(AnswersTest, AnErrorAfterTheHeadBreaksOff) {
  meet("respond: { status: 204 }");
  http::ResponseHead head;
  request->start(head);
  auto task = request->respond_error(500, "internal");
  task.start();
  ASSERT_TRUE(task.done());
  EXPECT_TRUE(exchange->aborted);
  EXPECT_EQ(exchange->status(), 200);
}

TEST(Cookie, IsFoundByItsName) {
  http::Fields fields;
  fields.add("Cookie", "a=1; b=2;c=3 ; empty=; d=x=y");
  fields.add("Cookie", "e=5; a=9");
  EXPECT_EQ(cookie(fields, "a"), "1");
  EXPECT_EQ(cookie(fields, "b"), "2");
  EXPECT_EQ(cookie(fields, "c"), "3");
  EXPECT_EQ(cookie(fields, "empty"), "");
  EXPECT_EQ(cookie(fields, "d"), "x=y");
  EXPECT_EQ(cookie(fields, "e"), "5");
  EXPECT_EQ(cookie(fields, "A"), "");
  EXPECT_EQ(cookie(fields, ""), "");
  EXPECT_EQ(cookie({}, "a"), "");
}

}  // namespace
}  // namespace headgate::proxy
