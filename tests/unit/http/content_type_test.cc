// SPDX-License-Identifier: Apache-2.0
#include "http/content_type.h"

#include <gtest/gtest.h>

namespace headgate::http {
namespace {

TEST(ContentType, ModernWeb) {
  EXPECT_EQ(content_type_of("/index.html"), "text/html; charset=utf-8");
  EXPECT_EQ(content_type_of("/a/app.js"), "text/javascript; charset=utf-8");
  EXPECT_EQ(content_type_of("x.mjs"), "text/javascript; charset=utf-8");
  EXPECT_EQ(content_type_of("/style.css"), "text/css; charset=utf-8");
  EXPECT_EQ(content_type_of("/data.json"), "application/json");
  EXPECT_EQ(content_type_of("/app.js.map"), "application/json");
  EXPECT_EQ(content_type_of("/app.wasm"), "application/wasm");
  EXPECT_EQ(content_type_of("/site.webmanifest"), "application/manifest+json");
  EXPECT_EQ(content_type_of("/logo.svg"), "image/svg+xml");
  EXPECT_EQ(content_type_of("/photo.avif"), "image/avif");
  EXPECT_EQ(content_type_of("/font.woff2"), "font/woff2");
}

TEST(ContentType, CaseDoesNotMatter) {
  EXPECT_EQ(content_type_of("/PHOTO.JPG"), "image/jpeg");
  EXPECT_EQ(content_type_of("/a.WebManifest"), "application/manifest+json");
}

TEST(ContentType, UnknownIsBytes) {
  for (const std::string_view path :
       {"/Makefile", "/a.unknown", "/.js", "/dir.js/file", "/a.", "", "/a.webmanifestx"}) {
    EXPECT_EQ(content_type_of(path), "application/octet-stream") << path;
  }
}

TEST(ContentType, Extension) {
  EXPECT_EQ(extension_of("/a/b.tar.gz"), "gz");
  EXPECT_EQ(extension_of("/a.b/c"), "");
  EXPECT_EQ(extension_of("/a/.env"), "");
  EXPECT_EQ(extension_of("/a/.env.js"), "js");
}

TEST(ContentType, Assets) {
  for (const std::string_view path : {"/assets/app-12345678.js", "/favicon.ico", "/robots.txt", "/a.PNG", "/x.map"}) {
    EXPECT_TRUE(is_asset_name(path)) << path;
  }
  for (const std::string_view path :
       {"/", "/orders/12", "/users/john.doe", "/docs/v1.2", "/about.html", "/a/readme.md"}) {
    EXPECT_FALSE(is_asset_name(path)) << path;
  }
}

}  // namespace
}  // namespace headgate::http
