// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/local_store.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "ratelimit/key_hash.h"

namespace headgate::ratelimit {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kStart = 1000 * kSecond;

class LocalStoreTest : public testing::Test {
 protected:
  LocalStoreTest() { store.set_pace(1, pace, kStart); }

  static KeyId key(std::uint64_t number, std::uint16_t owner = 1) {
    return {key_hash({3, 4}, std::to_string(number)), owner};
  }
  void use_up(const KeyId& id, const Pace& own) {
    while (store.take(id, own, kStart).allowed) {
    }
  }

  const Pace pace = Pace::of(kSecond / 10, 10);
  LocalStore store;
};

TEST_F(LocalStoreTest, KeysAndLimitsCountApart) {
  store.set_pace(2, pace, kStart);
  use_up(key(1), pace);
  EXPECT_FALSE(store.take(key(1), pace, kStart).allowed);
  EXPECT_TRUE(store.take(key(2), pace, kStart).allowed);
  EXPECT_TRUE(store.take(key(1, 2), pace, kStart).allowed);
  EXPECT_TRUE(store.take(key(1), pace, kStart + pace.interval).allowed);
}

TEST_F(LocalStoreTest, LookingCountsNothingAndGivingBackUndoes) {
  EXPECT_EQ(store.look(key(1), pace, kStart).remaining, 9u);
  EXPECT_EQ(store.look(key(1), pace, kStart).remaining, 9u);
  EXPECT_EQ(store.take(key(1), pace, kStart).remaining, 9u);
  EXPECT_EQ(store.take(key(1), pace, kStart).remaining, 8u);
  store.give_back(key(1), pace, kStart);
  EXPECT_EQ(store.take(key(1), pace, kStart).remaining, 8u);
  store.give_back(key(2), pace, kStart);  // never seen: nothing happens
  EXPECT_EQ(store.look(key(2), pace, kStart).remaining, 9u);
}

TEST_F(LocalStoreTest, ManyKeysKeepTheirCountsWhileTheTableGrows) {
  constexpr std::uint64_t kKeys = 100'000;
  const auto before = store.memory_in_use();
  for (std::uint64_t round = 0; round < 3; ++round) {
    for (std::uint64_t i = 0; i < kKeys; ++i) ASSERT_EQ(store.take(key(i), pace, kStart).remaining, 9 - round) << i;
  }
  EXPECT_GT(store.memory_in_use(), before);
}

TEST_F(LocalStoreTest, AFloodOfKeysIsBoundedAndFreesNobodyWhoIsLimited) {
  constexpr std::uint64_t kLimited = 1000;
  constexpr std::uint64_t kFlood = 1'000'000;
  LocalStore small(13);  // 65,536 cells: the flood is fifteen times that
  small.set_pace(1, pace, kStart);
  for (std::uint64_t i = 0; i < kLimited; ++i) {
    while (small.take(key(i), pace, kStart).allowed) {
    }
  }
  for (std::uint64_t i = 0; i < kFlood; ++i) small.take(key(kLimited + i), pace, kStart);
  EXPECT_LE(small.memory_in_use(), 1024u * 1024);
  std::uint64_t freed = 0;
  for (std::uint64_t i = 0; i < kLimited; ++i) freed += small.take(key(i), pace, kStart).allowed ? 1 : 0;
  EXPECT_EQ(freed, 0u);
}

TEST_F(LocalStoreTest, WhatCountsIsThePartOfTheBurstAndNotItsTime) {
  LocalStore small(9);
  const Pace slow = Pace::of(60 * kSecond, 10);  // one request is a minute ahead; a limited key of `pace` a second
  small.set_pace(1, pace, kStart);
  small.set_pace(2, slow, kStart);
  while (small.take(key(1), pace, kStart).allowed) {
  }
  for (std::uint64_t i = 0; i < 50'000; ++i) small.take(key(i, 2), slow, kStart);
  EXPECT_FALSE(small.take(key(1), pace, kStart).allowed);
}

TEST_F(LocalStoreTest, AMillionKeysStayBelowTheBound) {
  constexpr std::uint64_t kKeys = 1'000'000;
  for (std::uint64_t i = 0; i < kKeys; ++i) store.take(key(i), pace, kStart);
  EXPECT_LE(store.memory_in_use(), 64u * 1024 * 1024);
  std::uint64_t kept = 0;
  for (std::uint64_t i = 0; i < kKeys; i += 100) kept += store.look(key(i), pace, kStart).remaining == 8 ? 1 : 0;
  EXPECT_GT(kept, kKeys / 100 * 999 / 1000);
}

TEST_F(LocalStoreTest, ExpiredKeysMakeRoomAndMemoryIsGivenBack) {
  for (std::uint64_t i = 0; i < 200'000; ++i) store.take(key(i), pace, kStart);
  const auto peak = store.memory_in_use();
  store.trim(kStart);
  EXPECT_EQ(store.memory_in_use(), peak) << "all are needed";
  const Nanos later = kStart + 2 * kSecond;
  for (std::uint64_t i = 0; i < 500; ++i) store.take(key(i + 777'777), pace, later);
  store.trim(later);
  EXPECT_LT(store.memory_in_use(), peak / 64);
  for (std::uint64_t i = 0; i < 500; ++i) ASSERT_EQ(store.take(key(i + 777'777), pace, later).remaining, 8u) << i;
  // What grows again finds no ghosts.
  for (std::uint64_t i = 0; i < 200'000; ++i) ASSERT_EQ(store.take(key(i), pace, later).remaining, 9u) << i;
}

TEST_F(LocalStoreTest, AChangedRateKeepsWhatAKeyHasUsed) {
  const Pace slow = Pace::of(60 * kSecond, 10);
  store.set_pace(2, pace, kStart);
  for (int i = 0; i < 7; ++i) {
    store.take(key(1), pace, kStart);
    store.take(key(1, 2), pace, kStart);
  }
  store.set_pace(1, slow, kStart);
  EXPECT_EQ(store.take(key(1), slow, kStart).remaining, 2u);
  EXPECT_EQ(store.take(key(1), slow, kStart + 61 * kSecond).remaining, 2u);
  EXPECT_EQ(store.take(key(1, 2), pace, kStart).remaining, 2u) << "other limits are left alone";
  store.set_pace(1, pace, kStart + 61 * kSecond);
  EXPECT_EQ(store.look(key(1), pace, kStart + 61 * kSecond).remaining, 1u);
  store.set_pace(1, Pace::of(pace.interval, 20), kStart + 61 * kSecond);
  EXPECT_EQ(store.look(key(1), Pace::of(pace.interval, 20), kStart + 61 * kSecond).remaining, 11u);
}

TEST_F(LocalStoreTest, ThreadsTogetherPassNoMoreThanTheBurst) {
  constexpr int kThreads = 4;
  const Pace wide = Pace::of(kSecond, 20'000);
  store.set_pace(3, wide, kStart);
  std::atomic<std::uint64_t> passed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::uint64_t own = 0;
      for (std::uint64_t i = 0; i < 20'000; ++i) {
        own += store.take(key(5, 3), wide, kStart).allowed ? 1 : 0;
        store.take(key(i + static_cast<std::uint64_t>(t) * 1000), pace, kStart);  // neighbours that come and go
      }
      passed += own;
    });
  }
  for (auto& thread : threads) thread.join();
  // A change may be lost at each of the moments in which the table grew, no more.
  EXPECT_GE(passed, 20'000u);
  EXPECT_LE(passed, 20'000u + 10 * kThreads);
}

TEST(KeyHash, IsSipHash) {
  // Appendix A of the paper: key 00 01 .. 0f, message 00 01 .. 0e.
  const HashSeed seed{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::string message;
  for (char c = 0; c < 15; ++c) message += c;
  EXPECT_EQ(key_hash(seed, message), 0xa129ca6149be45e5u);
}

TEST(KeyHash, SeedsAndNamesTellApart) {
  const HashSeed seed{1, 2};
  EXPECT_NE(key_hash(seed, "a"), key_hash({1, 3}, "a"));
  EXPECT_NE(key_hash(seed.of("one"), "a"), key_hash(seed.of("two"), "a"));
  EXPECT_NE(key_hash(seed, ""), key_hash(seed, std::string_view("\0", 1)));
  const HashSeed first = HashSeed::random();
  const HashSeed second = HashSeed::random();
  EXPECT_FALSE(first.first == second.first && first.second == second.second);
}

}  // namespace
}  // namespace headgate::ratelimit
