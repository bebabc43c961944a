// SPDX-License-Identifier: Apache-2.0
// Leases: what this process knows of the keys that a shared store counts: the tokens that it has fetched ahead and not
// yet spent, and which keys the store has run out of. Shared by all workers, so that a process and not a worker is what
// the store deals with.
#pragma once

#include <cstdint>

#include "ratelimit/gcra.h"
#include "ratelimit/key_table.h"

namespace headgate::ratelimit {

/// Any thread; no locks. Memory: 32 MiB at most, for half a million keys. A key that is forgotten loses the tokens that
/// were leased for it, and asks anew.
class Leases {
 public:
  static constexpr unsigned kMostBits = 16;
  static constexpr std::uint64_t kMostTokens = (1u << 20) - 1;

  explicit Leases(unsigned most_bits = kMostBits) : table_(most_bits) {}

  /// One key of a limit; valid while the key is in use.
  class Entry {
   public:
    /// Spends one token; false when there is none. `left` is how many there are then.
    bool spend(Nanos now, std::uint64_t& left);
    void add(std::uint64_t tokens, Nanos valid_until, Nanos now);

    /// Until when the store has said that it has none: 0 or past when it has not.
    Nanos closed_until() const { return get(kClosed); }
    /// True for the one who may ask for a key that had run out: others take it as closed until `until`.
    bool claim_question(Nanos now, Nanos until);
    void close(Nanos until);

    /// True for the one who may fetch ahead; nobody else may until then.
    bool claim_refill(Nanos now, Nanos until);
    void end_refill() { set(kRefill, 0); }

    /// The key was not asked for lately.
    bool cold(Nanos now) const { return cell_.needed_until() <= now; }
    /// It is kept until then, at least.
    void keep(Nanos until);

    // What is left in the store, as last heard; when that was, how much it had granted, and how many have been refused
    // here since.
    std::uint64_t remaining() const { return static_cast<std::uint64_t>(get(kRemaining)); }
    Nanos last_heard() const { return get(kHeard); }
    std::uint64_t last_granted() const { return static_cast<std::uint64_t>(get(kHistory)) >> kHalf; }
    std::uint64_t refused_since() const { return static_cast<std::uint64_t>(get(kHistory)) & ((1u << kHalf) - 1); }
    void refused();
    void heard(std::uint64_t granted, std::uint64_t remaining, Nanos now);

   private:
    friend class Leases;
    enum Word { kNeeded, kTokens, kClosed, kRefill, kRemaining, kHeard, kHistory };
    static constexpr unsigned kHalf = 31;
    using Cell = KeyTable<7>::Cell;

    explicit Entry(Cell& cell) : cell_(cell) {}
    Nanos get(Word word) const { return cell_.words[word].load(std::memory_order_relaxed); }
    void set(Word word, Nanos value) { cell_.words[word].store(value, std::memory_order_relaxed); }
    bool claim(Word word, Nanos now, Nanos until);

    Cell& cell_;
  };

  Entry of(const KeyId& key, Nanos now) {
    return Entry(table_.find_or_make(key, now, [](const auto& cell) { return cell.needed_until(); }));
  }

  /// Lets go of all that is known of a limit's keys. Takes a look at every key; one thread at a time.
  void forget(std::uint16_t owner, Nanos now);

  void trim(Nanos now) { table_.trim(now); }
  std::size_t memory_in_use() const { return table_.memory_in_use(); }

 private:
  KeyTable<7> table_;
};

}  // namespace headgate::ratelimit
