// SPDX-License-Identifier: Apache-2.0
// Random tables and requests: the lookup answers as a search does that reads the rule word by word.
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "routing/conditions.h"
#include "routing/regex.h"
#include "tests/unit/routing/table_fixture.h"

namespace headgate::routing {
namespace {

/// docs/routing.md, literally: exact, then regexes in order, then the longest prefix; conditions pass over.
int naive(const config::Site& site, const RequestView& request) {
  const auto& routes = site.routes;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    for (const auto& path : routes[i].paths) {
      if (!path.prefix && path.text == request.path && conditions_hold(*routes[i].conditions, request))
        return static_cast<int>(i);
    }
  }
  for (std::size_t i = 0; i < routes.size(); ++i) {
    if (routes[i].path_regex.empty() || !conditions_hold(*routes[i].conditions, request)) continue;
    Captures captures;
    const auto regex = Regex::compile(routes[i].path_regex);
    if (regex->search(request.path, captures) == Regex::Outcome::kMatch) return static_cast<int>(i);
  }
  int best = -1;
  std::size_t best_size = 0;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    for (const auto& path : routes[i].paths) {
      if (!path.prefix || !request.path.starts_with(path.text) || !conditions_hold(*routes[i].conditions, request))
        continue;
      if (best >= 0 && path.text.size() <= best_size) continue;
      best = static_cast<int>(i);
      best_size = path.text.size();
    }
  }
  return best;
}

class RandomTables {
 public:
  explicit RandomTables(unsigned seed) : random_(seed) {}

  std::size_t below(std::size_t bound) { return random_() % bound; }

  std::string path() {
    std::string text = "/";
    for (auto left = below(5); left > 0; --left) {
      static constexpr std::string_view kPieces[] = {"a", "b", "ab", "a/", "b/", "api/", "x"};
      text += kPieces[below(std::size(kPieces))];
    }
    return text;
  }

  std::string method() {
    static constexpr const char* kMethods[] = {"GET", "HEAD", "POST", "PUT"};
    return kMethods[below(std::size(kMethods))];
  }

  config::Route any_route() {
    config::Route result;
    if (below(8) == 0) {
      static constexpr const char* kRegexes[] = {"^/a", "b$", "^/api/(.*)$", "x/?$", "^/[ab]+/"};
      result.path_regex = kRegexes[below(std::size(kRegexes))];
    } else {
      for (auto left = 1 + below(2); left > 0; --left) result.paths.push_back({path(), below(2) == 0});
    }
    if (below(3) == 0) result.conditions.change().methods.push_back(method());
    if (below(5) == 0) result.conditions.change().query.push_back({"v", below(2) == 0 ? "*" : "2"});
    return result;
  }

 private:
  std::mt19937 random_;
};

TEST(RouteProperty, LookupEqualsALinearSearch) {
  RandomTables random(20240821);
  int taken = 0;
  int none = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<config::Route> routes;
    for (auto left = random.below(40); left > 0; --left) routes.push_back(random.any_route());
    OneSite site(std::move(routes));
    for (int query = 0; query < 60; ++query) {
      const auto path = random.path();
      const auto method = random.method();
      RequestView request;
      request.path = path;
      request.method = method;
      request.query = random.below(2) == 0 ? "v=2" : (random.below(2) == 0 ? "v=1" : "");
      const int expected = naive(site.site_config(), request);
      ASSERT_EQ(site.find(request), expected) << path << " in round " << round;
      Trace trace;
      Captures captures;
      const auto traced = site.table().find_route(0, request, captures, &trace);
      ASSERT_EQ(traced == RouteTable::kNone ? -1 : static_cast<int>(traced), expected);
      ASSERT_EQ(trace.steps.size(), site.site_config().routes.size());
      ++(expected < 0 ? none : taken);
    }
  }
  EXPECT_GT(taken, 3000);
  EXPECT_GT(none, 1000);
}

}  // namespace
}  // namespace headgate::routing
