// SPDX-License-Identifier: Apache-2.0
// hash: who moves when members come and go, and the bound on load.
#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "upstream/balancer.h"
#include "upstream/random_numbers.h"

namespace headgate::upstream {
namespace {

using Slots = std::vector<std::uint32_t>;

constexpr int kKeys = 20'000;

std::uint64_t id_of(std::uint32_t slot) {
  return mix(slot + 77);
}

std::unique_ptr<Balancer> make(const std::vector<double>& weights) {
  auto balancer = Balancer::make(config::Balance::Kind::kHash, 1);
  for (std::uint32_t slot = 0; slot < weights.size(); ++slot) balancer->set(slot, id_of(slot), weights[slot]);
  return balancer;
}

/// Where each key goes while nothing is in flight.
Slots homes(Balancer& balancer) {
  Slots result(kKeys);
  for (std::uint64_t key = 0; key < kKeys; ++key) result[key] = balancer.pick({.key = key});
  return result;
}

double share(const Slots& homes, std::uint32_t slot) {
  return static_cast<double>(std::count(homes.begin(), homes.end(), slot)) / kKeys;
}

TEST(HashTest, AKeyStays) {
  auto balancer = make({1, 1, 1, 1, 1});
  EXPECT_EQ(homes(*balancer), homes(*balancer));
}

/// Another process has other slots, another order, another past.
TEST(HashTest, EveryProcessAgrees) {
  const auto here = homes(*make({1, 2, 1, 3}));
  auto balancer = Balancer::make(config::Balance::Kind::kHash, 99);
  balancer->set(6, 123456, 1);
  balancer->set(2, id_of(0), 1);
  balancer->set(9, id_of(3), 0.5);
  balancer->set(6, 123456, 0);
  balancer->set(0, id_of(2), 1);
  balancer->set(6, id_of(1), 2);
  balancer->set(9, id_of(3), 0);
  balancer->set(9, id_of(3), 3);
  const auto there = homes(*balancer);
  const Slots slot_there{2, 6, 0, 9};
  for (std::size_t key = 0; key < kKeys; ++key) ASSERT_EQ(there[key], slot_there[here[key]]) << key;
}

TEST(HashTest, SharesFollowWeights) {
  const auto equal = homes(*make(std::vector<double>(10, 7.0)));
  for (std::uint32_t slot = 0; slot < 10; ++slot) EXPECT_NEAR(share(equal, slot), 0.1, 0.025) << slot;
  const auto unequal = homes(*make({1, 2, 4, 8, 1}));
  const std::vector<double> weights{1, 2, 4, 8, 1};
  for (std::uint32_t slot = 0; slot < 5; ++slot) {
    const double expected = weights[slot] / 16;
    EXPECT_NEAR(share(unequal, slot), expected, 3 * expected / std::sqrt(40 * weights[slot]))
        << slot;  // 40 points for 1
  }
}

/// Each of N leaves in turn: its keys and no others move, at most 1/N * 1.15 of all, and they come back with it.
TEST(HashTest, OneThatLeavesMovesItsOwnKeys) {
  constexpr std::uint32_t kMembers = 10;
  auto balancer = make(std::vector<double>(kMembers, 1.0));
  const auto before = homes(*balancer);
  for (std::uint32_t gone = 0; gone < kMembers; ++gone) {
    balancer->set(gone, id_of(gone), 0);
    const auto after = homes(*balancer);
    int moved = 0;
    Slots taken(kMembers);
    for (std::size_t key = 0; key < kKeys; ++key) {
      ASSERT_EQ(after[key] == before[key], before[key] != gone);
      if (before[key] != gone) continue;
      ++moved;
      ++taken[after[key]];
    }
    EXPECT_LE(moved, kKeys / kMembers * 1.15) << gone;
    // All the others take a part of them.
    for (std::uint32_t slot = 0; slot < kMembers; ++slot) {
      if (slot != gone) {
        EXPECT_LE(taken[slot], moved * 0.3) << slot;
        EXPECT_GT(taken[slot], 0U) << slot;
      }
    }
    balancer->set(gone, id_of(gone), 1);
    ASSERT_EQ(homes(*balancer), before);
  }
}

TEST(HashTest, OneThatLeavesMovesItsOwnKeysWhateverTheWeights) {
  auto balancer = make({50, 1, 1, 3, 7});
  const auto before = homes(*balancer);
  for (std::uint32_t gone = 0; gone < 5; ++gone) {
    balancer->set(gone, id_of(gone), 0);
    const auto after = homes(*balancer);
    for (std::size_t key = 0; key < kKeys; ++key) ASSERT_EQ(after[key] == before[key], before[key] != gone);
    balancer->set(gone, id_of(gone), gone == 0 ? 50 : gone == 3 ? 3 : gone == 4 ? 7 : 1);
  }
  EXPECT_EQ(homes(*balancer), before);
}

TEST(HashTest, AJoinerTakesOnlyWhatItGets) {
  auto balancer = make(std::vector<double>(10, 1.0));
  const auto before = homes(*balancer);
  balancer->set(10, id_of(10), 1);
  const auto after = homes(*balancer);
  for (std::size_t key = 0; key < kKeys; ++key) ASSERT_TRUE(after[key] == before[key] || after[key] == 10);
  EXPECT_NEAR(share(after, 10), 1.0 / 11, 0.02);
}

/// In slow start keys only come to the members that grow, a few each time, and never move between others: not even when
/// half of all are in slow start, as after a deployment.
TEST(HashTest, AGrowingWeightTakesKeysLittleByLittle) {
  auto balancer = make({1, 1, 1, 1});
  const auto whole = homes(*balancer);
  auto before = whole;
  for (const double weight : {0.05, 0.1, 0.25, 0.5, 0.75, 1.0}) {
    balancer->set(2, id_of(2), weight);
    balancer->set(3, id_of(3), weight);
    const auto after = homes(*balancer);
    for (std::size_t key = 0; key < kKeys && weight > 0.05; ++key)
      ASSERT_TRUE(after[key] == before[key] || after[key] >= 2);
    const double expected = weight / (1 + weight);
    EXPECT_NEAR(share(after, 2) + share(after, 3), expected, 0.2 * expected) << weight;
    before = after;
  }
  EXPECT_EQ(before, whole);
}

TEST(HashTest, TheSlotPassesToAnother) {
  auto balancer = make({1, 1, 1});
  balancer->set(1, id_of(1), 0);
  balancer->set(1, id_of(5), 1);
  auto other = make({1, 0, 1});
  other->set(5, id_of(5), 1);
  auto expected = homes(*other);
  std::replace(expected.begin(), expected.end(), 5U, 1U);
  EXPECT_EQ(homes(*balancer), expected);
  balancer->set(1, id_of(1), 1);  // at once
  EXPECT_EQ(homes(*balancer), homes(*make({1, 1, 1})));
}

/// Nobody is given a request that would bring it over 1.25 times the mean, rounded up, even if all ask for one key.
TEST(HashTest, LoadIsBounded) {
  const std::vector<double> weights{1, 1, 2, 4, 1, 1};
  for (const std::uint64_t keys : {1, 3, 50}) {
    auto balancer = make(weights);
    RandomNumbers numbers(keys);
    std::vector<int> in_flight(weights.size());
    Slots open;
    for (int i = 0; i < 5000; ++i) {
      const auto slot = balancer->pick({.key = numbers.next() % keys});
      const double mean = (static_cast<double>(open.size()) + 1) * weights[slot] / 10;
      ASSERT_LE(in_flight[slot] + 1, std::max(8.0, std::ceil(1.25 * mean - 1e-6))) << open.size();
      balancer->began(slot);
      ++in_flight[slot];
      open.push_back(slot);
      for (auto ending = numbers.next() % 3; ending > 0 && open.size() > 200; --ending) {
        std::swap(open[numbers.next() % open.size()], open.back());
        balancer->ended(open.back());
        --in_flight[open.back()];
        open.pop_back();
      }
    }
  }
}

/// A member that has left may be as busy as it likes: the bound is about those that are there.
TEST(HashTest, WhatIsInFlightElsewhereDoesNotCount) {
  auto balancer = make({1, 1, 1});
  for (int i = 0; i < 1000; ++i) balancer->began(2);
  balancer->set(2, id_of(2), 0);
  std::vector<int> in_flight(3);
  for (int i = 0; i < 20; ++i) {
    const auto slot = balancer->pick({.key = 5});
    balancer->began(slot);
    ++in_flight.at(slot);
  }
  EXPECT_EQ(std::max(in_flight[0], in_flight[1]), 13);  // ceil(1.25 * 20 / 2)
  EXPECT_EQ(in_flight[2], 0);
  // It comes back with what is still in flight there, and that counts again: a key goes home up to the new bound.
  for (int i = 0; i < 970; ++i) balancer->ended(2);
  in_flight[2] = 30;
  balancer->set(2, id_of(2), 1);
  const std::uint32_t home = in_flight[0] == 13 ? 0 : 1;
  for (int total = 50; total < 70; ++total) {
    const auto slot = balancer->pick({.key = 5});
    const bool fits = in_flight[home] + 1 <= std::ceil(1.25 * (total + 1) / 3 - 1e-6);
    ASSERT_EQ(slot == home, fits) << total;
    balancer->began(slot);
    ++in_flight[slot];
  }
}

/// A browser's requests of one moment stay together on a quiet site.
TEST(HashTest, AFewOfOneKeyDoNotWander) {
  auto balancer = make({1, 1, 1});
  const auto home = balancer->pick({.key = 5});
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(balancer->pick({.key = 5}), home);
    balancer->began(home);
  }
  EXPECT_NE(balancer->pick({.key = 5}), home);
}

TEST(HashTest, ThoseLeftAreTakenEvenAboveTheBound) {
  auto balancer = make({1, 1});
  for (int i = 0; i < 10; ++i) balancer->began(0);
  const Slots but{1};
  for (std::uint64_t key = 0; key < 20; ++key) EXPECT_EQ(balancer->pick({.key = key, .but = but}), 0U);
  for (std::uint64_t key = 0; key < 20; ++key) EXPECT_EQ(balancer->pick({.key = key}), 1U);
}

}  // namespace
}  // namespace headgate::upstream
