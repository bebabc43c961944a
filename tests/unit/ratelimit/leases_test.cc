// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/leases.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::ratelimit {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kStart = 1000 * kSecond;
constexpr KeyId kKey{0x123456789abcdef0, 1};

TEST(Leases, TokensAreSpentOnceAndEnd) {
  Leases leases;
  auto entry = leases.of(kKey, kStart);
  std::uint64_t left = 99;
  EXPECT_FALSE(entry.spend(kStart, left));
  entry.add(3, kStart + kSecond, kStart);
  EXPECT_TRUE(entry.spend(kStart, left));
  EXPECT_EQ(left, 2u);
  entry.add(2, kStart + 2 * kSecond, kStart);
  EXPECT_TRUE(entry.spend(kStart + kSecond + kSecond / 2, left));
  EXPECT_EQ(left, 3u);
  EXPECT_FALSE(entry.spend(kStart + 2 * kSecond, left)) << "their time is over";
  entry.add(1, kStart + 4 * kSecond, kStart + 3 * kSecond);
  EXPECT_TRUE(entry.spend(kStart + 3 * kSecond, left));
  EXPECT_EQ(left, 0u) << "those that ended do not come back";
}

TEST(Leases, MoreThanFitIsCut) {
  Leases leases;
  auto entry = leases.of(kKey, kStart);
  entry.add(Leases::kMostTokens, kStart + kSecond, kStart);
  entry.add(Leases::kMostTokens, kStart + kSecond, kStart);
  std::uint64_t left = 0;
  EXPECT_TRUE(entry.spend(kStart, left));
  EXPECT_EQ(left, Leases::kMostTokens - 1);
}

TEST(Leases, OneAsksAtATime) {
  Leases leases;
  auto entry = leases.of(kKey, kStart);
  EXPECT_TRUE(entry.claim_refill(kStart, kStart + 10));
  EXPECT_FALSE(entry.claim_refill(kStart + 9, kStart + 20));
  EXPECT_TRUE(entry.claim_refill(kStart + 10, kStart + 20));
  entry.end_refill();
  EXPECT_TRUE(entry.claim_refill(kStart + 11, kStart + 20));
  EXPECT_TRUE(entry.claim_question(kStart, kStart + 10));
  EXPECT_EQ(entry.closed_until(), kStart + 10);
  EXPECT_FALSE(entry.claim_question(kStart, kStart + 10));
}

TEST(Leases, WhatWasHeardIsKept) {
  Leases leases;
  auto entry = leases.of(kKey, kStart);
  EXPECT_TRUE(entry.cold(kStart));
  entry.heard(7, 42, kStart);
  entry.keep(kStart + kSecond);
  for (int i = 0; i < 5; ++i) entry.refused();
  auto again = leases.of(kKey, kStart + 1);
  EXPECT_FALSE(again.cold(kStart + 1));
  EXPECT_EQ(again.last_granted(), 7u);
  EXPECT_EQ(again.remaining(), 42u);
  EXPECT_EQ(again.last_heard(), kStart);
  EXPECT_EQ(again.refused_since(), 5u);
  again.heard(0, 0, kStart + 2);
  EXPECT_EQ(again.refused_since(), 0u);
}

TEST(Leases, ALimitIsForgottenAndNoOther) {
  Leases leases;
  const KeyId other{kKey.hash, 2};
  for (const auto& key : {kKey, other}) {
    leases.of(key, kStart).add(5, kStart + kSecond, kStart);
    leases.of(key, kStart).close(kStart + kSecond);
  }
  leases.forget(1, kStart);
  std::uint64_t left = 0;
  EXPECT_FALSE(leases.of(kKey, kStart).spend(kStart, left));
  EXPECT_EQ(leases.of(kKey, kStart).closed_until(), 0);
  EXPECT_TRUE(leases.of(other, kStart).spend(kStart, left));
}

TEST(Leases, ThreadsSpendEachTokenOnce) {
  Leases leases;
  auto entry = leases.of(kKey, kStart);
  entry.add(100'000, kStart + kSecond, kStart);
  std::atomic<std::uint64_t> spent{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::uint64_t own = 0;
      std::uint64_t left = 0;
      while (leases.of(kKey, kStart).spend(kStart, left)) ++own;
      spent += own;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(spent, 100'000u);
}

}  // namespace
}  // namespace headgate::ratelimit
