// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace headgate {
namespace {

// Appendix A of the paper: key 00 01 .. 0f, message 00 01 .. 0e; the others are of the same series.
TEST(KeyedHash, TheValuesOfThePaper) {
  const KeyedHash hash(0x0706050403020100, 0x0f0e0d0c0b0a0908);
  std::string message;
  EXPECT_EQ(hash.of(message), 0x726fdb47dd0e0e31U);
  for (char c = 0; c < 8; ++c) message.push_back(c);
  EXPECT_EQ(hash.of(message), 0x93f5f5799a932462U);
  for (char c = 8; c < 15; ++c) message.push_back(c);
  EXPECT_EQ(hash.of(message), 0xa129ca6149be45e5U);
}

TEST(KeyedHash, AnotherSecretIsAnotherHash) {
  EXPECT_NE(KeyedHash("a").of("text"), KeyedHash("b").of("text"));
  EXPECT_NE(KeyedHash("").of("text"), KeyedHash(std::string_view("\0", 1)).of("text"));
  EXPECT_EQ(KeyedHash("release 7").of("text"), KeyedHash("release 7").of("text"));
}

TEST(KeyedHash, BytesAreNotSigned) {
  EXPECT_NE(KeyedHash("k").of("\x7f"), KeyedHash("k").of("\xff"));
  EXPECT_NE(KeyedHash("k").of(std::string_view("\0\0", 2)), KeyedHash("k").of(std::string_view("\0", 1)));
}

TEST(Hash, NamesKeepTheirValues) {
  // Sticky cookies and splits of running fleets depend on them.
  EXPECT_EQ(hash_of(""), 0xecba3df2c3383c52U);
  EXPECT_EQ(hash_of("127.0.0.1:8001"), 0xfca69cba976fe8fdU);
}

TEST(Mix, IsOneToOneAndSpreads) {
  std::set<std::uint64_t> seen;
  std::set<std::uint64_t> high;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    seen.insert(mix(i));
    high.insert(mix(i) >> 44);
  }
  EXPECT_EQ(seen.size(), 1000U);
  EXPECT_GT(high.size(), 990U);
}

}  // namespace
}  // namespace headgate
