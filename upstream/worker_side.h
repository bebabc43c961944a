// SPDX-License-Identifier: Apache-2.0
// What one worker has for all its upstreams, of whatever generation.
#pragma once

#include <cstdint>

#include <boost/intrusive/list.hpp>

#include "base/loop.h"
#include "upstream/monitor.h"
#include "upstream/server_set.h"

namespace headgate::upstream {

/// The changes that the Monitor has told this worker of. Loop thread only.
class Changes {
 public:
  explicit Changes(Loop& loop) : loop_(loop) {}

  /// More requests than these do not wait for a place of max_connections.
  static constexpr std::size_t kMostWaiting = 1000;

  /// So many until now.
  std::uint64_t count() const { return count_; }
  void happened() {
    ++count_;
    for (auto& waiter : waiters_) waiter.woken.set();
  }
  /// The next one.
  Task<Wake> next(TimePoint deadline);
  /// Who waits for it. Bounded by whoever lets them wait.
  std::size_t waiting() const { return waiters_.size(); }

 private:
  struct Waiter : boost::intrusive::list_base_hook<> {
    explicit Waiter(Loop& loop) : woken(loop) {}
    Event woken;
  };
  Loop& loop_;
  std::uint64_t count_ = 1;
  boost::intrusive::list<Waiter> waiters_;
};

/// Loop thread only. Outlives the pools that use it.
struct WorkerSide {
  WorkerSide(Loop& l, std::size_t index, Monitor& m) : loop(l), worker(index), monitor(m), servers(l), changes(l) {}

  /// A place of max_connections: who waits for one tries again, here or in another worker.
  void place_freed() {
    if (changes.waiting() > 0) changes.happened();
    if (monitor.places_wanted() > 0) monitor.announce();
  }

  Loop& loop;
  const std::size_t worker;
  Monitor& monitor;
  ServerSet servers;
  Changes changes;
};

}  // namespace headgate::upstream
