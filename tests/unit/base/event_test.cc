// SPDX-License-Identifier: Apache-2.0
#include "base/event.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/base/run.h"

namespace headgate {
namespace {

Task<> note_wake(Event& event, TimePoint deadline, std::vector<Wake>& wakes) {
  const Wake wake = co_await event.wait(deadline);
  wakes.push_back(wake);
}

class EventTest : public ::testing::Test {
 protected:
  /// Begins a wait; its end is noted in wakes.
  void wait(Event& event, TimePoint deadline = kNoDeadline) { group.spawn(note_wake(event, deadline, wakes)); }

  Loop loop;
  TaskGroup group{loop};
  std::vector<Wake> wakes;
};

TEST_F(EventTest, ASetEventDoesNotSleep) {
  Event event(loop);
  event.set();
  wait(event);
  wait(event);
  EXPECT_EQ(wakes, (std::vector{Wake::kReady, Wake::kReady}));
  EXPECT_TRUE(event.is_set());
}

TEST_F(EventTest, SetWakesFromTheLoopAndNotFromInside) {
  Event event(loop);
  wait(event);
  EXPECT_TRUE(event.has_waiter());
  event.set();
  EXPECT_FALSE(event.has_waiter());
  EXPECT_TRUE(wakes.empty());
  turn(loop);
  EXPECT_EQ(wakes, std::vector{Wake::kReady});
}

TEST_F(EventTest, ClearMakesTheNextWaitSleep) {
  Event event(loop);
  event.set();
  event.clear();
  wait(event);
  EXPECT_TRUE(wakes.empty());
  event.set();
  turn(loop);
  EXPECT_EQ(wakes.size(), 1u);
}

TEST_F(EventTest, AWaitThatWasWokenStaysReadyWhenTheFlagIsClearedMeanwhile) {
  Event event(loop);
  wait(event);
  event.set();
  event.clear();
  turn(loop);
  EXPECT_EQ(wakes, std::vector{Wake::kReady});
}

TEST_F(EventTest, CancelEndsThisWaitAndAllLaterOnes) {
  Event event(loop);
  wait(event);
  event.cancel();
  turn(loop);
  wait(event);
  event.set();
  wait(event);
  EXPECT_EQ(wakes, (std::vector{Wake::kCancelled, Wake::kCancelled, Wake::kCancelled}));
  EXPECT_TRUE(event.cancelled());
}

TEST_F(EventTest, CancelWinsOverASetThatHasNotBeenSeen) {
  Event event(loop);
  wait(event);
  event.set();
  event.cancel();
  turn(loop);
  EXPECT_EQ(wakes, std::vector{Wake::kCancelled});
}

TEST_F(EventTest, InterruptEndsOneWait) {
  Event event(loop);
  event.interrupt();
  wait(event);
  EXPECT_TRUE(wakes.empty());
  event.interrupt();
  turn(loop);
  wait(event);
  event.set();
  turn(loop);
  EXPECT_EQ(wakes, (std::vector{Wake::kCancelled, Wake::kReady}));
}

TEST(Event, TimesOutNotBeforeItsDeadline) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    Event event(l);
    const TimePoint deadline = in(std::chrono::milliseconds(30));
    const Wake wake = co_await event.wait(deadline);
    EXPECT_EQ(wake, Wake::kTimeout);
    EXPECT_GE(Clock::now(), deadline);
    EXPECT_GE(l.now(), deadline);
    const Wake past = co_await event.wait(deadline);
    EXPECT_EQ(past, Wake::kTimeout);
  }(loop));
}

TEST(Event, ADeadlineOfAnEndedWaitDoesNotEndTheNext) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    Event event(l);
    Event other(l);
    TaskGroup group(l);
    std::vector<Wake> wakes;
    group.spawn(note_wake(event, in(std::chrono::milliseconds(20)), wakes));
    event.set();
    co_await group.join(kNoDeadline);
    event.clear();
    group.spawn(note_wake(event, kNoDeadline, wakes));
    co_await other.wait(in(std::chrono::milliseconds(80)));
    EXPECT_EQ(wakes.size(), 1u);
    event.set();
    co_await group.join(kNoDeadline);
    EXPECT_EQ(wakes, (std::vector{Wake::kReady, Wake::kReady}));
  }(loop));
}

TEST(Event, ManyWaitersEndInTheOrderOfTheirDeadlines) {
  Loop loop;
  run(loop, [](Loop& l) -> Task<> {
    std::string order;
    TaskGroup group(l);
    Event a(l);
    Event b(l);
    Event c(l);
    const auto note = [](Event& event, TimePoint deadline, char name, std::string& out) -> Task<> {
      co_await event.wait(deadline);
      out += name;
    };
    group.spawn(note(a, in(std::chrono::milliseconds(90)), 'a', order));
    group.spawn(note(b, in(std::chrono::milliseconds(10)), 'b', order));
    group.spawn(note(c, in(std::chrono::milliseconds(50)), 'c', order));
    co_await group.join(kNoDeadline);
    EXPECT_EQ(order, "bca");
  }(loop));
}

TEST_F(EventTest, WaitersAreResumedInTheOrderInWhichTheyBecameReady) {
  std::vector<std::unique_ptr<Event>> events;
  std::string order;
  const auto note = [](Event& event, char name, std::string& out) -> Task<> {
    co_await event.wait(kNoDeadline);
    out += name;
  };
  for (char name = 'a'; name <= 'e'; ++name) {
    events.push_back(std::make_unique<Event>(loop));
    group.spawn(note(*events.back(), name, order));
  }
  for (const std::size_t i : {3u, 0u, 4u, 1u, 2u}) events[i]->set();
  turn(loop);
  EXPECT_EQ(order, "daebc");
}

}  // namespace
}  // namespace headgate
