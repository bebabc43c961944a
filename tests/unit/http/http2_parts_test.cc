// SPDX-License-Identifier: Apache-2.0
// The parts of HTTP/2 that need no connection.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/buffer_pool.h"
#include "http/http2_budget.h"
#include "http/http2_frame_scan.h"
#include "http/http2_head.h"

namespace headgate::http {
namespace {

using testing::ElementsAre;
using testing::Pair;
using namespace std::chrono_literals;

TEST(TokenBucketTest, SpendsWhatItHasAndGetsItBackWithTime) {
  const TimePoint start{};
  TokenBucket bucket(10, 5, start);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(bucket.spend(1, start)) << i;
  EXPECT_FALSE(bucket.spend(1, start));
  EXPECT_TRUE(bucket.spend(1, start + 1s));
  EXPECT_FALSE(bucket.spend(1000, start + 2s));
}

TEST(TokenBucketTest, EarnsNoMoreThanItHolds) {
  const TimePoint start{};
  TokenBucket bucket(3, 1, start);
  bucket.earn(100);
  EXPECT_TRUE(bucket.spend(3, start));
  EXPECT_FALSE(bucket.spend(1, start));
}

std::string frame_bytes(std::uint8_t type, std::uint32_t stream, const std::string& payload) {
  std::string out(9, '\0');
  out[2] = static_cast<char>(payload.size());
  out[3] = static_cast<char>(type);
  out[8] = static_cast<char>(stream);
  return out + payload;
}

TEST(Http2FrameScanTest, SeesEveryFrameHoweverItIsCut) {
  using Seen = std::vector<std::pair<int, std::uint32_t>>;
  const std::string input = "preface" + frame_bytes(0, 1, "") + frame_bytes(1, 3, std::string(100, 'h')) +
                            frame_bytes(2, 5, std::string("\x80\x00\x00\x05\x10", 5)) + frame_bytes(8, 0, "abc") +
                            frame_bytes(8, 0, std::string("\x00\x00\x00\x07", 4));
  for (std::size_t piece = 1; piece <= input.size(); ++piece) {
    Http2FrameScan scan(7);
    Seen seen;
    for (std::size_t at = 0; at < input.size(); at += piece) {
      const auto part = std::string_view(input).substr(at, piece);
      EXPECT_TRUE(scan.feed({part.data(), part.size()}, [&](const Http2FrameScan::Frame& frame) {
        seen.emplace_back(frame.type, frame.type == 8 ? frame.field : frame.stream);
        return true;
      }));
    }
    EXPECT_THAT(seen, ElementsAre(Pair(0, 1U), Pair(1, 3U), Pair(2, 5U), Pair(8, 0U), Pair(8, 7U))) << piece;
  }
}

TEST(Http2FrameScanTest, StopsWhereItIsToldTo) {
  Http2FrameScan scan(0);
  const std::string input = frame_bytes(0, 1, "") + frame_bytes(0, 3, "");
  int seen = 0;
  EXPECT_FALSE(scan.feed(std::span<const char>(input), [&](const Http2FrameScan::Frame&) { return ++seen == 2; }));
  EXPECT_EQ(seen, 1);
}

std::vector<std::pair<std::string, std::string>> texts(std::span<nghttp2_nv> block) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& field : block) {
    out.emplace_back(std::string(reinterpret_cast<const char*>(field.name), field.namelen),
                     std::string(reinterpret_cast<const char*>(field.value), field.valuelen));
  }
  return out;
}

TEST(Http2HeadTest, AnAnswersHeadHasLowerNamesAndNothingOfTheConnection) {
  BufferPool pool;
  Arena arena(pool);
  ResponseHead head;
  head.status = 404;
  head.content_length = 5;
  for (const auto* name : {"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "TE"}) {
    head.fields.add(name, "x");
  }
  head.fields.add("Content-Type", "text/plain");
  head.fields.add("X-Mixed", "Value");
  head.fields.add("Date", "now");
  EXPECT_THAT(texts(response_block(head, 404, arena)),
              ElementsAre(Pair(":status", "404"), Pair("content-type", "text/plain"), Pair("x-mixed", "Value"),
                          Pair("date", "now"), Pair("content-length", "5")));
}

TEST(Http2HeadTest, AnInterimHeadHasNeitherDateNorLength) {
  BufferPool pool;
  Arena arena(pool);
  ResponseHead head;
  head.status = 103;
  head.content_length = 5;
  EXPECT_THAT(texts(response_block(head, 103, arena)), ElementsAre(Pair(":status", "103")));
}

TEST(Http2HeadTest, TrailersFrameNothing) {
  BufferPool pool;
  Arena arena(pool);
  Fields trailers;
  trailers.add("Grpc-Status", "0");
  trailers.add("Content-Length", "5");
  trailers.add("Trailer", "X");
  trailers.add("Connection", "close");
  EXPECT_THAT(texts(trailer_block(trailers, arena)), ElementsAre(Pair("grpc-status", "0")));
}

}  // namespace
}  // namespace headgate::http
