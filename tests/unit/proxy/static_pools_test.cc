// SPDX-License-Identifier: Apache-2.0
// Statics with pools: which build a file comes from, what is said about it, and their part of Traffic.
#include <gtest/gtest.h>

#include "proxy/handlers/folder_choice.h"
#include "tests/unit/proxy/edge.h"
#include "tests/unit/proxy/file_tree.h"

namespace headgate::proxy {
namespace {

constexpr std::size_t kBlue = 0;
constexpr std::size_t kGreen = 1;

struct NoValues final : routing::Variables {
  void append(const routing::Variable&, std::string&) const override {}
};

class StaticPoolsTest : public testing::Test {
 protected:
  StaticPoolsTest() {
    settings.name = "shop";
    settings.pools = {{"blue", tree.path("blue")}, {"green", tree.path("green")}};
    tree.write("blue/index.html", "blue's page");
    tree.write("green/index.html", "green's page");
  }

  StaticPlan ask(const std::string& path, std::size_t pool, std::string_view if_none_match = {}) {
    http::Fields fields;
    if (!if_none_match.empty()) fields.add("If-None-Match", if_none_match);
    const StaticQuestion question{http::Method::kGet, path, path, {}, fields, values, now, pool};
    handlers_.push_back(std::make_unique<StaticFiles>(settings));
    return handlers_.back()->plan(question, cache);
  }
  std::string get(const std::string& path, std::size_t pool) {
    const auto plan = ask(path, pool);
    return plan.kind == StaticPlan::Kind::kFile ? plan.representation->body : "<" + std::to_string(plan.status) + ">";
  }

  FileTree tree;
  config::Static settings;
  NoValues values;
  FileCache cache;
  TimePoint now = Clock::now();

 private:
  std::vector<std::unique_ptr<StaticFiles>> handlers_;  // plans have views into them
};

TEST_F(StaticPoolsTest, PagesAreTheClientsPools) {
  for (const bool spa : {false, true}) {
    settings.spa = spa;
    EXPECT_EQ(get("/", kBlue), "blue's page");
    EXPECT_EQ(get("/", kGreen), "green's page");
    EXPECT_EQ(get("/account", kGreen), spa ? "green's page" : "<404>");
    EXPECT_EQ(ask("/", kGreen).lender, std::nullopt);
    EXPECT_EQ(ask("/", kGreen).cache_control, "no-cache");
  }
  tree.write("green/about.html", "about");
  tree.write("green/sw.js", "worker");
  EXPECT_EQ(get("/about.html", kGreen), "about");
  EXPECT_EQ(get("/about.html", kBlue), "blue's page") << "the application's own, as for any page that it lacks";
  EXPECT_EQ(get("/sw.js", kBlue), "<404>") << "a browser must find that it is gone";
  settings.spa = false;
  EXPECT_EQ(get("/about.html", kBlue), "<404>");
}

TEST_F(StaticPoolsTest, WhatPagesLoadIsFoundInAnyPool) {
  tree.write("blue/app-3f9a1b2c.js", "blue's script");
  tree.write("green/app-77d0c4e1.js", "green's script");
  tree.write("blue/logo.svg", "blue's logo");
  tree.write("green/logo.svg", "green's logo");
  tree.write("old/app-00ab12cd.js", "an older script");
  tree.write("old/logo.svg", "an older logo");
  settings.also = {tree.path("old")};
  for (const bool spa : {false, true}) {
    settings.spa = spa;
    for (const auto pool : {kBlue, kGreen}) {
      EXPECT_EQ(get("/app-3f9a1b2c.js", pool), "blue's script");
      EXPECT_EQ(get("/app-77d0c4e1.js", pool), "green's script");
      EXPECT_EQ(get("/app-00ab12cd.js", pool), "an older script");
      EXPECT_EQ(get("/app-99999999.js", pool), "<404>");
    }
    EXPECT_EQ(get("/logo.svg", kBlue), "blue's logo");
    EXPECT_EQ(get("/logo.svg", kGreen), "green's logo");
    EXPECT_EQ(ask("/app-77d0c4e1.js", kBlue).lender, kGreen);
    EXPECT_EQ(ask("/app-77d0c4e1.js", kGreen).lender, std::nullopt);
    EXPECT_EQ(ask("/app-00ab12cd.js", kGreen).lender, std::nullopt);
  }
}

TEST_F(StaticPoolsTest, TagsTellBuildsApartAndDatesAreNotAsked) {
  const std::string large(kSmallFile + 1, 'x');
  tree.write("blue/large.bin", large);
  tree.write("green/large.bin", large);
  for (const char* file : {"blue/large.bin", "green/large.bin"}) tree.modified(file, 1'600'000'000);
  const std::string blue = ask("/large.bin", kBlue).representation->etag;
  EXPECT_NE(ask("/large.bin", kGreen).representation->etag, blue) << "the same time and size, but not the same build";
  EXPECT_EQ(ask("/large.bin", kBlue, blue).status, 304);
  EXPECT_EQ(ask("/large.bin", kGreen, blue).status, 200);
  EXPECT_FALSE(ask("/", kBlue).dated);
  settings.pools.clear();
  settings.root = tree.path("blue");
  EXPECT_TRUE(ask("/", kBlue).dated);
}

TEST_F(StaticPoolsTest, APoolIsWellWithAnIndex) {
  const StaticFiles files(settings);
  EXPECT_TRUE(files.has_index(kGreen, cache, now));
  EXPECT_EQ(why_no_index(settings, "green"), std::nullopt);
  settings.pools.emplace_back("red", tree.path("red"));
  EXPECT_NE(why_no_index(settings, "red")->find("has no folder"), std::string::npos);
  tree.write("red/app.js", "x");
  EXPECT_NE(why_no_index(settings, "red")->find("has no index.html"), std::string::npos);
  settings.index.clear();
  EXPECT_EQ(why_no_index(settings, "red"), std::nullopt) << "no file is named, so the folder is enough";
  EXPECT_EQ(why_no_index(settings, "pink"), std::nullopt);
}

TEST(StaticPoolsCaching, PagesMustBeAskedForAgain) {
  const CachePolicy policy({{"/start.html", "max-age=60"}}, false, true);
  EXPECT_EQ(policy.of("/index.html"), "no-cache");
  EXPECT_EQ(policy.of("/start.html"), "max-age=60");
  EXPECT_EQ(policy.of("/app-3f9a1b2c.js"), "") << "that is for spa to say";
}

class StaticPoolsTraffic : public testing::Test {
 protected:
  void adopt(const std::string& settings) {
    config = read_config("sites: [{ hosts: [shop.example], routes: [{ path: /*, static: { " + settings + " } }] }]\n");
    config::each_pooled_static(config, [&](const config::Static& files, const config::Site&, const config::Route&) {
      feed = traffic.feed(files);
    });
    traffic.adopt(config);
  }
  std::string plan() const {
    traffic::Weights weights;
    for (const auto& pool : feed->plan()->split.pools()) weights.emplace_back(pool.name, pool.weight);
    return traffic::text_of(weights);
  }

  observe::Events events;
  traffic::Traffic traffic{events, [] {}};
  config::Config config;
  std::shared_ptr<traffic::Feed> feed;
};

TEST_F(StaticPoolsTraffic, IsSwitchedLikeThatOfUpstreams) {
  adopt("pools: { blue: /b, green: /g }");
  EXPECT_EQ(plan(), "blue 1, green 0");
  EXPECT_NE(traffic.switch_to("shop.example", "gren")->find("static 'shop.example' has no pool 'gren'"),
            std::string::npos);
  EXPECT_FALSE(traffic.switch_to("shop.example", "green"));
  EXPECT_EQ(plan(), "blue 0, green 100");
  adopt("pools: { blue: /b, green: /g }, split: { blue: 3, green: 1 }");
  EXPECT_EQ(plan(), "blue 0, green 100") << "an operator's outlives a reload";
  EXPECT_FALSE(traffic.rollback("shop.example"));
  EXPECT_EQ(plan(), "blue 1, green 0");
  EXPECT_FALSE(traffic.reset("shop.example"));
  EXPECT_EQ(plan(), "blue 3, green 1");
  adopt("root: /r");
  EXPECT_TRUE(traffic.switch_to("shop.example", "green")) << "it has no pools any more";
}

}  // namespace
}  // namespace headgate::proxy
