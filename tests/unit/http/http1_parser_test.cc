// SPDX-License-Identifier: Apache-2.0
// Heads of requests: good and bad ones, each in every way in which it can arrive.
#include "http/http1_parser.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "heard.h"

namespace headgate::http {
namespace {

constexpr auto kRequest = Http1Parser::Kind::kRequest;
constexpr HeadLimits kLimits{4096, 20};

/// Whole, byte by byte and cut in two at every place: all must be heard alike.
Heard hear_request(std::string_view bytes, HeadLimits limits = kLimits) {
  const Heard whole = hear(kRequest, bytes, at_once(bytes.size()), limits);
  EXPECT_EQ(hear(kRequest, bytes, one_by_one(bytes.size()), limits), whole) << "byte by byte: " << bytes;
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    const Heard heard = hear(kRequest, bytes, {cut, bytes.size()}, limits);
    EXPECT_EQ(heard, whole) << "cut at " << cut << ": " << bytes;
    if (heard != whole) break;
  }
  return whole;
}

std::string get(std::string_view fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}
std::string post(std::string_view fields) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

struct Bad {
  std::string_view name;
  std::string bytes;
  int status;
  std::string_view reason;  // empty: whatever is seen first
};

std::ostream& operator<<(std::ostream& out, const Bad& bad) {
  return out << bad.name;
}

class BadRequest : public testing::TestWithParam<Bad> {};

TEST_P(BadRequest, IsRefusedHoweverItArrives) {
  const auto& bad = GetParam();
  const Heard heard = hear_request(bad.bytes);
  EXPECT_TRUE(heard.rejected) << heard;
  EXPECT_EQ(heard.status, bad.status) << heard;
  if (!bad.reason.empty()) {
    EXPECT_EQ(heard.reason, bad.reason);
  }
  // What follows changes nothing.
  EXPECT_EQ(hear(kRequest, bad.bytes + "GET / HTTP/1.1\r\n\r\n", at_once(bad.bytes.size() + 18), kLimits), heard);
}

const std::string kNul(1, '\0');

INSTANTIATE_TEST_SUITE_P(
    Lines, BadRequest,
    testing::Values(
        Bad{"bare_lf_in_request_line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, ""},
        Bad{"bare_lf_after_field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400, ""},
        Bad{"bare_lf_at_the_end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400, ""},
        Bad{"bare_lf_twice", "GET / HTTP/1.1\r\nHost: a\n\n", 400, ""},
        Bad{"bare_lf_before", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"bare_cr_before", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"bare_cr_in_value", get("X: a\rb\r\n"), 400, ""}, Bad{"bare_cr_in_name", get("X\rY: a\r\n"), 400, ""},
        Bad{"cr_cr_lf", get("X: a\r\r\n"), 400, ""}, Bad{"nul_in_value", get("X: a" + kNul + "b\r\n"), 400, ""},
        Bad{"nul_in_name", get("X" + kNul + ": a\r\n"), 400, ""},
        Bad{"nul_in_target", "GET /" + kNul + " HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"control_in_value", get("X: a\x01\r\n"), 400, ""}, Bad{"delete_in_value", get("X: a\x7f\r\n"), 400, ""},
        Bad{"folded", get("X: a\r\n b\r\n"), 400, "folded_header"},
        Bad{"folded_by_tab", get("X: a\r\n\tb\r\n"), 400, "folded_header"},
        Bad{"folded_empty_first_line", get("X:\r\n b\r\n"), 400, "folded_header"},
        Bad{"folded_length", post("Content-Length:\r\n 5\r\n"), 400, "folded_header"},
        Bad{"folded_coding", post("Transfer-Encoding:\r\n chunked\r\n"), 400, "folded_header"},
        Bad{"space_before_colon", get("X : a\r\n"), 400, ""}, Bad{"tab_before_colon", get("X\t: a\r\n"), 400, ""},
        Bad{"space_before_first_field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, ""},
        Bad{"space_before_colon_of_length", post("Content-Length : 5\r\n"), 400, ""},
        Bad{"no_colon", get("X\r\n"), 400, ""}, Bad{"empty_name", get(": a\r\n"), 400, "empty_field_name"},
        Bad{"name_with_parenthesis", get("X(: a\r\n"), 400, ""},
        Bad{"name_with_umlaut", get("X\xc3\xa4: a\r\n"), 400, ""}),
    [](const auto& suite) { return std::string(suite.param.name); });

INSTANTIATE_TEST_SUITE_P(
    RequestLine, BadRequest,
    testing::Values(
        Bad{"unknown_method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "method_not_implemented"},
        Bad{"method_in_lower_case", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "method_not_implemented"},
        Bad{"method_longer_than_a_known_one", "GETS / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "method_not_implemented"},
        Bad{"method_shorter_than_a_known_one", "GE / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "method_not_implemented"},
        Bad{"method_no_token", "GE\"T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"method_alone", "BREW\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"known_method_alone", "GET\r\nHost: a\r\n\r\n", 400, ""}, Bad{"not_http", "\x16\x03\x01\x02\x01", 400, ""},
        Bad{"connect", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501, "connect_not_implemented"},
        Bad{"http2_preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version_not_supported"},
        Bad{"http2", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "version_not_supported"},
        Bad{"http12", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "version_not_supported"},
        Bad{"http09", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, "version_not_supported"},
        Bad{"http3", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "version_not_supported"},
        Bad{"http19", "GET / HTTP/1.9\r\nHost: a\r\n\r\n", 505, "version_not_supported"},
        Bad{"http21_and_more", "GET / HTTP/2.1\x1b\r\nHost: a\r\n\r\n", 505, "version_not_supported"},
        Bad{"no_version", "GET /\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"version_in_lower_case", "GET / http/1.1\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"version_of_two_digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"version_without_minor", "GET / HTTP/1\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"version_then_space", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, ""},
        Bad{"version_then_word", "GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"version_of_another", "GET / ICE/1.0\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"source_of_another", "SOURCE / ICE/1.0\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"rtsp", "DESCRIBE rtsp://a/b RTSP/1.0\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"two_spaces_after_method", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"two_spaces_after_target", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"tab_after_method", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"tab_after_target", "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"space_before_method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"word_between_target_and_version", "GET / x HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
        Bad{"word_between_target_and_other_version", "GET / x HTTP/1.3\r\nHost: a\r\n\r\n", 400, ""}),
    [](const auto& suite) { return std::string(suite.param.name); });

std::string to(std::string_view target, std::string_view host = "a", std::string_view method = "GET") {
  return std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
}

INSTANTIATE_TEST_SUITE_P(Targets, BadRequest,
                         testing::Values(Bad{"asterisk_of_get", to("*"), 400, "bad_target"},
                                         Bad{"asterisk_and_more", to("*a", "a", "OPTIONS"), 400, "bad_target"},
                                         Bad{"relative", to("a/b"), 400, ""},
                                         Bad{"authority_form", to("a:80"), 400, ""},
                                         Bad{"no_path", to("http://a?x"), 400, "bad_target"},
                                         Bad{"other_scheme", to("ftp://a/"), 400, "bad_target"},
                                         Bad{"fragment", to("/a#b"), 400, "bad_target"},
                                         Bad{"fragment_of_url", to("http://a/#b"), 400, "bad_target"},
                                         Bad{"user_information", to("http://u@a/"), 400, "bad_host"},
                                         Bad{"url_without_host", to("http:///a"), 400, "bad_host"},
                                         Bad{"url_of_another_host", to("http://b/"), 400, "host_mismatch"},
                                         Bad{"url_with_a_port", to("http://a:81/"), 400, "host_mismatch"},
                                         Bad{"high_byte", to("/\xc3\xa4"), 400, ""},
                                         Bad{"control", to("/\x01"), 400, ""},
                                         Bad{"delete_byte", to("/\x7f"), 400, ""}),
                         [](const auto& suite) { return std::string(suite.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Hosts, BadRequest,
    testing::Values(
        Bad{"missing", "GET / HTTP/1.1\r\n\r\n", 400, "missing_host"},
        Bad{"missing_but_in_url", "GET http://a/ HTTP/1.1\r\n\r\n", 400, "missing_host"},
        Bad{"twice", get("Host: a\r\n"), 400, "repeated_host"},
        Bad{"twice_different", get("hOST: b\r\n"), 400, "repeated_host"}, Bad{"empty", to("/", ""), 400, "bad_host"},
        Bad{"spaces", to("/", "a b"), 400, "bad_host"}, Bad{"list", to("/", "a, b"), 400, "bad_host"},
        Bad{"slash", to("/", "a/b"), 400, "bad_host"}, Bad{"user", to("/", "u@a"), 400, "bad_host"},
        Bad{"url", to("/", "http://a"), 400, "bad_host"}, Bad{"port_alone", to("/", ":80"), 400, "bad_host"},
        Bad{"port_too_large", to("/", "a:65536"), 400, "bad_host"},
        Bad{"port_of_six_digits", to("/", "a:000080"), 400, "bad_host"},
        Bad{"port_signed", to("/", "a:+80"), 400, "bad_host"}, Bad{"port_a_word", to("/", "a:http"), 400, "bad_host"},
        Bad{"two_ports", to("/", "a:1:2"), 400, "bad_host"}, Bad{"v6_open", to("/", "[::1"), 400, "bad_host"},
        Bad{"v6_empty", to("/", "[]"), 400, "bad_host"}, Bad{"v6_zone", to("/", "[fe80::1%25eth0]"), 400, "bad_host"},
        Bad{"v6_then_word", to("/", "[::1]a"), 400, "bad_host"}, Bad{"v6_bare", to("/", "::1"), 400, "bad_host"},
        Bad{"percent", to("/", "a%2eb"), 400, "bad_host"}, Bad{"high_byte", to("/", "\xc3\xa4"), 400, "bad_host"},
        Bad{"malformed_in_http10", "GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", 400, "bad_host"}),
    [](const auto& suite) { return std::string(suite.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Framing, BadRequest,
    testing::Values(
        Bad{"length_then_coding", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400, ""},
        Bad{"coding_then_length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400, ""},
        Bad{"length_and_other_coding", post("Content-Length: 5\r\nTransfer-Encoding: x\r\n"), 400, ""},
        Bad{"lengths_differ", post("Content-Length: 5\r\nContent-Length: 6\r\n"), 400, ""},
        Bad{"lengths_agree", post("Content-Length: 5\r\ncontent-length: 5\r\n"), 400, ""},
        Bad{"length_list", post("Content-Length: 5, 5\r\n"), 400, ""},
        Bad{"length_plus", post("Content-Length: +5\r\n"), 400, ""},
        Bad{"length_minus", post("Content-Length: -5\r\n"), 400, ""},
        Bad{"length_minus_zero", post("Content-Length: -0\r\n"), 400, ""},
        Bad{"length_hex", post("Content-Length: 0x5\r\n"), 400, ""},
        Bad{"length_fraction", post("Content-Length: 5.0\r\n"), 400, ""},
        Bad{"length_two_words", post("Content-Length: 5 5\r\n"), 400, ""},
        Bad{"length_quoted", post("Content-Length: \"5\"\r\n"), 400, ""},
        Bad{"length_empty", post("Content-Length:\r\n"), 400, ""},
        Bad{"length_two_to_the_64", post("Content-Length: 18446744073709551616\r\n"), 400, ""},
        Bad{"length_very_long", post("Content-Length: 99999999999999999999999999999\r\n"), 400, ""},
        Bad{"coding_gzip_chunked", post("Transfer-Encoding: gzip, chunked\r\n"), 400, ""},
        Bad{"coding_chunked_gzip", post("Transfer-Encoding: chunked, gzip\r\n"), 400, ""},
        Bad{"coding_chunked_twice", post("Transfer-Encoding: chunked, chunked\r\n"), 400, ""},
        Bad{"coding_in_two_fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400, ""},
        Bad{"coding_identity", post("Transfer-Encoding: identity\r\n"), 400, ""},
        Bad{"coding_xchunked", post("Transfer-Encoding: xchunked\r\n"), 400, ""},
        Bad{"coding_chunkedx", post("Transfer-Encoding: chunkedx\r\n"), 400, ""},
        Bad{"coding_quoted", post("Transfer-Encoding: \"chunked\"\r\n"), 400, ""},
        Bad{"coding_comma", post("Transfer-Encoding: chunked,\r\n"), 400, ""},
        Bad{"coding_parameter", post("Transfer-Encoding: chunked;x=y\r\n"), 400, ""},
        Bad{"coding_vertical_tab", post("Transfer-Encoding: \vchunked\r\n"), 400, ""},
        Bad{"coding_then_tab", post("Transfer-Encoding: chunked\t\r\n"), 400, "bad_transfer_encoding"},
        Bad{"coding_then_tab_and_space", post("Transfer-Encoding: chunked\t \r\n"), 400, "bad_transfer_encoding"},
        Bad{"length_then_tab", post("Content-Length: 5\t\r\n"), 400, "bad_content_length"},
        Bad{"coding_empty", post("Transfer-Encoding:\r\n"), 400, ""},
        Bad{"coding_in_http10", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
            "transfer_encoding_in_http10"},
        Bad{"expectation", post("Content-Length: 5\r\nExpect: 200-ok\r\n"), 417, "expectation_failed"}),
    [](const auto& suite) { return std::string(suite.param.name); });

// --- good ones ----------------------------------------------------------------------------------------------------

TEST(RequestHead, HasItsPartsHoweverItArrives) {
  const auto heard = hear_request(
      "POST /a/b%20c?x=1&y=? HTTP/1.1\r\nHost: Example.com:8080\r\nX-Empty:\r\nX-Space:  \t a \tb \t\r\n"
      "x-space: \xff\r\nContent-Length: 12\r\nExpect: 100-Continue\r\n\r\nbody of more");
  ASSERT_TRUE(heard.complete) << heard;
  EXPECT_EQ(heard.method, "POST");
  EXPECT_EQ(heard.target, "/a/b%20c?x=1&y=?");
  EXPECT_EQ(heard.path, "/a/b%20c");
  EXPECT_EQ(heard.query, "x=1&y=?");
  EXPECT_EQ(heard.authority, "Example.com:8080");
  EXPECT_EQ(heard.version, Version::kHttp11);
  EXPECT_EQ(heard.fields, (FieldTexts{{"Host", "Example.com:8080"},
                                      {"X-Empty", ""},
                                      {"X-Space", "a \tb"},
                                      {"x-space", "\xff"},
                                      {"Content-Length", "12"},
                                      {"Expect", "100-Continue"}}));
  EXPECT_EQ(heard.body, BodyKind::kLength);
  EXPECT_EQ(heard.content_length, 12U);
  EXPECT_TRUE(heard.keep_alive);
  EXPECT_TRUE(heard.expects_continue);
}

TEST(RequestHead, EmptyLinesBeforeItArePartOfIt) {
  const auto heard = hear_request("\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(heard.complete) << heard;
  EXPECT_EQ(heard.method, "GET");
  EXPECT_EQ(heard.target, "/x");
  EXPECT_EQ(heard.head_size, 32U);
}

TEST(RequestHead, WaitsForItsEnd) {
  const std::string bytes = "\r\nGET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto heard = hear(kRequest, bytes, at_once(size), kLimits);
    EXPECT_FALSE(heard.complete || heard.rejected) << size << ": " << heard;
  }
}

TEST(RequestHead, EndsBeforeTheNext) {
  const std::string one = to("/1");
  const auto heard = hear_request(one + to("/2"));
  EXPECT_EQ(heard.head_size, one.size());
  EXPECT_EQ(heard.target, "/1");
}

TEST(RequestHead, TargetsInTheFormsThatAreServed) {
  struct {
    std::string bytes, target, path, query, authority;
  } const cases[] = {
      {to("/"), "/", "/", "", "a"},
      {to("/?"), "/?", "/", "", "a"},
      {to("//b/c"), "//b/c", "//b/c", "", "a"},
      {to("/http://b/"), "/http://b/", "/http://b/", "", "a"},
      {to("/a?b?c/d"), "/a?b?c/d", "/a", "b?c/d", "a"},
      {to("http://a/b?c"), "/b?c", "/b", "c", "a"},
      {to("HTTPS://A", "a"), "/", "/", "", "A"},
      {to("http://a:80/x", "a:80"), "/x", "/x", "", "a:80"},
      {to("http://[::1]:8080/x", "[::1]:8080"), "/x", "/x", "", "[::1]:8080"},
      {to("*", "a", "OPTIONS"), "*", "*", "", "a"},
      {"GET http://b/x HTTP/1.0\r\n\r\n", "/x", "/x", "", "b"},
      {"GET /x HTTP/1.0\r\n\r\n", "/x", "/x", "", ""},
  };
  for (const auto& c : cases) {
    const auto heard = hear_request(c.bytes);
    ASSERT_TRUE(heard.complete) << c.bytes << heard;
    EXPECT_EQ(heard.target, c.target) << c.bytes;
    EXPECT_EQ(heard.path, c.path) << c.bytes;
    EXPECT_EQ(heard.query, c.query) << c.bytes;
    EXPECT_EQ(heard.authority, c.authority) << c.bytes;
  }
}

TEST(RequestHead, HostsInTheFormsThatAreServed) {
  for (const char* host : {"a", "a.b-c_d~e", "A.example", "127.0.0.1", "a:0", "a:65535", "a:", "a.", "[::1]",
                           "[::1]:80", "[2001:DB8::1.2.3.4]:443"}) {
    const auto heard = hear_request(to("/", host));
    EXPECT_TRUE(heard.complete) << heard;
    EXPECT_EQ(heard.authority, host);
  }
}

TEST(RequestHead, BodiesInTheFormsThatAreServed) {
  struct {
    std::string fields;
    BodyKind body;
    std::uint64_t length;
  } const cases[] = {
      {"", BodyKind::kNone, 0},
      {"Content-Length: 0\r\n", BodyKind::kNone, 0},
      {"Content-Length: 007\r\n", BodyKind::kLength, 7},
      {"CONTENT-LENGTH:\t5 \r\n", BodyKind::kLength, 5},
      {"Content-Length: 18446744073709551615\r\n", BodyKind::kLength, ~std::uint64_t{0}},
      {"Transfer-Encoding: chunked\r\n", BodyKind::kChunked, 0},
      {"transfer-encoding: \tChUnKeD \r\n", BodyKind::kChunked, 0},
  };
  for (const auto& c : cases) {
    const auto heard = hear_request(post(c.fields));
    ASSERT_TRUE(heard.complete) << c.fields << heard;
    EXPECT_EQ(heard.body, c.body) << c.fields;
    EXPECT_EQ(heard.content_length, c.length) << c.fields;
  }
  // A name that only looks like one frames nothing.
  for (const char* fields : {"Content_Length: 5\r\n", "Content-Length-: 5\r\n", "X-Transfer-Encoding: chunked\r\n",
                             "Transfer_Encoding: chunked\r\n", "Content-Lengt: 5\r\n"}) {
    EXPECT_EQ(hear_request(post(fields)).body, BodyKind::kNone) << fields;
  }
}

TEST(RequestHead, MethodsOfTheRegistryPass) {
  for (const char* method : {"GET", "DELETE", "PROPFIND", "M-SEARCH", "UNSUBSCRIBE", "PURGE", "ACL"}) {
    EXPECT_EQ(hear_request(to("/", "a", method)).method, method);
  }
  // What is no request of HTTP has no method.
  EXPECT_EQ(hear_request("BREW / COFFEE/1.0\r\n\r\n").status, 400);
  EXPECT_EQ(hear_request("BREW /\r\n\r\n").status, 400);
}

TEST(RequestHead, IsRefusedAtTheFirstByteThatNoHeadHas) {
  struct {
    std::string bytes;
    int status;
  } const cases[] = {
      {"\x16", 400},
      {"\r\n\x16", 400},
      {"GET\t", 400},
      {"GET  ", 400},
      {"GET /\x01", 400},
      {"GET / X", 400},
      {"GET / HTTP/2.0", 505},
      {"BREW / HTTP/1.1", 501},
      {"GET / HTTP/1.1\r\nHo ", 400},
      {"GET / HTTP/1.1\r\nX: a\r\n ", 400},
      {"GET / HTTP/1.1\r\nX: a\x7f", 400},
      {"GET / HTTP/1.1\r\nX: a\rb", 400},
  };
  for (const auto& c : cases) {
    const std::string_view before(c.bytes.data(), c.bytes.size() - 1);
    const auto waits = hear(kRequest, before, at_once(before.size()), kLimits);
    EXPECT_FALSE(waits.rejected) << before << waits;
    EXPECT_EQ(hear_request(c.bytes).status, c.status) << c.bytes;
  }
}

TEST(RequestHead, SaysWhetherTheConnectionStays) {
  struct {
    std::string bytes;
    bool keep;
  } const cases[] = {
      {get(""), true},
      {get("Connection: close\r\n"), false},
      {get("Connection: x, CLOSE\r\n"), false},
      {get("Connection: keep-alive\r\nConnection: close\r\n"), false},
      {get("Connection: closed\r\n"), true},
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
      {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
  };
  for (const auto& c : cases) {
    const auto heard = hear_request(c.bytes);
    ASSERT_TRUE(heard.complete) << heard;
    EXPECT_EQ(heard.keep_alive, c.keep) << c.bytes;
  }
}

TEST(RequestHead, UpgradeNeedsBothFieldsAndTheVersion) {
  EXPECT_EQ(hear_request(get("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n")).upgrade, "websocket");
  EXPECT_EQ(hear_request(get("Upgrade: websocket\r\n")).upgrade, "");
  EXPECT_EQ(hear_request(get("Connection: upgrade\r\n")).upgrade, "");
  EXPECT_EQ(hear_request("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").upgrade, "");
}

TEST(RequestHead, ExpectIsHeardWhereThereIsABody) {
  EXPECT_TRUE(hear_request(post("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n")).expects_continue);
  EXPECT_FALSE(hear_request(post("Expect: 100-continue\r\n")).expects_continue);
  EXPECT_FALSE(hear_request("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n").expects_continue);
  EXPECT_TRUE(hear_request("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: x\r\n\r\n").complete);
}

// --- limits -------------------------------------------------------------------------------------------------------

TEST(HeadLimits, CountBytesExactly) {
  const std::string bytes = get("X: yyyyyyyyyyyyyyyy\r\n");
  EXPECT_TRUE(hear_request(bytes, {bytes.size(), 20}).complete);
  const auto heard = hear_request(bytes, {bytes.size() - 1, 20});
  EXPECT_EQ(heard.status, 431);
  EXPECT_EQ(heard.reason, "header_too_large");
  EXPECT_TRUE(hear_request(bytes + std::string(1000, 'x'), {bytes.size(), 20}).complete);
}

TEST(HeadLimits, CountFieldsExactly) {
  const std::string bytes = get("A: 1\r\nB: 2\r\n");
  EXPECT_TRUE(hear_request(bytes, {4096, 3}).complete);
  const auto heard = hear_request(bytes, {4096, 2});
  EXPECT_EQ(heard.status, 431);
  EXPECT_EQ(heard.reason, "too_many_headers");
}

TEST(HeadLimits, ALongRequestLineIsAnother) {
  const auto line = hear_request("GET /" + std::string(300, 'a'), {100, 20});
  EXPECT_EQ(line.status, 414);
  EXPECT_EQ(line.reason, "uri_too_long");
  EXPECT_EQ(hear_request("GET /" + std::string(300, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", {100, 20}).status, 414);
  EXPECT_EQ(hear_request("\r\n\r\nGET /" + std::string(300, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", {100, 20}).status,
            414);
  EXPECT_EQ(hear_request("GET / HTTP/1.1\r\nX: " + std::string(300, 'a'), {100, 20}).status, 431);
  EXPECT_EQ(hear_request("GET / HTTP/1.1\r\n" + std::string(300, 'a'), {100, 20}).status, 431);
}

TEST(HeadLimits, EmptyLinesCount) {
  std::string bytes;
  while (bytes.size() < 300) bytes += "\r\n";
  const auto heard = hear_request(bytes, {100, 20});
  EXPECT_TRUE(heard.rejected);
}

TEST(HeadLimits, ALongUnknownMethodIsRefusedAtTheLimit) {
  const auto heard = hear_request(std::string(300, 'A') + " / HTTP/1.1\r\n\r\n", {100, 20});
  EXPECT_TRUE(heard.rejected) << heard;
}

TEST(Http1Parser, BeginsAnewAfterReset) {
  Http1Parser parser(kRequest, kLimits);
  const std::string first = post("Transfer-Encoding: chunked\r\n");
  RequestHead head;
  ASSERT_EQ(parser.parse_head(first.data(), first.size()), Http1Parser::Outcome::kComplete);
  ASSERT_EQ(parser.take_request(first.data(), head), Http1Parser::Outcome::kComplete);
  std::string body = "1\r\na\r\n0\r\nT: v\r\n\r\n";
  ASSERT_TRUE(parser.decode_chunked(body.data(), body.size()).finished);
  parser.reset();
  EXPECT_TRUE(parser.trailers().empty());
  EXPECT_EQ(parser.body_kind(), BodyKind::kNone);
  const std::string second = to("/second");
  RequestHead other;
  ASSERT_EQ(parser.parse_head(second.data(), second.size()), Http1Parser::Outcome::kComplete);
  ASSERT_EQ(parser.take_request(second.data(), other), Http1Parser::Outcome::kComplete);
  EXPECT_EQ(other.target, "/second");
  EXPECT_EQ(other.fields.size(), 1U);
}

}  // namespace
}  // namespace headgate::http
