// SPDX-License-Identifier: Apache-2.0
// Our parser beside llhttp: heads and chunked bodies, good ones, bad ones, and good ones with a little changed. The
// fuzz target http1_llhttp asks the same of whatever it finds.
#include <iterator>
#include <random>

#include <gtest/gtest.h>

#include "llhttp_oracle.h"

namespace headgate::http {
namespace {

constexpr auto kRequest = Http1Parser::Kind::kRequest;
constexpr auto kResponse = Http1Parser::Kind::kResponse;

constexpr std::string_view kRequestLines[] = {
    "GET / HTTP/1.1\r\n",          "POST /a?b=c HTTP/1.1\r\n",
    "OPTIONS * HTTP/1.1\r\n",      "GET http://a/x HTTP/1.1\r\n",
    "\r\n\r\nPUT /x HTTP/1.0\r\n", "M-SEARCH /~!$&'()*+,;=:@[]^|\" HTTP/1.1\r\n",
    "GET /#a HTTP/1.1\r\n",        "DELETE  /x HTTP/1.1\r\n",
    "HEAD /x  HTTP/1.1\r\n",       "BREW / HTTP/1.1\r\n",
    "GET / HTTP/2.0\r\n",          "PRI * HTTP/2.0\r\n",
    "CONNECT a:1 HTTP/1.1\r\n",    "CONNECT HTTP/1.1\r\n",
    "CONNECT  HTTP/1.1\r\n",       "DESCRIBE rtsp://a RTSP/1.0\r\n"};
constexpr std::string_view kStatusLines[] = {
    "HTTP/1.1 200 OK\r\n", "HTTP/1.0 404 Not Found\r\n", "HTTP/1.1 204\r\n",
    "HTTP/1.1 304 \r\n",   "HTTP/1.1 101 Up\r\n",        "HTTP/1.1 600 High\r\n",
    "HTTP/2.0 200 OK\r\n", "HTTP/1.1 200 \x01\r\n",      "\r\nHTTP/1.1 500 x\r\n"};
constexpr std::string_view kFields[] = {"Host: a\r\n",
                                        "hOST:b\r\n",
                                        "X-A:  1 \t2 \r\n",
                                        "X-Empty:\r\n",
                                        "X-Blank: \t \r\n",
                                        "Content-Length: 5\r\n",
                                        "content-length:0\r\n",
                                        "Content-Length: 5, 5\r\n",
                                        "Content-Length: 18446744073709551616\r\n",
                                        "Transfer-Encoding: chunked\r\n",
                                        "Transfer-Encoding: gzip, chunked\r\n",
                                        "Transfer-Encoding: identity\r\n",
                                        "Connection: close\r\n",
                                        "Connection: keep-alive, Upgrade\r\n",
                                        "Upgrade: websocket\r\n",
                                        "Expect: 100-continue\r\n",
                                        "Proxy-Connection: x\r\n",
                                        "X-High: \xc3\xa4\r\n",
                                        ": nameless\r\n",
                                        " folded\r\n",
                                        "X : blank\r\n",
                                        "X: bare\n"};
constexpr std::string_view kChunks[] = {"5\r\nhello\r\n",       "A\r\n0123456789\r\n", "1;a\r\nx\r\n", "1;a=b\r\nx\r\n",
                                        "1;a=\"b c\"\r\nx\r\n", "1;a=b;c\r\nx\r\n",    "1;;\r\nx\r\n", "1;a=\r\nx\r\n",
                                        "1 \r\nx\r\n",          "0002\r\n\r\n\r\n",    "1\nx\r\n",     "5\r\nhello"};
constexpr std::string_view kEnds[] = {"0\r\n\r\n",
                                      "0\r\nX-T: 1\r\n\r\n",
                                      "00;x\r\nA: b\r\nC:\r\n\r\n",
                                      "0\r\n: x\r\n\r\n",
                                      "0\r\nContent-Length: x\r\n\r\n",
                                      "0\r\nX: 1\r\n y\r\n\r\n",
                                      "0\n\r\n",
                                      "0\r\n\n",
                                      "0\r\nX: 1\n\r\n"};

class Writer {
 public:
  explicit Writer(unsigned seed) : random_(seed) {}

  std::string write(Http1Parser::Kind kind) {
    std::string text(kind == kRequest ? one_of(kRequestLines) : one_of(kStatusLines));
    for (std::size_t i = below(5); i > 0; --i) text += one_of(kFields);
    if (kind == kRequest && below(3) != 0) text += "Host: a\r\n";
    if (below(3) == 0) text += "Transfer-Encoding: chunked\r\n";
    text += "\r\n";
    for (std::size_t i = below(4); i > 0; --i) text += one_of(kChunks);
    text += one_of(kEnds);
    for (std::size_t i = below(3); i > 0; --i) change(text);
    return text;
  }

 private:
  std::size_t below(std::size_t end) { return random_() % end; }

  template <std::size_t kCount>
  std::string_view one_of(const std::string_view (&texts)[kCount]) {
    // The first ones are good: without them nearly nothing would get past the head.
    return texts[below(2) == 0 ? below(3) : below(kCount)];
  }

  void change(std::string& text) {
    constexpr std::string_view kBytes("\r\n \t:;,=\"\\\0\x01\x7f\x80\xff/#?a0G*", 22);
    const std::size_t at = below(text.size());
    const char byte = below(2) == 0 ? kBytes[below(kBytes.size())] : static_cast<char>(below(256));
    switch (below(3)) {
      case 0:
        text[at] = byte;
        break;
      case 1:
        text.insert(at, 1, byte);
        break;
      default:
        text.erase(at, 1 + below(2));
        break;
    }
  }

  std::mt19937 random_;
};

void agree_about_many(Http1Parser::Kind kind) {
  Writer writer(20);
  std::size_t accepted = 0;
  for (int i = 0; i < 60'000; ++i) {
    const std::string text = writer.write(kind);
    ASSERT_EQ(disagreement(kind, text), "") << testing::PrintToString(text);
    if (hear(kind, text, at_once(text.size()), {}).complete) ++accepted;
  }
  EXPECT_GT(accepted, 5'000U) << "hardly anything was there to compare";
}

TEST(Llhttp, AgreesAboutRequests) {
  agree_about_many(kRequest);
}

TEST(Llhttp, AgreesAboutResponses) {
  agree_about_many(kResponse);
}

/// One byte put in each place of a good message.
void agree_about_every_byte(Http1Parser::Kind kind, const std::string& good) {
  ASSERT_EQ(disagreement(kind, good), "");
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = good;
      text[at] = static_cast<char>(byte);
      ASSERT_EQ(disagreement(kind, text), "") << "in place: " << testing::PrintToString(text);
      text = good;
      text.insert(at, 1, static_cast<char>(byte));
      ASSERT_EQ(disagreement(kind, text), "") << "added: " << testing::PrintToString(text);
    }
  }
}

TEST(Llhttp, AgreesAboutEveryByte) {
  agree_about_every_byte(kRequest,
                         "\r\nPOST /a?b HTTP/1.1\r\nHost: a\r\nX-B:  c \r\nTransfer-Encoding: chunked\r\n\r\n"
                         "3;a=\"b\"\r\nabc\r\n0\r\nX-T: 1\r\n\r\n");
  agree_about_every_byte(kRequest, "GET http://a/ HTTP/1.0\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
  agree_about_every_byte(
      kResponse, "HTTP/1.1 200 OK\r\nServer: a\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n");
  agree_about_every_byte(kResponse, "HTTP/1.0 404\r\nContent-Length: 12\r\n\r\n");
}

TEST(Llhttp, KnowsTheSameMethods) {
  std::size_t accepted = 0;
#define HEADGATE_ASK(number, name, text)                                                                          \
  {                                                                                                               \
    const std::string bytes = #text " / HTTP/1.1\r\nHost: a\r\n\r\n";                                             \
    const Heard heard = hear(kRequest, bytes, at_once(bytes.size()), {});                                         \
    EXPECT_EQ(heard.complete, HTTP_##name != HTTP_CONNECT && ask_llhttp(kRequest, bytes).head_complete) << bytes; \
    EXPECT_TRUE(heard.complete || heard.status == 501) << bytes;                                                  \
    accepted += heard.complete;                                                                                   \
  }
  HTTP_ALL_METHOD_MAP(HEADGATE_ASK)
#undef HEADGATE_ASK
  EXPECT_EQ(accepted, 33U);
}

}  // namespace
}  // namespace headgate::http
