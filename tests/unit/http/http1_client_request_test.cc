// SPDX-License-Identifier: Apache-2.0
// What is written to an origin.
#include "client_fixture.h"
#include "http/http1_client.h"

namespace headgate::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

Task<> send_body(ClientExchange& exchange, const RequestHead& head, std::vector<std::string> pieces, bool last_in_write,
                 const Fields* trailers) {
  exchange.start(head);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::span<const char> data(pieces[i]);
    const bool last = last_in_write && i + 1 == pieces.size();
    const auto sent = co_await exchange.write(data, last);
    EXPECT_TRUE(sent.has_value());
  }
  if (last_in_write) co_return;
  const auto sent = co_await exchange.finish(trailers);
  EXPECT_TRUE(sent.has_value());
}

class RequestTest : public ClientTest {
 protected:
  std::string sent(const RequestHead& head, const std::vector<std::string>& pieces, bool last_in_write,
                   const Fields* trailers = nullptr) {
    std::string out;
    for (const bool in_pieces : {false, true}) {
      WireStream stream(loop, Side::kUpstream);
      if (in_pieces) stream.write_piece = 3;
      stream.pauses = in_pieces;
      Http1ClientExchange exchange(loop, stream, std::chrono::seconds(20));
      run(send_body(exchange, head, pieces, last_in_write, trailers));
      if (!in_pieces) out = stream.output();
      EXPECT_EQ(stream.output(), out);
    }
    return out;
  }
};

TEST_F(RequestTest, WithoutABody) {
  auto head = request_of(Method::kGet, "GET", "/a?b");
  head.fields.add("Accept", "*/*");
  EXPECT_EQ(sent(head, {}, false), "GET /a?b HTTP/1.1\r\nHost: origin:1\r\nAccept: */*\r\n\r\n");
  EXPECT_EQ(sent(head, {""}, true), "GET /a?b HTTP/1.1\r\nHost: origin:1\r\nAccept: */*\r\n\r\n");
}

TEST_F(RequestTest, WithoutABodyWhereOneIsExpected) {
  for (const auto& [method, name] :
       {std::pair{Method::kPost, "POST"}, {Method::kPut, "PUT"}, {Method::kPatch, "PATCH"}}) {
    EXPECT_THAT(sent(request_of(method, name), {}, false), EndsWith("\r\nContent-Length: 0\r\n\r\n"));
  }
  for (const auto& [method, name] : {std::pair{Method::kDelete, "DELETE"}, {Method::kOptions, "OPTIONS"}}) {
    EXPECT_THAT(sent(request_of(method, name), {}, false), Not(HasSubstr("Content-Length")));
  }
}

TEST_F(RequestTest, WithALength) {
  auto head = request_of(Method::kPost, "POST");
  head.body = BodyKind::kLength;
  head.content_length = 6;
  for (const bool last : {false, true}) {
    EXPECT_EQ(sent(head, {"ab", "", "cdef"}, last),
              "POST / HTTP/1.1\r\nHost: origin:1\r\nContent-Length: 6\r\n\r\nabcdef");
  }
}

TEST_F(RequestTest, Chunked) {
  auto head = request_of(Method::kPost, "POST");
  head.body = BodyKind::kChunked;
  const std::string start = "POST / HTTP/1.1\r\nHost: origin:1\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string long_piece(300, 'x');
  for (const bool last : {false, true}) {
    EXPECT_EQ(sent(head, {"ab", "", long_piece}, last), start + "2\r\nab\r\n12c\r\n" + long_piece + "\r\n0\r\n\r\n");
    EXPECT_EQ(sent(head, {""}, last), start + "0\r\n\r\n");
  }
  Fields trailers;
  EXPECT_EQ(sent(head, {"ab"}, false, &trailers), start + "2\r\nab\r\n0\r\n\r\n");
  trailers.add("X-Sum", "1");
  trailers.add("Transfer-Encoding", "gzip");
  EXPECT_EQ(sent(head, {"ab"}, false, &trailers), start + "2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n");
  EXPECT_EQ(sent(head, {}, false, &trailers), start + "0\r\nX-Sum: 1\r\n\r\n");
}

TEST_F(RequestTest, ForAnUpgrade) {
  auto head = get_request();
  head.upgrade = "websocket";
  EXPECT_EQ(sent(head, {}, false),
            "GET / HTTP/1.1\r\nHost: origin:1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
}

TEST_F(RequestTest, IsOneSendWithItsFirstBytes) {
  WireStream stream(loop, Side::kUpstream);
  Http1ClientExchange exchange(loop, stream, std::chrono::seconds(20));
  auto head = request_of(Method::kPost, "POST");
  head.body = BodyKind::kLength;
  head.content_length = 2;
  run(send_body(exchange, head, {"ab"}, true, nullptr));
  EXPECT_EQ(stream.writes(), 1U);
}

TEST_F(RequestTest, AnOriginThatTakesNothingMeetsTheDeadline) {
  WireStream stream(loop, Side::kUpstream);
  stream.open_window(10);
  Http1ClientExchange exchange(loop, stream, std::chrono::milliseconds(20));
  Reply reply;
  run(fetch(exchange, get_request(), reply));
  EXPECT_EQ(reply.error, "timeout");
  EXPECT_FALSE(reply.reusable);
}

}  // namespace
}  // namespace headgate::http
