// SPDX-License-Identifier: Apache-2.0
#include "upstream/balance_tree.h"

#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "upstream/random_numbers.h"

namespace headgate::upstream {
namespace {

TEST(WeightTreeTest, FindsByTheSumBefore) {
  WeightTree tree;
  EXPECT_EQ(tree.total(), 0);
  tree.grow(5);
  const std::array<double, 5> weights{0, 2, 0, 3, 1};
  for (std::uint32_t slot = 0; slot < 5; ++slot) tree.set(slot, weights.at(slot));
  EXPECT_EQ(tree.total(), 6);
  const std::array<std::uint32_t, 6> expected{1, 1, 3, 3, 3, 4};
  const std::array<double, 6> before{0, 0, 2, 2, 2, 5};
  for (std::size_t i = 0; i < 6; ++i) {
    for (const double fraction : {0.0, 0.999}) {
      const auto found = tree.find(static_cast<double>(i) + fraction);
      EXPECT_EQ(found.slot, expected.at(i));
      EXPECT_EQ(found.before, before.at(i));
    }
  }
  EXPECT_EQ(tree.find(7).slot, 4U);  // past the end, as rounding may have it
  tree.set(4, 0);
  EXPECT_EQ(tree.find(7).slot, 3U);
  tree.grow(9);
  EXPECT_EQ(tree.total(), 5);
  EXPECT_EQ(tree.find(1.5).slot, 1U);
}

TEST(LeastTreeTest, KnowsTheLeast) {
  LeastTree tree;
  EXPECT_EQ(tree.least(), LeastTree::kNone);
  RandomNumbers numbers(4);
  std::vector<double> keys(21, -1);  // -1: absent
  for (int i = 0; i < 5000; ++i) {
    if (i % 250 == 0) tree.grow(static_cast<std::size_t>(i / 250) + 2);
    const auto slot = static_cast<std::uint32_t>(numbers.next() % static_cast<std::uint64_t>(i / 250 + 2));
    keys[slot] = static_cast<double>(numbers.next() % 12) - 1;
    if (keys[slot] < 0) {
      tree.remove(slot);
    } else {
      tree.set(slot, {keys[slot], 0});
    }
    std::uint32_t expected = LeastTree::kNone;
    for (std::uint32_t other = 0; other < keys.size(); ++other) {
      if (keys[other] >= 0 && (expected == LeastTree::kNone || keys[other] < keys[expected])) expected = other;
    }
    ASSERT_EQ(tree.least(), expected);
  }
}

}  // namespace
}  // namespace headgate::upstream
