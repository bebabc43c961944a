// SPDX-License-Identifier: Apache-2.0
// Running coroutines of a test on a loop. A wait that never ends is ended by CTest's own limit.
#pragma once

#include <exception>
#include <utility>

#include <gtest/gtest.h>

#include "base/loop.h"
#include "base/task_group.h"

/// As ASSERT_TRUE, in a coroutine. The condition must not hold a co_await.
#define CO_REQUIRE(condition)                    \
  do {                                           \
    const bool headgate_holds = bool(condition); \
    EXPECT_TRUE(headgate_holds) << #condition;   \
    if (!headgate_holds) co_return;              \
  } while (false)

namespace headgate {

inline Task<> run_then_stop(Loop& loop, Task<> task, std::exception_ptr& failure) {
  try {
    co_await task;
  } catch (...) {
    failure = std::current_exception();
  }
  task = {};
  loop.stop();
}

/// Runs the task, and the loop with it, until the task has ended. What it throws is thrown here.
inline void run(Loop& loop, Task<> task) {
  std::exception_ptr failure;
  TaskGroup group(loop);
  group.spawn(run_then_stop(loop, std::move(task), failure));
  loop.run();
  ASSERT_EQ(group.size(), 0u) << "the loop was stopped by somebody else";
  if (failure) std::rethrow_exception(failure);
}

/// One turn of the loop: what the kernel has to tell is told, what is ready runs once.
inline void turn(Loop& loop) {
  loop.stop();
  loop.run();
}

inline TimePoint in(std::chrono::milliseconds wait) {
  return Clock::now() + wait;
}

}  // namespace headgate
