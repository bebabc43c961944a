// SPDX-License-Identifier: Apache-2.0
// The rollouts of the program: it is here that what workers count becomes the pool's share, events and log lines.
// routing::Rollout judges; this asks it ten times a second and does what it says.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/model.h"
#include "observe/events.h"
#include "traffic/rollout_cells.h"
#include "traffic/traffic.h"
#include "routing/rollout.h"

namespace headgate::traffic {

/// Main thread. `traffic` and `events` outlive it.
class Rollouts {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(100);
  static constexpr std::size_t kToldKept = 64;

  Rollouts(Traffic& traffic, observe::Events& events, std::size_t workers)
      : traffic_(traffic), events_(events), workers_(workers) {}

  /// From now on this is the configuration; before Traffic adopts it. A rollout whose pool has gone ends, rolled back;
  /// one whose rules or routes are others goes on in its step and collects its evidence anew. True: one of both.
  bool adopt(const config::Config& config, TimePoint now);

  // --- operators ----------------------------------------------------------------------------------------------------

  struct Refusal {
    enum class Kind { kUnknown, kConflict } kind = Kind::kConflict;
    std::string message;
  };
  /// Nothing: it was done.
  using Refused = std::optional<Refusal>;
  /// By the upstream's `rollout`, or the defaults. That a server of the pool is well has been seen to.
  Refused start(const std::string& upstream, const std::string& pool, TimePoint now);
  Refused pause(const std::string& upstream);
  Refused resume(const std::string& upstream);
  Refused promote(const std::string& upstream);
  Refused abort(const std::string& upstream);

  // --- what goes on -------------------------------------------------------------------------------------------------

  /// What is seen of one rollout at one moment: of this instance, or of all that take part in it.
  struct Sight {
    RolloutScores scores;  ///< since whenever
    routing::PoolHealth new_health;
    routing::PoolHealth old_health;
    bool may_advance = true;  ///< false: not all of the instances are seen, so it may only be rolled back
    /// By whom the pools are compared: by this instance for itself; by it for all, `scores` being all instances' and
    /// `own` its own; by another one, so that only guards act here; or that is not known yet, likewise.
    enum class Judge { kAlone, kForAll, kOther, kUnknown } judge = Judge::kAlone;
    std::optional<RolloutScores> own;
  };
  struct Place {
    const std::string& upstream;
    const std::string& pool;
    const Weights& others;  ///< those it is compared with have a weight
    const RolloutCells& cells;
    std::uint64_t id = 0;
  };
  using See = std::function<Sight(const Place&)>;
  /// Ten times a second. True: something has been decided, which a restart must not forget.
  bool tick(TimePoint now, const See& see);
  /// There is something to look at.
  bool running() const;
  bool running(const std::string& upstream) const;

  struct Told {
    std::uint64_t number = 0;  ///< from 1 on
    std::chrono::system_clock::time_point at;
    routing::RolloutDecision decision;
    std::string sentence;
  };
  struct Totals {
    std::uint64_t new_requests = 0, new_errors = 0, old_requests = 0, old_errors = 0;
    std::uint64_t failed = 0, shielded = 0;
    Totals& operator+=(const Totals& other);
  };
  struct Status {
    std::string upstream, pool, old_pools;
    std::uint64_t id = 0;  ///< of its release: another rollout has another one
    std::chrono::system_clock::time_point started_at;
    routing::RolloutState state{};
    routing::RolloutReason reason{};
    std::string sentence;  ///< why it is where it is
    std::size_t step = 0;  ///< from 0
    std::vector<double> steps;
    double percent = 0;
    std::chrono::milliseconds in_step{0}, step_time{0};
    routing::RolloutNumbers numbers;
    std::string route;                       ///< of numbers.route_class; empty: all
    Totals totals;                           ///< since it began
    const std::deque<Told>* told = nullptr;  ///< not to be kept over a wait
    bool over() const {
      return state == routing::RolloutState::kPromoted || state == routing::RolloutState::kRolledBack;
    }
  };
  /// The one that is under way, or the last one since the start of the program.
  std::optional<Status> status(const std::string& upstream) const;
  std::vector<Status> all() const;
  /// Of all rollouts of the upstream since the start of the program.
  Totals lifetime(const std::string& upstream) const;

  /// What a restart must not forget, or another instance goes on with.
  struct Saved {
    std::string upstream, pool;
    Weights others;
    routing::RolloutRecord record;
    Totals totals;
    std::int64_t started_at = 0;  ///< in seconds since 1970
  };
  std::vector<Saved> saved() const;
  /// Goes on with those whose pools are in the configuration. After Traffic::restore.
  void restore(const std::vector<Saved>& saved, TimePoint now);

  // --- a fleet ------------------------------------------------------------------------------------------------------

  /// A rollout as all instances know it.
  struct Shared {
    Saved saved;
    std::uint64_t id = 0;
    std::vector<Told> told;  ///< the latest, at most kToldShared
  };
  static constexpr std::size_t kToldShared = 16;
  /// The latest one; nothing: there has been none since the start.
  std::optional<Shared> shared(const std::string& upstream) const;
  /// As another instance, `by`, has it: begun, gone on, over; null: there is none. After Traffic has what goes with it.
  /// False: its pools are not in the configuration, so it is not followed.
  bool follow(const std::string& upstream, const Shared* shared, const std::string& by, TimePoint now);
  /// Of this instance alone; null: none is under way.
  const RolloutCells* cells(const std::string& upstream) const;

 private:
  /// What of an upstream of the configuration matters here.
  struct Known {
    std::vector<std::string> pools;
    config::Rollout settings;
    std::vector<std::string> routes;  ///< by their class
  };
  struct Entry {
    std::string upstream, pool;
    config::Rollout settings;
    std::vector<std::string> routes;
    Weights others;
    std::string old_pools;
    std::shared_ptr<RolloutCells> cells;
    routing::Rollout rollout;
    double percent = 0;  // that Traffic knows
    std::uint64_t id = 0;
    std::chrono::system_clock::time_point started_at;
    Totals before;  // of earlier cells
    std::uint64_t number = 0;
    std::deque<Told> told;
    std::optional<Sight::Judge> judge;  // of the evidence that the rollout has
  };

  static std::map<std::string, Known> known_of(const config::Config& config);
  Refused find(const std::string& upstream, Entry*& entry);
  Refused act(const std::string& upstream, bool (*action)(routing::Rollout&), const char* what);
  std::unique_ptr<Entry> make(const std::string& upstream, const std::string& pool, Weights others,
                              routing::Rollout rollout) const;
  void begin(std::unique_ptr<Entry> entry, bool new_release);
  bool follow(Entry& entry);
  static Saved saved_of(const Entry& entry);
  static void judged_by(Entry& entry, Sight::Judge judge, TimePoint now);
  bool possible(const Saved& saved) const;
  void go_on_with(Entry& entry, const Shared& shared, TimePoint now);
  void take_told(Entry& entry, const std::vector<Told>& told, const std::string& by);
  void tell(Entry& entry, const routing::RolloutDecision& decision);
  void measure_anew(Entry& entry, const Known& known, TimePoint now);
  Status status_of(const Entry& entry) const;
  static Totals totals_of(const Entry& entry);
  static std::string route_of(const Entry& entry, const routing::RolloutNumbers& numbers);

  Traffic& traffic_;
  observe::Events& events_;
  const std::size_t workers_;
  std::map<std::string, Known> known_;                     // by upstream, those of several pools
  std::map<std::string, std::unique_ptr<Entry>> entries_;  // by upstream
  std::map<std::string, Totals> earlier_;                  // likewise, of rollouts that another one has followed
};

}  // namespace headgate::traffic
