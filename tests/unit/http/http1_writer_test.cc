// SPDX-License-Identifier: Apache-2.0
#include "http/http1_writer.h"

#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/buffer_pool.h"

namespace headgate::http {
namespace {

std::string written(const ResponseHead& head) {
  BufferPool pool;
  ByteWriter out(pool);
  write_response_head(head, out);
  return {out.data(), out.size()};
}

TEST(WriteResponseHead, HasAStatusLineAndFieldsInTheirOrder) {
  ResponseHead head;
  head.status = 404;
  head.fields.add("B", "1");
  head.fields.add("a", "");
  head.fields.add("B", "2");
  EXPECT_EQ(written(head), "HTTP/1.1 404 Not Found\r\nB: 1\r\na: \r\nB: 2\r\n");
  head.fields.clear();
  head.status = 200;
  EXPECT_EQ(written(head), "HTTP/1.1 200 OK\r\n");
  head.status = 299;  // a phrase may be empty, its space may not (RFC 9112 section 4)
  EXPECT_EQ(written(head), "HTTP/1.1 299 \r\n");
}

TEST(WriteResponseHead, LeavesOutWhatFramesOrBelongsToOneConnection) {
  ResponseHead head;
  for (const char* name : {"Content-Length", "transfer-encoding", "CONNECTION", "Keep-Alive", "Upgrade"}) {
    head.fields.add(name, "1");
  }
  head.fields.add("X", "y");
  EXPECT_EQ(written(head), "HTTP/1.1 200 OK\r\nX: y\r\n");
  head.status = 101;
  EXPECT_EQ(written(head), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: 1\r\nX: y\r\n");
}

TEST(WriteResponseHead, MayBeLongerThanABlock) {
  ResponseHead head;
  std::string expected = "HTTP/1.1 200 OK\r\n";
  const std::string value(1000, 'v');
  for (int i = 0; i < 200; ++i) {
    head.fields.add("X", value);
    expected += "X: " + value + "\r\n";
  }
  EXPECT_EQ(written(head), expected);
}

TEST(WriteField, WritesTheSameWhereverNameAndValueLie) {
  const auto field = [](std::string_view name, std::string_view value) {
    BufferPool pool;
    ByteWriter out(pool);
    write_field(name, value, out);
    return std::string(out.data(), out.size());
  };
  // As they came over HTTP/1: side by side, with a blank, a tab, nothing or more than that between.
  for (const std::string_view line : {"Name: value", "Name:\tvalue", "Name:value", "Name:  value", "Name; value"}) {
    EXPECT_EQ(field(line.substr(0, 4), line.substr(line.find("value"))), "Name: value\r\n") << line;
  }
  const std::string_view empty = "Name: ";
  EXPECT_EQ(field(empty.substr(0, 4), empty.substr(6)), "Name: \r\n");
  EXPECT_EQ(field("Name", {}), "Name: \r\n");
  EXPECT_EQ(field(std::string("Name"), std::string("value")), "Name: value\r\n");
}

TEST(DateField, IsALineOfTheFormThatHttpUses) {
  EXPECT_THAT(std::string(date_field()),
              testing::MatchesRegex("Date: [A-Z][a-z]+, [0-9]+ [A-Z][a-z]+ [0-9]+ [0-9]+:[0-9]+:[0-9]+ GMT\r\n"));
  EXPECT_EQ(date_field().size(), 37U);
}

TEST(ChunkHead, IsTheSizeInHex) {
  EXPECT_EQ(ChunkHead(1).text(), "1\r\n");
  EXPECT_EQ(ChunkHead(0xabc).text(), "abc\r\n");
  EXPECT_EQ(ChunkHead(std::numeric_limits<std::size_t>::max()).text(), "ffffffffffffffff\r\n");
}

TEST(WriteLastChunk, DropsTrailersThatFrameOrRouteOrAuthorise) {
  BufferPool pool;
  ByteWriter plain(pool);
  write_last_chunk(nullptr, plain);
  EXPECT_EQ(std::string_view(plain.data(), plain.size()), "0\r\n\r\n");

  Fields trailers;
  for (const char* name :
       {"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Host", "Trailer", "TE", "Upgrade",
        "Authorization", "Content-Type", "Content-Encoding", "Content-Range", "Set-Cookie", "Cache-Control"}) {
    trailers.add(name, "x");
  }
  trailers.add("X-Sum", "1");
  trailers.add("grpc-status", "0");
  ByteWriter out(pool);
  write_last_chunk(&trailers, out);
  EXPECT_EQ(std::string_view(out.data(), out.size()), "0\r\nX-Sum: 1\r\ngrpc-status: 0\r\n\r\n");
}

}  // namespace
}  // namespace headgate::http
