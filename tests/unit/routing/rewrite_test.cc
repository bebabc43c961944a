// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <gtest/gtest.h>

#include "routing/regex.h"
#include "tests/unit/routing/table_fixture.h"

namespace headgate::routing {
namespace {

config::Route rewriting(std::string_view path, std::string_view regex, std::string_view to) {
  auto result = route({path});
  result.rewrite = config::Rewrite{std::string(regex), std::string(to)};
  return result;
}

/// The new target, with " | " before the template's "?"; "no" without a match, "gave up".
std::string rewritten(const config::Route& rule, std::string_view path) {
  OneSite site({rule});
  std::string out = "left over";
  RewriteNotes notes;
  const bool matched = site.table().rewrite(0, 0, path, Echo(), site.captures, out, &notes);
  if (notes.gave_up) return matched ? "both" : "gave up";
  if (!matched) return "no";
  if (notes.question != std::string::npos) out.insert(notes.question, " | ");
  return out;
}

TEST(Rewrite, TheExampleOfTheContract) {
  const auto rule = rewriting("/merchant/admin*", "^/merchant(/.*)$", "$1");
  EXPECT_EQ(rewritten(rule, "/merchant/admin"), "/admin");
  EXPECT_EQ(rewritten(rule, "/merchant/admin/users/7"), "/admin/users/7");
  EXPECT_EQ(rewritten(rule, "/merchant"), "no");
}

TEST(Rewrite, TheResultIsTheWholePath) {
  EXPECT_EQ(rewritten(rewriting("/*", "b+", "/new"), "/abbbc"), "/new");
  EXPECT_EQ(rewritten(rewriting("/*", "/([^/]+)\\.html$", "/$1"), "/docs/a/page.html"), "/page");
}

TEST(Rewrite, VariablesAndGroups) {
  EXPECT_EQ(rewritten(rewriting("/*", "^/(\\w+)/(\\w+)", "/$2/$1/$host"), "/a/b"), "/b/a/<host>");
  EXPECT_EQ(rewritten(rewriting("/*", "^/(a)?b", "/x$1y"), "/b"), "/xy");
}

TEST(Rewrite, AQueryIsLeftToTheCaller) {
  EXPECT_EQ(rewritten(rewriting("/*", "^/item/(\\d+)$", "/item?id=$1"), "/item/7"), "/item | ?id=7");
  EXPECT_EQ(rewritten(rewriting("/*", "^/(.*)$", "/$1?"), "/a"), "/a | ?");
}

/// What a client put into its path stays in the path, and is not decoded again.
TEST(Rewrite, ValuesStayInThePath) {
  const auto rule = rewriting("/*", "^/merchant(/.*)$", "$1");
  EXPECT_EQ(rewritten(rule, "/merchant/100%"), "/100%");
  EXPECT_EQ(rewritten(rule, "/merchant/%2e%2e/x"), "/%2e%2e/x");
  EXPECT_EQ(rewritten(rule, "/merchant/a?b=c"), "/a?b=c");
  EXPECT_EQ(rewritten(rewriting("/*", "^/x/(.*)$", "/$1?p=$1"), "/x/a?b"), "/a?b | ?p=a%3Fb");
}

TEST(Rewrite, ValuesInAQueryAreEscapedUnlessTheyAre) {
  EXPECT_EQ(rewritten(rewriting("/*", "^/item/(.*)$", "/item?id=$1&x=1"), "/item/7&admin=1#+"),
            "/item | ?id=7%26admin%3D1%23%2B&x=1");
  EXPECT_EQ(rewritten(rewriting("/*", "^/", "/a?$query&h=$host&u=$request_uri&v=$arg_v"), "/"),
            "/a | ?<query>&h=%3Chost%3E&u=<request_uri>&v=<arg v>");
}

TEST(Rewrite, ARouteWithoutOne) {
  EXPECT_EQ(rewritten(route({"/*"}), "/a"), "no");
}

TEST(Rewrite, OnlyTheRouteThatWasAskedFor) {
  OneSite site({rewriting("/a", "^/a$", "/first"), route({"/b"}), rewriting("/c", "^/c$", "/third")});
  std::string out;
  EXPECT_TRUE(site.table().rewrite(0, 2, "/c", Echo(), site.captures, out));
  EXPECT_EQ(out, "/third");
  EXPECT_FALSE(site.table().rewrite(0, 1, "/b", Echo(), site.captures, out));
  EXPECT_FALSE(site.table().rewrite(0, 0, "/c", Echo(), site.captures, out));
  EXPECT_TRUE(site.table().rewrite(0, 0, "/a", Echo(), site.captures, out));
  EXPECT_EQ(out, "/first");
}

TEST(Rewrite, CapturesAreViewsIntoThePath) {
  OneSite site({rewriting("/*", "^/([a-z]+)/(.*)$", "/$2")});
  const std::string path = "/abc/def";
  std::string out;
  ASSERT_TRUE(site.table().rewrite(0, 0, path, Echo(), site.captures, out));
  EXPECT_EQ(site.captures.group[1].data(), path.data() + 1);
  EXPECT_EQ(site.captures.group[2], "def");
}

TEST(Rewrite, NoMatchLeavesTheCaptures) {
  OneSite site({rewriting("/*", "^/(x)$", "/$1")});
  site.captures.group[1] = "old";
  std::string out;
  EXPECT_FALSE(site.table().rewrite(0, 0, "/y", Echo(), site.captures, out));
  EXPECT_EQ(site.captures.group[1], "old");
}

/// $1..$9 of a path_regex serve a rewrite that has no groups of its own.
TEST(Rewrite, GroupsOfThePathRegex) {
  auto rule = regex_route("^/users/([0-9]+)$");
  rule.rewrite = config::Rewrite{"^/users/", "/profile/$1"};
  OneSite site({rule});
  const std::string path = "/users/42";
  ASSERT_EQ(site.find(path), 0);
  std::string out;
  ASSERT_TRUE(site.table().rewrite(0, 0, path, Echo(), site.captures, out));
  EXPECT_EQ(out, "/profile/42");
}

TEST(Rewrite, GivesUp) {
  const auto rule = rewriting("/*", "^/(a+)+$", "/x");
  EXPECT_EQ(rewritten(rule, "/" + std::string(40, 'a') + "!"), "gave up");
  EXPECT_EQ(rewritten(rule, "/" + std::string(Regex::kMaxSubject, 'a')), "gave up");
  EXPECT_EQ(rewritten(rule, "/aa"), "/x");
}

}  // namespace
}  // namespace headgate::routing
