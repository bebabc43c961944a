// SPDX-License-Identifier: Apache-2.0
#include "routing/prefix_tree.h"

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::routing {
namespace {

using Keys = std::vector<std::string_view>;

std::string_view longest(const Keys& keys, std::string_view text) {
  const auto found = PrefixTree(keys).longest(text);
  return found == PrefixTree::kNone ? "none" : keys[found];
}

TEST(PrefixTree, Empty) {
  EXPECT_EQ(PrefixTree().longest("/"), PrefixTree::kNone);
  EXPECT_EQ(longest({}, "/"), "none");
}

TEST(PrefixTree, TheLongestWins) {
  const Keys keys = {"/", "/api/", "/api/v1/", "/apple", "/b"};
  EXPECT_EQ(longest(keys, "/"), "/");
  EXPECT_EQ(longest(keys, "/api"), "/");
  EXPECT_EQ(longest(keys, "/api/"), "/api/");
  EXPECT_EQ(longest(keys, "/api/v1"), "/api/");
  EXPECT_EQ(longest(keys, "/api/v1/x"), "/api/v1/");
  EXPECT_EQ(longest(keys, "/apples"), "/apple");
  EXPECT_EQ(longest(keys, "/app"), "/");
  EXPECT_EQ(longest(keys, "/bcd"), "/b");
  EXPECT_EQ(longest(keys, "x"), "none");
  EXPECT_EQ(longest(keys, ""), "none");
}

TEST(PrefixTree, TheEmptyKeyBeginsAll) {
  const Keys keys = {"", "/a"};
  EXPECT_EQ(longest(keys, ""), "");
  EXPECT_EQ(longest(keys, "zzz"), "");
  EXPECT_EQ(longest(keys, "/ab"), "/a");
}

TEST(PrefixTree, BytesOfAllValues) {
  const Keys keys = {"/\x01", "/a", "/\x80", "/\xff"};
  EXPECT_EQ(longest(keys, "/\xff\xff"), "/\xff");
  EXPECT_EQ(longest(keys, "/\x80x"), "/\x80");
  EXPECT_EQ(longest(keys, "/\x01"), "/\x01");
  EXPECT_EQ(longest(keys, "/\x7f"), "none");
}

TEST(PrefixTree, ShorterKeysInTurn) {
  const Keys keys = {"/", "/a", "/a/b/", "/a/b/c", "/ax"};
  const PrefixTree tree(keys);
  auto key = tree.longest("/a/b/cd");
  EXPECT_EQ(key, 3U);
  EXPECT_EQ(tree.key_size(key), 6U);
  key = tree.shorter(key);
  EXPECT_EQ(key, 2U);
  key = tree.shorter(key);
  EXPECT_EQ(key, 1U);
  key = tree.shorter(key);
  EXPECT_EQ(key, 0U);
  EXPECT_EQ(tree.shorter(key), PrefixTree::kNone);
}

TEST(PrefixTree, DeepNesting) {
  std::vector<std::string> texts;
  for (std::size_t i = 1; i <= 3000; ++i) texts.emplace_back(i, 'a');
  const Keys keys(texts.begin(), texts.end());
  const PrefixTree tree(keys);
  EXPECT_EQ(tree.longest(std::string(5000, 'a')), 2999U);
  EXPECT_EQ(tree.longest(std::string(17, 'a') + "b"), 16U);
}

/// The chain of all keys that begin a text, the longest first, is what looking at each key finds.
TEST(PrefixTree, EqualsALinearSearch) {
  std::mt19937 random(7);
  const auto random_text = [&random](std::size_t longest_text) {
    std::string text;
    for (auto left = random() % (longest_text + 1); left > 0; --left) text.push_back("ab/\xe9"[random() % 4]);
    return text;
  };
  std::size_t found_some = 0;
  for (int round = 0; round < 300; ++round) {
    std::set<std::string, std::less<>> texts;
    for (auto left = random() % 60; left > 0; --left) texts.insert(random_text(8));
    const Keys keys(texts.begin(), texts.end());
    ASSERT_TRUE(std::is_sorted(keys.begin(), keys.end()));
    const PrefixTree tree(keys);
    for (int query = 0; query < 100; ++query) {
      const auto text = random_text(12);
      std::vector<std::uint32_t> expected;
      for (std::uint32_t i = 0; i < keys.size(); ++i) {
        if (text.starts_with(keys[i])) expected.insert(expected.begin(), i);
      }
      std::vector<std::uint32_t> actual;
      for (auto key = tree.longest(text); key != PrefixTree::kNone; key = tree.shorter(key)) {
        ASSERT_EQ(tree.key_size(key), keys[key].size());
        actual.push_back(key);
      }
      ASSERT_EQ(actual, expected) << text;
      if (!actual.empty()) ++found_some;
    }
  }
  EXPECT_GT(found_some, 1000U);
}

}  // namespace
}  // namespace headgate::routing
