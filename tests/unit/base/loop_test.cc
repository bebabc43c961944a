// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "tests/unit/base/run.h"

namespace headgate {
namespace {

TEST(Loop, PostsOfManyThreadsAllArriveEachThreadsInOrder) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  Loop loop;
  std::vector<std::vector<int>> seen(kThreads);
  int total = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        loop.post([&, t, i] {
          seen[static_cast<std::size_t>(t)].push_back(i);
          if (++total == kThreads * kPosts) loop.stop();
        });
      }
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  for (const auto& of_thread : seen) {
    ASSERT_EQ(of_thread.size(), static_cast<std::size_t>(kPosts));
    for (int i = 0; i < kPosts; ++i) ASSERT_EQ(of_thread[static_cast<std::size_t>(i)], i);
  }
}

TEST(Loop, StopsFromAnotherThreadAndRunsAgain) {
  Loop loop;
  for (int round = 0; round < 3; ++round) {
    std::thread stopper([&] { loop.stop(); });
    loop.run();
    stopper.join();
  }
}

TEST(Loop, AStopBeforeRunEndsThatRun) {
  Loop loop;
  loop.stop();
  loop.run();
  bool ran = false;
  loop.post([&] { ran = true; });
  loop.stop();
  loop.run();
  EXPECT_TRUE(ran);
}

TEST(Loop, WhatAPostedFunctionPostsRunsToo) {
  Loop loop;
  int depth = 0;
  std::function<void()> again = [&] {
    if (++depth == 5) {
      loop.stop();
    } else {
      loop.post(again);
    }
  };
  loop.post(again);
  loop.run();
  EXPECT_EQ(depth, 5);
}

Task<> take_turns(Loop& loop, char name, int turns, std::string& order) {
  for (int i = 0; i < turns; ++i) {
    order += name;
    co_await loop.yield();
  }
}

TEST(Loop, YieldLetsEveryOtherRunOnce) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    std::string order;
    TaskGroup group(l);
    for (const char name : {'a', 'b', 'c'}) group.spawn(take_turns(l, name, 4, order));
    co_await group.join(kNoDeadline);
    EXPECT_EQ(order, "abcabcabcabc");
  }(loop));
}

TEST(Loop, ABusyCoroutineStarvesNeitherPostsNorDescriptorsNorDeadlines) {
  struct Watcher final : Readiness {
    void on_events(std::uint32_t) override { ++events; }
    int events = 0;
  };
  Loop loop;
  Watcher watcher;
  const UniqueFd fd(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  ASSERT_TRUE(loop.add(fd.get(), EPOLLIN | EPOLLET, watcher));
  bool posted = false;
  loop.post([&] { posted = true; });
  run(loop, [](Loop& l, Watcher& w, bool& flag) -> Task<> {
    Event alarm(l);
    TaskGroup group(l);
    bool timed_out = false;
    group.spawn([](Event& event, bool& out) -> Task<> {
      const Wake wake = co_await event.wait(in(std::chrono::milliseconds(20)));
      out = wake == Wake::kTimeout;
    }(alarm, timed_out));
    while (!timed_out || !flag || w.events == 0) co_await l.yield();
    co_await group.join(kNoDeadline);
  }(loop, watcher, posted));
  EXPECT_EQ(watcher.events, 1);
  loop.remove(fd.get());
}

TEST(Loop, RefusesWhatCannotBeWatched) {
  struct Ignorer final : Readiness {
    void on_events(std::uint32_t) override {}
  };
  Loop loop;
  Ignorer ignorer;
  EXPECT_FALSE(loop.add(-1, EPOLLIN, ignorer));
  EXPECT_EQ(errno, EBADF);
}

TEST(Loop, NowMovesOnWithEachTurn) {
  Loop loop;
  const TimePoint before = loop.now();
  std::this_thread::yield();
  turn(loop);
  const TimePoint after = loop.now();
  EXPECT_GT(after, before);
  EXPECT_LE(after, Clock::now());
}

}  // namespace
}  // namespace headgate
