// SPDX-License-Identifier: Apache-2.0
// How many connections there are, in all and by address: limits.max_connections and max_connections_per_ip.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "base/ip.h"

namespace headgate::proxy {

/// Process-wide. Any thread. Touched once when a connection begins and once when it ends, never by a request.
class ConnectionCount {
 public:
  enum class Verdict { kAdmitted, kTooMany, kTooManyOfAddress };

  /// 0: no limit. The caller calls remove() with the same address for each kAdmitted (Connection does).
  Verdict add(const IpAddress& peer, std::uint64_t most, std::uint64_t most_per_address);
  void remove(const IpAddress& peer);

  /// One that was counted for `from` is `to`'s from now on, unless that has `most_per_address` already; 0: no limit.
  Verdict move(const IpAddress& from, const IpAddress& to, std::uint64_t most_per_address);
  std::uint64_t total() const { return total_.load(std::memory_order_relaxed); }

  /// The most there were at once since the last call, which begins anew with those that are there now.
  std::uint64_t take_peak();

 private:
  struct Hash {
    std::size_t operator()(const IpAddress& address) const;
  };
  std::atomic<std::uint64_t> total_{0};
  std::mutex mutex_;
  std::uint64_t peak_ = 0;  // under mutex_
  std::unordered_map<IpAddress, std::uint64_t, Hash> by_address_;

  bool add_address(const IpAddress& address, std::uint64_t most);  // under mutex_
  void remove_address(const IpAddress& address);                   // likewise
};

}  // namespace headgate::proxy
