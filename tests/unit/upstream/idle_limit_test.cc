// SPDX-License-Identifier: Apache-2.0
#include "upstream/idle_limit.h"

#include <random>

#include <gtest/gtest.h>

namespace headgate::upstream {
namespace {

using namespace std::chrono_literals;

const TimePoint kStart{std::chrono::hours(5)};

TEST(IdleLimit, IsAsConfiguredUntilSomethingIsKnown) {
  const IdleLimit limit(60s);
  EXPECT_EQ(limit.limit(kStart), 60s);
  EXPECT_EQ(limit.careful_limit(kStart), 1s);
  EXPECT_EQ(IdleLimit(500ms).careful_limit(kStart), 250ms);
}

TEST(IdleLimit, BelievesTheOrigin) {
  IdleLimit limit(60s);
  limit.told("timeout=5, max=1000");
  EXPECT_EQ(limit.limit(kStart), 4s);
  limit.told("max=7, Timeout = 10");
  EXPECT_EQ(limit.limit(kStart), 8s);
  limit.told("timeout=0");
  EXPECT_EQ(limit.limit(kStart), 0s);
  limit.told("timeout=4000000000");
  EXPECT_EQ(limit.limit(kStart), 60s);
}

TEST(IdleLimit, WhatCannotBeReadSaysNothing) {
  IdleLimit limit(60s);
  for (const char* text : {"", "timeout", "timeout=", "timeout=x", "timeout=-1", "timeout=5s", "timeout=99999999999",
                           ",,,=,", "max=5"}) {
    limit.told(text);
    EXPECT_EQ(limit.limit(kStart), 60s) << text;
  }
}

TEST(IdleLimit, OneEventIsNoHabit) {
  IdleLimit limit(60s);
  for (int i = 0; i < 50; ++i) limit.closed(1ms * i, kStart + 1ms * i);  // a restart closes connections of all ages
  EXPECT_EQ(limit.limit(kStart + 1s), 60s);
  limit.closed(3s, kStart + 10min);
  EXPECT_EQ(limit.limit(kStart + 10min), 60s) << "nor is another one much later";
}

TEST(IdleLimit, AHabitIsLearned) {
  IdleLimit limit(60s);
  limit.closed(5s, kStart);
  limit.closed(6s, kStart + 20s);
  EXPECT_EQ(limit.limit(kStart + 20s), 4s) << "the shortest, and some room";
  limit.closed(3s, kStart + 21s);
  EXPECT_EQ(limit.limit(kStart + 21s), 2400ms);
}

TEST(IdleLimit, WithoutNewsItGrowsBack) {
  IdleLimit limit(60s);
  limit.closed(5s, kStart);
  limit.closed(5s, kStart + 1s);
  EXPECT_EQ(limit.limit(kStart + 25s), 4s);
  EXPECT_EQ(limit.limit(kStart + 32s), 8s);
  EXPECT_EQ(limit.limit(kStart + 10min), 60s);
}

/// A crash in the middle of a request looks like an age of nothing.
TEST(IdleLimit, IsNeverNothing) {
  IdleLimit limit(60s);
  limit.closed(0s, kStart);
  limit.closed(0s, kStart + 1s);
  EXPECT_EQ(limit.limit(kStart + 1s), 1ms);
}

TEST(IdleLimit, FindsTheShortestOfARandomOne) {
  std::minstd_rand random(7);
  std::uniform_int_distribution<int> age(5, 50);
  IdleLimit limit(60s);
  TimePoint now = kStart;
  for (int i = 0; i < 200; ++i) limit.closed(1ms * age(random), now += 150ms);
  EXPECT_EQ(limit.limit(now), 4ms);
  EXPECT_EQ(limit.careful_limit(now), 2ms);
}

}  // namespace
}  // namespace headgate::upstream
