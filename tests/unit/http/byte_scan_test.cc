// SPDX-License-Identifier: Apache-2.0
#include "http/byte_scan.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace headgate::http {
namespace {

/// Each byte at each place of texts of each size: where the block ends, it must not matter. The text has a block of its
/// own, so that the sanitizers see a byte read beyond it.
template <typename End>
void finds_what_one_by_one_finds(char filler) {
  for (std::size_t size = 0; size <= 40; ++size) {
    const auto block = std::make_unique<char[]>(size);
    std::fill_n(block.get(), size, filler);
    const char* const begin = block.get();
    const char* const end = begin + size;
    for (std::size_t from = 0; from <= size; ++from) ASSERT_EQ(find_first<End>(begin, begin + from, end), end);
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        block[at] = static_cast<char>(byte);
        const char* const expected = End::is(block[at]) ? begin + at : end;
        ASSERT_EQ(find_first<End>(begin, begin, end), expected) << byte << " at " << at << " of " << size;
        ASSERT_EQ(find_first<End>(begin, begin + at, end), expected) << byte << " at " << at << " of " << size;
        ASSERT_EQ(find_first<End>(begin, begin + at + 1, end), end) << byte << " at " << at << " of " << size;
      }
      block[at] = filler;
    }
  }
}

TEST(FindFirst, EndsOfValues) {
  finds_what_one_by_one_finds<ValueEnd>('\t');
}
TEST(FindFirst, EndsOfNames) {
  finds_what_one_by_one_finds<NameEnd>('\x80');
}
TEST(FindFirst, EndsOfTargets) {
  finds_what_one_by_one_finds<TargetEnd>('~');
}
TEST(FindFirst, EndsOfPaths) {
  finds_what_one_by_one_finds<PathEnd>('\xff');
}

TEST(FindFirst, TheFirstOfSeveral) {
  const std::string text = "0123456789abcde:0123456789:\r\n";
  const char* const begin = text.data();
  EXPECT_EQ(find_first<NameEnd>(begin, begin, begin + text.size()), begin + 15);
  EXPECT_EQ(find_first<NameEnd>(begin, begin + 16, begin + text.size()), begin + 26);
  EXPECT_EQ(find_first<ValueEnd>(begin, begin, begin + text.size()), begin + 27);
}

TEST(ByteClasses, AreThoseOfTheGrammar) {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    EXPECT_EQ(ValueEnd::is(c), (i < 0x20 && i != 0x09) || i == 0x7f) << i;
    EXPECT_EQ(TargetEnd::is(c), i < 0x21 || i > 0x7e) << i;
    // No token ends within itself.
    if (is_token_char(c)) {
      EXPECT_FALSE(NameEnd::is(c)) << i;
    }
  }
}

}  // namespace
}  // namespace headgate::http
