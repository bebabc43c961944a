// SPDX-License-Identifier: Apache-2.0
#include "base/deadlines.h"

#include <functional>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace headgate {
namespace {

constexpr Duration kTick = DeadlineWheel::kTick;
constexpr Duration kTurn = kTick * DeadlineWheel::kSlots;
const TimePoint kStart = TimePoint(std::chrono::hours(100)) + std::chrono::nanoseconds(12345);

class Probe final : public Deadline {
 public:
  int fired = 0;
  std::function<void()> on_expired;

 private:
  void expired() override {
    ++fired;
    if (on_expired) on_expired();
  }
};

TEST(DeadlineWheel, FiresOnceWithinATickAndNeverBefore) {
  for (const Duration wait : {Duration(1), kTick - Duration(1), kTick, kTick + Duration(1), kTick * 100, kTurn - kTick,
                              kTurn, kTurn + Duration(1), kTurn * 3 + kTick * 7, Duration(std::chrono::hours(24))}) {
    DeadlineWheel wheel(kStart);
    Probe probe;
    wheel.arm(probe, kStart + wait);
    wheel.advance(kStart + wait - Duration(1));
    EXPECT_EQ(probe.fired, 0) << wait.count();
    wheel.advance(kStart + wait + kTick);
    EXPECT_EQ(probe.fired, 1) << wait.count();
    wheel.advance(kStart + wait * 3 + kTurn * 2);
    EXPECT_EQ(probe.fired, 1) << wait.count();
  }
}

TEST(DeadlineWheel, SmallStepsAndOneLongSleepComeToTheSame) {
  DeadlineWheel wheel(kStart);
  Probe probe;
  const TimePoint due = kStart + kTurn * 2 + kTick * 5;
  wheel.arm(probe, due);
  for (TimePoint now = kStart; now < due; now += kTick * 3 / 4) {
    wheel.advance(now);
    ASSERT_EQ(probe.fired, 0);
  }
  wheel.advance(due + kTick);
  EXPECT_EQ(probe.fired, 1);
}

TEST(DeadlineWheel, AnEmptyWheelHasNothingNext) {
  DeadlineWheel wheel(kStart);
  EXPECT_EQ(wheel.next(), kNoDeadline);
  {
    Probe gone;
    wheel.arm(gone, kStart + kTick);
    EXPECT_LE(wheel.next(), kStart + kTick * 2);
  }
  wheel.advance(kStart + kTick * 2);
  EXPECT_EQ(wheel.next(), kNoDeadline);
}

TEST(DeadlineWheel, DisarmedAndMovedOnesAreLeftAlone) {
  DeadlineWheel wheel(kStart);
  Probe disarmed;
  Probe later;
  Probe earlier;
  Probe by_never;
  for (Probe* probe : {&disarmed, &later, &earlier, &by_never}) wheel.arm(*probe, kStart + kTick * 10);
  wheel.disarm(disarmed);
  wheel.arm(later, kStart + kTick * 20);
  wheel.arm(earlier, kStart + kTick * 5);
  wheel.arm(by_never, kNoDeadline);
  wheel.advance(kStart + kTick * 6);
  EXPECT_EQ(earlier.fired, 1);
  wheel.advance(kStart + kTick * 15);
  EXPECT_EQ(later.fired, 0);
  wheel.advance(kStart + kTick * 21);
  EXPECT_EQ(later.fired, 1);
  EXPECT_EQ(earlier.fired, 1);
  EXPECT_EQ(disarmed.fired, 0);
  EXPECT_EQ(by_never.fired, 0);
}

TEST(DeadlineWheel, ATimeThatHasPassedFiresAtTheNextTick) {
  DeadlineWheel wheel(kStart);
  wheel.advance(kStart + kTick * 100);
  Probe probe;
  wheel.arm(probe, kStart - kTick);
  wheel.advance(kStart + kTick * 101);
  EXPECT_EQ(probe.fired, 1);
}

TEST(DeadlineWheel, MayArmItselfAgainWhileItFires) {
  DeadlineWheel wheel(kStart);
  Probe probe;
  TimePoint due = kStart + kTick;
  probe.on_expired = [&] {
    due += kTurn;  // the very slot that is being emptied
    wheel.arm(probe, due);
  };
  wheel.arm(probe, due);
  for (int i = 1; i <= 4; ++i) {
    const TimePoint now = due + kTick;
    wheel.advance(now - kTick - Duration(1));
    ASSERT_EQ(probe.fired, i - 1);
    wheel.advance(now);
    ASSERT_EQ(probe.fired, i);
  }
}

TEST(DeadlineWheel, MayMoveDisarmAndDestroyOthersOfItsSlotWhileItFires) {
  DeadlineWheel wheel(kStart);
  const TimePoint due = kStart + kTick * 4;
  std::vector<std::unique_ptr<Probe>> probes;
  for (int i = 0; i < 4; ++i) probes.push_back(std::make_unique<Probe>());
  auto destroyed = std::make_unique<Probe>();
  Probe& moved = *probes[0];
  Probe& disarmed = *probes[1];
  // Whichever of the slot comes first, it does all of this; the others then do nothing any more.
  bool acted = false;
  const auto act = [&] {
    if (std::exchange(acted, true)) return;
    destroyed.reset();
    wheel.arm(moved, due + kTick * 10);
    wheel.disarm(disarmed);
  };
  probes[2]->on_expired = act;
  wheel.arm(*probes[3], due);
  wheel.arm(*destroyed, due);
  wheel.arm(moved, due);
  wheel.arm(disarmed, due);
  wheel.arm(*probes[2], due);  // the one armed last is looked at first
  wheel.advance(due + kTick);
  EXPECT_TRUE(acted);
  EXPECT_EQ(moved.fired, 0);
  EXPECT_EQ(disarmed.fired, 0);
  EXPECT_EQ(probes[2]->fired, 1);
  EXPECT_EQ(probes[3]->fired, 1);
  wheel.advance(due + kTick * 11);
  EXPECT_EQ(moved.fired, 1);
}

TEST(DeadlineWheel, OutlivedByItsDeadlinesOrTheOtherWayRound) {
  Probe survivor;
  {
    DeadlineWheel wheel(kStart);
    Probe short_lived;
    wheel.arm(short_lived, kStart + kTick);
    wheel.arm(survivor, kStart + kTick);
  }
  DeadlineWheel another(kStart);
  another.arm(survivor, kStart + kTick);
  another.advance(kStart + kTick * 2);
  EXPECT_EQ(survivor.fired, 1);
}

/// Random use against a model that knows each deadline's time and nothing else.
class Model {
 public:
  explicit Model(unsigned seed) : random_(seed) {
    for (int i = 0; i < 40; ++i) add();
  }

  void step() {
    switch (pick(10)) {
      case 0:
      case 1:
      case 2:
      case 3:
        arm(pick(entries_.size()));
        break;
      case 4:
        disarm(pick(entries_.size()));
        break;
      case 5:
        entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(pick(entries_.size())));
        add();
        break;
      default:
        advance();
        break;
    }
    check_next();
  }

 private:
  struct Entry {
    std::unique_ptr<Probe> probe = std::make_unique<Probe>();
    TimePoint time = kNoDeadline;
    TimePoint armed_at{};
    int expected = 0;  // times it has fired
  };

  std::size_t pick(std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_); }
  Duration some_time() {
    switch (pick(4)) {
      case 0:
        return Duration(static_cast<Duration::rep>(pick(static_cast<std::size_t>(kTick.count() * 3))));
      case 1:
        return kTick * static_cast<Duration::rep>(pick(200));
      case 2:
        return Duration(static_cast<Duration::rep>(pick(static_cast<std::size_t>(kTurn.count()))));
      default:
        return Duration(static_cast<Duration::rep>(pick(static_cast<std::size_t>(kTurn.count() * 3))));
    }
  }

  void add() { entries_.emplace_back(); }
  void arm(std::size_t i) {
    auto& entry = entries_[i];
    entry.time = now_ + some_time() - (pick(5) == 0 ? kTick * 3 : Duration(0));
    entry.armed_at = now_;
    wheel_.arm(*entry.probe, entry.time);
  }
  void disarm(std::size_t i) {
    entries_[i].time = kNoDeadline;
    wheel_.disarm(*entries_[i].probe);
  }
  TimePoint latest(const Entry& entry) const { return std::max(entry.time, entry.armed_at) + kTick; }

  void advance() {
    now_ += some_time();
    wheel_.advance(now_);
    for (auto& entry : entries_) {
      if (entry.time == kNoDeadline || entry.time > now_) {
        ASSERT_EQ(entry.probe->fired, entry.expected) << "fired too early, or without having been armed";
        continue;
      }
      const bool fired = entry.probe->fired == entry.expected + 1;
      if (latest(entry) <= now_) {
        ASSERT_TRUE(fired) << "did not fire";
      }
      if (!fired) continue;
      ++entry.expected;
      entry.time = kNoDeadline;
    }
  }

  void check_next() {
    const TimePoint next = wheel_.next();
    ASSERT_GT(next, now_) << "the loop would spin";
    for (const auto& entry : entries_) {
      if (entry.time == kNoDeadline) continue;
      ASSERT_LE(next, latest(entry)) << "the loop would sleep too long";
    }
  }

  std::mt19937_64 random_;
  TimePoint now_ = kStart;
  DeadlineWheel wheel_{kStart};
  std::vector<Entry> entries_;
};

TEST(DeadlineWheel, AgreesWithAModel) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    Model model(seed);
    for (int i = 0; i < 1500; ++i) {
      model.step();
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace headgate
