// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/gcra.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::ratelimit {
namespace {

using namespace std::chrono_literals;

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kStart = 1000 * kSecond;

Pace pace_of(std::uint64_t count, std::chrono::milliseconds per, std::uint64_t burst) {
  return Pace::of(config::Rate{count, per}, burst);
}

TEST(Gcra, PaceOfRates) {
  EXPECT_EQ(pace_of(100, 1s, 200).interval, 10'000'000);
  EXPECT_EQ(pace_of(100, 1s, 200).tolerance, 2 * kSecond);
  EXPECT_EQ(pace_of(100, 1s, 200).burst(), 200u);
  EXPECT_EQ(pace_of(1000, 1h, 1).interval, 3'600'000'000);
  EXPECT_EQ(pace_of(3, 1s, 1).interval, 333'333'333);
  EXPECT_EQ(pace_of(7, 1min, 1).interval, 8'571'428'571);
  EXPECT_EQ(pace_of(1'000'000, 1s, 1).interval, 1000);
  EXPECT_EQ(pace_of(1'000'000'000, 1s, 5).interval, 1);
}

TEST(Gcra, NothingIsZeroOrOverflows) {
  const Pace longest = pace_of(1, 1h, 1'000'000'000);
  EXPECT_EQ(longest.tolerance, kLongestSpan);
  EXPECT_GT(longest.burst(), 300'000u);
  EXPECT_EQ(Pace::of(Nanos{0}, 0).interval, 1);
  EXPECT_EQ(Pace::of(Nanos{0}, 0).tolerance, 1);
  EXPECT_EQ(Pace::of(kLongestSpan, UINT64_MAX).tolerance, kLongestSpan);
  for (const Nanos arrival : {Nanos{0}, kLongestSpan, INT64_MAX, INT64_MIN}) {
    for (const Nanos now : {Nanos{0}, kStart, kLongestSpan}) {
      for (const std::uint64_t cost : {std::uint64_t{1}, std::uint64_t{1'000'000}, UINT64_MAX}) {
        const Decision decision = decide(longest, arrival, now, cost);
        EXPECT_GE(decision.retry_after, 0);
        EXPECT_GE(decision.until_full, 0);
        EXPECT_LE(decision.until_full, longest.tolerance);
        EXPECT_LE(decision.remaining, longest.burst());
      }
    }
  }
}

TEST(Gcra, AnIdleKeyGetsItsBurstAtOnceAndThenItsRate) {
  for (const std::uint64_t burst : {1u, 2u, 5u, 200u}) {
    const Pace pace = pace_of(100, 1s, burst);
    Nanos arrival = 0;
    for (std::uint64_t i = 0; i < burst; ++i) {
      const Decision decision = decide(pace, arrival, kStart);
      ASSERT_TRUE(decision.allowed) << i << " of " << burst;
      EXPECT_EQ(decision.remaining, burst - i - 1);
      EXPECT_EQ(decision.until_full, static_cast<Nanos>(i + 1) * pace.interval);
      arrival = decision.arrival;
    }
    const Decision refused = decide(pace, arrival, kStart);
    EXPECT_FALSE(refused.allowed);
    EXPECT_EQ(refused.arrival, arrival);
    EXPECT_EQ(refused.remaining, 0u);
    EXPECT_EQ(refused.retry_after, pace.interval);
    EXPECT_EQ(refused.until_full, pace.tolerance);
    EXPECT_FALSE(decide(pace, arrival, kStart + pace.interval - 1).allowed);
    EXPECT_TRUE(decide(pace, arrival, kStart + pace.interval).allowed);
    EXPECT_TRUE(decide(pace, arrival, kStart + 1000 * kSecond).allowed);
    EXPECT_EQ(decide(pace, arrival, kStart + 1000 * kSecond).remaining, burst - 1);
  }
}

TEST(Gcra, ACostIsThatManyRequests) {
  const Pace pace = pace_of(10, 1s, 10);
  Decision decision = decide(pace, 0, kStart, 4);
  EXPECT_TRUE(decision.allowed);
  EXPECT_EQ(decision.remaining, 6u);
  decision = decide(pace, decision.arrival, kStart, 7);
  EXPECT_FALSE(decision.allowed);
  EXPECT_EQ(decision.retry_after, pace.interval);
  EXPECT_EQ(decision.remaining, 6u) << "what is refused uses nothing";
  EXPECT_FALSE(decide(pace, 0, kStart, 11).allowed);
}

TEST(Gcra, RetryAfterIsExactlyWhenItPasses) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    const Pace pace = Pace::of(static_cast<Nanos>(1 + random() % (10 * kSecond)), 1 + random() % 50);
    const Nanos arrival = kStart + static_cast<Nanos>(random() % static_cast<std::uint64_t>(2 * pace.tolerance));
    const Decision decision = decide(pace, arrival, kStart);
    if (decision.allowed) continue;
    EXPECT_FALSE(decide(pace, arrival, kStart + decision.retry_after - 1).allowed);
    // An arrival beyond the tolerance is held to it anew as time goes on, so it may pass no earlier than told.
    EXPECT_TRUE(decide(pace, std::min(arrival, kStart + pace.tolerance), kStart + decision.retry_after).allowed);
  }
}

TEST(Gcra, GivingBackUndoes) {
  const Pace pace = pace_of(10, 1s, 10);
  const Decision first = decide(pace, 0, kStart);
  const Decision second = decide(pace, first.arrival, kStart, 3);
  EXPECT_EQ(give_back(pace, second.arrival, 3), first.arrival);
  EXPECT_EQ(give_back(pace, 5, 1), 0);
}

// The definition by brute force: over every interval that ends with a request, at most burst + rate x length have
// passed, and a request is refused only when it would have been one too many for some such interval.
TEST(Gcra, AgainstItsDefinition) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 300; ++round) {
    const Nanos interval = static_cast<Nanos>(1 + random() % 1000);
    const std::uint64_t burst = 1 + random() % 6;
    const Pace pace = Pace::of(interval, burst);
    std::vector<Nanos> passed;
    Nanos now = kStart;
    Nanos arrival = 0;
    for (int i = 0; i < 200; ++i) {
      now += static_cast<Nanos>(random() % static_cast<std::uint64_t>(2 * interval));
      if (random() % 10 == 0) now += static_cast<Nanos>(burst) * interval;
      const Decision decision = decide(pace, arrival, now);
      arrival = decision.arrival;
      bool one_too_many = false;
      for (std::size_t first = 0; first < passed.size(); ++first) {
        const auto count = static_cast<Nanos>(passed.size() - first) + 1;
        one_too_many = one_too_many || count * interval > pace.tolerance + (now - passed[first]);
      }
      ASSERT_EQ(decision.allowed, !one_too_many) << "request " << i << " of round " << round;
      if (decision.allowed) passed.push_back(now);
    }
  }
}

TEST(Gcra, AnotherPaceKeepsWhatWasUsed) {
  const Pace slow = pace_of(10, 1min, 10);
  const Pace fast = pace_of(1000, 1s, 10);
  Nanos arrival = 0;
  for (int i = 0; i < 7; ++i) arrival = decide(slow, arrival, kStart).arrival;
  const Nanos as_fast = rescale(arrival, kStart, slow, fast);
  EXPECT_EQ(decide(fast, as_fast, kStart).remaining, 2u);
  EXPECT_EQ(rescale(as_fast, kStart, fast, slow), arrival);
  EXPECT_EQ(rescale(5, kStart, slow, fast), 5) << "an idle key stays one";
  const Pace smaller = pace_of(1000, 1s, 3);
  EXPECT_EQ(rescale(arrival, kStart, slow, smaller), kStart + smaller.tolerance);
  EXPECT_EQ(rescale(kStart + kLongestSpan, kStart, pace_of(1'000'000'000, 1s, 1), pace_of(1, 1h, 1'000'000'000)),
            kStart + pace_of(1, 1h, 1).interval)
      << "no overflow, and no more than was possible under the old pace";
}

TEST(Gcra, ARaisedRateFreesAtOnceEvenUnscaled) {
  const Pace slow = pace_of(10, 1min, 10);
  const Pace fast = pace_of(1000, 1s, 10);
  Nanos arrival = 0;
  for (int i = 0; i < 10; ++i) arrival = decide(slow, arrival, kStart).arrival;
  EXPECT_EQ(decide(fast, arrival, kStart).retry_after, fast.interval);
}

}  // namespace
}  // namespace headgate::ratelimit
