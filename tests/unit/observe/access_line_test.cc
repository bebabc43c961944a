// SPDX-License-Identifier: Apache-2.0
#include "observe/access_line.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace headgate::observe {
namespace {

using namespace std::chrono_literals;
using testing::StartsWith;

std::chrono::system_clock::time_point moment(std::chrono::sys_days day, std::chrono::milliseconds rest) {
  return day + rest;
}

const auto kNow = moment(std::chrono::year{2026} / 3 / 9, 7h + 5min + 2s + 8ms);

using Format = char* (*)(char*, const AccessRecord&, const LineTime&);

std::string line(const AccessRecord& record, Format format = write_json_line) {
  LineTime time;
  time.set(kNow);
  std::vector<char> out(line_bound(record));
  const char* end = format(out.data(), record, time);
  EXPECT_LE(end, out.data() + out.size());
  return {out.data(), static_cast<std::size_t>(end - out.data())};
}

nlohmann::json parsed(const AccessRecord& record) {
  const std::string text = line(record);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  return nlohmann::json::parse(text);  // throws on anything that is not strict JSON in UTF-8
}

AccessRecord full() {
  AccessRecord r;
  r.request_id = "0af7";
  r.client = "203.0.113.9";
  r.method = "GET";
  r.host = "shop.example";
  r.uri = "/a?b=c";
  r.protocol = "HTTP/1.1";
  r.status = 502;
  r.bytes_in = 12;
  r.bytes_out = 18'446'744'073'709'551'615u;
  r.duration = 12'345'678ns;
  r.site = "shop.example";
  r.route = "/api/*";
  r.upstream = "api";
  r.pool = "blue";
  r.server = "127.0.0.1:8001";
  r.upstream_time = 11'500us;
  r.attempts = 2;
  r.tls_version = "TLSv1.3";
  r.user_agent = "curl/8";
  r.referer = "https://other.example/";
  r.user = "alice";
  r.rate_limited = "per_client";
  r.error = "upstream_reset";
  return r;
}

TEST(AccessLineTest, JsonHasTheFieldsOfTheContractInTheirOrder) {
  EXPECT_EQ(line(full()),
            R"({"time":"2026-03-09T07:05:02.008Z","request_id":"0af7","client":"203.0.113.9","method":"GET",)"
            R"("host":"shop.example","uri":"/a?b=c","protocol":"HTTP/1.1","status":502,"bytes_in":12,)"
            R"("bytes_out":18446744073709551615,"duration_ms":12.345,"site":"shop.example","route":"/api/*",)"
            R"("upstream":"api","pool":"blue","server":"127.0.0.1:8001","upstream_ms":11.5,"attempts":2,)"
            R"("tls_version":"TLSv1.3","user_agent":"curl/8","referer":"https://other.example/",)"
            R"("user":"alice","rate_limited":"per_client","error":"upstream_reset"})"
            "\n");
}

TEST(AccessLineTest, AnEmptyRecordIsALineToo) {
  const auto json = parsed({});
  EXPECT_EQ(json.size(), 24u);
  EXPECT_EQ(json["host"], "");
  EXPECT_EQ(json["status"], 499);  // no answer: the client had gone
  EXPECT_TRUE(json["upstream_ms"].is_null());
  EXPECT_TRUE(json["duration_ms"].is_number());
  EXPECT_EQ(json["error"], "");
}

TEST(AccessLineTest, WhatWasShieldedSaysSo) {
  EXPECT_FALSE(parsed(full()).contains("shielded"));
  AccessRecord record = full();
  record.shielded = true;
  EXPECT_EQ(parsed(record)["shielded"], true);
}

TEST(AccessLineTest, WhatWasMirroredSaysSo) {
  EXPECT_FALSE(parsed(full()).contains("mirrored"));
  AccessRecord record = full();
  record.mirrored = true;
  EXPECT_EQ(parsed(record)["mirrored"], true);
}

TEST(AccessLineTest, MillisecondsHaveUpToThreeDecimals) {
  const auto written = [](std::chrono::nanoseconds time) {
    AccessRecord r;
    r.duration = time;
    const std::string text = line(r);
    const auto from = text.find("\"duration_ms\":") + 14;
    return text.substr(from, text.find(',', from) - from);
  };
  EXPECT_EQ(written(0ns), "0");
  EXPECT_EQ(written(999ns), "0");
  EXPECT_EQ(written(1us), "0.001");
  EXPECT_EQ(written(10us), "0.01");
  EXPECT_EQ(written(120us), "0.12");
  EXPECT_EQ(written(1ms), "1");
  EXPECT_EQ(written(1050us), "1.05");
  EXPECT_EQ(written(100h), "360000000");
  EXPECT_EQ(written(-5ms), "0");
}

TEST(AccessLineTest, NothingInAValueEndsItsStringOrLine) {
  AccessRecord r;
  r.uri = "/\"},{\"a\":\"b\\\r\n\t\b";
  r.user_agent = std::string_view("nul \0 and escape \x1b[31m and del \x7f", 33);
  const auto json = parsed(r);
  EXPECT_EQ(json["uri"], "/\"},{\"a\":\"b\\\r\n\t\b");
  EXPECT_EQ(json["user_agent"], std::string(r.user_agent));
}

TEST(AccessLineTest, EveryByteAloneAndInPairsMakesValidJson) {
  for (int a = 0; a < 256; ++a) {
    std::string all;
    for (int b = 0; b < 256; ++b) {
      all.push_back(static_cast<char>(a));
      all.push_back(static_cast<char>(b));
    }
    AccessRecord r;
    r.host = all;
    EXPECT_NO_THROW(parsed(r)) << a;
  }
}

TEST(AccessLineTest, AStringOfAnyLengthIsItselfAndOneOddByteAnywhereIsEscaped) {
  for (std::size_t size = 0; size < 50; ++size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text.push_back(static_cast<char>('a' + i % 26));
    AccessRecord r;
    r.host = r.referer = text;
    EXPECT_EQ(parsed(r)["host"], text);
    EXPECT_NE(line(r, write_combined_line).find("\"" + (text.empty() ? "-" : text) + "\""), std::string::npos);
    for (std::size_t i = 0; i < size; ++i) {
      for (const char odd : {'"', '\\', '\n', '\x1f', '\0'}) {
        std::string changed = text;
        changed[i] = odd;
        r.host = r.referer = changed;
        EXPECT_EQ(parsed(r)["host"], changed);
        EXPECT_NE(line(r, write_combined_line).find(text.substr(0, i) + "\\x"), std::string::npos);
      }
    }
  }
}

TEST(AccessLineTest, Utf8PassesAndWhatIsNoneIsEscaped) {
  const auto written = [](std::string_view text) {
    AccessRecord r;
    r.host = text;
    const std::string all = line(r);
    const auto from = all.find("\"host\":\"") + 8;
    return all.substr(from, all.find('"', from) - from);
  };
  EXPECT_EQ(written("stra\xc3\x9f"
                    "e \xe2\x82\xac \xf0\x9f\x90\x8e"),
            "stra\xc3\x9f"
            "e \xe2\x82\xac \xf0\x9f\x90\x8e");
  EXPECT_EQ(written("\xff"), "\\u00ff");
  EXPECT_EQ(written("\xc3"), "\\u00c3");                                   // cut short
  EXPECT_EQ(written("\xc3("), "\\u00c3(");                                 // no continuation
  EXPECT_EQ(written("\xc0\xaf"), "\\u00c0\\u00af");                        // overlong
  EXPECT_EQ(written("\xe0\x80\xaf"), "\\u00e0\\u0080\\u00af");             // overlong
  EXPECT_EQ(written("\xed\xa0\x80"), "\\u00ed\\u00a0\\u0080");             // a surrogate
  EXPECT_EQ(written("\xf4\x90\x80\x80"), "\\u00f4\\u0090\\u0080\\u0080");  // above U+10FFFF
  EXPECT_EQ(written("\xe2\x82"), "\\u00e2\\u0082");
}

TEST(AccessLineTest, LongValuesAreCut) {
  AccessRecord r;
  const std::string uri(100'000, 'a');
  const std::string agent(100'000, '\xff');
  r.uri = uri;
  r.user_agent = agent;
  const auto json = parsed(r);
  EXPECT_EQ(json["uri"].get<std::string>(), uri.substr(0, kMaxLoggedString));
}

TEST(AccessLineTest, TheWorstOfEveryFieldStaysWithinTheBound) {
  const std::string worst(20'000, '\x01');
  AccessRecord r;
  for (std::string_view* text :
       {&r.request_id, &r.client, &r.method, &r.host, &r.uri, &r.protocol, &r.site, &r.route, &r.upstream, &r.pool,
        &r.server, &r.tls_version, &r.user_agent, &r.referer, &r.user, &r.rate_limited, &r.error}) {
    *text = worst;
  }
  r.status = 2'000'000'000;
  r.bytes_in = r.bytes_out = UINT64_MAX;
  r.duration = r.upstream_time = std::chrono::nanoseconds::max();
  r.attempts = UINT32_MAX;
  EXPECT_NO_THROW(parsed(r));
  line(r, write_combined_line);
}

TEST(AccessLineTest, CombinedFormat) {
  EXPECT_EQ(line(full(), write_combined_line),
            "203.0.113.9 - alice [09/Mar/2026:07:05:02 +0000] \"GET /a?b=c HTTP/1.1\" 502 18446744073709551615 "
            "\"https://other.example/\" \"curl/8\"\n");
}

TEST(AccessLineTest, CombinedFormatEscapes) {
  AccessRecord r = full();
  r.referer = {};
  r.user_agent = "a\"b\\c\n\xc3\xa9";
  EXPECT_THAT(line(r, write_combined_line), testing::EndsWith(" \"-\" \"a\\x22b\\x5cc\\x0a\\xc3\\xa9\"\n"));
  EXPECT_THAT(line({}, write_combined_line), StartsWith("- - - ["));
}

TEST(AccessLineTest, TimeFollowsTheClock) {
  LineTime time;
  time.set(moment(std::chrono::year{2024} / 2 / 29, 23h + 59min + 59s + 999ms));
  EXPECT_EQ(time.rfc3339(), "2024-02-29T23:59:59.999Z");
  EXPECT_EQ(time.combined(), "29/Feb/2024:23:59:59 +0000");
  time.set(moment(std::chrono::year{2024} / 3 / 1, 0ms));
  EXPECT_EQ(time.rfc3339(), "2024-03-01T00:00:00.000Z");
  EXPECT_EQ(time.combined(), "01/Mar/2024:00:00:00 +0000");
  time.set(moment(std::chrono::year{2024} / 2 / 29, 12h + 40ms));  // a clock set back
  EXPECT_EQ(time.rfc3339(), "2024-02-29T12:00:00.040Z");
}

}  // namespace
}  // namespace headgate::observe
