// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "proxy/handlers/cache_policy.h"

namespace headgate::proxy {
namespace {

constexpr std::string_view kImmutable = "public, max-age=31536000, immutable";

TEST(ContentHash, NamesOfBundlers) {
  for (const std::string_view path :
       {"/assets/index-BqXy12Zd.js", "/assets/index-DiwrgTda.css", "/assets/vendor-a1b2c3d4.js.map",
        "/assets/app-12345678.js", "/assets/logo-D-x_3abc.svg", "/static/js/main.3f2a1b9c.js",
        "/static/js/787.1c4f5a6b.chunk.js", "/static/media/logo.6ce24c58023cc2f8fd88fe9d219db6c6.svg",
        "/_next/static/chunks/main-0123456789abcdef.js", "/main.0a1b2c3d4e5f6a7b.js", "/chunk-ABCDEFGH.js",
        "/app-deadbeef.js", "/3f2a1b9cdeadbeef0123.woff2"}) {
    EXPECT_TRUE(has_content_hash(path)) << path;
  }
}

TEST(ContentHash, WordsVersionsAndDates) {
  for (const std::string_view path :
       {"/index.html", "/favicon.ico", "/apple-touch-icon-precomposed.png", "/bootstrap-datepicker.min.js",
        "/my-component.js", "/section-background2.jpg", "/jquery-3.7.1.min.js", "/report-20240131.pdf",
        "/report.20240131.pdf", "/views-UserProfile.js", "/deadbeef.js", "/app-short1.js", "/BqXy12Zd/app.js",
        "/app.v2.js", "/-.js", "/.x", "/"}) {
    EXPECT_FALSE(has_content_hash(path)) << path;
  }
}

TEST(MustRevalidate, PagesWorkersAndManifests) {
  for (const std::string_view path : {"/index.html", "/a/b.HTM", "/sw.js", "/service-worker.js", "/app/ngsw-worker.js",
                                      "/firebase-messaging-sw.js", "/site.webmanifest", "/manifest.json"}) {
    EXPECT_TRUE(must_revalidate(path)) << path;
  }
  for (const std::string_view path : {"/app.js", "/asset-manifest.json", "/answer.js", "/html", "/"}) {
    EXPECT_FALSE(must_revalidate(path)) << path;
  }
}

TEST(PathMatches, Stars) {
  EXPECT_TRUE(path_matches("/assets/*", "/assets/a/b.js"));
  EXPECT_FALSE(path_matches("/assets/*", "/assets"));
  EXPECT_TRUE(path_matches("*.js", "/a/b.js"));
  EXPECT_FALSE(path_matches("*.js", "/a/b.json"));
  EXPECT_TRUE(path_matches("/a/*/c*.js", "/a/b/x/cd.js"));
  EXPECT_FALSE(path_matches("/a/*/c*.js", "/a/b/x/d.js"));
  EXPECT_TRUE(path_matches("/index.html", "/index.html"));
  EXPECT_FALSE(path_matches("/index.html", "/a/index.html"));
  EXPECT_TRUE(path_matches("index.html", "/a/index.html"));
  EXPECT_TRUE(path_matches("*", "/anything"));
}

TEST(CachePolicy, TheMostSpecificPatternWins) {
  const CachePolicy policy({{"*", "any"},
                            {"*.js", "script"},
                            {"/assets/*", "assets"},
                            {"/assets/vendor/*", "vendor"},
                            {"/assets/vendor/exact.js", "exact"},
                            {"/assets/******", "stars say nothing"}},
                           false);
  EXPECT_EQ(policy.of("/x"), "any");
  EXPECT_EQ(policy.of("/x.js"), "script");
  EXPECT_EQ(policy.of("/assets/x.js"), "assets");
  EXPECT_EQ(policy.of("/assets/vendor/x.js"), "vendor");
  EXPECT_EQ(policy.of("/assets/vendor/exact.js"), "exact");
}

TEST(CachePolicy, SpaDefaultsGiveWayToPatterns) {
  const CachePolicy spa({{"/assets/*", "mine"}}, true);
  EXPECT_EQ(spa.of("/assets/index-BqXy12Zd.js"), "mine");
  EXPECT_EQ(spa.of("/js/index-BqXy12Zd.js"), kImmutable);
  EXPECT_EQ(spa.of("/index.html"), "no-cache");
  EXPECT_EQ(spa.of("/sw.js"), "no-cache");
  EXPECT_EQ(spa.of("/favicon.ico"), "");
}

TEST(CachePolicy, WithoutSpaNothingIsAssumed) {
  const CachePolicy plain({}, false);
  EXPECT_EQ(plain.of("/index.html"), "");
  EXPECT_EQ(plain.of("/js/index-BqXy12Zd.js"), "");
}

}  // namespace
}  // namespace headgate::proxy
