// SPDX-License-Identifier: Apache-2.0
#include "proxy/connection_count.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::proxy {
namespace {

using Verdict = ConnectionCount::Verdict;

const IpAddress kOne = *IpAddress::parse("198.51.100.1");
const IpAddress kTwo = *IpAddress::parse("2001:db8::2");

TEST(ConnectionCount, CountsWithoutLimits) {
  ConnectionCount count;
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(count.add(kOne, 0, 0), Verdict::kAdmitted);
  EXPECT_EQ(count.total(), 1000u);
  for (int i = 0; i < 1000; ++i) count.remove(kOne);
  EXPECT_EQ(count.total(), 0u);
}

TEST(ConnectionCount, AdmitsExactlyAsManyAsItMay) {
  ConnectionCount count;
  EXPECT_EQ(count.add(kOne, 2, 0), Verdict::kAdmitted);
  EXPECT_EQ(count.add(kTwo, 2, 0), Verdict::kAdmitted);
  EXPECT_EQ(count.add(kTwo, 2, 0), Verdict::kTooMany);
  EXPECT_EQ(count.total(), 2u);
  count.remove(kOne);
  EXPECT_EQ(count.add(kTwo, 2, 0), Verdict::kAdmitted);
}

TEST(ConnectionCount, LimitsEachAddressByItself) {
  ConnectionCount count;
  EXPECT_EQ(count.add(kOne, 0, 1), Verdict::kAdmitted);
  EXPECT_EQ(count.add(kOne, 0, 1), Verdict::kTooManyOfAddress);
  EXPECT_EQ(count.total(), 1u) << "a refused one is not counted";
  EXPECT_EQ(count.add(kTwo, 0, 1), Verdict::kAdmitted);
  count.remove(kOne);
  EXPECT_EQ(count.add(kOne, 0, 1), Verdict::kAdmitted);
}

TEST(ConnectionCount, ALimitThatAReloadBringsFindsThoseThatAreThere) {
  ConnectionCount count;
  EXPECT_EQ(count.add(kOne, 0, 0), Verdict::kAdmitted);
  EXPECT_EQ(count.add(kOne, 0, 0), Verdict::kAdmitted);
  EXPECT_EQ(count.add(kOne, 0, 2), Verdict::kTooManyOfAddress);
  EXPECT_EQ(count.add(kTwo, 2, 0), Verdict::kTooMany);
}

TEST(ConnectionCount, UnixPeersShareNoLimit) {
  ConnectionCount count;
  EXPECT_EQ(count.add(IpAddress(), 0, 1), Verdict::kAdmitted);
  EXPECT_EQ(count.add(IpAddress(), 0, 1), Verdict::kAdmitted);
}

TEST(ConnectionCount, MovesAConnectionToTheClientThatIsTold) {
  ConnectionCount count;
  EXPECT_EQ(count.add(kOne, 0, 0), Verdict::kAdmitted);
  EXPECT_EQ(count.add(kOne, 0, 0), Verdict::kAdmitted);
  EXPECT_EQ(count.move(kOne, kTwo, 1), Verdict::kAdmitted);
  EXPECT_EQ(count.move(kOne, kTwo, 1), Verdict::kTooManyOfAddress);
  EXPECT_EQ(count.total(), 2u);
  EXPECT_EQ(count.add(kOne, 0, 2), Verdict::kAdmitted) << "one has gone, and the refused one has stayed";
  EXPECT_EQ(count.add(kOne, 0, 2), Verdict::kTooManyOfAddress);
  count.remove(kTwo);
  EXPECT_EQ(count.add(kTwo, 0, 1), Verdict::kAdmitted);
}

TEST(ConnectionCount, RemembersItsPeakUntilAsked) {
  ConnectionCount count;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(count.add(kOne, 0, 0), Verdict::kAdmitted);
  for (int i = 0; i < 2; ++i) count.remove(kOne);
  EXPECT_EQ(count.take_peak(), 3u);
  EXPECT_EQ(count.take_peak(), 1u) << "those that are there still";
  EXPECT_EQ(count.add(kOne, 0, 0), Verdict::kAdmitted);
  count.remove(kOne);
  EXPECT_EQ(count.take_peak(), 2u);
}

TEST(ConnectionCount, ManyThreadsNeverExceedALimit) {
  ConnectionCount count;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        if (count.add(kOne, 3, 2) != Verdict::kAdmitted) continue;
        EXPECT_LE(count.total(), 6u);  // at most 3 admitted, and each other thread just asking
        count.remove(kOne);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count.total(), 0u);
  EXPECT_EQ(count.add(kOne, 1, 1), Verdict::kAdmitted);
}

}  // namespace
}  // namespace headgate::proxy
