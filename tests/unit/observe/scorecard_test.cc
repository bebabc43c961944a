// SPDX-License-Identifier: Apache-2.0
#include "observe/scorecard.h"

#include <thread>

#include <gtest/gtest.h>

namespace headgate::observe {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(LatencyScale, EachValueIsBelowItsBucketsEndAndAtLeastTheLastOnes) {
  for (std::uint64_t value = 0; value < 200'000'000; value += 1 + value / 100) {
    const auto bucket = LatencyScale::of(value);
    ASSERT_LT(bucket, LatencyScale::kCount);
    if (bucket + 1 < LatencyScale::kCount) {
      ASSERT_LT(value, LatencyScale::end(bucket)) << value;
    }
    if (bucket > 0) {
      ASSERT_GE(value, LatencyScale::end(bucket - 1)) << value;
    }
  }
}

TEST(LatencyScale, BucketsAreNarrow) {
  for (std::size_t bucket = LatencyScale::kSteps; bucket < LatencyScale::kCount; ++bucket) {
    const auto begin = static_cast<double>(LatencyScale::end(bucket - 1));
    const auto end = static_cast<double>(LatencyScale::end(bucket));
    ASSERT_LE((end - begin) / begin, 1.0 / 32);
  }
  EXPECT_EQ(LatencyScale::of(0), 0U);
  EXPECT_EQ(LatencyScale::of(31), 31U);
  EXPECT_EQ(LatencyScale::of(32), 32U);
  EXPECT_EQ(LatencyScale::of(64), 64U);
  EXPECT_EQ(LatencyScale::of(65), 64U);
  EXPECT_EQ(LatencyScale::of(134'217'727), LatencyScale::kCount - 1);
  EXPECT_EQ(LatencyScale::of(~std::uint64_t{0}), LatencyScale::kCount - 1);
}

TEST(Scorecard, StatusesAreOutcomes) {
  EXPECT_EQ(outcome_of_status(200), Outcome::kAnswered);
  EXPECT_EQ(outcome_of_status(404), Outcome::kAnswered);
  EXPECT_EQ(outcome_of_status(500), Outcome::k500);
  EXPECT_EQ(outcome_of_status(502), Outcome::k502);
  EXPECT_EQ(outcome_of_status(503), Outcome::k503);
  EXPECT_EQ(outcome_of_status(504), Outcome::k504);
  EXPECT_EQ(outcome_of_status(501), Outcome::kOther5xx);
  EXPECT_EQ(outcome_of_status(599), Outcome::kOther5xx);
  EXPECT_EQ(outcome_of_status(600), Outcome::kAnswered);
}

TEST(Scorecard, WorkersAddUp) {
  ScoreCells one(2);
  ScoreCells other(2);
  for (int i = 0; i < 5; ++i) one.start();
  other.start();
  one.end(0, Outcome::kAnswered, milliseconds(10));
  one.end(1, Outcome::kTimeout, seconds(60));
  other.end(1, Outcome::k503, milliseconds(1));
  other.end(9, Outcome::kAnswered, milliseconds(20));  // the last class takes it
  Scorecard sum;
  one.add_to(sum);
  other.add_to(sum);
  ASSERT_EQ(sum.classes.size(), 2U);
  EXPECT_EQ(sum.started, 6U);
  EXPECT_EQ(sum.requests(), 4U);
  EXPECT_EQ(sum.errors(), 2U);
  EXPECT_EQ(sum.classes[0].requests(), 1U);
  EXPECT_EQ(sum.classes[1].errors(), 2U);
  EXPECT_EQ(sum.classes[1].outcomes[static_cast<std::size_t>(Outcome::kTimeout)], 1U);
  EXPECT_EQ(quantile(sum.classes[1].latencies, 0.5), microseconds(LatencyScale::end(LatencyScale::of(20'000))))
      << "failures have no latency";
}

TEST(Scorecard, ClassesHaveABound) {
  ScoreCells cells(1'000);
  for (std::size_t i = 0; i < 1'000; ++i) cells.end(i, Outcome::kAnswered, milliseconds(1));
  Scorecard sum;
  cells.add_to(sum);
  ASSERT_EQ(sum.classes.size(), kMostRouteClasses);
  EXPECT_EQ(sum.classes.back().requests(), 1'000 - (kMostRouteClasses - 1));
  ScoreCells none(0);
  none.end(0, Outcome::kAnswered, milliseconds(1));
  Scorecard single;
  none.add_to(single);
  EXPECT_EQ(single.classes.size(), 1U);
}

TEST(Scorecard, DifferencesOfSnapshots) {
  ScoreCells cells(1);
  cells.start();
  cells.end(0, Outcome::kAnswered, milliseconds(1));
  Scorecard before;
  cells.add_to(before);
  cells.start();
  cells.start();
  cells.end(0, Outcome::kAnswered, seconds(1));
  cells.end(0, Outcome::kReset, seconds(1));
  Scorecard now;
  cells.add_to(now);
  Scorecard since = now;
  since -= before;
  EXPECT_EQ(since.started, 2U);
  EXPECT_EQ(since.requests(), 2U);
  EXPECT_EQ(since.errors(), 1U);
  EXPECT_GE(quantile(since.classes[0].latencies, 0.01), seconds(1));
  before -= now;
  EXPECT_EQ(before.requests(), 0U) << "never below zero";
  EXPECT_EQ(before.started, 0U);
}

TEST(Scorecard, QuantilesAreWithinTwoPercent) {
  ClassScore score;
  for (int i = 1; i <= 10'000; ++i) score.add(Outcome::kAnswered, microseconds(100 * i));
  for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double exact = 1e6 * share;
    const auto found = static_cast<double>(quantile(score.latencies, share).count());
    EXPECT_GE(found, exact);
    EXPECT_LE(found, exact * (1 + 1.0 / 32) + 1);
  }
  EXPECT_EQ(quantile(ClassScore().latencies, 0.99).count(), 0);
  score = {};
  score.add(Outcome::kAnswered, microseconds(-5));
  EXPECT_EQ(quantile(score.latencies, 0.99).count(), 1);
}

TEST(Scorecard, ReadWhileWritten) {
  ScoreCells cells(1);
  constexpr std::uint64_t kRequests = 20'000;
  std::thread writer([&cells] {
    for (std::uint64_t i = 0; i < kRequests; ++i) {
      cells.start();
      cells.end(0, i % 2 == 0 ? Outcome::kAnswered : Outcome::k500, microseconds(i));
    }
  });
  std::uint64_t seen = 0;
  for (int i = 0; i < 50; ++i) {
    Scorecard card;
    cells.add_to(card);
    EXPECT_GE(card.requests(), seen);
    seen = card.requests();
  }
  writer.join();
  Scorecard card;
  cells.add_to(card);
  EXPECT_EQ(card.requests(), kRequests);
  EXPECT_EQ(card.errors(), kRequests / 2);
  EXPECT_EQ(card.started, kRequests);
}

}  // namespace
}  // namespace headgate::observe
