// SPDX-License-Identifier: Apache-2.0
// How an upstream's requests are spread over its pools, as workers follow it.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "traffic/rollout_cells.h"
#include "routing/split.h"

namespace headgate::traffic {

/// A rollout under way. Requests that began during it hold it, so that they are counted and shielded to their end.
struct Trial {
  std::string pool;       ///< the new one
  routing::Split others;  ///< the pools without it: whom it is compared with, and who answers in its place
  std::shared_ptr<RolloutCells> cells;
  bool shield = false;
};

/// At one moment. Immutable.
struct Plan {
  routing::Split split;
  routing::Points points;              ///< of the release
  std::shared_ptr<const Trial> trial;  ///< null: no rollout is under way
};

/// The latest plan of one upstream. It is known by the upstream's name and outlives generations. Any thread.
class Feed {
 public:
  explicit Feed(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}

  std::shared_ptr<const Plan> plan() const {
    const std::lock_guard lock(mutex_);
    return plan_;
  }
  void publish(std::shared_ptr<const Plan> plan) {
    const std::lock_guard lock(mutex_);
    plan_.swap(plan);
  }

 private:
  mutable std::mutex mutex_;  // for the moment of a copy, and never on the path of a request
  std::shared_ptr<const Plan> plan_;
};

}  // namespace headgate::traffic
