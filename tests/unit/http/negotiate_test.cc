// SPDX-License-Identifier: Apache-2.0
#include "http/negotiate.h"

#include <gtest/gtest.h>

namespace headgate::http {
namespace {

CodingQualities parse(std::string_view value) {
  Fields fields;
  fields.add("Accept-Encoding", value);
  return CodingQualities::parse(fields);
}

Coding choose(std::string_view value) {
  static constexpr std::array kOurs = {Coding::kBrotli, Coding::kGzip};
  return parse(value).choose(kOurs);
}

TEST(Negotiate, WithoutTheFieldIdentity) {
  const auto qualities = CodingQualities::parse(Fields{});
  EXPECT_FALSE(qualities.wants_any());
  EXPECT_EQ(qualities.of(Coding::kIdentity), 1000u);
  EXPECT_EQ(qualities.of(Coding::kGzip), 0u);
  EXPECT_EQ(choose(""), Coding::kIdentity);
}

TEST(Negotiate, TheServersOrderBreaksTies) {
  EXPECT_EQ(choose("gzip, deflate, br, zstd"), Coding::kBrotli);
  EXPECT_EQ(choose("gzip;q=0.5, br;q=0.5"), Coding::kBrotli);
  constexpr std::array kOther = {Coding::kGzip, Coding::kBrotli};
  EXPECT_EQ(parse("br, gzip").choose(kOther), Coding::kGzip);
}

TEST(Negotiate, TheGreaterWeightWins) {
  EXPECT_EQ(choose("br;q=0.8, gzip"), Coding::kGzip);
  EXPECT_EQ(choose("br; q=0.9 , gzip ; Q=0.899"), Coding::kBrotli);
  EXPECT_EQ(choose("gzip;q=0.5, identity;q=1"), Coding::kIdentity);
  EXPECT_EQ(choose("gzip;q=1, identity;q=1"), Coding::kGzip);
  EXPECT_EQ(choose("gzip;q=0.001"), Coding::kGzip);
}

TEST(Negotiate, ZeroForbids) {
  EXPECT_EQ(choose("br;q=0, gzip"), Coding::kGzip);
  EXPECT_EQ(choose("br;q=0, gzip;q=0"), Coding::kIdentity);
  EXPECT_EQ(choose("br;q=0.000"), Coding::kIdentity);
  EXPECT_EQ(choose("identity;q=0, gzip;q=0.1"), Coding::kGzip);
}

TEST(Negotiate, StarStandsForTheRest) {
  EXPECT_EQ(choose("*"), Coding::kBrotli);
  EXPECT_EQ(choose("br;q=0, *"), Coding::kGzip);
  EXPECT_EQ(choose("gzip;q=0.5, *;q=0"), Coding::kGzip);
  EXPECT_EQ(choose("*;q=0"), Coding::kIdentity);
  EXPECT_EQ(parse("*;q=0").of(Coding::kIdentity), 0u);
  EXPECT_EQ(parse("gzip;q=0.5, *").choose(std::array{Coding::kGzip}), Coding::kIdentity);
}

TEST(Negotiate, NothingAcceptableIsIdentity) {
  EXPECT_EQ(choose("identity;q=0"), Coding::kIdentity);
}

TEST(Negotiate, OnlyWhatThereIs) {
  EXPECT_EQ(parse("br, gzip").choose({}), Coding::kIdentity);
  EXPECT_EQ(parse("br").choose(std::array{Coding::kGzip}), Coding::kIdentity);
}

TEST(Negotiate, NamesInAnyCaseAndAliases) {
  EXPECT_EQ(choose("GZIP"), Coding::kGzip);
  EXPECT_EQ(choose("x-gzip"), Coding::kGzip);
  EXPECT_EQ(choose("gzipped, brr"), Coding::kIdentity);
}

TEST(Negotiate, SeveralFieldsAreOneList) {
  Fields fields;
  fields.add("Accept-Encoding", "deflate");
  fields.add("accept-encoding", "zstd");
  EXPECT_EQ(CodingQualities::parse(fields).of(Coding::kZstd), 1000u);
}

TEST(Negotiate, MalformedWeightIsNoConsent) {
  for (const std::string_view bad : {"br;q=", "br;q=2", "br;q=1.5", "br;q=-1", "br;q=0.1234", "br;q=0,5x", "br;q=a"}) {
    EXPECT_EQ(choose(bad), Coding::kIdentity) << bad;
  }
  EXPECT_EQ(choose(" , ,br,"), Coding::kBrotli);
  EXPECT_EQ(choose("br;level=4;q=0"), Coding::kIdentity);
}

TEST(Negotiate, Weights) {
  EXPECT_EQ(parse_weight("1"), 1000u);
  EXPECT_EQ(parse_weight("1.000"), 1000u);
  EXPECT_EQ(parse_weight("0."), 0u);
  EXPECT_EQ(parse_weight("0.25"), 250u);
  EXPECT_EQ(parse_weight("1.001"), std::nullopt);
  EXPECT_EQ(parse_weight(""), std::nullopt);
  EXPECT_EQ(parse_weight("00"), std::nullopt);
}

}  // namespace
}  // namespace headgate::http
