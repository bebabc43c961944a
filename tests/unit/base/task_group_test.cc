// SPDX-License-Identifier: Apache-2.0
#include "base/task_group.h"

#include <memory>
#include <stdexcept>

#include <gtest/gtest.h>

#include "tests/unit/base/run.h"

namespace headgate {
namespace {

Task<> wait_for(Event& event) {
  co_await event.wait(kNoDeadline);
}

TEST(TaskGroup, StartsCountsAndJoins) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    TaskGroup group(l);
    Event first(l);
    Event second(l);
    group.spawn(wait_for(first));
    group.spawn(wait_for(second));
    EXPECT_EQ(group.size(), 2u);
    const Wake early = co_await group.join(l.now());
    EXPECT_EQ(early, Wake::kTimeout);
    first.set();
    second.set();
    const Wake ended = co_await group.join(kNoDeadline);
    EXPECT_EQ(ended, Wake::kReady);
    EXPECT_EQ(group.size(), 0u);
    const Wake again = co_await group.join(kNoDeadline);
    EXPECT_EQ(again, Wake::kReady);
  }(loop));
}

TEST(TaskGroup, ATaskThatEndsAtOnceIsNotCounted) {
  Loop loop;
  TaskGroup group(loop);
  group.spawn([]() -> Task<> { co_return; }());
  EXPECT_EQ(group.size(), 0u);
}

TEST(TaskGroup, AnExceptionEndsItsTaskAlone) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    TaskGroup group(l);
    Event event(l);
    group.spawn(wait_for(event));
    group.spawn([](Loop& inner) -> Task<> {
      co_await inner.yield();
      throw std::runtime_error("expected by the test");
    }(l));
    co_await l.yield();
    co_await l.yield();
    EXPECT_EQ(group.size(), 1u);
    event.set();
    const Wake ended = co_await group.join(kNoDeadline);
    EXPECT_EQ(ended, Wake::kReady);
  }(loop));
}

TEST(TaskGroup, FreesATaskBeforeItCountsItAsEnded) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    auto shared = std::make_shared<int>(1);
    TaskGroup group(l);
    group.spawn([](Loop& inner, std::shared_ptr<int>) -> Task<> { co_await inner.yield(); }(l, shared));
    EXPECT_EQ(shared.use_count(), 2);
    co_await group.join(kNoDeadline);
    EXPECT_EQ(shared.use_count(), 1);
  }(loop));
}

TEST(TaskGroup, MayBeUsedAgainAfterJoin) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    TaskGroup group(l);
    for (int round = 0; round < 3; ++round) {
      Event event(l);
      group.spawn(wait_for(event));
      const Wake early = co_await group.join(l.now());
      EXPECT_EQ(early, Wake::kTimeout) << "round " << round;
      event.set();
      co_await group.join(kNoDeadline);
      EXPECT_EQ(group.size(), 0u);
    }
  }(loop));
}

}  // namespace
}  // namespace headgate
