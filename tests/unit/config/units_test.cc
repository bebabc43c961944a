// SPDX-License-Identifier: Apache-2.0
#include "config/units.h"

#include <string>

#include <gtest/gtest.h>

namespace headgate::config {
namespace {

template <class T>
std::string message(const Parsed<T>& parsed) {
  return parsed ? "no error" : parsed.error().message;
}

TEST(Duration, TakesTheFourUnits) {
  EXPECT_EQ(*parse_duration("500ms"), 500ms);
  EXPECT_EQ(*parse_duration("5s"), 5s);
  EXPECT_EQ(*parse_duration("2m"), 2min);
  EXPECT_EQ(*parse_duration("1h"), 1h);
  EXPECT_EQ(*parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(*parse_duration("0"), 0ms);
  EXPECT_EQ(*parse_duration("8760h"), 8760h);
}

TEST(Duration, RefusesAllElse) {
  for (const char* text :
       {"", "fast", "5", "s", "-5s", "5 s", "5S", "1h30m", "1e3s", "0x5s", "5s ", ".", "1.2.3s", "inf"}) {
    EXPECT_EQ(message(parse_duration(text)),
              "expected a duration such as 500ms, 5s, 2m, 1h, got '" + std::string(text) + "'");
  }
  EXPECT_EQ(message(parse_duration("8761h")), "expected a duration of at most 8760h, got '8761h'");
  EXPECT_EQ(message(parse_duration("99999999999999999999999h")),
            "expected a duration of at most 8760h, got '99999999999999999999999h'");
  EXPECT_EQ(message(parse_duration("0.5ms")), "expected a duration in whole milliseconds, got '0.5ms'");
}

TEST(Duration, IsWrittenInTheLargestExactUnit) {
  EXPECT_EQ(to_text(0ms), "0s");
  EXPECT_EQ(to_text(1500ms), "1500ms");
  EXPECT_EQ(to_text(90s), "90s");
  EXPECT_EQ(to_text(120s), "2m");
  EXPECT_EQ(to_text(7200s), "2h");
}

TEST(Size, TakesBinaryAndDecimalUnits) {
  EXPECT_EQ(*parse_size("0"), 0u);
  EXPECT_EQ(*parse_size("512"), 512u);
  EXPECT_EQ(*parse_size("64KiB"), 65536u);
  EXPECT_EQ(*parse_size("20MiB"), 20u * 1024 * 1024);
  EXPECT_EQ(*parse_size("2GiB"), 2ull * 1024 * 1024 * 1024);
  EXPECT_EQ(*parse_size("3KB"), 3000u);
  EXPECT_EQ(*parse_size("3MB"), 3'000'000u);
  EXPECT_EQ(*parse_size("3GB"), 3'000'000'000u);
}

TEST(Size, RefusesAllElseAndOverflow) {
  for (const char* text :
       {"", "KiB", "-1", "1.5MiB", "1 KiB", "1kib", "1K", "99999999999999999999", "9223372036854775807KiB"}) {
    EXPECT_EQ(message(parse_size(text)),
              "expected a size such as 512, 64KiB, 20MiB, 1GB, got '" + std::string(text) + "'");
  }
}

TEST(Size, IsWrittenInTheLargestExactUnit) {
  EXPECT_EQ(size_text(0), "0");
  EXPECT_EQ(size_text(1000), "1000");
  EXPECT_EQ(size_text(1024), "1KiB");
  EXPECT_EQ(size_text(20 * kMiB), "20MiB");
}

TEST(Rate, TakesSecondsMinutesHours) {
  EXPECT_EQ(parse_rate("100/s")->count, 100u);
  EXPECT_EQ(parse_rate("100/s")->per, 1s);
  EXPECT_EQ(parse_rate("600/m")->per, 1min);
  EXPECT_EQ(parse_rate("1000/h")->per, 1h);
  EXPECT_EQ(to_text(*parse_rate("600/m")), "600/m");
  for (const char* text : {"", "100", "/s", "0/s", "100/d", "100/", "-1/s", "1.5/s", "100 / s"}) {
    EXPECT_EQ(message(parse_rate(text)),
              "expected a rate such as 100/s, 600/m, 1000/h, got '" + std::string(text) + "'");
  }
}

TEST(Percent, NeedsItsSignAndARange) {
  EXPECT_DOUBLE_EQ(*parse_percent("50%"), 0.5);
  EXPECT_DOUBLE_EQ(*parse_percent("0.1%"), 0.001);
  EXPECT_EQ(message(parse_percent("50")), "expected a percentage such as 50% or 0.5%, got '50'");
  EXPECT_EQ(message(parse_percent("-1%")), "expected a percentage such as 50% or 0.5%, got '-1%'");
  EXPECT_EQ(message(parse_percent("nan%")), "expected a percentage such as 50% or 0.5%, got 'nan%'");
  EXPECT_EQ(message(parse_percent("101%")), "expected a percentage of at most 100%, got '101%'");
  EXPECT_DOUBLE_EQ(*parse_percent("250%", 1000), 2.5);
}

TEST(Percent, EveryTenthIsWrittenAsItWasRead) {
  for (int tenths = 0; tenths <= 1000; ++tenths) {
    std::string text = std::to_string(tenths / 10);
    if (tenths % 10 != 0) text += "." + std::to_string(tenths % 10);
    EXPECT_EQ(percent_text(*parse_percent(text + "%")), text + "%");
  }
}

TEST(Weight, IsADecimalOfAtLeastZero) {
  EXPECT_DOUBLE_EQ(*parse_weight("95"), 95);
  EXPECT_DOUBLE_EQ(*parse_weight("0.5"), 0.5);
  EXPECT_DOUBLE_EQ(*parse_weight("0"), 0);
  for (const char* text : {"", "-1", "5%", "1e3", "inf", "nan", "2000000000"}) EXPECT_FALSE(parse_weight(text)) << text;
}

TEST(Boolean, IsTrueOrFalseAndNothingElse) {
  EXPECT_TRUE(*parse_boolean("true"));
  EXPECT_FALSE(*parse_boolean("false"));
  for (const char* text : {"yes", "no", "on", "off", "True", "FALSE", "1", "0", ""}) {
    EXPECT_EQ(message(parse_boolean(text)), "expected true or false, got '" + std::string(text) + "'");
  }
}

TEST(Integer, NamesItsRange) {
  EXPECT_EQ(*parse_integer("7", 1, 9), 7u);
  EXPECT_EQ(message(parse_integer("0", 1, 9)), "expected a whole number from 1 to 9, got '0'");
  EXPECT_EQ(message(parse_integer("10", 1, 9)), "expected a whole number from 1 to 9, got '10'");
  EXPECT_EQ(message(parse_integer("x", 0, ~0ull)), "expected a whole number, got 'x'");
  EXPECT_EQ(message(parse_integer("0", 1, ~0ull)), "expected a whole number of at least 1, got '0'");
}

TEST(Messages, CutLongTexts) {
  const std::string text(500, 'x');
  EXPECT_EQ(message(parse_boolean(text)), "expected true or false, got '" + std::string(80, 'x') + "...'");
}

TEST(StatusRange, IsOneStatusOrTwo) {
  EXPECT_EQ(*parse_status_range("200"), std::pair(200, 200));
  EXPECT_EQ(*parse_status_range("200-399"), std::pair(200, 399));
  for (const char* text : {"", "-", "200-", "-399", "399-200", "99", "600", "2xx"}) {
    EXPECT_FALSE(parse_status_range(text)) << text;
  }
}

TEST(BalanceWord, KnowsHashWithItsTemplate) {
  EXPECT_EQ(parse_balance("round_robin")->kind, Balance::Kind::kRoundRobin);
  EXPECT_EQ(parse_balance("least_requests")->kind, Balance::Kind::kLeastRequests);
  EXPECT_EQ(parse_balance("random_two")->kind, Balance::Kind::kRandomTwo);
  EXPECT_EQ(parse_balance("peak_ewma")->kind, Balance::Kind::kPeakEwma);
  EXPECT_EQ(parse_balance("hash($remote_addr)")->kind, Balance::Kind::kHash);
  EXPECT_EQ(parse_balance("hash($remote_addr)")->key, "$remote_addr");
  for (const char* text : {"", "hash", "hash()", "hash($x", "rr"}) EXPECT_FALSE(parse_balance(text)) << text;
}

}  // namespace
}  // namespace headgate::config
