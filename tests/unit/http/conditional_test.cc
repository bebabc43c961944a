// SPDX-License-Identifier: Apache-2.0
#include "http/conditional.h"

#include <gtest/gtest.h>

namespace headgate::http {
namespace {

constexpr std::int64_t kModified = 784'111'777;
constexpr std::string_view kSame = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view kEarlier = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr std::string_view kLater = "Sun, 06 Nov 1994 08:49:38 GMT";
constexpr std::int64_t kNow = 1'790'000'000;
const Validators kValidators{"\"abc\"", kModified};

using Pairs = std::initializer_list<std::pair<std::string_view, std::string_view>>;

Fields fields_of(Pairs pairs) {
  Fields fields;
  for (const auto& [name, value] : pairs) fields.add(name, value);
  return fields;
}

Verdict get(Pairs pairs) {
  return check_preconditions(fields_of(pairs), Method::kGet, kValidators, kNow);
}
Verdict put(Pairs pairs) {
  return check_preconditions(fields_of(pairs), Method::kPut, kValidators, kNow);
}
bool range(Pairs pairs) {
  return if_range_holds(fields_of(pairs), kValidators, kNow);
}

TEST(Preconditions, NoneProceeds) {
  EXPECT_EQ(get({{"Accept", "*/*"}}), Verdict::kProceed);
}

TEST(Preconditions, IfNoneMatch) {
  EXPECT_EQ(get({{"If-None-Match", "\"abc\""}}), Verdict::kNotModified);
  EXPECT_EQ(get({{"If-None-Match", "W/\"abc\""}}), Verdict::kNotModified);
  EXPECT_EQ(get({{"If-None-Match", "\"x\", W/\"y\" ,\"abc\""}}), Verdict::kNotModified);
  EXPECT_EQ(get({{"If-None-Match", "\"a,b\",\"abc\""}}), Verdict::kNotModified);
  EXPECT_EQ(get({{"If-None-Match", "\"x\""}, {"If-None-Match", "\"abc\""}}), Verdict::kNotModified);
  EXPECT_EQ(get({{"If-None-Match", " * "}}), Verdict::kNotModified);
  EXPECT_EQ(get({{"If-None-Match", "\"x\""}}), Verdict::kProceed);
  EXPECT_EQ(get({{"If-None-Match", "\"ABC\""}}), Verdict::kProceed);
  EXPECT_EQ(put({{"If-None-Match", "\"abc\""}}), Verdict::kFailed);
  EXPECT_EQ(put({{"If-None-Match", "*"}}), Verdict::kFailed);
}

TEST(Preconditions, MalformedTagsMatchNothing) {
  for (const std::string_view bad : {"abc", "\"abc", "w/\"abc\"", "W/abc", "x, \"abc\"", "\"a bc\"", ""}) {
    EXPECT_EQ(get({{"If-None-Match", bad}}), Verdict::kProceed) << bad;
    EXPECT_EQ(get({{"If-Match", bad}}), Verdict::kFailed) << bad;
  }
}

TEST(Preconditions, IfModifiedSince) {
  EXPECT_EQ(get({{"If-Modified-Since", kSame}}), Verdict::kNotModified);
  EXPECT_EQ(get({{"If-Modified-Since", kLater}}), Verdict::kNotModified);
  EXPECT_EQ(get({{"If-Modified-Since", kEarlier}}), Verdict::kProceed);
  EXPECT_EQ(get({{"If-Modified-Since", "yesterday"}}), Verdict::kProceed);
  EXPECT_EQ(get({{"If-Modified-Since", kSame}, {"If-Modified-Since", kSame}}), Verdict::kProceed);
  EXPECT_EQ(put({{"If-Modified-Since", kSame}}), Verdict::kProceed);
}

TEST(Preconditions, IfNoneMatchOverrulesIfModifiedSince) {
  EXPECT_EQ(get({{"If-None-Match", "\"x\""}, {"If-Modified-Since", kSame}}), Verdict::kProceed);
  EXPECT_EQ(get({{"If-None-Match", "\"abc\""}, {"If-Modified-Since", kEarlier}}), Verdict::kNotModified);
}

TEST(Preconditions, IfMatchComparesStrongly) {
  EXPECT_EQ(get({{"If-Match", "\"abc\""}}), Verdict::kProceed);
  EXPECT_EQ(get({{"If-Match", "\"x\", \"abc\""}}), Verdict::kProceed);
  EXPECT_EQ(get({{"If-Match", "*"}}), Verdict::kProceed);
  EXPECT_EQ(get({{"If-Match", "W/\"abc\""}}), Verdict::kFailed);
  EXPECT_EQ(get({{"If-Match", "\"x\""}}), Verdict::kFailed);
}

TEST(Preconditions, IfUnmodifiedSince) {
  EXPECT_EQ(get({{"If-Unmodified-Since", kSame}}), Verdict::kProceed);
  EXPECT_EQ(get({{"If-Unmodified-Since", kEarlier}}), Verdict::kFailed);
  EXPECT_EQ(get({{"If-Unmodified-Since", "never"}}), Verdict::kProceed);
  EXPECT_EQ(get({{"If-Match", "\"abc\""}, {"If-Unmodified-Since", kEarlier}}), Verdict::kProceed);
}

TEST(Preconditions, FailureComesBeforeNotModified) {
  EXPECT_EQ(get({{"If-Match", "\"x\""}, {"If-None-Match", "\"abc\""}}), Verdict::kFailed);
  EXPECT_EQ(get({{"If-Match", "\"abc\""}, {"If-None-Match", "\"abc\""}}), Verdict::kNotModified);
}

TEST(Preconditions, WithoutValidatorsDatesSayNothing) {
  const Validators none;
  EXPECT_EQ(check_preconditions(fields_of({{"If-Modified-Since", kLater}}), Method::kGet, none, kNow),
            Verdict::kProceed);
  EXPECT_EQ(check_preconditions(fields_of({{"If-Unmodified-Since", kEarlier}}), Method::kGet, none, kNow),
            Verdict::kProceed);
}

TEST(IfRange, NeedsTheVeryRepresentation) {
  EXPECT_TRUE(range({}));
  EXPECT_TRUE(range({{"If-Range", "\"abc\""}}));
  EXPECT_TRUE(range({{"If-Range", kSame}}));
  EXPECT_FALSE(range({{"If-Range", "W/\"abc\""}}));
  EXPECT_FALSE(range({{"If-Range", "\"x\""}}));
  EXPECT_FALSE(range({{"If-Range", "\"abc\", \"x\""}}));
  EXPECT_FALSE(range({{"If-Range", "*"}}));
  EXPECT_FALSE(range({{"If-Range", kLater}}));
  EXPECT_FALSE(range({{"If-Range", kEarlier}}));
  EXPECT_FALSE(range({{"If-Range", ""}}));
  EXPECT_FALSE(range({{"If-Range", "\"abc\""}, {"If-Range", "\"abc\""}}));
}

}  // namespace
}  // namespace headgate::http
