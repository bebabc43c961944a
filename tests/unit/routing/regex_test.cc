// SPDX-License-Identifier: Apache-2.0
#include "routing/regex.h"

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate::routing {
namespace {

using Outcome = Regex::Outcome;
using ::testing::HasSubstr;

Regex compiled(std::string_view pattern) {
  return std::move(Regex::compile(pattern).value());
}

Outcome search(std::string_view pattern, std::string_view subject) {
  Captures captures;
  return compiled(pattern).search(subject, captures);
}

TEST(Regex, SearchesAnywhereUnlessAnchored) {
  EXPECT_EQ(search("b+", "/abbc"), Outcome::kMatch);
  EXPECT_EQ(search("^b+", "/abbc"), Outcome::kNoMatch);
  EXPECT_EQ(search("c$", "/abbc"), Outcome::kMatch);
  EXPECT_EQ(search("", "/x"), Outcome::kMatch);
  EXPECT_EQ(search("^$", ""), Outcome::kMatch);
  EXPECT_EQ(search("^$", std::string_view()), Outcome::kMatch);
}

TEST(Regex, GroupsAreViewsIntoTheSubject) {
  const auto regex = compiled("^/merchant(/.*)$");
  EXPECT_EQ(regex.group_count(), 1U);
  EXPECT_EQ(regex.pattern(), "^/merchant(/.*)$");
  const std::string path = "/merchant/admin/users";
  Captures captures;
  ASSERT_EQ(regex.search(path, captures), Outcome::kMatch);
  EXPECT_EQ(captures.group[0], path);
  EXPECT_EQ(captures.group[1], "/admin/users");
  EXPECT_EQ(captures.group[1].data(), path.data() + 9);
  EXPECT_EQ(captures.group[2], "");
}

TEST(Regex, AGroupThatTookNoPartIsEmpty) {
  Captures captures;
  captures.group[1] = captures.group[3] = "old";
  ASSERT_EQ(compiled("^/(a)?(b)$").search("/b", captures), Outcome::kMatch);
  EXPECT_EQ(captures.group[1], "");
  EXPECT_EQ(captures.group[2], "b");
  EXPECT_EQ(captures.group[3], "");
}

TEST(Regex, CapturesStayWithoutAMatch) {
  Captures captures;
  captures.group[1] = "old";
  EXPECT_EQ(compiled("^/(a)$").search("/b", captures), Outcome::kNoMatch);
  EXPECT_EQ(captures.group[1], "old");
}

TEST(Regex, NineGroupsOfMore) {
  const auto regex = compiled("^(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)$");
  EXPECT_EQ(regex.group_count(), 11U);
  Captures captures;
  ASSERT_EQ(regex.search("abcdefghijk", captures), Outcome::kMatch);
  EXPECT_EQ(captures.group[1], "a");
  EXPECT_EQ(captures.group[9], "i");
}

TEST(Regex, AnyBytesAreASubject) {
  EXPECT_EQ(search("^/.+$", "/\xff\xfe\x80"), Outcome::kMatch);
  EXPECT_EQ(search("^/\\xff", "/\xff"), Outcome::kMatch);
  EXPECT_EQ(search("caf\xc3\xa9", "/caf\xc3\xa9"), Outcome::kMatch);
  // The end is the end, also behind a line feed.
  EXPECT_EQ(search("a$", "a\n"), Outcome::kNoMatch);
}

TEST(Regex, LookaroundsAndCase) {
  EXPECT_EQ(search("(?i)\\.PHP$", "/x.php"), Outcome::kMatch);
  EXPECT_EQ(search("^/(?!api/)", "/api/x"), Outcome::kNoMatch);
  EXPECT_EQ(search("^/(?!api/)", "/app/x"), Outcome::kMatch);
}

/// A pattern that takes exponential time ends in the third state, which is not "no".
TEST(Regex, GivesUpOnAHostileSubject) {
  const std::string nested = "/" + std::string(40, 'a') + "!";
  EXPECT_EQ(search("^/(a+)+$", nested), Outcome::kGaveUp);
  EXPECT_EQ(search("^/(a|aa)+$", nested), Outcome::kGaveUp);
  EXPECT_EQ(search("^/(?:a*)*b$", nested + "b!"), Outcome::kGaveUp);
  // The same patterns on what they were made for.
  EXPECT_EQ(search("^/(a+)+$", "/aaaa"), Outcome::kMatch);
  EXPECT_EQ(search("^/(a+)+$", "/aaab"), Outcome::kNoMatch);
}

TEST(Regex, GivesUpOnAHostileSubjectWithoutJitToo) {
  EXPECT_EQ(search("(*NO_JIT)^/(a+)+$", "/" + std::string(40, 'a') + "!"), Outcome::kGaveUp);
  EXPECT_EQ(search("(*NO_JIT)^/(a+)+$", "/aaaa"), Outcome::kMatch);
}

TEST(Regex, ASubjectHasALimit) {
  const std::string longest = "/" + std::string(Regex::kMaxSubject - 1, 'a');
  EXPECT_EQ(search("^/a+$", longest), Outcome::kMatch);
  EXPECT_EQ(search("^/(?:a|b)+$", longest), Outcome::kMatch);
  EXPECT_EQ(search("^/a+$", longest + "a"), Outcome::kGaveUp);
}

TEST(Regex, SaysWhatIsWrong) {
  const auto broken = Regex::compile("^/(a");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().offset, 4U);
  EXPECT_THAT(broken.error().message, HasSubstr("parenthesis"));
  EXPECT_THAT(check_regex("[a").value_or(""), HasSubstr("offset 2"));
  EXPECT_THAT(check_regex("*a").value_or(""), HasSubstr("quantifier"));
  EXPECT_FALSE(check_regex("^/merchant(/.*)$").has_value());
  EXPECT_THAT(check_regex(std::string(Regex::kMaxPattern + 1, 'a')).value_or(""), HasSubstr("longer than"));
  // Would make matching fail on a path that is not valid UTF-8.
  EXPECT_TRUE(check_regex("(*UTF)a").has_value());
  EXPECT_THROW(Regex::compile("(").value(), std::invalid_argument);
}

TEST(Regex, IsSharedByThreads) {
  const auto regex = compiled("^/([a-z]+)/([0-9]+)$");
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&regex, &wrong, t] {
      const std::string path = "/user/" + std::to_string(1000 + t);
      for (int i = 0; i < 2000; ++i) {
        Captures captures;
        const bool right = regex.search(path, captures) == Outcome::kMatch && captures.group[1] == "user" &&
                           captures.group[2] == std::to_string(1000 + t);
        if (!right) ++wrong[t];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(wrong, ::testing::Each(0));
}

}  // namespace
}  // namespace headgate::routing
