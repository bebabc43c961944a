// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/routing/table_fixture.h"

namespace headgate::routing {
namespace {

using ::testing::ElementsAre;

/// Each step as "1+ why" (route 1 was taken) or "1- why".
std::vector<std::string> explained(OneSite& site, const RequestView& request) {
  Trace trace;
  Captures captures;
  const auto found = site.table().find_route(0, request, captures, &trace);
  Captures again;
  EXPECT_EQ(site.table().find_route(0, request, again), found);
  std::vector<std::string> steps;
  for (const auto& step : trace.steps) {
    const auto index = step.route - site.site_config().routes.data();
    EXPECT_EQ(step.taken, found == static_cast<std::size_t>(index));
    steps.push_back(std::to_string(index) + (step.taken ? "+ " : "- ") + step.why);
  }
  EXPECT_EQ(steps.size(), site.site_config().routes.size());
  return steps;
}

std::vector<std::string> explained(OneSite& site, std::string_view path) {
  return explained(site, OneSite::get(path));
}

TEST(RouteTrace, TheLongestPrefix) {
  OneSite site({route({"/*"}), route({"/api/*"}), route({"/healthz"}), route({"/a", "/b/*"})});
  EXPECT_THAT(explained(site, "/api/x"),
              ElementsAre("1+ longest prefix /api/*", "0- shadowed by the longer prefix /api/*",
                          "2- path /api/x is not /healthz", "3- path /api/x is not /a, does not begin with /b/"));
}

TEST(RouteTrace, AnExactPath) {
  OneSite site({route({"/*"}), route({"/x"}), regex_route("^/x"), route({"/x"}), regex_route("^/y")});
  EXPECT_THAT(
      explained(site, "/x"),
      ElementsAre("1+ exact path /x", "0- shadowed by the exact path /x", "2- shadowed by the exact path /x",
                  "3- shadowed by an earlier route with the same exact path /x", "4- path /x does not match ^/y"));
}

TEST(RouteTrace, Regexes) {
  OneSite site({route({"/*"}), regex_route("^/a"), regex_route("^/b"), regex_route("^/bb"), regex_route("^/c")});
  EXPECT_THAT(explained(site, "/bbb"),
              ElementsAre("1- path /bbb does not match ^/a", "2+ path_regex ^/b", "0- shadowed by the path_regex ^/b",
                          "3- shadowed by the earlier path_regex ^/b", "4- path /bbb does not match ^/c"));
}

TEST(RouteTrace, TheSamePrefixTwice) {
  OneSite site({route({"/a*"}), route({"/a*"})});
  EXPECT_THAT(explained(site, "/ab"),
              ElementsAre("0+ longest prefix /a*", "1- shadowed by an earlier route with the same prefix /a*"));
}

TEST(RouteTrace, ConditionsThatDoNotHold) {
  auto write = route({"/x"});
  write.conditions.change().methods = {"POST", "PUT", "PATCH"};
  auto version = regex_route("^/x");
  version.conditions.change().headers = {{"X-Version", "2"}};
  auto beta = route({"/x*"});
  beta.conditions.change().headers = {{"X-Beta", "*"}};
  auto query = route({"/x*"});
  query.conditions.change().query = {{"v", "2"}};
  auto office = route({"/x*"});
  office.conditions.change().client = {*Cidr::parse("10.0.0.0/8"), *Cidr::parse("fd00::/8")};
  auto reading = route({"/*"});
  reading.conditions.change().methods = {"GET"};
  OneSite site({write, version, beta, query, office, reading});
  http::Fields fields;
  fields.add(http::FieldId::kOther, "x-version", "1");
  auto request = OneSite::get("/x");
  request.query = "v=1";
  request.fields = &fields;
  request.client = *IpAddress::parse("192.0.2.1");
  EXPECT_THAT(explained(site, request),
              ElementsAre("0- exact path /x matches, but the method is GET, expected POST, PUT or PATCH",
                          "1- path_regex ^/x was not tried: header X-Version is \"1\", expected \"2\"",
                          "2- prefix /x* matches, but header X-Beta is absent, expected any value",
                          "3- prefix /x* matches, but query parameter v is \"1\", expected \"2\"",
                          "4- prefix /x* matches, but the client 192.0.2.1 is not in 10.0.0.0/8 or fd00::/8",
                          "5+ next shorter prefix /*, and its conditions hold"));
}

TEST(RouteTrace, NothingMatches) {
  OneSite site({route({"/a"}), route({"/b/*"}), regex_route("^/c")});
  EXPECT_THAT(explained(site, "/x"), ElementsAre("2- path /x does not match ^/c", "0- path /x is not /a",
                                                 "1- path /x does not begin with /b/"));
}

TEST(RouteTrace, ARegexThatGaveUp) {
  OneSite site({route({"/*"}), regex_route("^/(a+)+$"), regex_route("^/b")});
  const auto path = "/" + std::string(40, 'a') + "!";
  EXPECT_THAT(
      explained(site, path),
      ElementsAre("1- path_regex ^/(a+)+$ gave up: the path is too long or takes too many steps; the request fails",
                  "0- prefix /* was not asked: a path_regex before it gave up",
                  "2- path_regex ^/b was not asked: a path_regex before it gave up"));
}

/// Two paths of one route lead to it twice; it is named once.
TEST(RouteTrace, ARouteIsNamedOnce) {
  auto both = route({"/a/*", "/*"});
  both.conditions.change().methods = {"POST"};
  OneSite site({both});
  EXPECT_THAT(explained(site, "/a/b"), ElementsAre("0- prefix /a/* matches, but the method is GET, expected POST"));
}

}  // namespace
}  // namespace headgate::routing
