// SPDX-License-Identifier: Apache-2.0
#include "tls/ticket_keys.h"

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

namespace headgate::tls {
namespace {

class TicketKeysTest : public testing::Test {
 protected:
  TicketKeys::Time now_{std::chrono::seconds(1'800'000'000)};
  TicketKeys keys_{[this] { return now_; }};
};

TEST_F(TicketKeysTest, KeepsAKeyForItsRotation) {
  const auto first = keys_.current();
  ASSERT_TRUE(first);
  now_ += TicketKeys::kRotation - std::chrono::seconds(1);
  EXPECT_EQ(keys_.current()->name, first->name);
  EXPECT_TRUE(keys_.find(first->name)->current);
  now_ += std::chrono::seconds(1);
  const auto second = keys_.current();
  EXPECT_NE(second->name, first->name);
  EXPECT_NE(second->cipher, first->cipher);
  EXPECT_NE(second->mac, first->mac);
  ASSERT_TRUE(keys_.find(first->name));
  EXPECT_FALSE(keys_.find(first->name)->current);
  EXPECT_EQ(keys_.find(first->name)->key.cipher, first->cipher);
}

TEST_F(TicketKeysTest, AnIdleKeyIsNotCurrentPastItsRotation) {
  const auto first = keys_.current();
  now_ += TicketKeys::kRotation;
  EXPECT_FALSE(keys_.find(first->name)->current);
}

TEST_F(TicketKeysTest, ForgetsAKeyAtTheEndOfItsLife) {
  const auto first = keys_.current();
  now_ += TicketKeys::kRotation * TicketKeys::kKeys - std::chrono::seconds(1);
  EXPECT_TRUE(keys_.find(first->name));
  now_ += std::chrono::seconds(1);
  EXPECT_FALSE(keys_.find(first->name));
}

TEST_F(TicketKeysTest, AKeyOutlivesEverySessionItSealed) {
  const auto first = keys_.current();
  now_ += TicketKeys::kRotation - std::chrono::seconds(1);
  ASSERT_EQ(keys_.current()->name, first->name);
  for (auto passed = std::chrono::seconds(0); passed < TicketKeys::kSessionLife; passed += std::chrono::minutes(10)) {
    keys_.current();
    EXPECT_TRUE(keys_.find(first->name));
    now_ += std::chrono::minutes(10);
  }
}

TEST_F(TicketKeysTest, DoesNotKnowOtherNames) {
  keys_.current();
  const std::array<unsigned char, 16> other{};
  EXPECT_FALSE(keys_.find(other));
}

TEST_F(TicketKeysTest, AClockSetBackMakesANewKey) {
  const auto first = keys_.current();
  now_ -= std::chrono::hours(1);
  EXPECT_NE(keys_.current()->name, first->name);
}

TEST_F(TicketKeysTest, SavedKeysComeBack) {
  const auto first = keys_.current();
  now_ += TicketKeys::kRotation;
  const auto second = keys_.current();
  const std::string saved = keys_.save();
  TicketKeys other{[this] { return now_; }};
  ASSERT_TRUE(other.restore(saved));
  EXPECT_EQ(other.current()->name, second->name);
  EXPECT_EQ(other.find(first->name)->key.mac, first->mac);
  EXPECT_EQ(other.save(), saved);
}

TEST_F(TicketKeysTest, OldKeysAreNotRestored) {
  const auto first = keys_.current();
  const std::string saved = keys_.save();
  now_ += TicketKeys::kRotation * TicketKeys::kKeys;
  TicketKeys later{[this] { return now_; }};
  EXPECT_TRUE(later.restore(saved));
  EXPECT_FALSE(later.find(first->name));
  now_ -= TicketKeys::kRotation * TicketKeys::kKeys * 2;
  TicketKeys earlier{[this] { return now_; }};
  EXPECT_TRUE(earlier.restore(saved));
  EXPECT_FALSE(earlier.find(first->name));
}

TEST_F(TicketKeysTest, GarbageIsNotRestored) {
  const auto first = keys_.current();
  const std::string saved = keys_.save();
  EXPECT_FALSE(keys_.restore(""));
  EXPECT_FALSE(keys_.restore("something else"));
  EXPECT_FALSE(keys_.restore(saved.substr(0, saved.size() - 1)));
  EXPECT_FALSE(keys_.restore(saved + std::string(88 * TicketKeys::kKeys, 'x')));
  EXPECT_EQ(keys_.current()->name, first->name);
}

TEST_F(TicketKeysTest, IsSharedByThreads) {
  const auto first = keys_.current();
  std::vector<std::thread> threads;
  std::array<bool, 4> same{};
  for (auto& result : same) {
    threads.emplace_back([&] {
      result = true;
      for (int i = 0; i < 2000; ++i) result = result && keys_.current()->name == first->name && keys_.find(first->name);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(std::ranges::count(same, true), 4);
}

}  // namespace
}  // namespace headgate::tls
