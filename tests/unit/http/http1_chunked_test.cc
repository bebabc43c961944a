// SPDX-License-Identifier: Apache-2.0
// Chunked bodies, decoded in place: good and bad ones, each in every way in which it can arrive.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "heard.h"

namespace headgate::http {
namespace {

Decoding decode_in_every_way(std::string_view body, HeadLimits limits = {}) {
  const Decoding whole = decode(body, at_once(body.size()), limits);
  EXPECT_EQ(decode(body, one_by_one(body.size()), limits), whole) << "byte by byte: " << body;
  for (std::size_t cut = 0; cut < body.size(); ++cut) {
    const Decoding decoding = decode(body, {cut, body.size()}, limits);
    EXPECT_EQ(decoding, whole) << "cut at " << cut << ": " << body;
    if (decoding != whole) break;
  }
  return whole;
}

struct Body {
  std::string_view name;
  std::string bytes;
  std::string content;
  FieldTexts trailers;
  std::string rest;
};

std::ostream& operator<<(std::ostream& out, const Body& body) {
  return out << body.name;
}

class ChunkedBody : public testing::TestWithParam<Body> {};

TEST_P(ChunkedBody, IsTheSameHoweverItArrives) {
  const auto& body = GetParam();
  const auto decoding = decode_in_every_way(body.bytes + body.rest);
  EXPECT_TRUE(decoding.ok && decoding.finished) << decoding;
  EXPECT_EQ(decoding.content, body.content);
  EXPECT_EQ(decoding.trailers, body.trailers) << decoding;
  EXPECT_EQ(decoding.consumed, body.bytes.size());
  // Without its last byte it goes on.
  for (std::size_t size = 0; size < body.bytes.size(); ++size) {
    const auto part = decode(body.bytes, at_once(size));
    ASSERT_TRUE(part.ok && !part.finished) << size << ": " << part;
    ASSERT_EQ(part.consumed, size);
    ASSERT_TRUE(body.content.starts_with(part.content));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Good, ChunkedBody,
    testing::Values(
        Body{"empty", "0\r\n\r\n", "", {}, ""}, Body{"many_zeros", "0000\r\n\r\n", "", {}, ""},
        Body{"one", "5\r\nhello\r\n0\r\n\r\n", "hello", {}, ""},
        Body{"several", "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", "abcdef", {}, ""},
        Body{"hex", "A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a", {}, ""},
        Body{"leading_zeros", "0005\r\nhello\r\n0\r\n\r\n", "hello", {}, ""},
        Body{"content_like_framing", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n", {}, ""},
        Body{"extensions", "5;a=b\r\nhello\r\n0;x\r\n\r\n", "hello", {}, ""},
        Body{"extension_behind_a_value", "5;a=b;c\r\nhello\r\n0;d=\"e\";f=g\r\n\r\n", "hello", {}, ""},
        Body{"escapes_in_quotes", "5;a=\"b\\\"\\\\;\"\r\nhello\r\n0\r\n\r\n", "hello", {}, ""},
        Body{"quoted_extension", "5;a=\"b c\"\r\nhello\r\n0\r\n\r\n", "hello", {}, ""},
        Body{"trailers", "1\r\na\r\n0\r\nX-A: 1\r\nX-B:\t two \r\n\r\n", "a", {{"X-A", "1"}, {"X-B", "two"}}, ""},
        Body{"empty_trailer", "0\r\nX:\r\nY: 1\r\n\r\n", "", {{"X", ""}, {"Y", "1"}}, ""},
        Body{"trailer_called_length", "0\r\nContent-Length: 5\r\n\r\n", "", {{"Content-Length", "5"}}, ""},
        Body{"next_request", "1\r\na\r\n0\r\n\r\n", "a", {}, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
        Body{"next_after_trailers", "1\r\na\r\n0\r\nT: 1\r\n\r\n", "a", {{"T", "1"}}, "POST /b HTTP/1.1\r\n"},
        Body{"next_is_an_empty_line", "0\r\n\r\n", "", {}, "\r\n"}),
    [](const auto& suite) { return std::string(suite.param.name); });

struct Broken {
  std::string_view name;
  std::string bytes;
  std::string_view reason;  // empty: whatever is seen first
};

std::ostream& operator<<(std::ostream& out, const Broken& broken) {
  return out << broken.name;
}

class BrokenBody : public testing::TestWithParam<Broken> {};

TEST_P(BrokenBody, IsRefusedHoweverItArrives) {
  const auto& broken = GetParam();
  const auto whole = decode(broken.bytes, at_once(broken.bytes.size()));
  EXPECT_FALSE(whole.ok) << whole;
  EXPECT_FALSE(decode(broken.bytes, one_by_one(broken.bytes.size())).ok) << "byte by byte";
  for (std::size_t cut = 0; cut < broken.bytes.size(); ++cut) {
    EXPECT_FALSE(decode(broken.bytes, {cut, broken.bytes.size()}).ok) << "cut at " << cut;
  }
  if (!broken.reason.empty()) {
    EXPECT_EQ(whole.reason, broken.reason);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Bad, BrokenBody,
    testing::Values(
        Broken{"no_size", "\r\nhello\r\n0\r\n\r\n", ""}, Broken{"no_hex", "g\r\nhello\r\n", ""},
        Broken{"prefix_0x", "0x5\r\nhello\r\n0\r\n\r\n", ""}, Broken{"signed", "+5\r\nhello\r\n0\r\n\r\n", ""},
        Broken{"negative", "-5\r\nhello\r\n0\r\n\r\n", ""}, Broken{"space_before_size", " 5\r\nhello\r\n0\r\n\r\n", ""},
        Broken{"space_after_size", "5 \r\nhello\r\n0\r\n\r\n", ""},
        Broken{"tab_after_size", "5\t\r\nhello\r\n0\r\n\r\n", ""},
        Broken{"word_after_size", "5 5\r\nhello\r\n0\r\n\r\n", ""},
        Broken{"bare_lf_after_size", "5\nhello\r\n0\r\n\r\n", ""},
        Broken{"bare_lf_after_content", "5\r\nhello\n0\r\n\r\n", ""},
        Broken{"bare_cr_after_size", "5\rhello\r\n0\r\n\r\n", ""},
        Broken{"bare_lf_in_extension", "5;a\nhello\r\n0\r\n\r\n", ""},
        Broken{"nameless_extension", "5;\r\nhello\r\n0\r\n\r\n", "bad_chunk"},
        Broken{"nameless_extension_with_value", "5;=a\r\nhello\r\n0\r\n\r\n", "bad_chunk"},
        Broken{"extension_without_its_value", "5;a=\r\nhello\r\n0\r\n\r\n", "bad_chunk"},
        Broken{"word_behind_quotes", "5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", "bad_chunk"},
        Broken{"line_end_in_quotes", "5;a=\"b\r\nhello\"\r\n0\r\n\r\n", "bad_chunk"},
        Broken{"escaped_line_end", "5;a=\"\\\r\n\"\r\nhello\r\n0\r\n\r\n", "bad_chunk"},
        Broken{"space_in_extension", "5; a\r\nhello\r\n0\r\n\r\n", "bad_chunk"},
        Broken{"nul_in_extension", std::string("5;a\0\r\nhello\r\n0\r\n\r\n", 19), ""},
        Broken{"too_short", "6\r\nhello\r\n0\r\n\r\n", ""}, Broken{"too_long", "4\r\nhello\r\n0\r\n\r\n", ""},
        Broken{"no_end_of_chunk", "5\r\nhello0\r\n\r\n", ""}, Broken{"two_to_the_64", "10000000000000000\r\nhello", ""},
        Broken{"two_to_the_64_less_one", "ffffffffffffffff\r\nhello", ""},
        Broken{"two_to_the_60_and_one", "1000000000000001\r\nhello", ""},
        Broken{"endless_size", std::string(40, 'f') + "\r\nhello", ""},
        Broken{"bare_lf_after_last_size", "0\n\r\n", ""}, Broken{"bare_lf_at_the_end", "0\r\n\n", "bare_lf"},
        Broken{"bare_lf_after_trailers", "0\r\nX: 1\r\n\n", "bare_lf"},
        Broken{"bare_lf_in_trailers", "0\r\nX: 1\nY: 2\r\n\r\n", ""},
        Broken{"bare_lf_in_last_trailer", "0\r\nX: 1\n\r\n", ""}, Broken{"cr_in_trailer", "0\r\nX: 1\r2\r\n\r\n", ""},
        Broken{"nul_in_trailer", std::string("0\r\nX: 1\0\r\n\r\n", 12), ""},
        Broken{"folded_trailer", "0\r\nX: 1\r\n 2\r\n\r\n", "folded_trailer"},
        Broken{"folded_trailer_by_tab", "0\r\nX: 1\r\n\t2\r\n\r\n", "folded_trailer"},
        Broken{"folded_empty_trailer", "0\r\nX:\r\n 2\r\n\r\n", "folded_trailer"},
        Broken{"folded_after_a_space", "0\r\nX: \r\n  2\r\n\r\n", "folded_trailer"},
        Broken{"folded_first_line", "0\r\n X: 2\r\n\r\n", ""}, Broken{"space_before_colon", "0\r\nX : 2\r\n\r\n", ""},
        Broken{"nameless_trailer", "0\r\n: 2\r\n\r\n", ""},
        Broken{"nameless_second_trailer", "0\r\nX: 1\r\n: 2\r\n\r\n", ""},
        Broken{"trailer_without_colon", "0\r\nX\r\n\r\n", ""}),
    [](const auto& suite) { return std::string(suite.param.name); });

std::string chunks(std::size_t count, std::string_view head, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out.append(head).append("\r\n").append(size, 'x').append("\r\n");
  return out + "0\r\n\r\n";
}

TEST(ChunkOverhead, ChunksOfOneByteAreLetThrough) {
  const auto body = chunks(20'000, "1", 1);
  const auto decoding = decode(body, at_once(body.size()));
  EXPECT_TRUE(decoding.finished) << decoding;
  EXPECT_EQ(decoding.content.size(), 20'000U);
}

TEST(ChunkOverhead, ExtensionsOutOfProportionAreRefused) {
  const auto body = chunks(500, "1;" + std::string(100, 'e'), 1);
  const auto whole = decode(body, at_once(body.size()));
  EXPECT_EQ(whole.reason, "chunk_overhead");
  EXPECT_EQ(decode(body, one_by_one(body.size())).reason, "chunk_overhead");
}

TEST(ChunkOverhead, OneEndlessExtensionIsRefusedBeforeItsEnd) {
  const std::string body = "1;" + std::string(20'000, 'e');
  EXPECT_EQ(decode(body, one_by_one(body.size())).reason, "chunk_overhead");
}

TEST(ChunkOverhead, EndlessZerosOfASizeAreRefused) {
  const std::string body(20'000, '0');
  EXPECT_FALSE(decode(body, one_by_one(body.size())).ok);
}

TEST(TrailerLimits, CountBytesAndFields) {
  const auto good = decode("0\r\nX: " + std::string(8000, 'x') + "\r\n\r\n", at_once(8000 + 10));
  EXPECT_TRUE(good.finished) << good;
  const std::string large = "0\r\nX: " + std::string(8192, 'x') + "\r\n\r\n";
  EXPECT_EQ(decode(large, at_once(large.size())).reason, "trailers_too_large");
  EXPECT_EQ(decode(large, one_by_one(large.size())).reason, "trailers_too_large");
  std::string many = "0\r\n";
  for (int i = 0; i < 5; ++i) many += "X: 1\r\n";
  many += "\r\n";
  EXPECT_TRUE(decode(many, at_once(many.size()), {4096, 5}).finished);
  EXPECT_EQ(decode(many, at_once(many.size()), {4096, 4}).reason, "trailers_too_large");
}

}  // namespace
}  // namespace headgate::http
