// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/arena.h"
#include "base/buffer_pool.h"
#include "base/byte_writer.h"

namespace headgate {
namespace {

TEST(BufferPool, GivesBlocksOfAtLeastTheSizeAskedFor) {
  BufferPool pool;
  const struct {
    std::size_t asked, given;
  } table[] = {{0, BufferPool::kSmall},
               {1, BufferPool::kSmall},
               {BufferPool::kSmall, BufferPool::kSmall},
               {BufferPool::kSmall + 1, BufferPool::kMedium},
               {BufferPool::kMedium + 1, BufferPool::kLarge},
               {BufferPool::kLarge, BufferPool::kLarge},
               {BufferPool::kLarge + 1, BufferPool::kHuge},
               {BufferPool::kHuge, BufferPool::kHuge},
               {BufferPool::kHuge + 1, BufferPool::kHuge + 1}};
  for (const auto& row : table) {
    Buffer buffer = pool.take(row.asked);
    ASSERT_TRUE(bool(buffer));
    EXPECT_EQ(buffer.size(), row.given);
    std::memset(buffer.data(), 1, buffer.size());
  }
}

TEST(BufferPool, TheBlockFreedLastIsTheNextOne) {
  BufferPool pool;
  Buffer first = pool.take(100);
  Buffer second = pool.take(100);
  char* const a = first.data();
  char* const b = second.data();
  EXPECT_NE(a, b);
  first.release();
  EXPECT_FALSE(bool(first));
  EXPECT_EQ(first.size(), 0u);
  second.release();
  EXPECT_EQ(pool.take(100).data(), b);
  Buffer third = pool.take(100);
  Buffer fourth = pool.take(100);
  EXPECT_EQ(third.data(), b);
  EXPECT_EQ(fourth.data(), a);
}

TEST(BufferPool, MovesLeaveNothingBehind) {
  BufferPool pool;
  Buffer one = pool.take(10);
  char* const data = one.data();
  Buffer two = std::move(one);
  EXPECT_FALSE(bool(one));
  EXPECT_EQ(two.data(), data);
  Buffer three = pool.take(10);
  three = std::move(two);
  EXPECT_EQ(three.data(), data);
  three.release();
  three.release();
}

TEST(BufferPool, KeepsABoundedNumberOfFreeBlocks) {
  BufferPool pool;
  for (const std::size_t size : {BufferPool::kSmall, BufferPool::kLarge, BufferPool::kHuge, BufferPool::kHuge * 2}) {
    std::vector<Buffer> many;
    std::set<char*> blocks;
    for (int i = 0; i < 600; ++i) {
      many.push_back(pool.take(size));
      blocks.insert(many.back().data());
    }
    EXPECT_EQ(blocks.size(), 600u);
  }
}

TEST(Arena, CopiesAndJoins) {
  BufferPool pool;
  Arena arena(pool);
  std::string text = "gone soon";
  const auto copy = arena.copy(text);
  text.assign(text.size(), 'x');
  EXPECT_EQ(copy, "gone soon");
  EXPECT_EQ(arena.join({"a", "", "bc", std::string_view()}), "abc");
  EXPECT_EQ(arena.join({}), "");
  EXPECT_EQ(arena.copy({}), "");
}

TEST(Arena, GrowsAndKeepsWhatItGave) {
  BufferPool pool;
  Arena arena(pool);
  std::vector<std::pair<std::string_view, char>> pieces;
  for (std::size_t i = 0; i < 300; ++i) {
    const char letter = static_cast<char>('a' + i % 26);
    const std::size_t size = i % 50 == 49 ? 100'000 : i * 7 % 1000;
    pieces.emplace_back(arena.copy(std::string(size, letter)), letter);
  }
  for (const auto& [view, letter] : pieces) {
    EXPECT_EQ(view.find_first_not_of(letter), std::string_view::npos);
  }
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena.allocate(3)) % alignof(std::max_align_t), 0u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena.allocate(5)) % alignof(std::max_align_t), 0u);
  arena.reset();
  EXPECT_EQ(arena.copy("again"), "again");
}

TEST(ByteWriter, AppendsAndGrows) {
  BufferPool pool;
  ByteWriter out(pool);
  EXPECT_TRUE(out.empty());
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    out.append_all("field-", "name", ": ", std::string_view(), "value", "\r\n");
    expected += "field-name: value\r\n";
  }
  EXPECT_EQ(out.size(), expected.size());
  EXPECT_EQ(std::string_view(out.data(), out.size()), expected);
  out.clear();
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(out.data(), nullptr);
}

// Found by the undefined-behaviour sanitizer: memcpy from or to a null pointer, for texts that are empty views.
TEST(ByteWriter, NothingAppendedToNothingIsNothing) {
  BufferPool pool;
  ByteWriter out(pool);
  out.append({});
  out.append_all(std::string_view(), std::string_view());
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(out.data(), nullptr);
}

TEST(ByteWriter, WritesNumbers) {
  BufferPool pool;
  ByteWriter out(pool);
  out.append_number(0);
  out.append(" ");
  out.append_number(std::numeric_limits<std::uint64_t>::max());
  out.append(" ");
  out.append_number(std::numeric_limits<std::uint64_t>::max(), 16);
  EXPECT_EQ(std::string_view(out.data(), out.size()), "0 18446744073709551615 ffffffffffffffff");
}

TEST(ByteWriter, FillsABlockToItsLastByte) {
  BufferPool pool;
  ByteWriter out(pool);
  out.append(std::string(BufferPool::kSmall, 'a'));
  char* const before = out.data();
  out.append({});
  EXPECT_EQ(out.data(), before);
  out.append("b");
  EXPECT_EQ(out.size(), BufferPool::kSmall + 1);
  EXPECT_EQ(out.data()[BufferPool::kSmall - 1], 'a');
  EXPECT_EQ(out.data()[BufferPool::kSmall], 'b');
}

}  // namespace
}  // namespace headgate
