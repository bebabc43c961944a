// SPDX-License-Identifier: Apache-2.0
#include "proxy/route_walk.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "config/load.h"

namespace headgate::proxy {
namespace {

/// Only $uri, as the walk's place has it.
class UriOnly final : public routing::Variables {
 public:
  explicit UriOnly(const RoutePlace& place) : place_(place) {}
  void append(const routing::Variable& variable, std::string& out) const override {
    if (variable.kind == routing::Variable::Kind::kUri) out += place_.path;
    if (variable.kind == routing::Variable::Kind::kCapture) out += place_.captures.group[variable.index];
  }

 private:
  const RoutePlace& place_;
};

class Steps final : public WalkListener {
 public:
  void looked_up(std::size_t route, const routing::Trace&, bool) override {
    told.push_back(route == routing::RouteTable::kNone ? "none" : "route " + std::to_string(route));
  }
  void not_rewritten(std::size_t, std::string_view path) override { told.push_back("kept " + std::string(path)); }
  void rewritten(std::size_t, std::string_view path, std::string_view target) override {
    told.push_back(std::string(path) + " -> " + std::string(target));
  }
  std::vector<std::string> told;
};

class RouteWalkTest : public testing::Test {
 protected:
  RouteWalk::End walk(const std::string& routes, std::string_view path, std::string_view query = {}) {
    const auto loaded = config::load_text("sites: [ { routes: [" + routes + "] } ]\n", "/f", {});
    EXPECT_TRUE(loaded.errors.empty()) << routes;
    const routing::RouteTable table(loaded.config);
    place_ = {};
    place_.path = path;
    place_.query = query;
    const UriOnly values(place_);
    steps_.told.clear();
    RouteWalk one{table, loaded.config.sites[0], 0, values, arena_, &steps_};
    const auto end = one.run({"GET", {}, {}, &fields_, {}}, place_);
    route_ = one.route;
    return end;
  }

  BufferPool buffers_;
  Arena arena_{buffers_};
  http::Fields fields_;
  RoutePlace place_;
  Steps steps_;
  std::size_t route_ = 0;
};

constexpr const char* kOk = "{ path: /*, respond: { body: ok } }";

TEST_F(RouteWalkTest, TakesTheRouteWithoutARewrite) {
  EXPECT_EQ(walk(kOk, "/a", "n=1"), RouteWalk::End::kRoute);
  EXPECT_EQ(route_, 0u);
  EXPECT_TRUE(place_.path_as_sent);
  EXPECT_EQ(place_.query, "n=1");
}

TEST_F(RouteWalkTest, LooksAgainAfterARewriteWithoutAnAction) {
  const auto routes =
      std::string("{ path: '/shop/*', rewrite: { regex: '^/shop(/.*)$', to: $1 } }, ") + kOk;
  EXPECT_EQ(walk(routes, "/shop/basket"), RouteWalk::End::kRoute);
  EXPECT_EQ(route_, 1u);
  EXPECT_EQ(place_.path, "/basket");
  EXPECT_FALSE(place_.path_as_sent);
  EXPECT_EQ(steps_.told, (std::vector<std::string>{"route 0", "/shop/basket -> /basket", "route 1"}));
}

TEST_F(RouteWalkTest, AQueryOfTheRewriteComesFirst) {
  const auto rewrite_to = [](const std::string& to) {
    return "{ path: /old, rewrite: { regex: ^/old$, to: '" + to + "' } }, " + kOk;
  };
  EXPECT_EQ(walk(rewrite_to("/new?b=2"), "/old", "a=1"), RouteWalk::End::kRoute);
  EXPECT_EQ(place_.path, "/new");
  EXPECT_EQ(place_.query, "b=2&a=1");
  walk(rewrite_to("/new?b=2"), "/old");
  EXPECT_EQ(place_.query, "b=2");
  walk(rewrite_to("/new?c=3?"), "/old", "a=1");
  EXPECT_EQ(place_.query, "c=3");
  walk(rewrite_to("/new?"), "/old", "a=1");
  EXPECT_EQ(place_.query, "a=1");
  walk(rewrite_to("/new"), "/old", "a=1");
  EXPECT_EQ(place_.query, "a=1");
}

TEST_F(RouteWalkTest, AQuestionMarkOfTheClientStaysInThePath) {
  const auto routes = std::string("{ path: '/a/*', rewrite: { regex: ^/a(.*)$, to: $1 } }, ") + kOk;
  EXPECT_EQ(walk(routes, "/a/x?y", "n=1"), RouteWalk::End::kRoute);
  EXPECT_EQ(place_.path, "/x?y");
  EXPECT_EQ(place_.query, "n=1");
}

TEST_F(RouteWalkTest, NoSpellingClimbsOutOfARewrite) {
  const auto routes = std::string("{ path: '/a/*', rewrite: { regex: ^/a/(.*)$, to: /b/../../$1 } }, ") + kOk;
  EXPECT_EQ(walk(routes, "/a/x"), RouteWalk::End::kBadRewrite);
}

TEST_F(RouteWalkTest, TenRewritesAreAllowedAndNoMore) {
  std::string ten;
  for (int i = 0; i < 10; ++i) {
    ten += "{ path: /" + std::to_string(i) + ", rewrite: { regex: ., to: /" + std::to_string(i + 1) + " } }, ";
  }
  EXPECT_EQ(walk(ten + kOk, "/0"), RouteWalk::End::kRoute);
  EXPECT_EQ(walk("{ path: /new, rewrite: { regex: ., to: /0 } }, " + ten + kOk, "/new"), RouteWalk::End::kLoop);
}

TEST_F(RouteWalkTest, ARewriteThatDoesNotMatch) {
  EXPECT_EQ(walk("{ path: '/a*', rewrite: { regex: ^/never$, to: /x } }", "/a"), RouteWalk::End::kNone);
  EXPECT_EQ(walk("{ path: '/a*', rewrite: { regex: ^/never$, to: /x }, respond: { body: ok } }", "/a"),
            RouteWalk::End::kRoute);
  EXPECT_EQ(place_.path, "/a");
  EXPECT_EQ(steps_.told, (std::vector<std::string>{"route 0", "kept /a"}));
}

TEST_F(RouteWalkTest, NoRoute) {
  EXPECT_EQ(walk("{ path: /a, respond: { body: ok } }", "/b"), RouteWalk::End::kNone);
  EXPECT_EQ(route_, routing::RouteTable::kNone);
}

}  // namespace
}  // namespace headgate::proxy
