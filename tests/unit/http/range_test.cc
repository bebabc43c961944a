// SPDX-License-Identifier: Apache-2.0
#include "http/range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate::http {
namespace {

using testing::ElementsAre;

constexpr std::uint64_t kSize = 1000;

ByteRanges partial(std::string_view range, std::uint64_t size = kSize) {
  ByteRanges ranges;
  EXPECT_EQ(select_ranges(range, size, ranges), RangeOutcome::kPartial) << range;
  return ranges;
}

RangeOutcome outcome(std::string_view range, std::uint64_t size = kSize) {
  ByteRanges ranges;
  return select_ranges(range, size, ranges);
}

TEST(Range, SingleForms) {
  EXPECT_THAT(partial("bytes=0-499"), ElementsAre(ByteRange{0, 500}));
  EXPECT_THAT(partial("bytes=500-"), ElementsAre(ByteRange{500, 500}));
  EXPECT_THAT(partial("bytes=-500"), ElementsAre(ByteRange{500, 500}));
  EXPECT_THAT(partial("bytes=-2000"), ElementsAre(ByteRange{0, 1000}));
  EXPECT_THAT(partial("bytes=999-999"), ElementsAre(ByteRange{999, 1}));
  EXPECT_THAT(partial("bytes=0-99999"), ElementsAre(ByteRange{0, 1000}));
  EXPECT_THAT(partial("Bytes = 0-0"), ElementsAre(ByteRange{0, 1}));
}

TEST(Range, NumbersBeyond64BitsAreBeyondTheEnd) {
  EXPECT_THAT(partial("bytes=1-99999999999999999999999999"), ElementsAre(ByteRange{1, 999}));
  EXPECT_THAT(partial("bytes=-99999999999999999999999999"), ElementsAre(ByteRange{0, 1000}));
  EXPECT_EQ(outcome("bytes=99999999999999999999999999-"), RangeOutcome::kUnsatisfiable);
  EXPECT_EQ(outcome("bytes=18446744073709551615-18446744073709551615"), RangeOutcome::kUnsatisfiable);
}

TEST(Range, SeveralKeepTheirOrder) {
  EXPECT_THAT(partial("bytes=0-9, 100-109 ,-10"),
              ElementsAre(ByteRange{0, 10}, ByteRange{100, 10}, ByteRange{990, 10}));
  EXPECT_THAT(partial("bytes=500-509,,0-9"), ElementsAre(ByteRange{500, 10}, ByteRange{0, 10}));
  EXPECT_THAT(partial("bytes=0-9,5000-"), ElementsAre(ByteRange{0, 10}));
}

TEST(Range, OverlapsAndNeighboursAreMerged) {
  EXPECT_THAT(partial("bytes=0-9,10-19"), ElementsAre(ByteRange{0, 20}));
  EXPECT_THAT(partial("bytes=0-9,5-19,100-109"), ElementsAre(ByteRange{0, 20}, ByteRange{100, 10}));
  EXPECT_THAT(partial("bytes=0-9,100-109,50-59,5-105"), ElementsAre(ByteRange{0, 110}));
  EXPECT_THAT(partial("bytes=0-,0-,0-,0-"), ElementsAre(ByteRange{0, 1000}));
  EXPECT_THAT(partial("bytes=200-209,0-9,205-300"), ElementsAre(ByteRange{200, 101}, ByteRange{0, 10}));
}

TEST(Range, TooManyPiecesGetTheWhole) {
  std::string most = "bytes=0-0";
  for (std::size_t i = 1; i < kMaxRanges; ++i) most += "," + std::to_string(i * 2) + "-" + std::to_string(i * 2);
  EXPECT_EQ(partial(most).size(), kMaxRanges);
  EXPECT_EQ(outcome(most + ",900-900"), RangeOutcome::kWhole);
}

TEST(Range, OutsideIsUnsatisfiable) {
  EXPECT_EQ(outcome("bytes=1000-"), RangeOutcome::kUnsatisfiable);
  EXPECT_EQ(outcome("bytes=1000-1001,2000-"), RangeOutcome::kUnsatisfiable);
  EXPECT_EQ(outcome("bytes=-0"), RangeOutcome::kUnsatisfiable);
  EXPECT_EQ(outcome("bytes=0-", 0), RangeOutcome::kUnsatisfiable);
  EXPECT_EQ(outcome("bytes=-5", 0), RangeOutcome::kWhole);
}

TEST(Range, MalformedOrForeignIsIgnored) {
  for (const std::string_view bad :
       {"", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=1-2-3", "bytes=0x0-5",
        "bytes=+1-2", "bytes=0-9;1-2", "items=0-5", "bytes:0-5", "bytes=0-5,x", "bytes= 0 - 5", "bytes=--5"}) {
    EXPECT_EQ(outcome(bad), RangeOutcome::kWhole) << bad;
  }
}

TEST(Range, FieldIsReadOnlyWhenItIsAlone) {
  Fields fields;
  ByteRanges ranges;
  EXPECT_EQ(select_ranges(fields, kSize, ranges), RangeOutcome::kWhole);
  fields.add("Range", "bytes=0-1");
  EXPECT_EQ(select_ranges(fields, kSize, ranges), RangeOutcome::kPartial);
  fields.add("Range", "bytes=2-3");
  EXPECT_EQ(select_ranges(fields, kSize, ranges), RangeOutcome::kWhole);
}

TEST(Range, NeverMoreThanTheWhole) {
  const std::uint64_t size = 97;
  for (std::uint64_t seed = 1; seed < 500; ++seed) {
    std::string range = "bytes=";
    std::uint64_t state = seed * 0x9e3779b97f4a7c15;
    for (int i = 0; i < 12; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const auto first = (state >> 33) % size;
      range += std::to_string(first) + "-" + std::to_string(first + (state >> 50) % 20) + ",";
    }
    std::uint64_t sum = 0;
    const auto ranges = partial(range, size);
    for (const auto& one : ranges) {
      EXPECT_LE(one.first + one.count, size);
      EXPECT_GT(one.count, 0u);
      sum += one.count;
      for (const auto& other : ranges) {
        if (&one == &other) continue;
        EXPECT_TRUE(one.first + one.count < other.first || other.first + other.count < one.first) << range;
      }
    }
    EXPECT_LE(sum, size);
  }
}

TEST(Range, Text) {
  std::string text;
  append_content_range({0, 500}, 1234, text);
  EXPECT_EQ(text, "bytes 0-499/1234");
  text.clear();
  append_unsatisfied_range(1234, text);
  EXPECT_EQ(text, "bytes */1234");
  text.clear();
  append_part_head("XYZ", "text/plain", {5, 1}, 10, text);
  append_last_delimiter("XYZ", text);
  EXPECT_EQ(text, "\r\n--XYZ\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-5/10\r\n\r\n\r\n--XYZ--\r\n");
}

}  // namespace
}  // namespace headgate::http
