// SPDX-License-Identifier: Apache-2.0
#include "upstream/sticky.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace headgate::upstream {
namespace {

using namespace std::chrono_literals;

Sticky sticky(std::chrono::seconds ttl, std::string_view upstream = "api") {
  return Sticky(upstream, config::Sticky{.cookie = "headgate_srv", .ttl = ttl});
}

constexpr Sticky::Time kNow{1'790'000'000s};

TEST(StickyTest, TheFieldSaysItAll) {
  EXPECT_EQ(sticky(1h).issue(0x0f1e2d3c4b5a6978, kNow, false),
            "headgate_srv=0f1e2d3c4b5a6978.006ab13b80; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax");
  EXPECT_EQ(sticky(1h).issue(1, kNow, true),
            "headgate_srv=0000000000000001.006ab13b80; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure");
}

TEST(StickyTest, WithoutATtlItIsTheBrowsersSession) {
  EXPECT_EQ(sticky(0s).issue(1, kNow, true), "headgate_srv=0000000000000001; Path=/; HttpOnly; SameSite=Lax; Secure");
  EXPECT_FALSE(sticky(0s).needs_renewal({.token = 1, .issued = std::nullopt}, kNow));
  EXPECT_FALSE(sticky(0s).needs_renewal({.token = 1, .issued = kNow - 240h}, kNow));
}

TEST(StickyTest, WhatIsIssuedIsRead) {
  for (const auto ttl : {0s, 1s, 86400s}) {
    const std::string field = sticky(ttl).issue(0xfedcba9876543210, kNow, true);
    const auto begin = field.find('=') + 1;
    const auto cookie = Sticky::parse(std::string_view(field).substr(begin, field.find(';') - begin));
    ASSERT_TRUE(cookie);
    EXPECT_EQ(cookie->token, 0xfedcba9876543210);
    EXPECT_EQ(cookie->issued.has_value(), ttl > 0s);
    if (cookie->issued) {
      EXPECT_EQ(*cookie->issued, kNow);
    }
  }
}

TEST(StickyTest, ATokenIsTheSameForEver) {
  // Clients hold it: this number may not change from one version to the next.
  EXPECT_EQ(sticky(1h).token(42), 0xb5070ffe02a443e2);
  EXPECT_EQ(sticky(0s).token(42), sticky(1h).token(42));
}

TEST(StickyTest, TokensDiffer) {
  std::set<std::uint64_t> tokens;
  for (const std::string_view upstream : {"", "api", "apj", "pai", "api2"}) {
    for (std::uint64_t id = 0; id < 1000; ++id) tokens.insert(sticky(1h, upstream).token(id));
  }
  EXPECT_EQ(tokens.size(), 5000U);
}

TEST(StickyTest, WhatWeDidNotWriteIsNoCookie) {
  const std::string good = "0f1e2d3c4b5a6978.006ab13b80";
  ASSERT_TRUE(Sticky::parse(good));
  for (std::size_t length = 0; length < good.size(); ++length)
    EXPECT_EQ(Sticky::parse(good.substr(0, length)).has_value(), length == 16) << length;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const char c : std::string("gG-+ xA.;\"\\\0\xff/:@`", 17)) {
      if (good[at] == c) continue;
      std::string bad = good;
      bad[at] = c;
      EXPECT_FALSE(Sticky::parse(bad)) << bad;
    }
  }
  EXPECT_FALSE(Sticky::parse(good + "0"));
  EXPECT_FALSE(Sticky::parse("\"" + good + "\""));
  EXPECT_FALSE(Sticky::parse("0x1e2d3c4b5a6978"));
  EXPECT_FALSE(Sticky::parse(std::string(100'000, '0')));
}

TEST(StickyTest, RenewedWhenHalfOfItsTimeIsOver) {
  const auto hour = sticky(1h);
  EXPECT_FALSE(hour.needs_renewal({.token = 1, .issued = kNow}, kNow));
  EXPECT_FALSE(hour.needs_renewal({.token = 1, .issued = kNow}, kNow + 1800s));
  EXPECT_TRUE(hour.needs_renewal({.token = 1, .issued = kNow}, kNow + 1801s));
  EXPECT_TRUE(hour.needs_renewal({.token = 1, .issued = kNow}, kNow + 240h));
  EXPECT_FALSE(sticky(1s).needs_renewal({.token = 1, .issued = kNow}, kNow));
  EXPECT_TRUE(sticky(1s).needs_renewal({.token = 1, .issued = kNow}, kNow + 1s));
}

TEST(StickyTest, ATimeThatCannotBeIsRenewed) {
  const auto hour = sticky(1h);
  EXPECT_TRUE(hour.needs_renewal({.token = 1, .issued = std::nullopt}, kNow));  // had no ttl when it was issued
  EXPECT_TRUE(hour.needs_renewal({.token = 1, .issued = kNow + 1s}, kNow));
  for (const std::string_view value : {"0000000000000001.ffffffffff", "0000000000000001.0000000000"}) {
    const auto cookie = Sticky::parse(value);
    ASSERT_TRUE(cookie);
    EXPECT_TRUE(hour.needs_renewal(*cookie, kNow)) << value;
  }
}

}  // namespace
}  // namespace headgate::upstream
