// SPDX-License-Identifier: Apache-2.0
// Comparisons here take as long as the test wants: until the gate is opened.
#include "auth/verifier.h"

#include <atomic>
#include <condition_variable>

#include <gtest/gtest.h>

#include "tests/unit/base/run.h"

namespace headgate::auth {
namespace {

const std::string kHash = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";  // of "secret"

/// What stands between a question and its comparison.
struct Barrier {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = true;
  std::atomic<int> compared{0};
  int waiting = 0;

  void set(bool is_open) {
    const std::lock_guard lock(mutex);
    open = is_open;
    changed.notify_all();
  }
  void wait_for(int count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return waiting == count; });
  }
  void pass() {
    std::unique_lock lock(mutex);
    ++waiting;
    changed.notify_all();
    changed.wait(lock, [&] { return open; });
    --waiting;
    ++compared;
  }
};

Barrier barrier;

bool compare_slowly(const std::string& password, const std::string&) {
  barrier.pass();
  return password == "secret";
}

class VerifierTest : public testing::Test {
 protected:
  VerifierTest() {
    barrier.set(true);
    barrier.compared = 0;
  }
  ~VerifierTest() override { barrier.set(true); }

  Credentials of(const std::string& password, const std::string& user = "alice") const { return {user, password}; }

  /// Asks, and leaves the answer to be awaited.
  Task<> ask(Verifier& verifier, Credentials credentials, const IpAddress& client, std::vector<Verdict>& answers) {
    auto asking = verifier.verify(*users_, std::move(credentials), client);
    const auto verdict = co_await asking;
    answers.push_back(verdict);
  }

  /// The answer, once there is one.
  Verdict verify(const Users& users, Credentials credentials) {
    std::vector<Verdict> answers;
    run(loop_, [](VerifierTest& test, const Users& known, Credentials own, std::vector<Verdict>& out) -> Task<> {
      auto asking = test.verifier_.verify(known, std::move(own), test.client_);
      const auto verdict = co_await asking;
      out.push_back(verdict);
    }(*this, users, std::move(credentials), answers));
    return answers.at(0);
  }

  void join(TaskGroup& group) {
    run(loop_, [](TaskGroup& all) -> Task<> { co_await all.join(kNoDeadline); }(group));
  }

  Loop loop_;
  PasswordThreads threads_{&compare_slowly};
  Verifier verifier_{loop_, threads_};
  const std::shared_ptr<const Users> users_ = UsersReading::of_text("alice:" + kHash + "\n").users;
  const IpAddress client_ = *IpAddress::parse("192.0.2.1");
};

TEST_F(VerifierTest, WhatWasProvenIsNotComparedAgain) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(verify(*users_, of("secret")), Verdict::kProven);
  EXPECT_EQ(barrier.compared, 1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(verify(*users_, of("wrong")), Verdict::kWrong);
  EXPECT_EQ(barrier.compared, 4) << "failures are compared each time";
}

TEST_F(VerifierTest, AnUnknownUserIsComparedToo) {
  EXPECT_EQ(verify(*users_, of("secret", "mallory")), Verdict::kWrong);
  EXPECT_EQ(verify(*users_, of("secret", "mallory")), Verdict::kWrong);
  EXPECT_EQ(barrier.compared, 2);
  const auto nobody = UsersReading::of_text("").users;
  EXPECT_EQ(verify(*nobody, of("secret")), Verdict::kWrong);
  EXPECT_EQ(barrier.compared, 2);
}

TEST_F(VerifierTest, AnotherHashIsAnotherQuestion) {
  EXPECT_EQ(verify(*users_, of("secret")), Verdict::kProven);
  const auto changed = UsersReading::of_text("alice:$apr1$abcdefgh$bw9gEObk10asetVLiysIZ0\n").users;
  verify(*changed, of("secret"));
  EXPECT_EQ(barrier.compared, 2);
}

TEST_F(VerifierTest, TheSameCredentialsAreComparedOnceAtATime) {
  barrier.set(false);
  std::vector<Verdict> answers;
  TaskGroup group(loop_);
  for (int i = 0; i < 10; ++i) group.spawn(ask(verifier_, of("secret"), client_, answers));
  barrier.wait_for(1);
  EXPECT_EQ(threads_.figures().under_way, 1u);
  EXPECT_EQ(threads_.figures().queued, 0u);
  barrier.set(true);
  join(group);
  EXPECT_EQ(answers, std::vector<Verdict>(10, Verdict::kProven));
  EXPECT_EQ(barrier.compared, 1);
}

TEST_F(VerifierTest, OneClientHasABoundedNumberUnderWay) {
  barrier.set(false);
  std::vector<Verdict> answers;
  TaskGroup group(loop_);
  for (unsigned i = 0; i < PasswordThreads::kMostOfClient + 2; ++i) {
    group.spawn(ask(verifier_, of("guess" + std::to_string(i)), client_, answers));
  }
  EXPECT_EQ(answers, std::vector<Verdict>(2, Verdict::kBusy));
  std::vector<Verdict> others;
  group.spawn(ask(verifier_, of("secret"), *IpAddress::parse("192.0.2.2"), others));
  EXPECT_TRUE(others.empty()) << "another client is taken";
  barrier.set(true);
  join(group);
  EXPECT_EQ(others, std::vector<Verdict>{Verdict::kProven});
  EXPECT_EQ(answers.size(), PasswordThreads::kMostOfClient + 2);
  answers.clear();
  group.spawn(ask(verifier_, of("guess"), client_, answers));
  join(group);
  EXPECT_EQ(answers, std::vector<Verdict>{Verdict::kWrong}) << "what has ended does not count";
}

TEST_F(VerifierTest, TheQueueIsBounded) {
  barrier.set(false);
  std::vector<PasswordThreads::WaiterPtr> waiters;
  const auto question = [&](unsigned i) {
    const auto key = threads_.key_of("alice", std::to_string(i), kHash, true);
    return PasswordThreads::Question{*key, std::to_string(i), kHash, true,
                                     *IpAddress::parse("198.51.100." + std::to_string(i))};
  };
  for (unsigned i = 0; i < PasswordThreads::kThreads; ++i) waiters.push_back(threads_.ask(loop_, question(i)));
  barrier.wait_for(PasswordThreads::kThreads);
  for (unsigned i = 0; i < PasswordThreads::kMostQueued; ++i) {
    waiters.push_back(threads_.ask(loop_, question(100 + i)));
    EXPECT_NE(waiters.back(), nullptr);
  }
  EXPECT_EQ(threads_.ask(loop_, question(99)), nullptr);
  EXPECT_EQ(threads_.figures().queued, PasswordThreads::kMostQueued);
  // Who leaves makes room, and what nobody waits for is not compared.
  for (const auto& waiter : waiters) threads_.leave(waiter);
  EXPECT_EQ(threads_.figures().queued, 0u);
  EXPECT_EQ(threads_.figures().under_way, PasswordThreads::kThreads);
  auto last = threads_.ask(loop_, question(99));
  ASSERT_NE(last, nullptr);
  barrier.set(true);
  run(loop_, [](PasswordThreads::WaiterPtr waiter) -> Task<> { co_await waiter->answered.wait(kNoDeadline); }(last));
  EXPECT_TRUE(last->answered.is_set());
  EXPECT_EQ(barrier.compared, static_cast<int>(PasswordThreads::kThreads) + 1);
}

TEST(ProvenCredentials, AreForgottenAfterATimeAndWhenThereAreTooMany) {
  ProvenCredentials proven;
  const TimePoint now = Clock::now();
  const auto key = [](std::size_t number) {
    CredentialsKey made{};
    std::memcpy(made.data(), &number, sizeof number);
    return made;
  };
  proven.add(key(0), now);
  EXPECT_TRUE(proven.knows(key(0), now + ProvenCredentials::kFor - Duration(1)));
  EXPECT_FALSE(proven.knows(key(0), now + ProvenCredentials::kFor));
  EXPECT_FALSE(proven.knows(key(1), now));
  for (std::size_t i = 1; i <= ProvenCredentials::kMost; ++i) proven.add(key(i), now);
  EXPECT_EQ(proven.size(), ProvenCredentials::kMost);
  EXPECT_FALSE(proven.knows(key(0), now)) << "the oldest made room";
  EXPECT_TRUE(proven.knows(key(1), now));
  EXPECT_TRUE(proven.knows(key(ProvenCredentials::kMost), now));
}

}  // namespace
}  // namespace headgate::auth
