// SPDX-License-Identifier: Apache-2.0
#include "routing/query.h"

#include <gtest/gtest.h>

namespace headgate::routing {
namespace {

TEST(Query, TextIsComparedDecoded) {
  EXPECT_TRUE(query_text_is("a%20b+c", "a b c"));
  EXPECT_TRUE(query_text_is("%C3%a9", "\xc3\xa9"));
  EXPECT_TRUE(query_text_is("", ""));
  EXPECT_TRUE(query_text_is("%252f", "%2f"));
  EXPECT_FALSE(query_text_is("ab", "a"));
  EXPECT_FALSE(query_text_is("a", "ab"));
  EXPECT_FALSE(query_text_is("%61", "%61"));
}

TEST(Query, ABadEscapeStandsForItself) {
  EXPECT_TRUE(query_text_is("100%", "100%"));
  EXPECT_TRUE(query_text_is("%zz", "%zz"));
  EXPECT_TRUE(query_text_is("%4", "%4"));
  EXPECT_TRUE(query_text_is("%4%41", "%4A"));
}

TEST(Query, FindsTheFirstOfAName) {
  EXPECT_EQ(find_query("a=1&b=2&a=3", "a"), "1");
  EXPECT_EQ(find_query("a=1&b=2", "b"), "2");
  EXPECT_EQ(find_query("%61=x%20y", "a"), "x%20y");
  EXPECT_EQ(find_query("a=b=c", "a"), "b=c");
  EXPECT_EQ(find_query("a", "a"), "");
  EXPECT_EQ(find_query("a=", "a"), "");
  EXPECT_EQ(find_query("&&a=1", "a"), "1");
  EXPECT_EQ(find_query("aa=1", "a"), std::nullopt);
  EXPECT_EQ(find_query("", "a"), std::nullopt);
  EXPECT_EQ(find_query("b&", "a"), std::nullopt);
}

TEST(Query, HasAValueOrAnyValue) {
  EXPECT_TRUE(query_has("v=1&v=2", "v", "2"));
  EXPECT_FALSE(query_has("v=1", "v", "2"));
  EXPECT_TRUE(query_has("debug", "debug", ""));
  EXPECT_TRUE(query_has("debug=x", "debug", "*"));
  EXPECT_FALSE(query_has("bug=x", "debug", "*"));
  EXPECT_TRUE(query_has("q=a%2bb", "q", "a+b"));
  EXPECT_TRUE(query_has("q=a+b", "q", "a b"));
}

TEST(Query, EncodedTextIsOneValue) {
  std::string out = "q=";
  append_encoded_query("a b&c=d+e%#?/~\xc3\xa9\r\n", out);
  EXPECT_EQ(out, "q=a%20b%26c%3Dd%2Be%25%23%3F/~%C3%A9%0D%0A");
  EXPECT_TRUE(query_has(out, "q", "a b&c=d+e%#?/~\xc3\xa9\r\n"));
}

}  // namespace
}  // namespace headgate::routing
