// SPDX-License-Identifier: Apache-2.0
// Heads of responses, as origins send them.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "heard.h"

namespace headgate::http {
namespace {

constexpr auto kResponse = Http1Parser::Kind::kResponse;
constexpr HeadLimits kLimits{4096, 20};

Heard hear_response(std::string_view bytes, Method method = Method::kGet, HeadLimits limits = kLimits) {
  const Heard whole = hear(kResponse, bytes, at_once(bytes.size()), limits, method);
  EXPECT_EQ(hear(kResponse, bytes, one_by_one(bytes.size()), limits, method), whole) << "byte by byte: " << bytes;
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    const Heard heard = hear(kResponse, bytes, {cut, bytes.size()}, limits, method);
    EXPECT_EQ(heard, whole) << "cut at " << cut << ": " << bytes;
    if (heard != whole) break;
  }
  return whole;
}

std::string ok(std::string_view fields) {
  return "HTTP/1.1 200 OK\r\n" + std::string(fields) + "\r\n";
}

TEST(ResponseHead, HasItsPartsHoweverItArrives) {
  const std::string head =
      "HTTP/1.1 404 Not quite found\r\nServer: x\r\nSet-Cookie: a=b\r\nset-cookie: c\r\nContent-Length: 3\r\n\r\n";
  const auto heard = hear_response(head + "abc");
  ASSERT_TRUE(heard.complete) << heard;
  EXPECT_EQ(heard.status, 404);
  EXPECT_EQ(heard.head_size, head.size());
  EXPECT_EQ(heard.fields,
            (FieldTexts{{"Server", "x"}, {"Set-Cookie", "a=b"}, {"set-cookie", "c"}, {"Content-Length", "3"}}));
  EXPECT_EQ(heard.body, BodyKind::kLength);
  EXPECT_EQ(heard.content_length, 3U);
  EXPECT_TRUE(heard.keep_alive);
}

TEST(ResponseHead, StatusLinesThatOriginsSend) {
  for (const char* line : {"HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1 200 OK", "HTTP/1.0 200 OK",
                           "HTTP/1.1 200 \xc3\x9c"
                           "ber",
                           "HTTP/1.1 200 a  b"}) {
    const auto heard = hear_response(std::string(line) + "\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(heard.complete) << line << heard;
    EXPECT_EQ(heard.status, 200) << line;
  }
}

struct Framed {
  std::string bytes;
  Method method;
  BodyKind body;
  bool length_told;
  std::uint64_t length;
  bool keep;
};

TEST(ResponseHead, FramesItsBody) {
  constexpr auto kGet = Method::kGet;
  constexpr auto kHead = Method::kHead;
  constexpr auto kNone = BodyKind::kNone;
  const Framed cases[] = {
      {ok("Content-Length: 5\r\n"), kGet, BodyKind::kLength, true, 5, true},
      {ok("Content-Length: 0\r\n"), kGet, kNone, true, 0, true},
      {ok("Transfer-Encoding: Chunked\r\n"), kGet, BodyKind::kChunked, false, 0, true},
      {ok(""), kGet, BodyKind::kUntilClose, false, 0, false},
      {ok("Connection: keep-alive\r\n"), kGet, BodyKind::kUntilClose, false, 0, false},
      {ok("Content-Length: 5\r\nConnection: x, Close\r\n"), kGet, BodyKind::kLength, true, 5, false},
      {ok("Content-Length: 5\r\n"), kHead, kNone, true, 5, true},
      {ok("Transfer-Encoding: chunked\r\n"), kHead, kNone, false, 0, true},
      {ok(""), kHead, kNone, false, 0, true},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", kGet, kNone, true, 9, true},
      {"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", kGet, kNone, false, 0, true},
      {"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", kGet, kNone, false, 0, true},
      {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", kGet, kNone, false, 0, true},
      {"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", kGet, kNone, false, 0, true},
      {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", kGet, kNone, false, 0, true},
      {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", kGet, BodyKind::kLength, true, 5, false},
      {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", kGet, BodyKind::kLength, true, 5,
       true},
      {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive, close\r\n\r\n", kGet, BodyKind::kLength, true,
       5, false},
      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", kGet, BodyKind::kUntilClose, false, 0, false},
      {"HTTP/1.0 200 OK\r\n\r\n", kGet, BodyKind::kUntilClose, false, 0, false},
  };
  for (const auto& c : cases) {
    const auto heard = hear_response(c.bytes, c.method);
    ASSERT_TRUE(heard.complete) << c.bytes << heard;
    EXPECT_EQ(heard.body, c.body) << c.bytes;
    EXPECT_EQ(heard.length_told, c.length_told) << c.bytes;
    EXPECT_EQ(heard.content_length, c.length) << c.bytes;
    EXPECT_EQ(heard.keep_alive, c.keep) << c.bytes;
  }
}

TEST(ResponseHead, BadOnesAreRefusedHoweverTheyArrive) {
  const std::string cases[] = {
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 099 Low\r\n\r\n",
      "HTTP/1.1 600 High\r\n\r\n",
      "HTTP/1.1 abc OK\r\n\r\n",
      "HTTP/1.1  200 OK\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "HTTP/0.9 200 OK\r\n\r\n",
      "http/1.1 200 OK\r\n\r\n",
      "ICY 200 OK\r\n\r\n",
      "<html>hello</html>",
      "HTTP/1.1 200 OK\nX: y\n\n",
      "HTTP/1.1 200 OK\r\nX: y\n\r\n",
      "HTTP/1.1 200 O\rK\r\n\r\n",
      ok("X: a\r\n b\r\n"),
      ok("X : a\r\n"),
      ok(": a\r\n"),
      ok("X: a\x01\r\n"),
      ok(std::string("X: a\0\r\n", 7)),
      ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
      ok("Content-Length: 5\r\nContent-Length: 5\r\n"),
      ok("Content-Length: 5\r\nContent-Length: 6\r\n"),
      ok("Content-Length: x\r\n"),
      ok("Content-Length: 18446744073709551616\r\n"),
      ok("Transfer-Encoding: gzip, chunked\r\n"),
      ok("Transfer-Encoding: gzip\r\n"),
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
  };
  for (const auto& bytes : cases) {
    const auto heard = hear_response(bytes);
    EXPECT_TRUE(heard.rejected) << bytes << heard;
    EXPECT_EQ(heard.status, 502) << bytes;
  }
}

TEST(ResponseHead, LimitsAreToldApartFromBadOnes) {
  EXPECT_EQ(hear_response(ok("X: " + std::string(300, 'x') + "\r\n"), Method::kGet, {100, 20}).status, 431);
  EXPECT_EQ(hear_response("HTTP/1.1 200 " + std::string(300, 'x') + "\r\n\r\n", Method::kGet, {100, 20}).status, 431);
  EXPECT_EQ(hear_response(ok("A: 1\r\nB: 2\r\n"), Method::kGet, {4096, 1}).status, 431);
  const auto exact = ok("A: 1\r\nB: 2\r\n");
  EXPECT_TRUE(hear_response(exact, Method::kGet, {exact.size(), 2}).complete);
}

}  // namespace
}  // namespace headgate::http
