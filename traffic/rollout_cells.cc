// SPDX-License-Identifier: Apache-2.0
#include "traffic/rollout_cells.h"

namespace headgate::traffic {

RolloutScores& RolloutScores::operator+=(const RolloutScores& other) {
  new_pool += other.new_pool;
  old_pool += other.old_pool;
  failed += other.failed;
  shielded += other.shielded;
  connect_failures_in_a_row += other.connect_failures_in_a_row;
  return *this;
}

RolloutCells::RolloutCells(std::size_t workers, std::size_t route_classes) {
  workers_.reserve(workers);
  for (std::size_t i = 0; i < workers; ++i) workers_.push_back(std::make_unique<PerWorker>(route_classes));
}

RolloutScores RolloutCells::scores() const {
  RolloutScores sum;
  for (const auto& worker : workers_) {
    worker->new_pool.add_to(sum.new_pool);
    worker->old_pool.add_to(sum.old_pool);
    sum.failed += worker->failed.value();
    sum.shielded += worker->shielded.value();
  }
  sum.connect_failures_in_a_row = unreached_.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace headgate::traffic
