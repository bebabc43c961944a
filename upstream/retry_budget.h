// SPDX-License-Identifier: Apache-2.0
// How many of an upstream's requests may be second attempts at any time: a share of those under way, so that retries
// never multiply the load of servers that are failing because of it. One for each upstream of the process.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace headgate::upstream {

class RetryBudget {
 public:
  /// So many may be under way whatever the share.
  static constexpr std::uint64_t kAlways = 3;

  explicit RetryBudget(std::size_t workers) : active_(workers) {}

  // A request begins and ends. That worker's thread; without a locked instruction.
  void begin(std::size_t worker) { add(worker, 1); }
  void end(std::size_t worker) { add(worker, static_cast<std::uint64_t>(-1)); }

  /// Before a retry; false: not now. retry_ended() for each true one. Any worker.
  bool may_retry(double share) {
    const std::uint64_t retries = retries_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (retries <= kAlways || static_cast<double>(retries) <= share * static_cast<double>(active())) return true;
    retry_ended();
    return false;
  }
  void retry_ended() { retries_.fetch_sub(1, std::memory_order_relaxed); }

  std::uint64_t active() const {
    std::uint64_t sum = 0;
    for (const auto& cell : active_) sum += cell.value.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  struct alignas(64) Cell {
    std::atomic<std::uint64_t> value{0};
  };
  void add(std::size_t worker, std::uint64_t by) {
    auto& value = active_[worker].value;
    value.store(value.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  std::vector<Cell> active_;
  std::atomic<std::uint64_t> retries_{0};
};

}  // namespace headgate::upstream
