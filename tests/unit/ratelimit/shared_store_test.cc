// SPDX-License-Identifier: Apache-2.0
// A worker's way to a shared limit, against a Redis whose answers are scripted.
#include "ratelimit/shared_store.h"

#include <future>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/ratelimit/fake_redis.h"

namespace headgate::ratelimit {
namespace {

using namespace std::chrono_literals;
using What = SharedVerdict::What;
using Command = FakeRedis::Command;

class Text final : public KeyText {
 public:
  explicit Text(std::string text) : text_(std::move(text)) {}
  std::string text() const override { return text_; }

 private:
  const std::string text_;
};

/// Grants all that is wanted of every key, with this many left.
std::string grant_all(const Command& command, long remaining) {
  std::vector<long> numbers;
  const auto keys = static_cast<std::size_t>(std::stol(command[2]));
  for (std::size_t i = 0; i < keys; ++i) {
    numbers.push_back(std::stol(command[3 + keys + kTokenArguments * i + 3]));
    numbers.push_back(remaining);
    numbers.push_back(0);
  }
  return FakeRedis::numbers(numbers);
}

class SharedStoreTest : public testing::Test {
 public:
  SharedStoreTest() : tasks(loop), path(folder / "redis.sock"), store(loop, stores, {}) {
    limit.name = "one";
    limit.rate = {100, 1s};
    limit.burst = 100;
    limit.lease = 1;
    limit.store = config::RateLimit::Store::kRedis;
  }

  /// Runs a test's coroutine, with the store as configured, to its end.
  void run(Task<> (*body)(SharedStoreTest&), const std::string& url = "") {
    config::Config config;
    config.redis.emplace();
    config.redis->urls = {url.empty() ? "unix:" + path : url};
    config.redis->timeout = timeout;
    config.rate_limits = {limit};
    stores.adopt(config, nanos_of(Clock::now()));
    rule = std::make_shared<const SharedRule>(limit, stores.id_of("one"));
    store.configure(&*config.redis);
    tasks.spawn(wrap(*this, body));
    loop.run();
  }
  static Task<> wrap(SharedStoreTest& test, Task<> (*body)(SharedStoreTest&)) {
    auto running = body(test);
    co_await running;
    auto stopping = test.store.stop();
    co_await stopping;
    test.loop.stop();
  }

  KeyId key(const std::string& text) const { return {key_hash(rule->id.seed, text), rule->id.owner}; }
  Nanos now() const { return nanos_of(loop.now()); }
  SharedVerdict try_take(const std::string& text) { return store.try_take(rule, key(text), now(), Text(text)); }
  Task<SharedVerdict> take(const std::string& text) { return store.take(rule, key(text), text); }
  /// As a request does it.
  static Task<SharedVerdict> request(SharedStoreTest& test, std::string text) {
    auto verdict = test.try_take(text);
    if (verdict.what == What::kAsk) {
      auto asking = test.take(text);
      verdict = co_await asking;
    }
    co_return verdict;
  }

  TemporaryFolder folder;
  Loop loop;
  TaskGroup tasks;
  const std::string path;
  Stores stores;
  SharedStore store;
  config::RateLimit limit;
  std::chrono::milliseconds timeout{5000};
  std::shared_ptr<const SharedRule> rule;

  std::promise<void> go;  // for the answers of `held`
  FakeRedis* held = nullptr;
};

TEST(SharedRule, LeasesTogetherKeepToTheSlack) {
  config::RateLimit limit;
  limit.name = "one";
  limit.rate = {100, 1s};
  limit.burst = 1000;
  const SharedRule rule(limit, {});
  for (std::uint32_t instances = 1; instances <= 200; ++instances) {
    const auto lease = rule.lease_of(instances);
    ASSERT_GE(lease, 1u);
    const auto first = rule.trusts_the_first(instances) ? 1u : 0u;
    if (lease > 1) {
      ASSERT_LE((lease + first) * instances, 50u) << instances;
    }
  }
  EXPECT_EQ(rule.lease_of(1), 49u);
  EXPECT_EQ(rule.lease_of(4), 11u);
  EXPECT_EQ(rule.lease_of(100), 1u);
  limit.lease = 7;
  EXPECT_EQ(SharedRule(limit, {}).lease_of(100), 7u);
  limit.lease = 1;
  EXPECT_FALSE(SharedRule(limit, {}).trusts_the_first(1));
}

TEST_F(SharedStoreTest, RequestsOfOneTurnAreOneCommand) {
  FakeRedis redis(path, [](const Command& command) { return grant_all(command, 50); });
  run([](SharedStoreTest& test) -> Task<> {
    auto first = request(test, "a");
    auto second = request(test, "b");
    auto third = request(test, "a");
    first.start();
    second.start();
    third.start();
    const auto one = co_await first;
    const auto two = co_await second;
    const auto three = co_await third;
    EXPECT_EQ(one.what, What::kPassed);
    EXPECT_EQ(two.what, What::kPassed);
    EXPECT_EQ(three.what, What::kPassed);
  });
  const auto asked = redis.asked();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0], (Command{"EVALSHA", std::string(40, 'a'), "2", "headgate:limit:one:a", "headgate:limit:one:b",
                               "10000.000", "100", "0", "2", "10000.000", "100", "0", "1"}));
}

TEST_F(SharedStoreTest, ALeaseIsSpentWithoutAsking) {
  limit.lease = 10;
  FakeRedis redis(path, [](const Command& command) { return grant_all(command, 50); });
  run([](SharedStoreTest& test) -> Task<> {
    for (int i = 0; i < 7; ++i) {
      auto asking = request(test, "a");
      const auto verdict = co_await asking;
      EXPECT_EQ(verdict.what, What::kPassed);
      EXPECT_EQ(verdict.remaining, static_cast<std::uint64_t>(50 + 9 - i));
    }
  });
  const auto asked = redis.asked();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].back(), "10");
}

// The clients of a busy key began at once, each fetched a lease for it, and the store was empty, though the key was far
// from its limit.
TEST_F(SharedStoreTest, WhileALeaseIsOnItsWayOthersAskForThemselves) {
  limit.lease = 10;
  FakeRedis fake(path, [gone = go.get_future().share()](const Command& command) {
    gone.wait();
    return grant_all(command, 50);
  });
  held = &fake;
  run([](SharedStoreTest& test) -> Task<> {
    Event pause(test.loop);
    auto first = request(test, "a");
    first.start();
    while (test.held->asked().empty()) co_await pause.wait(test.loop.now() + 1ms);
    auto second = request(test, "a");
    auto third = request(test, "a");
    second.start();
    third.start();
    test.go.set_value();
    const auto one = co_await first;
    const auto two = co_await second;
    const auto three = co_await third;
    EXPECT_EQ(one.what, What::kPassed);
    EXPECT_EQ(two.what, What::kPassed);
    EXPECT_EQ(three.what, What::kPassed);
  });
  const auto asked = fake.asked();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0].back(), "10");
  EXPECT_EQ(asked[1].back(), "2");
}

TEST_F(SharedStoreTest, ARefusalIsRememberedAsLongAsTheStoreSays) {
  FakeRedis redis(path, [](const Command&) { return FakeRedis::numbers({0, 0, 3'600'000'000}); });
  run([](SharedStoreTest& test) -> Task<> {
    auto asking = request(test, "a");
    const auto refused = co_await asking;
    EXPECT_EQ(refused.what, What::kRefused);
    EXPECT_EQ(refused.retry_after, Nanos{3'600'000'000'000});
    for (int i = 0; i < 100; ++i) EXPECT_EQ(test.try_take("a").what, What::kRefused);
    const auto later = test.store.try_take(test.rule, test.key("a"), test.now() + Nanos{3'600'000'000'001}, Text("a"));
    EXPECT_EQ(later.what, What::kAsk);
  });
  EXPECT_EQ(redis.asked().size(), 1u);
}

TEST_F(SharedStoreTest, AFewGrantedAmongMany) {
  FakeRedis redis(path, [](const Command&) { return FakeRedis::numbers({2, 0, 10'000}); });
  run([](SharedStoreTest& test) -> Task<> {
    std::vector<Task<SharedVerdict>> asking;
    for (int i = 0; i < 5; ++i) {
      asking.push_back(request(test, "a"));
      asking.back().start();
    }
    int passed = 0;
    for (auto& one : asking) {
      const auto verdict = co_await one;
      if (verdict.what == What::kPassed) ++passed;
    }
    EXPECT_EQ(passed, 2);
  });
}

TEST_F(SharedStoreTest, WhatIsGivenBackIsSpentNext) {
  FakeRedis redis(path, [](const Command& command) { return grant_all(command, 0); });
  run([](SharedStoreTest& test) -> Task<> {
    auto asking = request(test, "a");
    const auto verdict = co_await asking;
    EXPECT_TRUE(verdict.counted);
    test.store.give_back(*test.rule, test.key("a"), verdict.local, test.now());
    EXPECT_EQ(test.try_take("a").what, What::kPassed);
  });
  EXPECT_EQ(redis.asked().size(), 1u);
}

TEST_F(SharedStoreTest, ALostScriptIsSentAgain) {
  int count = 0;
  FakeRedis redis(path, [&](const Command& command) {
    return ++count == 1 ? std::string("-NOSCRIPT No matching script.\r\n") : grant_all(command, 5);
  });
  run([](SharedStoreTest& test) -> Task<> {
    auto asking = request(test, "a");
    const auto verdict = co_await asking;
    EXPECT_EQ(verdict.what, What::kPassed);
    EXPECT_FALSE(verdict.local);
  });
  const auto asked = redis.asked();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[1][0], "EVAL");
  EXPECT_EQ(asked[1][1], kTokenScript);
}

TEST_F(SharedStoreTest, AStoreThatIsSilentIsGivenUp) {
  timeout = 20ms;
  FakeRedis redis(path, [](const Command&) { return FakeRedis::kSilence; });
  run([](SharedStoreTest& test) -> Task<> {
    for (int i = 0; i < 3; ++i) {
      auto asking = request(test, "key" + std::to_string(i));
      const auto verdict = co_await asking;
      EXPECT_EQ(verdict.what, What::kPassed);
      EXPECT_TRUE(verdict.local);
    }
    // From now on nobody waits.
    EXPECT_EQ(test.try_take("another").what, What::kPassed);
  });
  EXPECT_EQ(redis.asked().size(), 3u);
  EXPECT_EQ(stores.failures(), 4u);
}

TEST_F(SharedStoreTest, NonsenseIsAFailure) {
  for (const char* answer : {"+OK\r\n", ":1\r\n", "*1\r\n:1\r\n", "*3\r\n:1\r\n$1\r\nx\r\n:0\r\n", "-ERR no\r\n",
                             "$-1\r\n", "?\r\n", FakeRedis::kHangUp}) {
    TemporaryFolder place;
    const std::string socket = place / "redis.sock";
    FakeRedis redis(socket, [&](const Command&) { return answer; });
    limit.on_store_failure = config::RateLimit::OnStoreFailure::kDeny;
    run(
        [](SharedStoreTest& test) -> Task<> {
          auto asking = request(test, "a");
          const auto verdict = co_await asking;
          EXPECT_EQ(verdict.what, What::kDenied);
        },
        "unix:" + socket);
    if (HasFailure()) FAIL() << answer;
  }
}

TEST_F(SharedStoreTest, AStoreThatCannotBeWrittenIsNone) {
  FakeRedis redis(path, [](const Command& command) { return grant_all(command, 5); });
  redis.heartbeat = "-READONLY You can't write against a read only replica.\r\n";
  run([](SharedStoreTest& test) -> Task<> {
    auto asking = request(test, "a");
    const auto verdict = co_await asking;
    EXPECT_TRUE(verdict.local);
  });
  EXPECT_EQ(redis.asked().size(), 0u);
}

TEST_F(SharedStoreTest, WithoutAStoreTheRuleHolds) {
  limit.on_store_failure = config::RateLimit::OnStoreFailure::kAllow;
  run([](SharedStoreTest& test) -> Task<> {
    auto asking = request(test, "a");
    auto verdict = co_await asking;
    EXPECT_EQ(verdict.what, What::kPassed);
    EXPECT_FALSE(verdict.counted);
  });
}

TEST_F(SharedStoreTest, WithoutItsStoreAnInstanceEnforcesItsShare) {
  limit.burst = 30;
  int count = 0;
  FakeRedis redis(path, [&](const Command& command) {
    return ++count == 1 ? grant_all(command, 5) : std::string(FakeRedis::kHangUp);
  });
  redis.instances = 3;
  run([](SharedStoreTest& test) -> Task<> {
    auto asking = request(test, "a");
    auto verdict = co_await asking;
    EXPECT_FALSE(verdict.local);
    asking = request(test, "a");
    verdict = co_await asking;
    EXPECT_TRUE(verdict.local);
    for (int passed = 2; passed <= 10; ++passed) EXPECT_EQ(test.try_take("a").what, What::kPassed) << passed;
    EXPECT_EQ(test.try_take("a").what, What::kRefused);
    EXPECT_EQ(test.try_take("b").what, What::kPassed);
  });
}

}  // namespace
}  // namespace headgate::ratelimit
