// SPDX-License-Identifier: Apache-2.0
// LocalStore: the counters of this process, one for each limit and key, shared by all workers. Outlives generations:
// a limit is known by its name, and a key's count survives a reload, also one that changes the rate.
#pragma once

#include <atomic>
#include <memory>

#include "ratelimit/gcra.h"
#include "ratelimit/key_table.h"

namespace headgate::ratelimit {

/// Any thread. Memory: 64 MiB at most, for four million keys; 64 KiB for some hundred. When it is full the keys that
/// have used the smallest part of their burst are forgotten first, so a flood of new keys frees nobody who is limited.
class LocalStore {
 public:
  static constexpr unsigned kMostBits = 19;
  static constexpr std::size_t kMostOwners = 4096;

  explicit LocalStore(unsigned most_bits = kMostBits);

  /// Passes and counts, or refuses and leaves the count alone. `key.owner` must have been registered.
  Decision take(const KeyId& key, const Pace& pace, Nanos now, std::uint64_t cost = 1);

  /// What take() would say; counts nothing.
  Decision look(const KeyId& key, const Pace& pace, Nanos now, std::uint64_t cost = 1);

  /// Undoes a take() that passed.
  void give_back(const KeyId& key, const Pace& pace, Nanos now, std::uint64_t cost = 1);

  /// Tells the pace of an owner; when it had another one its keys keep what they have used. Takes a look at every key
  /// then. One thread at a time.
  void set_pace(std::uint16_t owner, const Pace& pace, Nanos now);

  /// Gives memory back after a flood. Takes a look at every key; one thread at a time.
  void trim(Nanos now) { table_.trim(now); }

  std::size_t memory_in_use() const { return table_.memory_in_use(); }

 private:
  using Table = KeyTable<1>;
  struct KnownPace {
    std::atomic<Nanos> interval{0};  // 0: not registered
    std::atomic<Nanos> tolerance{1};
  };

  Table::Cell& cell_of(const KeyId& key, Nanos now);

  Table table_;
  const std::unique_ptr<KnownPace[]> paces_;  // by owner
};

}  // namespace headgate::ratelimit
