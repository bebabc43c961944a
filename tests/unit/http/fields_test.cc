// SPDX-License-Identifier: Apache-2.0
#include "http/fields.h"

#include <cctype>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace headgate::http {
namespace {

using testing::ElementsAre;

struct Named {
  std::string_view name;
  FieldId id;
};

constexpr Named kNames[] = {
    {"Accept", FieldId::kAccept},
    {"Accept-Encoding", FieldId::kAcceptEncoding},
    {"Accept-Ranges", FieldId::kAcceptRanges},
    {"Access-Control-Allow-Origin", FieldId::kAccessControlAllowOrigin},
    {"Age", FieldId::kAge},
    {"Allow", FieldId::kAllow},
    {"Authorization", FieldId::kAuthorization},
    {"Cache-Control", FieldId::kCacheControl},
    {"Connection", FieldId::kConnection},
    {"Content-Encoding", FieldId::kContentEncoding},
    {"Content-Length", FieldId::kContentLength},
    {"Content-Range", FieldId::kContentRange},
    {"Content-Type", FieldId::kContentType},
    {"Cookie", FieldId::kCookie},
    {"Date", FieldId::kDate},
    {"ETag", FieldId::kETag},
    {"Expect", FieldId::kExpect},
    {"Expires", FieldId::kExpires},
    {"Forwarded", FieldId::kForwarded},
    {"Host", FieldId::kHost},
    {"HTTP2-Settings", FieldId::kHttp2Settings},
    {"If-Match", FieldId::kIfMatch},
    {"If-Modified-Since", FieldId::kIfModifiedSince},
    {"If-None-Match", FieldId::kIfNoneMatch},
    {"If-Range", FieldId::kIfRange},
    {"If-Unmodified-Since", FieldId::kIfUnmodifiedSince},
    {"Keep-Alive", FieldId::kKeepAlive},
    {"Last-Modified", FieldId::kLastModified},
    {"Location", FieldId::kLocation},
    {"Origin", FieldId::kOrigin},
    {"Proxy-Authenticate", FieldId::kProxyAuthenticate},
    {"Proxy-Authorization", FieldId::kProxyAuthorization},
    {"Proxy-Connection", FieldId::kProxyConnection},
    {"Range", FieldId::kRange},
    {"Referer", FieldId::kReferer},
    {"Retry-After", FieldId::kRetryAfter},
    {"Sec-Fetch-Dest", FieldId::kSecFetchDest},
    {"Sec-Fetch-Mode", FieldId::kSecFetchMode},
    {"Server", FieldId::kServer},
    {"Set-Cookie", FieldId::kSetCookie},
    {"TE", FieldId::kTe},
    {"Trailer", FieldId::kTrailer},
    {"Transfer-Encoding", FieldId::kTransferEncoding},
    {"Upgrade", FieldId::kUpgrade},
    {"User-Agent", FieldId::kUserAgent},
    {"Vary", FieldId::kVary},
    {"Via", FieldId::kVia},
    {"WWW-Authenticate", FieldId::kWwwAuthenticate},
    {"X-Accel-Buffering", FieldId::kXAccelBuffering},
    {"X-Forwarded-For", FieldId::kXForwardedFor},
    {"X-Forwarded-Host", FieldId::kXForwardedHost},
    {"X-Forwarded-Proto", FieldId::kXForwardedProto},
    {"X-Real-IP", FieldId::kXRealIp},
    {"X-Request-Id", FieldId::kXRequestId},
};

std::string with(std::string_view text, int (*change)(int)) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(change(static_cast<unsigned char>(c)));
  return out;
}

std::vector<std::string> lines(const Fields& fields) {
  std::vector<std::string> out;
  for (const auto& field : fields) out.push_back(std::string(field.name) + "=" + std::string(field.value));
  return out;
}

TEST(FieldId, EveryNameIsFoundInAnyCase) {
  for (const auto& [name, id] : kNames) {
    EXPECT_EQ(field_id(name), id) << name;
    EXPECT_EQ(field_id(with(name, std::tolower)), id) << name;
    EXPECT_EQ(field_id(with(name, std::toupper)), id) << name;
  }
  // The last id of the enumeration: none has been added without a line above.
  EXPECT_EQ(std::size(kNames), static_cast<std::size_t>(FieldId::kXRequestId));
}

TEST(FieldId, NamesThatOnlyLookAlikeAreOthers) {
  for (const auto& [name, id] : kNames) {
    for (std::size_t i = 0; i < name.size(); ++i) {
      std::string shorter(name);
      shorter.erase(i, 1);
      EXPECT_NE(field_id(shorter), id) << shorter;
      std::string other(name);
      other[i] = static_cast<char>(other[i] ^ 0x40);
      EXPECT_NE(field_id(other), id) << other;
    }
    EXPECT_NE(field_id(std::string(name) + " "), id);
    EXPECT_NE(field_id(std::string(name) + "s"), id);
  }
  EXPECT_EQ(field_id("content_length"), FieldId::kOther);
  EXPECT_EQ(field_id("content\rlength"), FieldId::kOther);  // CR is '-' with a bit cleared
  EXPECT_EQ(field_id(""), FieldId::kOther);
  EXPECT_EQ(field_id(std::string(1000, 'a')), FieldId::kOther);
}

TEST(Iequals, FoldsAsciiLettersOnly) {
  EXPECT_TRUE(iequals("", ""));
  EXPECT_TRUE(iequals("aZ-09", "Az-09"));
  EXPECT_FALSE(iequals("a", "ab"));
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const char x = static_cast<char>(a);
      const char y = static_cast<char>(b);
      const bool same = a == b || (a < 128 && b < 128 && std::isalpha(a) != 0 && (a ^ 0x20) == b);
      ASSERT_EQ(iequals({&x, 1}, {&y, 1}), same) << a << " " << b;
      // At each place of a text that is longer than a machine word.
      std::string one = "sEc-FeTcH-mO";
      std::string two = "SeC-fEtCh-Mo";
      one[static_cast<std::size_t>(b) % one.size()] = x;
      two[static_cast<std::size_t>(b) % two.size()] = y;
      ASSERT_EQ(iequals(one, two), same) << a << " " << b;
    }
  }
}

TEST(Iequals, ADifferenceIsSeenAtEveryPlace) {
  for (std::size_t size = 1; size < 40; ++size) {
    const std::string text(size, 'a');
    EXPECT_TRUE(iequals(text, std::string(size, 'A')));
    for (std::size_t i = 0; i < size; ++i) {
      std::string other = text;
      other[i] = 'b';
      EXPECT_FALSE(iequals(text, other)) << i << " of " << size;
    }
  }
}

TEST(ListHas, LooksAtWholeItemsAndIgnoresParameters) {
  EXPECT_TRUE(list_has("close", "close"));
  EXPECT_TRUE(list_has("keep-alive, Close", "close"));
  EXPECT_TRUE(list_has(",, \tclose\t ,", "close"));
  EXPECT_TRUE(list_has("gzip;q=0.5 , br", "gzip"));
  EXPECT_TRUE(list_has("gzip ;q=0.5", "gzip"));
  EXPECT_FALSE(list_has("closed", "close"));
  EXPECT_FALSE(list_has("not close", "close"));
  EXPECT_FALSE(list_has("x;close", "close"));
  EXPECT_FALSE(list_has("", "close"));
  EXPECT_FALSE(list_has(",", "close"));
}

TEST(Trim, TakesSpacesAndTabsOnly) {
  EXPECT_EQ(trim(" \t a b\t "), "a b");
  EXPECT_EQ(trim(""), "");
  EXPECT_EQ(trim(" \t"), "");
  EXPECT_EQ(trim("\ra\n"), "\ra\n");
  EXPECT_EQ(trim("\v a"), "\v a");
}

TEST(IsToken, KnowsEveryByte) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  for (int c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    const bool good = c < 128 && (std::isalnum(c) != 0 || kMarks.find(byte) != std::string_view::npos) && c != 0;
    EXPECT_EQ(is_token({&byte, 1}), good) << c;
    const std::string inside = {'a', byte, 'b'};
    EXPECT_EQ(is_token(inside), good) << c;
  }
  EXPECT_FALSE(is_token(""));
}

TEST(IsFieldValue, AllowsNoControlCharacterButTheTab) {
  for (int c = 0; c < 256; ++c) {
    const std::string text = {'a', static_cast<char>(c), 'b'};
    EXPECT_EQ(is_field_value(text), c == '\t' || (c >= 0x20 && c != 0x7f)) << c;
  }
  EXPECT_TRUE(is_field_value(""));
}

TEST(Fields, AreFoundByIdAndByName) {
  Fields fields;
  EXPECT_TRUE(fields.empty());
  fields.add("Host", "a");
  fields.add("X-One", "1");
  fields.add("x-one", "2");
  fields.add(FieldId::kCookie, "cookie", "c");
  EXPECT_EQ(fields.size(), 4U);
  EXPECT_EQ(fields.get(FieldId::kHost), "a");
  EXPECT_EQ(fields.get("hOST"), "a");
  EXPECT_EQ(fields.get("X-ONE"), "1");
  EXPECT_EQ(fields.get("X-Two"), std::nullopt);
  EXPECT_EQ(fields.get("Accept"), std::nullopt);
  EXPECT_TRUE(fields.has(FieldId::kCookie));
  EXPECT_FALSE(fields.has(FieldId::kAccept));
  EXPECT_EQ(fields.count(FieldId::kHost), 1U);
  EXPECT_EQ(fields.count(FieldId::kOther), 2U);
  fields.clear();
  EXPECT_TRUE(fields.empty());
}

TEST(Fields, SetKeepsThePlaceOfTheFirstAndDropsTheOthers) {
  Fields fields;
  for (const char* name : {"A", "Vary", "B", "vary", "a"}) fields.add(name, name);
  fields.set("VARY", "new");
  fields.set("a", "new");
  fields.set("C", "c");
  EXPECT_THAT(lines(fields), ElementsAre("a=new", "VARY=new", "B=B", "C=c"));
}

TEST(Fields, RemoveTakesAllOfAName) {
  Fields fields;
  for (const char* name : {"X-A", "Via", "x-a", "X-B", "VIA"}) fields.add(name, "1");
  fields.remove("X-a");
  EXPECT_THAT(lines(fields), ElementsAre("Via=1", "X-B=1", "VIA=1"));
  fields.remove("vIa");
  EXPECT_THAT(lines(fields), ElementsAre("X-B=1"));
  fields.add("TE", "trailers");
  fields.remove(FieldId::kTe);
  fields.remove("absent");
  EXPECT_THAT(lines(fields), ElementsAre("X-B=1"));
}

TEST(Fields, AListMayBeSpreadOverSeveralFields) {
  Fields fields;
  fields.add("Connection", "keep-alive");
  fields.add("connection", "x , Upgrade");
  fields.add("Upgrade", "close");
  EXPECT_TRUE(fields.list_contains(FieldId::kConnection, "upgrade"));
  EXPECT_TRUE(fields.list_contains(FieldId::kConnection, "Keep-Alive"));
  EXPECT_FALSE(fields.list_contains(FieldId::kConnection, "close"));
}

TEST(Fields, ManyGrowBeyondWhatIsHeldInPlace) {
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) names.push_back("X-" + std::to_string(i));
  Fields fields;
  for (const auto& name : names) fields.add(name, name);
  EXPECT_EQ(fields.size(), 300U);
  EXPECT_EQ(fields.get("x-299"), "X-299");
}

}  // namespace
}  // namespace headgate::http
