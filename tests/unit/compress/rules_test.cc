// SPDX-License-Identifier: Apache-2.0
#include "compress/rules.h"

#include <gtest/gtest.h>

#include "base/loop.h"

namespace headgate::compress {
namespace {

using http::Coding;
using Headers = std::vector<std::pair<std::string_view, std::string_view>>;

class RulesTest : public testing::Test {
 protected:
  static http::RequestHead asked(const Headers& fields, http::Method method = http::Method::kGet) {
    http::RequestHead head;
    head.method = method;
    for (const auto& [name, value] : fields) head.fields.add(name, value);
    return head;
  }
  static http::ResponseHead answer(const Headers& fields, std::optional<std::uint64_t> length = 5000,
                                   int status = 200) {
    http::ResponseHead head;
    head.status = status;
    head.content_length = length;
    for (const auto& [name, value] : fields) head.fields.add(name, value);
    return head;
  }
  std::string encoding(const http::RequestHead& request, const http::ResponseHead& head) {
    const auto decision = decide(rules, request, head);
    if (!decision.varies) return "as is";
    return std::string(http::to_string(decision.coding)) + (decision.trickle ? " trickle" : "");
  }
  static std::string field(const http::ResponseHead& head, std::string_view name) {
    std::string all;
    for (const auto& one : head.fields) {
      if (http::iequals(one.name, name)) all += (all.empty() ? "" : " | ") + std::string(one.value);
    }
    return all;
  }

  Rules rules{config::Compress{}};
  BufferPool pool;
  Arena arena{pool};
  const Headers browser{{"Accept-Encoding", "gzip, deflate, br, zstd"}};
  const Headers json{{"Content-Type", "application/json"}};
};

TEST_F(RulesTest, Types) {
  EXPECT_TRUE(rules.covers("text/html; charset=utf-8"));
  EXPECT_TRUE(rules.covers("TEXT/CSS"));
  EXPECT_TRUE(rules.covers("application/json;odata=verbose"));
  EXPECT_FALSE(rules.covers("application/jsonp"));
  EXPECT_FALSE(rules.covers("textual/html"));
  EXPECT_FALSE(rules.covers("image/png"));
  EXPECT_FALSE(rules.covers(""));
  EXPECT_FALSE(rules.covers(std::string(200, 'a')));
  config::Compress all;
  all.types = {"*/*"};
  EXPECT_TRUE(Rules(all).covers("image/png"));
  EXPECT_FALSE(Rules(all).covers("application/grpc+proto"));
  EXPECT_FALSE(Rules(all).covers(""));
}

TEST_F(RulesTest, Negotiation) {
  const struct {
    std::string_view accepts;
    std::string_view gets;
  } kCases[] = {
      {"gzip, deflate, br, zstd", "zstd"},
      {"gzip, br", "br"},
      {"gzip", "gzip"},
      {"x-gzip", "gzip"},
      {"gzip;q=1, br;q=0.5", "gzip"},
      {"zstd;q=0, br;q=0, *", "gzip"},
      {"*", "zstd"},
      {"*;q=0", "identity"},
      {"deflate", "identity"},
      {"identity", "identity"},
      {"identity;q=0", "identity"},
      {"identity;q=0, gzip;q=0.1", "gzip"},
      {"gzip;q=0.2, identity", "identity"},
      {"", "identity"},
      {"gzip;q=bad", "identity"},
  };
  for (const auto& one : kCases) {
    EXPECT_EQ(encoding(asked({{"Accept-Encoding", one.accepts}}), answer(json)), one.gets) << one.accepts;
  }
  EXPECT_EQ(encoding(asked({}), answer(json)), "identity");
  config::Compress settings;
  settings.encodings = {"gzip", "br"};
  rules = Rules(settings);
  EXPECT_EQ(encoding(asked(browser), answer(json)), "gzip");
}

TEST_F(RulesTest, WhatIsLeftAsItIs) {
  const auto request = asked(browser);
  EXPECT_EQ(encoding(request, answer(json)), "zstd");
  EXPECT_EQ(encoding(request, answer(json, std::nullopt)), "zstd");
  EXPECT_EQ(encoding(request, answer(json, 1024)), "zstd");
  EXPECT_EQ(encoding(request, answer(json, 1023)), "as is");
  EXPECT_EQ(encoding(request, answer({{"Content-Type", "image/png"}})), "as is");
  EXPECT_EQ(encoding(request, answer({})), "as is");
  for (const int status : {103, 204, 205, 206}) EXPECT_EQ(encoding(request, answer(json, 5000, status)), "as is");
  for (const int status : {201, 404, 500}) EXPECT_EQ(encoding(request, answer(json, 5000, status)), "zstd");
  for (const auto& [name, value] : Headers{{"Content-Encoding", "gzip"},
                                           {"Content-Encoding", "aes128gcm"},
                                           {"Content-Range", "bytes 0-9/100"},
                                           {"Cache-Control", "public, No-Transform, max-age=5"},
                                           {"Content-Digest", "sha-256=:AA==:"},
                                           {"Repr-Digest", "sha-256=:AA==:"},
                                           {"Digest", "sha-256=AA=="},
                                           {"Content-MD5", "AA=="}}) {
    EXPECT_EQ(encoding(request, answer({json[0], {name, value}})), "as is") << name;
  }
  EXPECT_EQ(encoding(asked({browser[0], {"Cache-Control", "no-transform"}}), answer(json)), "as is");
  EXPECT_EQ(encoding(asked(browser, http::Method::kHead), answer(json)), "zstd");
  EXPECT_EQ(encoding(asked(browser, http::Method::kConnect), answer(json)), "as is");
  EXPECT_EQ(encoding(request, answer({{"Content-Type", "text/event-stream"}}, std::nullopt)), "zstd trickle");
}

TEST_F(RulesTest, NothingIsLargerThanNothing) {
  config::Compress settings;
  settings.min_size = 0;
  rules = Rules(settings);
  EXPECT_EQ(encoding(asked(browser), answer(json, 0)), "as is");
  EXPECT_EQ(encoding(asked(browser), answer(json, 1)), "zstd");
}

TEST_F(RulesTest, TheHeadOfWhatIsEncoded) {
  auto head = answer({json[0], {"ETag", "\"abc\""}, {"Accept-Ranges", "bytes"}, {"Vary", "Origin"}});
  const auto request = asked(browser);
  apply(decide(rules, request, head), request, arena, head);
  EXPECT_EQ(field(head, "Content-Encoding"), "zstd");
  EXPECT_EQ(field(head, "ETag"), "W/\"abc\"");
  EXPECT_EQ(field(head, "Accept-Ranges"), "");
  EXPECT_EQ(field(head, "Vary"), "Origin, Accept-Encoding");
  EXPECT_FALSE(head.content_length);
}

TEST_F(RulesTest, TheHeadOfWhatOthersWouldGetEncoded) {
  auto head = answer({json[0], {"ETag", "\"abc\""}, {"Accept-Ranges", "bytes"}});
  const auto request = asked({});
  apply(decide(rules, request, head), request, arena, head);
  EXPECT_EQ(field(head, "Content-Encoding"), "");
  EXPECT_EQ(field(head, "ETag"), "\"abc\"");
  EXPECT_EQ(field(head, "Accept-Ranges"), "bytes");
  EXPECT_EQ(field(head, "Vary"), "Accept-Encoding");
  EXPECT_EQ(head.content_length, 5000U);
}

TEST_F(RulesTest, VaryIsSaidOnce) {
  const auto request = asked(browser);
  const struct {
    Headers before;
    std::string_view after;
  } kCases[] = {
      {{{"Vary", "accept-encoding"}}, "accept-encoding"},
      {{{"Vary", "Origin, Accept-Encoding"}}, "Origin, Accept-Encoding"},
      {{{"Vary", "*"}}, "*"},
      {{{"Vary", ""}}, "Accept-Encoding"},
      {{{"Vary", "Origin"}, {"Vary", "Accept"}}, "Origin, Accept-Encoding | Accept"},
  };
  for (const auto& one : kCases) {
    auto head = answer(json);
    for (const auto& [name, value] : one.before) head.fields.add(name, value);
    apply(decide(rules, request, head), request, arena, head);
    EXPECT_EQ(field(head, "Vary"), one.after);
  }
}

TEST_F(RulesTest, NotModifiedHasTheTagThatTheClientKnows) {
  const struct {
    std::string_view known;
    std::string_view told;
  } kCases[] = {
      {"W/\"abc\"", "W/\"abc\""}, {"\"abc\"", "\"abc\""}, {"\"x\", W/\"abc\"", "W/\"abc\""}, {"*", "\"abc\""}};
  for (const auto& one : kCases) {
    const auto request = asked({browser[0], {"If-None-Match", one.known}});
    auto head = answer({{"ETag", "\"abc\""}}, 5000, 304);
    apply(decide(rules, request, head), request, arena, head);
    EXPECT_EQ(field(head, "ETag"), one.told) << one.known;
    EXPECT_EQ(field(head, "Vary"), "Accept-Encoding");
    EXPECT_EQ(field(head, "Content-Encoding"), "");
    EXPECT_FALSE(head.content_length);
  }
}

}  // namespace
}  // namespace headgate::compress
