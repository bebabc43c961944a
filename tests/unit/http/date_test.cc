// SPDX-License-Identifier: Apache-2.0
#include "http/date.h"

#include <gtest/gtest.h>

namespace headgate::http {
namespace {

constexpr std::int64_t kExample = 784'111'777;  // the date of RFC 9110 section 5.6.7
constexpr std::int64_t kNow = 1'790'000'000;    // September 2026

std::string written(std::int64_t seconds) {
  return std::string(HttpDate(seconds).text());
}

TEST(HttpDate, WritesFixdate) {
  EXPECT_EQ(written(kExample), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(written(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(written(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(written(1'709'164'800), "Thu, 29 Feb 2024 00:00:00 GMT");
}

TEST(HttpDate, ClampsToFourDigitYears) {
  EXPECT_EQ(written(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(written(INT64_MIN), "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(HttpDate, ReadsAllThreeForms) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", kNow), kExample);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", kNow), kExample);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994", kNow), kExample);
  EXPECT_EQ(parse_http_date("Sun Nov 16 08:49:37 1994", kNow), kExample + 10 * 86'400);
}

TEST(HttpDate, TwoDigitYearIsNotMoreThanFiftyYearsAhead) {
  EXPECT_EQ(parse_http_date("Tuesday, 06-Nov-76 08:49:37 GMT", kNow),
            parse_http_date("Fri, 06 Nov 2076 08:49:37 GMT", kNow));
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-77 08:49:37 GMT", kNow),
            parse_http_date("Sun, 06 Nov 1977 08:49:37 GMT", kNow));
}

TEST(HttpDate, ReadsWhatItWrites) {
  for (std::int64_t seconds = 0; seconds < 4'102'444'800; seconds += 12'345'677) {
    EXPECT_EQ(parse_http_date(written(seconds), kNow), seconds);
  }
}

TEST(HttpDate, LeapSecondIsTheNextMinute) {
  EXPECT_EQ(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT", kNow),
            parse_http_date("Sun, 01 Jan 2017 00:00:00 GMT", kNow));
}

class BadDate : public testing::TestWithParam<std::string_view> {};

TEST_P(BadDate, IsRefused) {
  EXPECT_EQ(parse_http_date(GetParam(), kNow), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(HttpDate, BadDate,
                         testing::Values("", "Sun", "now", "784111777", "Sun, 06 Nov 1994 08:49:37",
                                         "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 GMT ",
                                         "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
                                         "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
                                         "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
                                         "sun, 06 nov 1994 08:49:37 GMT", "Son, 06 Nov 1994 08:49:37 GMT",
                                         "Sun, 06 Nov 19x4 08:49:37 GMT", "Sun Nov 6 08:49:37 1994",
                                         "Sun Nov  6 08:49:37 1994 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
                                         "Sun, 29 Feb 2023 00:00:00 GMT", "Sun, -6 Nov 1994 08:49:37 GMT"));

}  // namespace
}  // namespace headgate::http
