// SPDX-License-Identifier: Apache-2.0
// The fleet: every instance on one store follows the same splits and rollouts. What is so is one text for each upstream
// there, with a version; whoever changes something writes the next version, and everybody looks five times a second.
// There are no messages between instances, and so none to lose.
//
// A rollout has one leader, by a lease: it compares the pools by what all instances have counted, and advances. The
// others follow its share, and only their guards act; any of them may roll back. Without the store nobody advances, and
// each instance judges by what it sees itself: back is always possible. docs/rollouts.md says what that means to users.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/loop.h"
#include "base/task.h"
#include "observe/events.h"
#include "traffic/fleet_store.h"
#include "traffic/rollouts.h"
#include "traffic/shared_traffic.h"
#include "traffic/traffic.h"

namespace headgate::traffic {

/// One loop's thread: the main thread's. What it is given outlives it.
class Fleet {
 public:
  static constexpr Duration kPoll = std::chrono::milliseconds(200);
  static constexpr Duration kTurn = std::chrono::milliseconds(500);
  /// An instance that has not taken a turn for this long is not seen: nobody advances ...
  static constexpr std::chrono::milliseconds kUnseen{2000};
  /// ... until it has been silent for this long: then it has gone, and the others go on.
  static constexpr std::chrono::milliseconds kGone{5000};

  /// `adopted` is called when something here is another instance's word now.
  Fleet(Loop& loop, Traffic& traffic, Rollouts& rollouts, observe::Events& events, std::function<void()> adopted)
      : loop_(loop),
        traffic_(traffic),
        rollouts_(rollouts),
        events_(events),
        adopted_(std::move(adopted)),
        met_(loop) {}

  /// From now on this is the store, and `instance` this one's name there; null: nothing is shared. A run() for the one
  /// before ends.
  void use(std::shared_ptr<FleetStore> store, std::string instance);
  bool on() const { return link_ != nullptr; }
  /// The store answers.
  bool up() const { return up_; }

  /// Looks, tells and takes turns until another store is used. Once for each use().
  Task<> run();
  /// One time. False: the store is away.
  Task<bool> round();
  /// Returns when the fleet's state has been adopted, or at the deadline.
  Task<> met(TimePoint deadline);
  /// Something may have been decided here: the others shall know soon.
  void wake();
  /// The program is stopping: follows on, and leads no more.
  void retire() { retired_ = true; }

  // --- operators ----------------------------------------------------------------------------------------------------

  struct Changed {
    bool done = false;
    bool alone = false;  ///< the store is away: only this instance has it
    bool raced = false;  ///< others were faster, again and again: it was not done
  };
  /// `apply` changes Traffic or Rollouts of one upstream, and returns false when it is refused. It is called on the
  /// fleet's latest state, and once more when another instance was faster. `at_once`: here before the store is asked,
  /// as for what ends trouble.
  Task<Changed> change(std::string upstream, bool at_once, std::function<bool()> apply);

  // --- rollouts -----------------------------------------------------------------------------------------------------

  /// What this instance sees of a rollout, `own`, as the fleet's rules have it judged.
  Rollouts::Sight look(const Rollouts::Place& place, Rollouts::Sight own) const;

  enum class Role { kAway, kInStep, kFollower, kLeader };
  /// kInStep: no rollout is under way.
  Role role(const std::string& upstream) const;

 private:
  struct Link {
    Link(Loop& loop, std::shared_ptr<FleetStore> to) : store(std::move(to)), alarm(loop) {}
    std::shared_ptr<FleetStore> store;
    Event alarm;
  };
  struct Entry {
    std::uint64_t version = 0;        // that this instance has adopted or written
    std::uint64_t there = 0;          // of what is in the store; 0: nothing that is one of ours
    std::string text;                 // of `version`
    std::string sent;                 // that may or may not have been written
    std::string ignored;              // the latest that was none of ours
    std::string essence;              // of what is here, when it was the fleet's
    std::optional<TimePoint> retell;  // the store has lost it
    std::uint64_t writes = 0;         // to know what was read before one of them
    unsigned changing = 0;            // by operators, now
    bool met = false;
    // Of the rollout `rollout`.
    std::uint64_t rollout = 0;
    TimePoint turn_due{};
    std::optional<TimePoint> turned_at;
    TimePoint leads_until{};
    RolloutScores others;
    bool complete = false;  // all that take part are seen
  };
  using Names = std::vector<std::string>;

  SharedTraffic here(const std::string& upstream) const;
  bool differs(const std::string& upstream, const Entry& entry) const;
  bool stops(const std::string& upstream, const SharedTraffic& state) const;
  void take(const std::string& upstream, Entry& entry, const std::optional<std::string>& text, bool racing);
  void adopt(const std::string& upstream, Entry& entry, const SharedTraffic& state, const std::string& text);
  Task<bool> look_at(Names upstreams, bool racing);
  Task<FleetStore::Written> write(std::string upstream);
  Task<bool> take_turn(std::string upstream);
  Task<Changed> try_change(std::string upstream, bool at_once, const std::function<bool()>& apply);
  void take_members(const std::string& upstream, Entry& entry, const std::vector<FleetStore::Member>& members);
  void went_away();
  void came_back();

  Loop& loop_;
  Traffic& traffic_;
  Rollouts& rollouts_;
  observe::Events& events_;
  const std::function<void()> adopted_;
  std::shared_ptr<Link> link_;
  std::string instance_;
  std::map<std::string, Entry> entries_;  // by upstream
  Event met_;
  TimePoint since_{};  // the store is used
  bool up_ = false;
  bool told_away_ = false;
  bool retired_ = false;
};

const char* to_string(Fleet::Role role);

}  // namespace headgate::traffic
