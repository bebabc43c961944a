// SPDX-License-Identifier: Apache-2.0
#include "base/task.h"

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/base/run.h"

namespace headgate {
namespace {

Task<int> number(int value) {
  co_return value;
}

Task<std::unique_ptr<std::string>> only_moves(std::string text) {
  co_return std::make_unique<std::string>(std::move(text));
}

Task<int> thrower(Loop& loop, bool late) {
  if (late) co_await loop.yield();
  throw std::runtime_error("out of it");
}

Task<int> later(Loop& loop, int value) {
  co_await loop.yield();
  co_return value;
}

TEST(Task, GivesItsValue) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    const int now = co_await number(41);
    EXPECT_EQ(now, 41);
    const int after = co_await later(l, 42);
    EXPECT_EQ(after, 42);
    const auto moved = co_await only_moves("text");
    EXPECT_EQ(*moved, "text");
  }(loop));
}

Task<int> doubled(Loop& loop, int value, bool wait) {
  if (!wait) return 2 * value;  // no coroutine
  return later(loop, 2 * value);
}

TEST(Task, IsDoneAtOnceWhenItWasMadeOfAValue) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    for (const bool wait : {false, true}) {
      Task<int> task = doubled(l, 21, wait);
      EXPECT_TRUE(bool(task));
      EXPECT_EQ(task.done(), !wait);
      task.start();
      EXPECT_EQ(task.done(), !wait);
      const int value = co_await task;
      EXPECT_EQ(value, 42);
    }
    Task<> nothing = Task<>::ready();
    EXPECT_TRUE(nothing.done());
    co_await nothing;
  }(loop));
}

TEST(Task, MovesItsValue) {
  Task<std::unique_ptr<int>> task = std::make_unique<int>(7);
  Task<std::unique_ptr<int>> other = std::move(task);
  EXPECT_FALSE(bool(task));
  EXPECT_TRUE(other.done());
  task = std::move(other);
  EXPECT_TRUE(task.done());
  EXPECT_FALSE(bool(other));
  Loop loop;
  run(loop, [](Task<std::unique_ptr<int>> moved) -> Task<> {
    const auto value = co_await moved;
    EXPECT_EQ(*value, 7);
  }(std::move(task)));
}

TEST(Task, ThrowsWhereItIsAwaited) {
  Loop loop;
  for (const bool late : {false, true}) {
    run(loop, [](Loop& l, bool is_late) -> Task<> {
      std::string caught;
      Task<int> task = thrower(l, is_late);
      task.start();
      EXPECT_EQ(task.done(), !is_late);
      try {
        co_await task;
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
      EXPECT_EQ(caught, "out of it");
    }(loop, late));
  }
}

TEST(Task, DoesNotStartByItself) {
  bool ran = false;
  {
    auto task = [](bool& flag) -> Task<> {
      flag = true;
      co_return;
    }(ran);
    EXPECT_TRUE(bool(task));
    EXPECT_FALSE(task.done());
  }
  EXPECT_FALSE(ran);
}

TEST(Task, RunsBesideItsOwnerAfterStart) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    std::string order;
    auto beside = [](Loop& inner, std::string& out) -> Task<> {
      out += 'a';
      co_await inner.yield();
      out += 'c';
    }(l, order);
    beside.start();
    order += 'b';
    EXPECT_FALSE(beside.done());
    co_await beside;
    EXPECT_TRUE(beside.done());
    EXPECT_EQ(order, "abc");
  }(loop));
}

TEST(Task, MayBeAwaitedLongAfterItEnded) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    Task<int> task = later(l, 7);
    task.start();
    for (int i = 0; i < 5; ++i) co_await l.yield();
    EXPECT_TRUE(task.done());
    const int value = co_await task;
    EXPECT_EQ(value, 7);
  }(loop));
}

// A frame of its own, so that the address is of the stack and not of the coroutine.
[[gnu::noinline]] std::uintptr_t stack_pointer() {
  return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
}

Task<std::uintptr_t> depth() {
  co_return stack_pointer();
}

TEST(Task, AMillionReadyChildrenDoNotGrowTheStack) {
  Loop loop;
  run(loop, []() -> Task<> {
    const std::uintptr_t first = co_await depth();
    std::uint64_t sum = 0;
    for (int i = 0; i < 1'000'000; ++i) sum += static_cast<std::uint64_t>(co_await number(1));
    const std::uintptr_t last = co_await depth();
    EXPECT_EQ(sum, 1'000'000u);
    EXPECT_EQ(first, last);
  }());
}

struct CountsLives {
  explicit CountsLives(int& c) : count(c) { ++count; }
  ~CountsLives() { --count; }
  CountsLives(const CountsLives&) = delete;
  CountsLives& operator=(const CountsLives&) = delete;
  int& count;
};

Task<> holds(Loop& loop, int& lives) {
  const CountsLives one(lives);
  co_await loop.yield();
}

TEST(Task, DestroyingItFreesWhatItHolds) {
  Loop loop;
  int lives = 0;
  run(loop, [](Loop& l, int& count) -> Task<> {
    {
      auto task = holds(l, count);
      task.start();
      EXPECT_EQ(count, 1);
      co_await task;
      EXPECT_EQ(count, 0);
    }
    auto never = holds(l, count);
    auto moved = std::move(never);
    EXPECT_FALSE(bool(never));
    moved = {};
    EXPECT_EQ(count, 0);
  }(loop, lives));
  EXPECT_EQ(lives, 0);
}

Task<int> nested(Loop& loop, int levels) {
  if (levels == 0) {
    co_await loop.yield();
    co_return 0;
  }
  const int below = co_await nested(loop, levels - 1);
  co_return below + 1;
}

TEST(Task, ChainsOfOwnersWakeOneAnother) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    const int levels = co_await nested(l, 200);
    EXPECT_EQ(levels, 200);
  }(loop));
}

}  // namespace
}  // namespace headgate
