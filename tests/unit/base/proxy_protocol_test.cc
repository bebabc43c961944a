// SPDX-License-Identifier: Apache-2.0
#include "base/proxy_protocol.h"

#include <algorithm>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace headgate {
namespace {

using namespace std::string_literals;

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

struct Outcome {
  bool complete = false;
  std::string reason;
  ProxiedEnds ends;
  std::size_t taken = 0;
};

/// Gives a reader what it asks for, at most `at_once` bytes at a time.
Outcome read(std::string_view bytes, std::size_t at_once = 1000) {
  ProxyHeaderReader reader;
  Outcome outcome;
  while (!reader.complete() && outcome.taken < bytes.size()) {
    const auto into = reader.wants();
    EXPECT_FALSE(into.empty());
    const std::size_t count = std::min({into.size(), at_once, bytes.size() - outcome.taken});
    std::copy_n(bytes.data() + outcome.taken, count, into.data());
    outcome.taken += count;
    if (!reader.took(count)) {
      outcome.reason = reader.reason();
      return outcome;
    }
  }
  outcome.complete = reader.complete();
  outcome.ends = reader.ends();
  return outcome;
}

std::string text_of(const ProxiedEnds& ends) {
  return ends.source.to_string() + " " + std::to_string(ends.source_port) + " " + ends.destination.to_string() + " " +
         std::to_string(ends.destination_port);
}

std::string v2(int command, int family, const std::string& rest) {
  std::string header = kSignature;
  header += static_cast<char>(command);
  header += static_cast<char>(family);
  header += static_cast<char>(rest.size() >> 8);
  header += static_cast<char>(rest.size() & 0xff);
  return header + rest;
}

const std::string kTcp4Block("\x0a\x01\x02\x03\xc0\xa8\x00\x01\x1f\x90\x01\xbb", 12);

TEST(ProxyHeader, FirstVersionIsRead) {
  const struct {
    const char* line;
    const char* ends;
  } table[] = {
      {"PROXY TCP4 10.1.2.3 192.168.0.1 8080 443\r\n", "10.1.2.3 8080 192.168.0.1 443"},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255 65535 255.255.255.255 65535"},
      {"PROXY TCP4 1.1.1.1 2.2.2.2 0 1\r\n", "1.1.1.1 0 2.2.2.2 1"},
      {"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", "2001:db8::7 1 ::1 2"},
      {"PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n", "10.0.0.1 1 ::1 2"},
      {"PROXY UNKNOWN\r\n", "- 0 - 0"},
      {"PROXY UNKNOWN ffff::1 whatever this is\r\n", "- 0 - 0"},
  };
  for (const auto& each : table) {
    for (const std::size_t at_once : {1, 2, 5, 1000}) {
      SCOPED_TRACE(each.line);
      const Outcome outcome = read(each.line + "GET / HTTP/1.1\r\n"s, at_once);
      ASSERT_TRUE(outcome.complete) << outcome.reason;
      EXPECT_EQ(text_of(outcome.ends), each.ends);
      EXPECT_EQ(outcome.taken, std::string_view(each.line).size()) << "nothing behind the header is taken";
    }
  }
}

TEST(ProxyHeader, BadLinesAreRefused) {
  const std::string table[] = {
      "GET / HTTP/1.1\r\n",
      "PROXY TCP4 10.1.2.3 192.168.0.1 8080\r\n",
      "PROXY TCP4 10.1.2.3 192.168.0.1 8080 443 9\r\n",
      "PROXY TCP4  10.1.2.3 192.168.0.1 8080 443\r\n",
      "PROXY TCP4 10.1.2.3 192.168.0.1 8080 65536\r\n",
      "PROXY TCP4 10.1.2.3 192.168.0.1 08 443\r\n",
      "PROXY TCP4 10.1.2.3 192.168.0.1 -1 443\r\n",
      "PROXY TCP4 10.1.2.3 192.168.0.1 80 +443\r\n",
      "PROXY TCP4 10.1.2.256 192.168.0.1 80 443\r\n",
      "PROXY TCP4 ::1 ::2 80 443\r\n",
      "PROXY TCP6 10.1.2.3 192.168.0.1 80 443\r\n",
      "PROXY TCP6 [::1] [::2] 80 443\r\n",
      "PROXY UDP4 10.1.2.3 192.168.0.1 80 443\r\n",
      "PROXY TCP4 10.1.2.3 192.168.0.1 80 443\n",
      "PROXY TCP4 10.1.2.3\r192.168.0.1 80 443\r\n",
      "proxy TCP4 10.1.2.3 192.168.0.1 80 443\r\n",
      "PROXY \r\n",
      "PROXY UNKNOWN " + std::string(100, 'x') + "\r\n",
  };
  for (const auto& line : table) {
    for (const std::size_t at_once : {1, 1000}) {
      const Outcome outcome = read(line, at_once);
      EXPECT_FALSE(outcome.complete) << line;
      EXPECT_FALSE(outcome.reason.empty()) << line;
    }
  }
}

TEST(ProxyHeader, AStrangerIsSeenByTheFirstByte) {
  EXPECT_EQ(read("G").reason, "no_proxy_header");
  EXPECT_EQ(read("\x16").reason, "no_proxy_header") << "a TLS handshake";
  EXPECT_EQ(read("PROXX").reason, "no_proxy_header");
  EXPECT_EQ(read("\r\n\r\n\r\n").reason, "no_proxy_header");
}

TEST(ProxyHeader, SecondVersionIsRead) {
  const std::string tcp6 =
      "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x07" + std::string(15, '\0') + "\x01" + "\x00\x01\x00\x02"s;
  const struct {
    std::string header;
    const char* ends;
  } table[] = {
      {v2(0x21, 0x11, kTcp4Block), "10.1.2.3 8080 192.168.0.1 443"},
      {v2(0x21, 0x21, tcp6), "2001:db8::7 1 ::1 2"},
      {v2(0x21, 0x11,
          kTcp4Block + "\x04\x00\x03"
                       "abc"s),
       "10.1.2.3 8080 192.168.0.1 443"},
      {v2(0x21, 0x11, kTcp4Block + std::string(4000, 'x')), "10.1.2.3 8080 192.168.0.1 443"},
      {v2(0x20, 0x11, kTcp4Block), "- 0 - 0"},
      {v2(0x20, 0x00, ""), "- 0 - 0"},
      {v2(0x21, 0x00, "extensions"), "- 0 - 0"},
      {v2(0x21, 0x31, std::string(216, '/')), "- 0 - 0"},
      {v2(0x21, 0x12, kTcp4Block), "- 0 - 0"},
  };
  for (const auto& each : table) {
    for (const std::size_t at_once : {1, 7, 5000}) {
      const Outcome outcome = read(each.header + "\x16\x03\x01", at_once);
      ASSERT_TRUE(outcome.complete) << outcome.reason;
      EXPECT_EQ(text_of(outcome.ends), each.ends);
      EXPECT_EQ(outcome.taken, each.header.size());
    }
  }
}

TEST(ProxyHeader, BadHeadsAreRefused) {
  EXPECT_EQ(read(v2(0x11, 0x11, kTcp4Block)).reason, "bad_proxy_header") << "a version that there is not";
  EXPECT_EQ(read(v2(0x22, 0x11, kTcp4Block)).reason, "bad_proxy_header") << "a command that there is not";
  EXPECT_EQ(read(v2(0x21, 0x11, kTcp4Block.substr(1))).reason, "bad_proxy_header");
  EXPECT_EQ(read(v2(0x21, 0x21, kTcp4Block)).reason, "bad_proxy_header");
  EXPECT_EQ(read(v2(0x21, 0x11, std::string(60'000, 'x'))).reason, "proxy_header_too_large");
}

TEST(ProxyHeader, WhatIsWrittenIsRead) {
  const IpAddress v4 = *IpAddress::parse("198.51.100.9");
  const IpAddress v6 = *IpAddress::parse("2001:db8::9");
  for (const auto& [source, destination] : {std::pair{v4, v4}, {v6, v6}, {v4, v6}, {v6, v4}}) {
    const ProxiedEnds ends{source, 4711, destination, 443};
    for (const auto& header : {proxy_header_v1(ends), proxy_header_v2(ends)}) {
      const Outcome outcome = read(header);
      ASSERT_TRUE(outcome.complete) << header;
      EXPECT_EQ(text_of(outcome.ends), text_of(ends));
    }
  }
  EXPECT_EQ(proxy_header_v1({v4, 1, v4, 2}), "PROXY TCP4 198.51.100.9 198.51.100.9 1 2\r\n");
  EXPECT_EQ(proxy_header_v1({v4, 1, {}, 2}), "PROXY TCP4 198.51.100.9 0.0.0.0 1 2\r\n");
  EXPECT_EQ(proxy_header_v1({v4, 1, v6, 2}), "PROXY TCP6 ::ffff:198.51.100.9 2001:db8::9 1 2\r\n");
  EXPECT_EQ(proxy_header_v1({}), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(proxy_header_v2({}), kSignature + "\x20\0\0\0"s);
}

TEST(ProxyHeader, NoiseNeverReadsBeyondItsBounds) {
  std::mt19937 random(7);
  const std::string good = v2(0x21, 0x11, kTcp4Block + std::string(300, 'x'));
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = round % 2 == 0 ? good : "PROXY TCP4 10.1.2.3 192.168.0.1 8080 443\r\n" + good;
    for (int changes = 0; changes < 3; ++changes) bytes[random() % 24] = static_cast<char>(random());
    const Outcome outcome = read(bytes, 1 + random() % 40);
    EXPECT_LE(outcome.taken, ProxyHeaderReader::kMost);
  }
}

}  // namespace
}  // namespace headgate
