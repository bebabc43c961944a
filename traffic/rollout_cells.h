// SPDX-License-Identifier: Apache-2.0
// What workers count of one rollout: how its new pool's requests fare, and those of the pools that it is compared with.
// Made when a rollout begins and shared by the plan that workers follow: without a rollout nothing is counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "observe/scorecard.h"

namespace headgate::traffic {

/// Plain numbers that only grow: of one instance, or of several added up.
struct RolloutScores {
  observe::Scorecard new_pool;
  observe::Scorecard old_pool;
  std::uint64_t failed = 0;    ///< requests of the new pool whose client was told of a failure
  std::uint64_t shielded = 0;  ///< those that failed there and were answered by the old pool
  /// The latest attempts to reach the new pool's servers, whichever. Added up over instances it is the sum of theirs.
  std::uint64_t connect_failures_in_a_row = 0;

  RolloutScores& operator+=(const RolloutScores& other);
};

class RolloutCells {
 public:
  RolloutCells(std::size_t workers, std::size_t route_classes);

  /// One worker's, which alone writes them; any thread reads.
  struct PerWorker {
    explicit PerWorker(std::size_t route_classes) : new_pool(route_classes), old_pool(route_classes) {}
    observe::ScoreCells new_pool;
    observe::ScoreCells old_pool;
    observe::Counter failed;
    observe::Counter shielded;
  };
  PerWorker& of(std::size_t worker) { return *workers_[worker]; }

  // Of the new pool; any worker. While all is well nobody writes.
  void reached() {
    if (unreached_.load(std::memory_order_relaxed) != 0) unreached_.store(0, std::memory_order_relaxed);
  }
  void not_reached() { unreached_.fetch_add(1, std::memory_order_relaxed); }

  /// As it is now. Any thread.
  RolloutScores scores() const;

 private:
  std::vector<std::unique_ptr<PerWorker>> workers_;
  std::atomic<std::uint64_t> unreached_{0};
};

}  // namespace headgate::traffic
