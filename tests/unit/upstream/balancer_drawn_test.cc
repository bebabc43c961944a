// SPDX-License-Identifier: Apache-2.0
// random_two and peak_ewma.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "upstream/balancer.h"

namespace headgate::upstream {
namespace {

using namespace std::chrono_literals;
using Kind = config::Balance::Kind;

constexpr TimePoint kStart{std::chrono::hours(1)};

std::unique_ptr<Balancer> make(Kind kind, const std::vector<double>& weights, std::uint64_t seed = 1) {
  auto balancer = Balancer::make(kind, seed);
  for (std::uint32_t slot = 0; slot < weights.size(); ++slot) balancer->set(slot, 1000 + slot, weights[slot]);
  return balancer;
}

std::vector<int> counts_of(Balancer& balancer, std::size_t slots, int picks) {
  std::vector<int> counts(slots);
  for (int i = 0; i < picks; ++i) ++counts.at(balancer.pick({}));
  return counts;
}

/// One request from begin to end.
void serve(Balancer& balancer, std::uint32_t slot, std::optional<Duration> until_head, TimePoint now) {
  balancer.began(slot);
  balancer.measured(slot, until_head, now);
  balancer.ended(slot);
}

TEST(RandomTwoTest, IdleMembersByWeight) {
  const auto counts = counts_of(*make(Kind::kRandomTwo, {5, 3, 1, 1}), 4, 100'000);
  EXPECT_NEAR(counts[0], 50'000, 1000);
  EXPECT_NEAR(counts[1], 30'000, 1000);
  EXPECT_NEAR(counts[2], 10'000, 600);
  EXPECT_NEAR(counts[3], 10'000, 600);
}

/// Of two members both are drawn each time: a draw of the same one twice would let the busy one win.
TEST(RandomTwoTest, TwoDifferentOnes) {
  auto balancer = make(Kind::kRandomTwo, {100, 1});
  for (int i = 0; i < 101; ++i) balancer->began(0);
  EXPECT_EQ(counts_of(*balancer, 2, 2000), (std::vector<int>{0, 2000}));
  balancer->began(1);
  balancer->began(1);  // 101 for 100, 2 for 1
  EXPECT_EQ(counts_of(*balancer, 2, 2000), (std::vector<int>{2000, 0}));
}

TEST(RandomTwoTest, TheBusiestOfAllIsLeftAlone) {
  auto balancer = make(Kind::kRandomTwo, std::vector<double>(10, 1.0));
  balancer->began(7);
  const auto counts = counts_of(*balancer, 10, 9000);
  EXPECT_EQ(counts[7], 0);
  for (std::uint32_t slot = 0; slot < 10; ++slot) {
    if (slot != 7) {
      EXPECT_NEAR(counts[slot], 1000, 150) << slot;
    }
  }
}

TEST(RandomTwoTest, TheSeedDecides) {
  const auto order = [](std::uint64_t seed) {
    auto balancer = make(Kind::kRandomTwo, {1, 1, 1, 1}, seed);
    std::string result;
    for (int i = 0; i < 64; ++i) result += static_cast<char>('a' + balancer->pick({}));
    return result;
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
}

TEST(PeakEwmaTest, TheFasterOneIsTaken) {
  auto balancer = make(Kind::kPeakEwma, {1, 1});
  serve(*balancer, 0, 10ms, kStart);
  serve(*balancer, 1, 30ms, kStart);
  EXPECT_EQ(balancer->pick({}), 0U);
  balancer->began(0);
  EXPECT_EQ(balancer->pick({}), 0U);  // 20 against 30
  balancer->began(0);
  balancer->began(0);
  EXPECT_EQ(balancer->pick({}), 1U);  // 40 against 30
}

TEST(PeakEwmaTest, AMemberWithoutDataIsTriedAndNotFlooded) {
  auto balancer = make(Kind::kPeakEwma, {1, 1, 1});
  serve(*balancer, 0, 10ms, kStart);
  serve(*balancer, 1, 10ms, kStart);
  std::vector<int> counts(3);
  for (int i = 0; i < 30; ++i) {
    const auto slot = balancer->pick({});
    balancer->began(slot);
    ++counts.at(slot);
  }
  // It gets one at once, and then what a member gets that is ten times as slow, until it has answered.
  EXPECT_GE(counts[2], 1);
  EXPECT_LE(counts[2], 3);
  balancer->measured(2, 1ms, kStart + 1s);
  balancer->ended(2);
  EXPECT_NEAR(counts_of(*balancer, 3, 3000)[2], 2000, 100);  // each time that it is drawn
}

TEST(PeakEwmaTest, AllAreNewAtOnce) {
  auto balancer = make(Kind::kPeakEwma, std::vector<double>(5, 1.0));
  std::vector<int> counts(5);
  for (int i = 0; i < 100; ++i) {
    const auto slot = balancer->pick({});
    balancer->began(slot);
    ++counts.at(slot);
  }
  for (const int count : counts) EXPECT_NEAR(count, 20, 3);
}

TEST(PeakEwmaTest, APeakCountsAtOnceAndFadesWithTime) {
  auto balancer = make(Kind::kPeakEwma, {1, 1});
  auto now = kStart;
  for (int i = 0; i < 100; ++i) {
    now += 10ms;
    serve(*balancer, 0, 10ms, now);
    serve(*balancer, 1, 11ms, now);
  }
  EXPECT_EQ(balancer->pick({}), 0U);
  serve(*balancer, 0, 100ms, now);
  EXPECT_EQ(balancer->pick({}), 1U);
  // Only the other one answers from now on, and time makes the peak forgotten: after log(10) * 10 s, or a bit more.
  int seconds = 0;
  for (; balancer->pick({}) == 1U && seconds < 100; ++seconds) serve(*balancer, 1, 11ms, now += 1s);
  EXPECT_GT(seconds, 15);
  EXPECT_LT(seconds, 40);
}

TEST(PeakEwmaTest, AnAnswerWeighsByTheTimeSinceTheLast) {
  const auto after = [](Duration between) {
    auto balancer = make(Kind::kPeakEwma, {1, 1});
    serve(*balancer, 0, 100ms, kStart);
    for (int i = 0; i < 200; ++i) serve(*balancer, 1, 60ms, kStart);
    serve(*balancer, 0, 20ms, kStart + between);
    return balancer->pick({});
  };
  EXPECT_EQ(after(100ms), 1U);
  EXPECT_EQ(after(30s), 0U);
}

TEST(PeakEwmaTest, AFailureIsNotFast) {
  auto balancer = make(Kind::kPeakEwma, {1, 1, 1});
  auto now = kStart;
  for (int i = 0; i < 10; ++i) {
    for (std::uint32_t slot = 0; slot < 3; ++slot) serve(*balancer, slot, 10ms, now += 1ms);
  }
  for (int i = 0; i < 10; ++i) serve(*balancer, 2, std::nullopt, now);
  EXPECT_EQ(counts_of(*balancer, 3, 1000)[2], 0);
  balancer->began(0);
  balancer->began(1);
  EXPECT_EQ(counts_of(*balancer, 3, 1000)[2], 0);
  for (int i = 0; i < 10; ++i) {
    balancer->began(0);
    balancer->began(1);
  }
  EXPECT_GT(counts_of(*balancer, 3, 1000)[2], 0);  // out of the question it is not
}

TEST(PeakEwmaTest, OneThatOnlyFailedIsNotFast) {
  auto balancer = make(Kind::kPeakEwma, {1, 1});
  serve(*balancer, 1, std::nullopt, kStart);
  serve(*balancer, 0, 50ms, kStart);
  EXPECT_EQ(counts_of(*balancer, 2, 100)[0], 100);
}

TEST(PeakEwmaTest, AnotherMemberInTheSlotIsNew) {
  auto balancer = make(Kind::kPeakEwma, {1, 1});
  serve(*balancer, 0, 10ms, kStart);
  serve(*balancer, 1, 5s, kStart);
  EXPECT_EQ(balancer->pick({}), 0U);
  balancer->set(1, 1001, 0);
  balancer->set(1, 1001, 1);
  EXPECT_EQ(balancer->pick({}), 0U);  // the same one, back
  balancer->set(1, 1001, 0);
  balancer->set(1, 4711, 1);
  EXPECT_EQ(balancer->pick({}), 1U);
}

TEST(PeakEwmaTest, EquallyFastOnesByWeight) {
  auto balancer = make(Kind::kPeakEwma, {3, 1});
  serve(*balancer, 0, 10ms, kStart);
  serve(*balancer, 1, 10ms, kStart);
  EXPECT_NEAR(counts_of(*balancer, 2, 40'000)[0], 30'000, 500);
  for (int i = 0; i < 30; ++i) balancer->began(0);
  for (int i = 0; i < 11; ++i) balancer->began(1);  // more for its weight
  EXPECT_EQ(counts_of(*balancer, 2, 100)[0], 100);
}

}  // namespace
}  // namespace headgate::upstream
