// SPDX-License-Identifier: Apache-2.0
#include "observe/metric_cells.h"

#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::observe {
namespace {

using namespace std::chrono_literals;

/// As Prometheus defines a bucket: the first whose bound is not below.
std::size_t bucket_by_search(std::uint64_t nanoseconds) {
  std::size_t i = 0;
  while (i < DurationBuckets::kBounds.size() && nanoseconds > DurationBuckets::kBounds[i]) ++i;
  return i;
}

TEST(DurationBuckets, AreFoundAsByASearch) {
  std::vector<std::uint64_t> numbers = {0, 1, ~std::uint64_t{0}};
  for (const auto bound : DurationBuckets::kBounds) numbers.insert(numbers.end(), {bound - 1, bound, bound + 1});
  for (unsigned bit = 1; bit < 64; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    numbers.insert(numbers.end(), {power - 1, power, power + 1});
  }
  for (const auto number : numbers) EXPECT_EQ(DurationBuckets::of(number), bucket_by_search(number)) << number;
}

TEST(DurationBuckets, EachBoundIsAtLeastTwiceTheOneBefore) {
  for (std::size_t i = 1; i < DurationBuckets::kBounds.size(); ++i) {
    EXPECT_GE(DurationBuckets::kBounds[i], 2 * DurationBuckets::kBounds[i - 1]);
  }
}

TEST(DurationBuckets, NamesAreTheBoundsInSeconds) {
  for (std::size_t i = 0; i < DurationBuckets::kBounds.size(); ++i) {
    EXPECT_DOUBLE_EQ(std::stod(std::string(DurationBuckets::kNames[i])) * 1e9,
                     static_cast<double>(DurationBuckets::kBounds[i]));
  }
}

TEST(DurationHistogram, AddsUpBucketsAndMicroseconds) {
  DurationHistogram one;
  DurationHistogram other;
  one.add(100us);
  one.add(1400ns);  // rounds to 1 us
  other.add(3ms);
  other.add(2h);
  other.add(-1ms);  // a clock that went back costs nobody anything
  DurationHistogram::Sum sum;
  one.add_to(sum);
  other.add_to(sum);
  EXPECT_EQ(sum.count(), 5u);
  EXPECT_EQ(sum.buckets[0], 3u);
  EXPECT_EQ(sum.buckets[3], 1u);
  EXPECT_EQ(sum.buckets.back(), 1u);
  EXPECT_EQ(sum.microseconds, 101u + 3000u + 7'200'000'000u);
}

std::map<int, std::uint64_t> counted(const CodeCounts& codes) {
  std::map<int, std::uint64_t> counts;
  codes.each([&](int code, std::uint64_t count) { counts[code] += count; });
  return counts;
}

TEST(CodeCounts, KeepsEachCode) {
  CodeCounts codes;
  EXPECT_TRUE(counted(codes).empty());
  for (const int code : {200, 304, 200, 404, 502, 200, 499, 502}) codes.add(code);
  EXPECT_EQ(counted(codes), (std::map<int, std::uint64_t>{{200, 3}, {304, 1}, {404, 1}, {502, 2}, {499, 1}}));
}

TEST(CodeCounts, AreBoundedAgainstAnOriginThatUsesAllNumbers) {
  CodeCounts codes;
  for (int round = 0; round < 3; ++round) {
    for (int code = 100; code < 1000; ++code) codes.add(code);
  }
  const auto counts = counted(codes);
  EXPECT_EQ(counts.size(), CodeCounts::kMost + 1);
  EXPECT_EQ(counts.at(100), 3u);
  EXPECT_EQ(counts.at(CodeCounts::kOtherCode), 3 * (900 - CodeCounts::kMost));
}

TEST(RouteCells, AreThreeCacheLines) {
  EXPECT_EQ(sizeof(RouteCells), 192u);
}

TEST(RouteCells, CountEachMethodApart) {
  RouteCells cells;
  cells.count(0, 200, 1ms);
  cells.count(2, 201, 3ms);
  cells.count(0, 404, 1ms);
  cells.count(9, 400, 1ms);
  std::map<std::size_t, std::map<int, std::uint64_t>> all;
  std::map<std::size_t, std::uint64_t> durations;
  cells.each([&](std::size_t method, const CodeCounts& codes, const DurationHistogram& histogram) {
    all[method] = counted(codes);
    DurationHistogram::Sum sum;
    histogram.add_to(sum);
    durations[method] = sum.count();
  });
  EXPECT_EQ(all, (std::map<std::size_t, std::map<int, std::uint64_t>>{
                     {0, {{200, 1}, {404, 1}}}, {2, {{201, 1}}}, {9, {{400, 1}}}}));
  EXPECT_EQ(durations, (std::map<std::size_t, std::uint64_t>{{0, 2}, {2, 1}, {9, 1}}));
}

TEST(RouteCells, AreReadWhileTheirWorkerWrites) {
  RouteCells cells;
  std::atomic<bool> begun{false};
  std::thread worker([&] {
    for (int i = 0; i < 20'000; ++i) {
      cells.count(static_cast<std::size_t>(i % 10), 100 + i % 50, 1ms);
      begun.store(true);
    }
  });
  while (!begun.load()) std::this_thread::yield();
  std::uint64_t before = 0;
  const auto total = [&] {
    std::uint64_t sum = 0;
    cells.each([&](std::size_t, const CodeCounts& codes, const DurationHistogram&) {
      codes.each([&](int, std::uint64_t count) { sum += count; });
    });
    return sum;
  };
  for (int i = 0; i < 200; ++i) {
    const auto now = total();
    EXPECT_GE(now, before);  // never less than was read before
    before = now;
  }
  worker.join();
  EXPECT_EQ(total(), 20'000u);
}

TEST(ListenerCells, CountHandshakesByVersion) {
  ListenerCells cells;
  cells.count_handshake("TLSv1.2", false);
  cells.count_handshake("TLSv1.3", true);
  cells.count_handshake("TLSv9", false);
  EXPECT_EQ(cells.handshakes[0][0].value(), 1u);
  EXPECT_EQ(cells.handshakes[1][1].value(), 1u);
  EXPECT_EQ(cells.handshakes[2][0].value(), 1u);
}

TEST(ListenerCells, CountWhyHttp2ClientsWereHeldOff) {
  ListenerCells cells;
  for (std::size_t i = 0; i < ListenerCells::kHttp2Reasons.size(); ++i) {
    EXPECT_EQ(cells.count_http2_held_off(ListenerCells::kHttp2Reasons[i]), i);
  }
  EXPECT_EQ(cells.count_http2_held_off("FRAME_SIZE_ERROR"), ListenerCells::kHttp2Reasons.size() - 1);
  EXPECT_EQ(cells.http2_held_off.front().value(), 1u);
  EXPECT_EQ(cells.http2_held_off.back().value(), 2u);
}

}  // namespace
}  // namespace headgate::observe
