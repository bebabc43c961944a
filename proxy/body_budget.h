// SPDX-License-Identifier: Apache-2.0
// How much all stored request bodies of the process may take together, in memory and in files.
#pragma once

#include <atomic>
#include <cstdint>

namespace headgate::proxy {

/// Any thread. Only routes that store bodies touch it.
class BodyBudget {
 public:
  /// False: `bytes` more would be beyond `most`, and nothing was taken.
  bool take(std::uint64_t bytes, std::uint64_t most) {
    std::uint64_t used = used_.load(std::memory_order_relaxed);
    do {
      if (used > most || bytes > most - used) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    return true;
  }
  void give(std::uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> used_{0};
};

}  // namespace headgate::proxy
