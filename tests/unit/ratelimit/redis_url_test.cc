// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/redis_url.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ratelimit/shard_ring.h"
#include "ratelimit/token_script.h"

namespace headgate::ratelimit {
namespace {

TEST(RedisUrl, AllParts) {
  const auto url = RedisUrl::parse("redis://worker:p%40ss%3a%2Fw@[::1]:6380/12");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->user, "worker");
  EXPECT_EQ(url->password, "p@ss:/w");
  EXPECT_EQ(url->database, 12);
  EXPECT_EQ(url->address.port, 6380);
  EXPECT_EQ(url->name(), "redis://[::1]:6380/12");
}

TEST(RedisUrl, ShortForms) {
  EXPECT_EQ(RedisUrl::parse("redis://cache.internal:6379")->address.host, "cache.internal");
  EXPECT_EQ(RedisUrl::parse("redis://cache.internal:6379")->database, 0);
  EXPECT_EQ(RedisUrl::parse("redis://:secret@127.0.0.1:6379/")->password, "secret");
  EXPECT_EQ(RedisUrl::parse("redis://:100%@127.0.0.1:6379/")->password, "100%");
  EXPECT_EQ(RedisUrl::parse("redis://:a@b@127.0.0.1:6379/")->password, "a@b");
  EXPECT_EQ(RedisUrl::parse("unix:/run/redis.sock")->address.path, "/run/redis.sock");
  EXPECT_EQ(RedisUrl::parse("unix:/run/redis.sock")->name(), "unix:/run/redis.sock");
}

TEST(RedisUrl, RefusesTheRest) {
  for (const char* text :
       {"", "http://127.0.0.1:1", "redis://", "redis://127.0.0.1:6379/x", "redis://127.0.0.1:6379/-1"}) {
    EXPECT_FALSE(RedisUrl::parse(text)) << text;
  }
}

TEST(ShardRing, TheOrderOfTheListDoesNotMatter) {
  const std::vector<std::string> names{"a", "b", "c"};
  const std::vector<std::string> turned{"c", "a", "b"};
  const ShardRing one(names);
  const ShardRing other(turned);
  for (int i = 0; i < 1000; ++i) {
    const auto key = "key" + std::to_string(i);
    ASSERT_EQ(names[one.of(key)], turned[other.of(key)]);
  }
}

TEST(ShardRing, ANewStoreTakesOnlyItsShare) {
  const std::vector<std::string> three{"a", "b", "c"};
  const std::vector<std::string> four{"a", "b", "c", "d"};
  const ShardRing before(three);
  const ShardRing after(four);
  std::map<std::string, int> counts;
  for (int i = 0; i < 20'000; ++i) {
    const auto key = "key" + std::to_string(i);
    const auto& now = four[after.of(key)];
    ++counts[now];
    if (now != "d") {
      ASSERT_EQ(now, three[before.of(key)]);
    }
  }
  for (const auto& [name, count] : counts) {
    EXPECT_GT(count, 3500) << name;
    EXPECT_LT(count, 6500) << name;
  }
}

TEST(TokenScript, ArgumentsAreMicroseconds) {
  std::vector<std::string> arguments;
  append_arguments({"k", Pace::of(Nanos{1'234'567}, 10), -1, 5}, arguments);
  append_arguments({"k", Pace::of(Nanos{7}, 2), 0, 1}, arguments);
  EXPECT_EQ(arguments, (std::vector<std::string>{"1234.567", "10", "-1", "5", "0.007", "2", "0", "1"}));
}

TEST(TokenScript, LongKeysAreHashedAndStayApart) {
  EXPECT_EQ(stored_key("login", "192.0.2.1"), "headgate:limit:login:192.0.2.1");
  const std::string first = stored_key("login", std::string(500, 'a'));
  EXPECT_EQ(first.size(), std::string("headgate:limit-hash:login:").size() + 32);
  EXPECT_NE(first, stored_key("login", std::string(501, 'a')));
  EXPECT_NE(first, stored_key("other", std::string(500, 'a')));
  EXPECT_EQ(first, stored_key("login", std::string(500, 'a')));
}

}  // namespace
}  // namespace headgate::ratelimit
