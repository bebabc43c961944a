// SPDX-License-Identifier: Apache-2.0
// The one place of the process that decides which servers take requests. It has a thread of its own, with a loop: there
// it checks servers, follows host names, hears from workers how live traffic fares, and keeps what operators have said.
// Each change becomes a new Roster of the pools concerned, which workers take up in their next turn.
//
// What is known belongs to the address, not to the generation: a reload that names it again finds it as it was.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/loop.h"
#include "base/task_group.h"
#include "config/model.h"
#include "observe/events.h"
#include "upstream/retry_budget.h"
#include "upstream/roster.h"

namespace headgate::upstream {

class Registry;

/// One pool of one generation, as the Monitor follows it for as long as somebody holds it.
class PoolWatch {
 public:
  PoolWatch() : roster_(std::make_shared<const Roster>()) {}
  /// Any thread.
  std::shared_ptr<const Roster> roster() const {
    const std::lock_guard lock(mutex_);
    return roster_;
  }

 private:
  friend class Registry;
  void publish(std::shared_ptr<const Roster> roster) {
    const std::lock_guard lock(mutex_);
    roster_.swap(roster);
  }

  mutable std::mutex mutex_;  // for the moment of a copy, and never on the path of a request
  std::shared_ptr<const Roster> roster_;
};

/// One upstream of one generation.
struct UpstreamWatch {
  std::vector<std::shared_ptr<PoolWatch>> pools;  ///< in the order of the configuration
  std::shared_ptr<RetryBudget> budget;            ///< of all generations that have an upstream of this name
};

/// For `status`: what is known of one server, or of one of its addresses.
struct ServerStatus {
  std::string server;   ///< as written in the file
  std::string address;  ///< empty: its name has no address
  Verdict verdict;
  Health health = Health::kUnchecked;
  std::string reason;           ///< for people: why it stands where it stands
  double for_seconds = -1;      ///< in this state; negative: since the start
  double ejected_for = -1;      ///< seconds until its trial; negative: it is not ejected
  std::uint32_t ejections = 0;  ///< in a row
  bool drained = false;         ///< by an operator: an override of the file
  OutcomeWindow::Sum recent;    ///< attempts in the ejection window
};
struct PoolStatus {
  std::string upstream;
  std::string pool;
  Rotation rotation = Rotation::kNone;
  bool doubtful = false;  ///< as Roster's
  std::vector<ServerStatus> servers;

  /// Some server is well.
  bool serving() const { return !doubtful && (rotation == Rotation::kServing || rotation == Rotation::kBackup); }
};

class Monitor {
 public:
  /// Starts the thread. `events` outlives it.
  Monitor(std::size_t workers, const config::Dns& dns, observe::Events& events);
  ~Monitor();
  /// Ends the thread: nothing is checked or decided any more, and what waits for an answer of it would wait for ever.
  void stop();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  // --- main thread; each waits for the monitor's thread, which never waits for anybody -------------------------------

  /// Follows the upstreams of a configuration, in its order, and begins to check what is new. Throws when the TLS
  /// settings of a checked upstream cannot be loaded.
  std::vector<UpstreamWatch> watch(const config::Config& config);

  /// From now on names are looked up like this.
  void configure(const config::Dns& dns);

  /// Takes a server out (or back) by hand. False: no followed upstream has it.
  bool drain(const std::string& upstream, const std::string& server, bool drained);
  /// Those drained, as "upstream server" pairs; given back at the next start, unknown ones included.
  using Drains = std::vector<std::pair<std::string, std::string>>;
  Drains drains();
  void restore(const Drains& drains);

  /// Of the latest generation's pools.
  std::vector<PoolStatus> status();

  /// How often a server of that pool was ejected. Main thread.
  struct Ejections {
    std::string upstream, pool, server;
    std::uint64_t count;
  };
  std::vector<Ejections> ejections();

  // --- workers ------------------------------------------------------------------------------------------------------

  /// From now on `changed` is posted to the loop after every change. Before the loop ends: unsubscribe, after which
  /// nothing more is posted.
  void subscribe(Loop& loop, std::function<void()> changed);
  void unsubscribe(Loop& loop);

  /// Live traffic gives grounds to eject. After Endpoint::claim_report.
  void report(std::shared_ptr<Endpoint> endpoint, const Endpoint::Grounds& grounds, const config::Ejection& rules);
  /// A request ended well on a server that is out: its trial, or in panic.
  void report_alive(std::shared_ptr<Endpoint> endpoint);
  /// The trial failed.
  void report_trial_failed(std::shared_ptr<Endpoint> endpoint, const config::Ejection& rules);
  /// No connection could be made: a name that led there is looked up again. Not more often than makes sense.
  void report_unreachable(std::shared_ptr<Endpoint> endpoint);
  /// Tells all subscribers: something has changed, or a place of max_connections is free.
  void announce();
  /// Requests of all workers that wait for a place of max_connections.
  std::uint32_t places_wanted() const { return places_wanted_.load(std::memory_order_relaxed); }
  void want_place() { places_wanted_.fetch_add(1, std::memory_order_relaxed); }
  void want_no_place() { places_wanted_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  Task<> end();
  template <class Function>
  auto ask(Function function);

  Loop loop_;
  std::mutex subscribers_mutex_;
  struct Subscriber {
    Loop* loop;
    std::function<void()> changed;
  };
  std::vector<Subscriber> subscribers_;
  std::atomic<std::uint32_t> places_wanted_{0};
  TaskGroup ending_{loop_};
  std::unique_ptr<Registry> registry_;  // the loop's thread only
  std::thread thread_;
};

}  // namespace headgate::upstream
