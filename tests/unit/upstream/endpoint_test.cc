// SPDX-License-Identifier: Apache-2.0
#include "upstream/endpoint.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::upstream {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kStart{std::chrono::hours(5)};

TEST(OutcomeWindow, SumsWhatIsNotOlderThanTheWindow) {
  OutcomeWindow window(2, seconds(10));
  window.add(0, kStart, false);
  window.add(1, kStart + seconds(4), true);
  window.add(1, kStart + seconds(8), false);
  const auto at = [&](Duration later) {
    const auto sum = window.sum(kStart + later);
    return std::pair(sum.all, sum.failed);
  };
  EXPECT_EQ(at(seconds(8)), std::pair(std::uint64_t{3}, std::uint64_t{1}));
  EXPECT_EQ(at(milliseconds(9400)), std::pair(std::uint64_t{3}, std::uint64_t{1})) << "at most a slice short";
  EXPECT_EQ(at(milliseconds(10'100)), std::pair(std::uint64_t{2}, std::uint64_t{1}));
  EXPECT_EQ(at(milliseconds(14'100)), std::pair(std::uint64_t{1}, std::uint64_t{0}));
  EXPECT_EQ(at(milliseconds(18'100)), std::pair(std::uint64_t{0}, std::uint64_t{0}));
}

/// No quiet period: the window slides under steady traffic.
TEST(OutcomeWindow, SlidesUnderTraffic) {
  OutcomeWindow window(1, seconds(1));
  for (int i = 0; i < 5000; ++i) {
    const TimePoint now = kStart + milliseconds(i);
    window.add(0, now, i % 4 == 0);
    if (i < 1000) continue;
    const auto sum = window.sum(now);
    ASSERT_GE(sum.all, 940u);
    ASSERT_LE(sum.all, 1000u);
    ASSERT_NEAR(static_cast<double>(sum.failed) / static_cast<double>(sum.all), 0.25, 0.01);
  }
}

TEST(OutcomeWindow, ASliceOfLongAgoIsNotTakenForToday) {
  OutcomeWindow window(1, seconds(10));
  window.add(0, kStart, true);
  // The same place in the ring, many turns later.
  EXPECT_EQ(window.sum(kStart + seconds(10) * 1000).all, 0u);
  window.add(0, kStart + seconds(10) * 1000, false);
  EXPECT_EQ(window.sum(kStart + seconds(10) * 1000).failed, 0u);
}

TEST(OutcomeWindow, ForgetsOnDemand) {
  OutcomeWindow window(1, seconds(10));
  window.add(0, kStart, true);
  window.forget(kStart);
  EXPECT_EQ(window.sum(kStart + seconds(1)).all, 0u);
  window.add(0, kStart + seconds(1), true);
  EXPECT_EQ(window.sum(kStart + seconds(1)).all, 1u);
}

TEST(OutcomeWindow, ASliceHoldsNoMoreThanItCan) {
  OutcomeWindow window(1, std::chrono::hours(1));
  for (std::uint64_t i = 0; i < OutcomeWindow::kMostInSlice + 10; ++i) window.add(0, kStart, true);
  const auto sum = window.sum(kStart);
  EXPECT_EQ(sum.all, OutcomeWindow::kMostInSlice);
  EXPECT_EQ(sum.failed, OutcomeWindow::kMostInSlice);
}

class EndpointTest : public ::testing::Test {
 protected:
  Endpoint endpoint{SocketAddress::ip(*IpAddress::parse("127.0.0.1"), 80), 2, seconds(10)};
  config::Ejection rules;
};

TEST_F(EndpointTest, IsKnownByItsAddress) {
  EXPECT_EQ(endpoint.name, "127.0.0.1:80");
  const Endpoint same(endpoint.address, 1, seconds(1));
  EXPECT_EQ(same.id, endpoint.id);
  const Endpoint other(SocketAddress::ip(*IpAddress::parse("127.0.0.1"), 81), 1, seconds(1));
  EXPECT_NE(other.id, endpoint.id);
}

TEST_F(EndpointTest, ErrorsInARowAreGrounds) {
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(endpoint.failed(0, kStart, rules));
  endpoint.succeeded(1, kStart);
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(endpoint.failed(i % 2, kStart, rules)) << "whichever worker it was";
  const auto grounds = endpoint.failed(1, kStart, rules);
  EXPECT_EQ(grounds.errors_in_row, 5u);
  rules.consecutive_errors = 0;
  rules.error_rate = 0;
  EXPECT_FALSE(endpoint.failed(1, kStart, rules)) << "0: they do not count";
}

TEST_F(EndpointTest, ARateIsGroundsFromTheSmallestSampleOn) {
  rules.consecutive_errors = 0;
  for (int i = 0; i < 9; ++i) {
    endpoint.succeeded(0, kStart);
    EXPECT_FALSE(endpoint.failed(1, kStart, rules));
  }
  endpoint.succeeded(0, kStart);
  const auto grounds = endpoint.failed(1, kStart, rules);
  EXPECT_TRUE(grounds);
  EXPECT_EQ(grounds.window.all, 20u);
  EXPECT_EQ(grounds.window.failed, 10u);
}

TEST_F(EndpointTest, ALowRateIsNone) {
  rules.consecutive_errors = 0;
  for (int i = 0; i < 1000; ++i) {
    endpoint.succeeded(0, kStart);
    endpoint.succeeded(0, kStart);
    EXPECT_FALSE(endpoint.failed(0, kStart, rules));
  }
}

TEST_F(EndpointTest, AnAnswerThatIsBrokenOffEndsNoRow) {
  rules.error_rate = 0;
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(endpoint.failed(0, kStart, rules));
  for (int i = 0; i < 2; ++i) {
    const auto row = endpoint.succeeded(0, kStart);
    EXPECT_FALSE(endpoint.broken_off(0, kStart, rules, row));
  }
  const auto row = endpoint.succeeded(1, kStart);
  EXPECT_EQ(row, 4u);
  EXPECT_EQ(endpoint.broken_off(1, kStart, rules, row).errors_in_row, 5u);
}

TEST_F(EndpointTest, AnAnswerThatIsBrokenOffIsOneAttempt) {
  rules.consecutive_errors = 0;
  for (int i = 0; i < 9; ++i) {
    endpoint.succeeded(0, kStart);
    const auto row = endpoint.succeeded(0, kStart);
    EXPECT_FALSE(endpoint.broken_off(0, kStart, rules, row));
  }
  endpoint.succeeded(0, kStart);
  const auto row = endpoint.succeeded(0, kStart);
  const auto grounds = endpoint.broken_off(0, kStart, rules, row);
  EXPECT_EQ(grounds.window.all, 20u);
  EXPECT_EQ(grounds.window.failed, 10u);
  // One that began before the window does not make more failures than attempts.
  const TimePoint later = kStart + seconds(20);
  endpoint.broken_off(0, later, rules, 0);
  EXPECT_EQ(endpoint.recent(later).failed, 0u);
}

TEST_F(EndpointTest, BeginsAnew) {
  for (int i = 0; i < 4; ++i) endpoint.failed(0, kStart, rules);
  endpoint.begin_anew(kStart);
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(endpoint.failed(0, kStart + seconds(1), rules));
  EXPECT_TRUE(endpoint.failed(0, kStart + seconds(1), rules));
}

TEST_F(EndpointTest, OneTrialAndOneReportAtATime) {
  EXPECT_TRUE(endpoint.claim_trial());
  EXPECT_FALSE(endpoint.claim_trial());
  endpoint.release_trial();
  EXPECT_TRUE(endpoint.claim_trial());
  EXPECT_TRUE(endpoint.claim_report());
  EXPECT_FALSE(endpoint.claim_report());
  endpoint.report_taken();
  EXPECT_TRUE(endpoint.claim_report());
}

TEST_F(EndpointTest, NeverMorePlacesThanThereAre) {
  std::atomic<int> most{0};
  std::atomic<int> now{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20'000; ++round) {
        if (!endpoint.take_place(3)) continue;
        const int taken = now.fetch_add(1) + 1;
        for (int seen = most.load(); seen < taken && !most.compare_exchange_weak(seen, taken);) {
        }
        now.fetch_sub(1);
        endpoint.free_place();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(most.load(), 3);
  EXPECT_GE(most.load(), 1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(endpoint.take_place(3));
  EXPECT_FALSE(endpoint.take_place(3));
}

}  // namespace
}  // namespace headgate::upstream
