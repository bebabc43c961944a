// SPDX-License-Identifier: Apache-2.0
// SharedStore: one worker's way to the limits that a fleet shares through Redis. A hot key costs no round trip: tokens
// are fetched ahead (leased) and spent here; a key that has run out is refused here until the store is likely to have
// tokens again. What is leased is charged already, so over any interval W the fleet lets pass at most
//
//     burst + rate x W + max_overshoot x burst
//
// requests of a key: the leases of all instances together are held to that last part. `lease: 1` fetches nothing ahead.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/task_group.h"
#include "ratelimit/redis_shard.h"
#include "ratelimit/shard_ring.h"
#include "ratelimit/stores.h"

namespace headgate::ratelimit {

/// A limit whose store is redis. Immutable; shared with the questions that are under way for it.
struct SharedRule {
  SharedRule(const config::RateLimit& limit, const LimitId& id);
  std::string name;
  LimitId id;
  Pace pace;
  std::optional<std::uint64_t> lease;  ///< nullopt: auto
  double slack;                        ///< requests that all leases together may come to
  config::RateLimit::OnStoreFailure on_failure;

  /// How many tokens one of so many instances fetches ahead; 1: none beyond the one that is asked for.
  std::uint64_t lease_of(std::uint32_t instances) const;
  /// Whether its leases leave room for one request that passes before the store is asked.
  bool trusts_the_first(std::uint32_t instances) const { return !lease && slack >= 4.0 * instances; }
};

/// What came of a request.
struct SharedVerdict {
  enum class What {
    kPassed,
    kRefused,
    kDenied,  ///< the store does not answer, and the rule says deny
    kAsk,     ///< not settled: the store must be asked
  };
  What what = What::kAsk;
  std::uint64_t remaining = 0;  ///< as last heard
  Nanos retry_after = 0;
  Nanos until_full = 0;
  bool counted = false;  ///< passed, and to be given back if another limit refuses: not so when it was merely let pass
  bool local = false;    ///< counted by this process, since the store does not answer
};

/// A key's text is made when a store must be asked, not for each request.
class KeyText {
 public:
  virtual std::string text() const = 0;

 protected:
  ~KeyText() = default;
};

/// Loop thread only.
class SharedStore {
 public:
  SharedStore(Loop& loop, Stores& stores, ResolveHost resolve);
  ~SharedStore();
  SharedStore(const SharedStore&) = delete;
  SharedStore& operator=(const SharedStore&) = delete;

  /// The stores from now on; null: none. Those that stay keep their connections.
  void configure(const config::Redis* settings);

  /// Without waiting; kAsk when that cannot be.
  SharedVerdict try_take(const std::shared_ptr<const SharedRule>& rule, const KeyId& key, Nanos now,
                         const KeyText& text);

  /// Asks the store, within its timeout. Never kAsk.
  Task<SharedVerdict> take(std::shared_ptr<const SharedRule> rule, KeyId key, std::string text);

  /// Undoes one that passed and was counted.
  void give_back(const SharedRule& rule, const KeyId& key, bool local, Nanos now);

  /// Fails what is under way and closes the connections.
  Task<> stop();

 private:
  class Question;
  struct Waiter;
  struct Lease {
    std::uint64_t tokens;
    Nanos valid_for;
  };

  std::uint32_t instances() const;
  RedisShard* shard_of(std::string_view stored) const;
  std::shared_ptr<Question> open_question(const std::shared_ptr<const SharedRule>& rule, const KeyId& key,
                                          std::string stored, Nanos now);
  void fetch_ahead(const std::shared_ptr<const SharedRule>& rule, const KeyId& key, std::uint64_t left, Nanos now,
                   const KeyText& text);
  void refill(const std::shared_ptr<const SharedRule>& rule, const KeyId& key, const Lease& wanted, std::int64_t spent,
              const KeyText& text, Nanos now);
  SharedVerdict without_store(const SharedRule& rule, const KeyId& key, Nanos now);
  Lease lease_for(const SharedRule& rule, const Leases::Entry& entry, Nanos now) const;
  void settle(Question& question, const TokenAnswer* answer);

  Loop& loop_;
  Stores& stores_;
  const ResolveHost resolve_;
  TaskGroup running_;
  std::vector<std::unique_ptr<RedisShard>> shards_;  // all that there ever were
  std::vector<RedisShard*> current_;
  std::optional<ShardRing> ring_;
  Duration timeout_{};
  std::unordered_map<std::uint64_t, std::shared_ptr<Question>> unsent_;  // by the key's hash, so that waiters join
};

}  // namespace headgate::ratelimit
