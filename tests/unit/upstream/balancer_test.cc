// SPDX-License-Identifier: Apache-2.0
// What holds for every balancer, and round_robin and least_requests in particular.
#include "upstream/balancer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "upstream/random_numbers.h"

namespace headgate::upstream {
namespace {

using Kind = config::Balance::Kind;
using Weights = std::vector<double>;
using Slots = std::vector<std::uint32_t>;

constexpr TimePoint kStart{std::chrono::hours(1)};

std::unique_ptr<Balancer> make(Kind kind, const Weights& weights) {
  auto balancer = Balancer::make(kind, 1);
  for (std::uint32_t slot = 0; slot < weights.size(); ++slot) balancer->set(slot, 1000 + slot, weights[slot]);
  return balancer;
}

/// Each request is over before the next.
std::string picks(Balancer& balancer, int count) {
  std::string order;
  for (int i = 0; i < count; ++i) {
    const auto slot = balancer.pick({});
    if (slot == Balancer::kNone) return order + "-";
    balancer.began(slot);
    balancer.ended(slot);
    order += static_cast<char>('a' + slot);
  }
  return order;
}

class AnyBalancerTest : public ::testing::TestWithParam<Kind> {};

TEST_P(AnyBalancerTest, NobodyIsThere) {
  auto balancer = Balancer::make(GetParam(), 1);
  EXPECT_EQ(balancer->pick({}), Balancer::kNone);
  balancer->set(0, 1, 0);
  EXPECT_EQ(balancer->pick({}), Balancer::kNone);
  balancer->set(0, 1, -1);
  EXPECT_EQ(balancer->pick({}), Balancer::kNone);
  balancer->set(0, 1, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(balancer->pick({}), Balancer::kNone);
}

TEST_P(AnyBalancerTest, OneAlone) {
  auto balancer = make(GetParam(), {0, 0, 0.3});
  EXPECT_EQ(picks(*balancer, 5), "ccccc");
  const Slots but{2};
  EXPECT_EQ(balancer->pick({.but = but}), Balancer::kNone);
  balancer->set(2, 1002, 0);
  EXPECT_EQ(balancer->pick({}), Balancer::kNone);
}

TEST_P(AnyBalancerTest, ThoseTriedArePassedOver) {
  auto balancer = make(GetParam(), {9, 1, 1, 1});
  RandomNumbers numbers(7);
  for (int i = 0; i < 2000; ++i) {
    Slots but;
    const auto chosen = numbers.next() % 16;
    for (std::uint32_t slot = 0; slot < 4; ++slot) {
      if ((chosen >> slot & 1) != 0) but.push_back(slot);
    }
    if (numbers.next() % 2 == 0 && !but.empty()) but.push_back(but.front());
    if (numbers.next() % 2 == 0) but.push_back(77);  // nobody's slot
    const auto slot = balancer->pick({.key = numbers.next(), .but = but});
    EXPECT_EQ(slot == Balancer::kNone, chosen == 15);
    EXPECT_EQ(std::count(but.begin(), but.end(), slot), 0);
  }
  // Nobody's standing has suffered.
  std::vector<int> counts(4);
  for (int i = 0; i < 12'000; ++i) {
    const auto slot = balancer->pick({.key = numbers.next()});
    balancer->began(slot);
    balancer->ended(slot);
    ++counts.at(slot);
  }
  const double error = GetParam() == Kind::kRoundRobin ? 6 : 400;
  for (std::uint32_t slot = 0; slot < 4; ++slot) EXPECT_NEAR(counts[slot], slot == 0 ? 9000 : 1000, error) << slot;
}

TEST_P(AnyBalancerTest, OneThatLeavesIsNotPicked) {
  auto balancer = make(GetParam(), {1, 2, 3});
  RandomNumbers numbers(3);
  for (int i = 0; i < 300; ++i) balancer->began(balancer->pick({.key = numbers.next()}));
  balancer->set(2, 1002, 0);
  for (int i = 0; i < 300; ++i) {
    const auto slot = balancer->pick({.key = numbers.next()});
    EXPECT_LT(slot, 2U);
    balancer->began(slot);
  }
  balancer->set(2, 1002, 3);
  int back = 0;
  for (int i = 0; i < 300; ++i) back += balancer->pick({.key = numbers.next()}) == 2 ? 1 : 0;
  EXPECT_GT(back, 0);
}

/// Members join, leave, come back and change their weight while requests are under way, all at random. What is in
/// flight at a member that has left still ends there.
TEST_P(AnyBalancerTest, SurvivesAnything) {
  auto balancer = Balancer::make(GetParam(), 5);
  RandomNumbers numbers(11);
  constexpr std::uint32_t kSlots = 37;
  std::vector<double> weights(kSlots);
  std::vector<std::uint64_t> ids(kSlots);
  std::vector<int> in_flight(kSlots);
  Slots open;
  auto now = kStart;
  for (int i = 0; i < 50'000; ++i) {
    const std::uint64_t dice = numbers.next() % 100;
    now += std::chrono::microseconds(numbers.next() % 20'000);
    if (dice < 10) {
      const auto slot = static_cast<std::uint32_t>(numbers.next() % kSlots);
      if (weights[slot] == 0 && in_flight[slot] == 0 && numbers.next() % 4 == 0) ids[slot] = numbers.next();
      weights[slot] = numbers.next() % 3 == 0 ? 0 : std::exp2(static_cast<double>(numbers.next() % 24) - 12);
      balancer->set(slot, ids[slot], weights[slot]);
    } else if (dice < 60) {
      const Slots but(numbers.next() % 3, static_cast<std::uint32_t>(numbers.next() % kSlots));
      const auto slot = balancer->pick({.key = numbers.next(), .but = but});
      bool anybody = false;
      for (std::uint32_t s = 0; s < kSlots; ++s)
        anybody = anybody || (weights[s] > 0 && std::count(but.begin(), but.end(), s) == 0);
      ASSERT_EQ(slot != Balancer::kNone, anybody);
      if (!anybody) continue;
      ASSERT_GT(weights[slot], 0);
      ASSERT_EQ(std::count(but.begin(), but.end(), slot), 0);
      balancer->began(slot);
      ++in_flight[slot];
      open.push_back(slot);
    } else if (!open.empty()) {
      std::swap(open[numbers.next() % open.size()], open.back());
      const auto failed = numbers.next() % 10 == 0;
      balancer->measured(open.back(),
                         failed ? std::nullopt : std::optional<Duration>(std::chrono::microseconds(dice * 99)), now);
      balancer->ended(open.back());
      --in_flight[open.back()];
      open.pop_back();
    }
  }
}

std::string name_of(const ::testing::TestParamInfo<Kind>& kind) {
  const std::vector<std::string> names{"round_robin", "least_requests", "random_two", "peak_ewma", "hash"};
  return names.at(static_cast<std::size_t>(kind.param));
}

INSTANTIATE_TEST_SUITE_P(Every, AnyBalancerTest,
                         ::testing::Values(Kind::kRoundRobin, Kind::kLeastRequests, Kind::kRandomTwo, Kind::kPeakEwma,
                                           Kind::kHash),
                         name_of);

TEST(RoundRobinTest, EqualMembersTakeTurns) {
  EXPECT_EQ(picks(*make(Kind::kRoundRobin, {1, 1, 1}), 7), "abcabca");
  EXPECT_EQ(picks(*make(Kind::kRoundRobin, {0.7, 0.7, 0.7}), 7), "abcabca");
}

TEST(RoundRobinTest, TheLightOneIsInTheMiddle) {
  EXPECT_EQ(picks(*make(Kind::kRoundRobin, {5, 1}), 12), "aaabaaaaabaa");
  EXPECT_EQ(picks(*make(Kind::kRoundRobin, {1, 5}), 12), "bbbabbbbbabb");
  EXPECT_EQ(picks(*make(Kind::kRoundRobin, {5, 1, 1}), 14), "abaacaaabaacaa");
}

/// After each single pick, everyone is within one turn of its share, and after each round it has exactly its share.
void expect_smooth(const Weights& weights, int rounds, double turns = 1) {
  auto balancer = make(Kind::kRoundRobin, weights);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<double> counts(weights.size());
  for (int i = 1; i <= rounds * static_cast<int>(sum); ++i) {
    ++counts.at(balancer->pick({}));
    for (std::size_t slot = 0; slot < weights.size(); ++slot) {
      const double off = std::abs(counts[slot] - i * weights[slot] / sum);
      ASSERT_LE(off, turns + 1e-9) << ::testing::PrintToString(weights) << " slot " << slot << " after " << i;
      if (i % static_cast<int>(sum) == 0) {
        ASSERT_LT(off, 1e-6) << ::testing::PrintToString(weights) << " slot " << slot << " after " << i;
      }
    }
  }
}

TEST(RoundRobinTest, SmoothForAllSmallWeights) {
  for (double a = 1; a <= 7; ++a) {
    expect_smooth({a}, 3);
    for (double b = 1; b <= 7; ++b) {
      expect_smooth({a, b}, 3);
      for (double c = 1; c <= 7; ++c) {
        expect_smooth({a, b, c}, 3);
        for (double d = 1; d <= 7; d += 2) expect_smooth({a, b, c, d}, 3);
      }
    }
  }
}

TEST(RoundRobinTest, SmoothForOneHeavyAmongMany) {
  expect_smooth({10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 10);
  expect_smooth({1, 1, 1, 1, 1, 1, 100, 1, 1, 1, 1}, 10);
  expect_smooth({997, 100, 13, 2, 1}, 10, 1.5);  // half a turn is the head start of light ones
}

TEST(RoundRobinTest, SmoothForAThousand) {
  Weights weights;
  for (int i = 0; i < 1000; ++i) weights.push_back(1 + i * 7 % 5);
  auto balancer = make(Kind::kRoundRobin, weights);
  std::vector<double> counts(weights.size());
  for (int i = 0; i < 30'000; ++i) ++counts.at(balancer->pick({}));
  for (std::size_t slot = 0; slot < weights.size(); ++slot)
    EXPECT_LE(std::abs(counts[slot] - 10 * weights[slot]), 1) << slot;
}

/// Long enough for virtual time to be set back several times.
TEST(RoundRobinTest, SmoothForLong) {
  expect_smooth({3, 2, 1}, 20'000);
  auto tiny = make(Kind::kRoundRobin, {3e-5, 2e-5, 1e-5});
  std::vector<int> counts(3);
  for (int i = 0; i < 6000; ++i) ++counts.at(tiny->pick({}));
  EXPECT_EQ(counts, (std::vector<int>{3000, 2000, 1000}));
}

TEST(RoundRobinTest, NoBurstForOneThatReturns) {
  auto balancer = make(Kind::kRoundRobin, {1, 1, 1});
  picks(*balancer, 5);
  balancer->set(1, 1001, 0);
  const std::string without = picks(*balancer, 1000);
  EXPECT_EQ(without.find("aa"), std::string::npos);
  EXPECT_EQ(without.find("cc"), std::string::npos);
  balancer->set(1, 1001, 1);
  balancer->set(3, 1003, 1);  // and one that has never been there
  const std::string with = picks(*balancer, 12);
  for (const char member : {'a', 'b', 'c', 'd'}) EXPECT_EQ(std::count(with.begin(), with.end(), member), 3) << with;
  for (int i = 0; i < 12; i += 4) EXPECT_LE(std::count(with.begin() + i, with.begin() + i + 4, 'b'), 2) << with;
}

TEST(RoundRobinTest, SlowStartIsAGrowingShare) {
  auto balancer = make(Kind::kRoundRobin, {1, 1, 0.1});
  int before = 0;
  for (const double weight : {0.1, 0.4, 0.7, 1.0}) {
    balancer->set(2, 1002, weight);
    const std::string order = picks(*balancer, 210);
    const auto count = static_cast<int>(std::count(order.begin(), order.end(), 'c'));
    EXPECT_NEAR(count, 210 * weight / (2 + weight), 2) << weight;
    EXPECT_GT(count, before);
    before = count;
  }
}

/// A weight that changes before each pick brings neither more nor less than its mean, and nobody waits anew each time.
TEST(RoundRobinTest, ChangesDoNotAddUp) {
  auto balancer = make(Kind::kRoundRobin, {9, 1});
  int count = 0;
  for (int i = 0; i < 10'000; ++i) {
    balancer->set(1, 1001, i % 2 == 0 ? 0.9 : 1.1);
    count += balancer->pick({}) == 1 ? 1 : 0;
  }
  EXPECT_NEAR(count, 1000, 20);
}

TEST(LeastRequestsTest, TheLeastForItsWeight) {
  auto balancer = make(Kind::kLeastRequests, {4, 2, 1});
  std::vector<double> in_flight(3);
  const Weights weights{4, 2, 1};
  RandomNumbers numbers(2);
  for (int i = 0; i < 5000; ++i) {
    const auto slot = balancer->pick({});
    for (std::uint32_t other = 0; other < 3; ++other)
      ASSERT_LE(in_flight[slot] / weights[slot], in_flight[other] / weights[other]);
    balancer->began(slot);
    ++in_flight[slot];
    const auto done = numbers.next() % 3;
    if (in_flight[done] == 0 || i < 70) continue;
    balancer->ended(static_cast<std::uint32_t>(done));
    --in_flight[done];
  }
}

TEST(LeastRequestsTest, SeventyRequestsByWeight) {
  auto balancer = make(Kind::kLeastRequests, {4, 2, 1});
  std::vector<int> in_flight(3);
  for (int i = 0; i < 70; ++i) {
    const auto slot = balancer->pick({});
    balancer->began(slot);
    ++in_flight.at(slot);
  }
  EXPECT_EQ(in_flight, (std::vector<int>{40, 20, 10}));
}

TEST(LeastRequestsTest, IdleMembersTakeTurns) {
  auto balancer = make(Kind::kLeastRequests, {1, 1, 1});
  EXPECT_EQ(picks(*balancer, 7), "abcabca");
  balancer->began(2);
  EXPECT_EQ(picks(*balancer, 5), "babab");
  balancer->ended(2);
  EXPECT_EQ(picks(*balancer, 4), "cabc");
}

TEST(LeastRequestsTest, WhatIsInFlightCountsWhenItReturns) {
  auto balancer = make(Kind::kLeastRequests, {1, 1});
  for (int i = 0; i < 3; ++i) balancer->began(0);
  balancer->set(0, 1000, 0);
  balancer->ended(0);
  balancer->set(0, 1000, 1);
  balancer->began(1);
  EXPECT_EQ(balancer->pick({}), 1U);  // one there, two here
  balancer->ended(0);
  balancer->ended(0);
  EXPECT_EQ(balancer->pick({}), 0U);
}

}  // namespace
}  // namespace headgate::upstream
