// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/path.h"
#include "routing/regex.h"
#include "tests/unit/routing/table_fixture.h"

namespace headgate::routing {
namespace {

using ::testing::HasSubstr;

TEST(FindRoute, ExactThenRegexThenLongestPrefix) {
  OneSite site({route({"/*"}), route({"/api/*"}), regex_route("^/api/v[0-9]+/"), route({"/api/v1/health"}),
                regex_route("^/api/v1/")});
  EXPECT_EQ(site.find("/api/v1/health"), 3);
  EXPECT_EQ(site.find("/api/v1/users"), 2);
  EXPECT_EQ(site.find("/api/users"), 1);
  EXPECT_EQ(site.find("/x"), 0);
}

TEST(FindRoute, RegexesInTheOrderOfTheFile) {
  OneSite site({regex_route("\\.php$"), regex_route("^/admin/"), regex_route(".")});
  EXPECT_EQ(site.find("/admin/x.php"), 0);
  EXPECT_EQ(site.find("/admin/x"), 1);
  EXPECT_EQ(site.find("/x"), 2);
}

TEST(FindRoute, AStarAfterASlashNeedsTheSlash) {
  OneSite site({route({"/api/*"})});
  EXPECT_EQ(site.find("/api/"), 0);
  EXPECT_EQ(site.find("/api/x"), 0);
  EXPECT_EQ(site.find("/api"), -1);
  EXPECT_EQ(site.find("/apix"), -1);
}

TEST(FindRoute, AStarAfterAWordTakesTheWordOn) {
  OneSite site({route({"/merchant/admin*", "/merchant/support*"})});
  EXPECT_EQ(site.find("/merchant/admin"), 0);
  EXPECT_EQ(site.find("/merchant/administrator"), 0);
  EXPECT_EQ(site.find("/merchant/admin/x"), 0);
  EXPECT_EQ(site.find("/merchant/support/42"), 0);
  EXPECT_EQ(site.find("/merchant/adm"), -1);
  EXPECT_EQ(site.find("/merchant"), -1);
}

TEST(FindRoute, WithoutAStarThePathExactly) {
  OneSite site({route({"/healthz"})});
  EXPECT_EQ(site.find("/healthz"), 0);
  EXPECT_EQ(site.find("/healthz/"), -1);
  EXPECT_EQ(site.find("/Healthz"), -1);
  EXPECT_EQ(site.find("/healthzz"), -1);
  EXPECT_EQ(site.find("/"), -1);
}

TEST(FindRoute, RootAloneAndRootWithAStar) {
  OneSite site({route({"/"}), route({"/*"})});
  EXPECT_EQ(site.find("/"), 0);
  EXPECT_EQ(site.find("/x"), 1);
}

TEST(FindRoute, NoRoutes) {
  OneSite site({});
  EXPECT_EQ(site.find("/"), -1);
  EXPECT_FALSE(site.gave_up);
}

TEST(FindRoute, TheSitesOfTheContract) {
  OneSite site({route({"/healthz"}), route({"/api/*"}), route({"/merchant/admin*", "/merchant/support*"}),
                route({"/old/*"}), route({"/static/*"}), route({"/*"})});
  EXPECT_EQ(site.find("/healthz"), 0);
  EXPECT_EQ(site.find("/api/orders"), 1);
  EXPECT_EQ(site.find("/merchant/admin/users"), 2);
  EXPECT_EQ(site.find("/merchant/support"), 2);
  EXPECT_EQ(site.find("/merchant/other"), 5);
  EXPECT_EQ(site.find("/old/x"), 3);
  EXPECT_EQ(site.find("/static/app.css"), 4);
  EXPECT_EQ(site.find("/"), 5);
  EXPECT_EQ(site.find("/api"), 5);
}

TEST(FindRoute, MethodsPassACandidateOver) {
  auto write = route({"/items"});
  write.conditions.change().methods = {"POST", "PUT"};
  auto read = route({"/items"});
  read.conditions.change().methods = {"GET"};
  OneSite site({write, read, route({"/*"})});
  auto request = OneSite::get("/items");
  request.method = "POST";
  EXPECT_EQ(site.find(request), 0);
  request.method = "GET";
  EXPECT_EQ(site.find(request), 1);
  request.method = "HEAD";
  EXPECT_EQ(site.find(request), 1);
  request.method = "DELETE";
  EXPECT_EQ(site.find(request), 2);
  request.method = "get";
  EXPECT_EQ(site.find(request), 2);
}

TEST(FindRoute, GetDoesNotStandForHeadAlone) {
  auto head_only = route({"/*"});
  head_only.conditions.change().methods = {"HEAD"};
  OneSite site({head_only});
  EXPECT_EQ(site.find("/"), -1);
}

TEST(FindRoute, ConditionsLeadFromExactOverRegexToShorterPrefixes) {
  auto exact = route({"/a/b"});
  auto regex = regex_route("^/a/");
  auto near = route({"/a/*"});
  exact.conditions.change().methods = {"PUT"};
  regex.conditions.change().methods = {"POST"};
  near.conditions.change().methods = {"PATCH"};
  OneSite site({route({"/*"}), near, regex, exact});
  auto request = OneSite::get("/a/b");
  EXPECT_EQ(site.find(request), 0);
  request.method = "PATCH";
  EXPECT_EQ(site.find(request), 1);
  request.method = "POST";
  EXPECT_EQ(site.find(request), 2);
  request.method = "PUT";
  EXPECT_EQ(site.find(request), 3);
}

TEST(FindRoute, HeadersByValueOrPresence) {
  auto value = route({"/*"});
  value.conditions.change().headers = {{"X-Version", "2"}};
  auto present = route({"/*"});
  present.conditions.change().headers = {{"X-Beta", "*"}};
  auto also_present = route({"/*"});
  also_present.conditions.change().headers = {{"X-Gamma", ""}};
  OneSite site({value, present, also_present, route({"/*"})});
  const auto with = [&site](std::string_view name, std::string_view field_value) {
    http::Fields fields;
    fields.add(http::FieldId::kOther, "X-Version", "1");
    fields.add(http::FieldId::kOther, name, field_value);
    auto request = OneSite::get("/");
    request.fields = &fields;
    return site.find(request);
  };
  EXPECT_EQ(with("x-version", "2"), 0);
  EXPECT_EQ(with("X-VERSION", "22"), 3);
  EXPECT_EQ(with("x-beta", "anything"), 1);
  EXPECT_EQ(with("x-gamma", ""), 2);
  EXPECT_EQ(with("x-delta", ""), 3);
  EXPECT_EQ(site.find("/"), 3);
}

TEST(FindRoute, QueryByDecodedValue) {
  auto versioned = route({"/*"});
  versioned.conditions.change().query = {{"v", "2"}, {"name", "a b&c"}};
  OneSite site({versioned, route({"/*"})});
  auto request = OneSite::get("/");
  request.query = "name=a%20b%26c&v=2";
  EXPECT_EQ(site.find(request), 0);
  request.query = "v=%32&name=a+b%26c";
  EXPECT_EQ(site.find(request), 0);
  request.query = "v=2";
  EXPECT_EQ(site.find(request), 1);
  request.query = "v=2&name=a b";
  EXPECT_EQ(site.find(request), 1);
  request.query = "";
  EXPECT_EQ(site.find(request), 1);
}

TEST(FindRoute, ClientsByNetwork) {
  auto office = route({"/*"});
  office.conditions.change().client = {*Cidr::parse("10.0.0.0/8"), *Cidr::parse("fd00::/8")};
  OneSite site({office, route({"/*"})});
  auto request = OneSite::get("/");
  request.client = *IpAddress::parse("10.1.2.3");
  EXPECT_EQ(site.find(request), 0);
  request.client = *IpAddress::parse("fd12::1");
  EXPECT_EQ(site.find(request), 0);
  request.client = *IpAddress::parse("11.0.0.1");
  EXPECT_EQ(site.find(request), 1);
  request.client = IpAddress();
  EXPECT_EQ(site.find(request), 1);
}

TEST(FindRoute, CapturesOfAPathRegex) {
  OneSite site({regex_route("^/users/([0-9]+)/(.*)$"), route({"/*"})});
  const std::string path = "/users/42/orders";
  EXPECT_EQ(site.find(path), 0);
  EXPECT_EQ(site.captures.group[1], "42");
  EXPECT_EQ(site.captures.group[2], "orders");
  // The last regex that matched: a route by prefix leaves them.
  EXPECT_EQ(site.find("/x"), 1);
  EXPECT_EQ(site.captures.group[1], "42");
}

TEST(FindRoute, ARegexThatGivesUpIsNotPassedOver) {
  OneSite site({regex_route("^/(a+)+$"), route({"/*"}), route({"/exact"})});
  EXPECT_EQ(site.find("/" + std::string(40, 'a') + "!"), -1);
  EXPECT_TRUE(site.gave_up);
  EXPECT_EQ(site.find("/" + std::string(Regex::kMaxSubject, 'b')), -1);
  EXPECT_TRUE(site.gave_up);
  EXPECT_EQ(site.find("/exact"), 2);
  EXPECT_FALSE(site.gave_up);
  EXPECT_EQ(site.find("/b"), 1);
  EXPECT_FALSE(site.gave_up);
}

TEST(FindRoute, ARegexOfARouteThatCannotBeTakenIsNotTried) {
  auto posts = regex_route("^/(a+)+$");
  posts.conditions.change().methods = {"POST"};
  OneSite site({posts, route({"/*"})});
  EXPECT_EQ(site.find("/" + std::string(40, 'a') + "!"), 1);
  EXPECT_FALSE(site.gave_up);
}

/// No spelling of a path walks around a rule: the table sees what normalise_path makes of it.
TEST(FindRoute, EverySpellingMeetsTheSameRule) {
  OneSite site({route({"/admin/*"}), regex_route("\\.git(/|$)"), route({"/*"})});
  const auto spelled = [&site](std::string_view encoded) {
    std::string path;
    return http::normalise_path(encoded, path) ? site.find(path) : -2;
  };
  for (const auto path : {"/admin/x", "//admin/x", "/./admin/x", "/%61dmin/x", "/admin%2fx", "/a/../admin/x",
                          "/admin//x", "/%2e/admin/x", "/x/%2e%2e/admin/x", "\\admin/x", "/admin\\x", "/admin%5Cx"}) {
    EXPECT_EQ(spelled(path), path[0] == '/' ? 0 : -2) << path;
  }
  EXPECT_EQ(spelled("/x/%2egit/config"), 1);
  EXPECT_EQ(spelled("/%252e%252e/admin/"), 2);
}

TEST(RouteTable, ABadRegexOrTemplateNamesTheRoute) {
  config::Config config;
  config.sites = {site({}, {regex_route("^/(")})};
  config.sites[0].routes[0].position = {"headgate.yaml", 12, 7};
  try {
    RouteTable table(config);
    FAIL() << "no exception";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("headgate.yaml:12:7: "));
    EXPECT_THAT(error.what(), HasSubstr("path_regex: missing closing parenthesis"));
  }
  config.sites[0].routes = {route({"/a"})};
  config.sites[0].routes[0].rewrite = config::Rewrite{"^/a", "/b$nothing"};
  try {
    RouteTable table(config);
    FAIL() << "no exception";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("rewrite.to: unknown variable $nothing"));
  }
}

}  // namespace
}  // namespace headgate::routing
