// SPDX-License-Identifier: Apache-2.0
// Stores: what of the rate limits belongs to the process and outlives generations: the counters, and which number
// stands for which limit in them.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "ratelimit/key_hash.h"
#include "ratelimit/leases.h"
#include "ratelimit/local_store.h"

namespace headgate::ratelimit {

/// What all workers of the process know of one Redis. Any thread.
struct StoreHealth {
  std::atomic<int> workers_down{0};
  std::atomic<std::uint32_t> instances{1};  ///< that share it, this one included; as last heard
  std::atomic<Nanos> next_heartbeat{0};
};

/// How the counters know a limit: by its name, over reloads.
struct LimitId {
  std::uint16_t owner = 0;
  HashSeed seed;  ///< for its keys
};

/// Process-wide. Outlives the workers.
class Stores {
 public:
  Stores();

  LocalStore& local() { return local_; }
  Leases& leases() { return leases_; }

  /// Of the Redis of this name. Any thread; stays.
  StoreHealth& health_of(const std::string& name);

  /// The id of this process among those that share a store.
  const std::string& instance() const { return instance_; }

  /// A request that a store did not answer for. Any thread.
  void count_failure() { failures_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }

  /// Before a generation of this configuration serves. Throws std::invalid_argument when there have been more than
  /// 4,095 different names since the start. Main thread.
  void adopt(const config::Config& config, Nanos now);

  /// Of a limit that was adopted. Any thread.
  LimitId id_of(std::string_view name) const;

  /// Gives memory back after a flood. Main thread, now and then.
  void trim(Nanos now) {
    local_.trim(now);
    leases_.trim(now);
  }

 private:
  const HashSeed seed_;
  const std::string instance_;
  LocalStore local_;
  Leases leases_;
  std::atomic<std::uint64_t> failures_{0};
  struct Known {
    std::uint16_t owner = 0;
    std::string rule;  // all that what is known of a shared key depends on
  };
  mutable std::mutex mutex_;
  std::map<std::string, Known, std::less<>> limits_;
  std::map<std::string, StoreHealth> health_;  // its elements never move
};

}  // namespace headgate::ratelimit
