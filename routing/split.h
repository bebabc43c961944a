// SPDX-License-Identifier: Apache-2.0
// Which of an upstream's pools a client belongs to. Pure: the same on every machine that has the same release salt and
// the same weights, with no state to share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace headgate::routing {

/// Where one client (or one request) stands among all. A value.
class Point {
 public:
  constexpr explicit Point(std::uint64_t bits) : bits_(bits) {}
  constexpr std::uint64_t bits() const { return bits_; }
  /// In [0, 1); evenly spread over clients.
  constexpr double in_unit() const { return static_cast<double>(bits_ >> 11) * 0x1p-53; }

 private:
  std::uint64_t bits_;
};

/// Gives each key its point. The salt is a release's own, so that each release draws other clients; it is the key of a
/// keyed hash, so that a client that does not know it cannot choose where it falls.
class Points {
 public:
  explicit Points(std::string_view release_salt) : hash_(release_salt) {}
  Point of(std::string_view key) const { return Point(hash_.of(key)); }

 private:
  KeyedHash hash_;
};

/// Pools with weights. Immutable; any thread. A choice costs a logarithm for each pool with a weight, and none when
/// there is only one; it allocates nothing.
///
/// Each pool draws a time for the client, -ln(u) / weight with a u of its own for each pair of client and pool, and the
/// shortest wins: a race of exponential clocks, which a pool wins with the probability weight / sum of the weights.
/// More weight only shortens a pool's time, and therefore:
/// - a pool that grows at the cost of others, the rest keeping their ratios to each other, loses no client, whatever
///   the number of pools. With two pools that is every change there is;
/// - a pool that is not usable leaves its clients to the others by their weights, and moves nobody else;
/// - a new pool takes its share from each of the others and moves nobody else.
/// With three pools or more, two of which grow by different factors, some clients of the one that grows less go to the
/// one that grows more. No choice that knows only the present weights can spare them: going round
/// (1,1,0) -> (1,0,1) -> (0,1,1) -> (1,1,0) half of the clients would have to be in two pools.
class Split {
 public:
  static constexpr std::size_t kMostPools = 64;
  struct Pool {
    std::string name;
    double weight = 0;  ///< relative to the others'; 0: nobody new
  };
  struct Choice {
    std::size_t pool = 0;
    /// Another pool would have been chosen, but that is not usable.
    bool spilled = false;
    bool operator==(const Choice&) const = default;
  };
  /// A bit for each pool, the first one lowest.
  using Usable = std::uint64_t;
  static constexpr Usable kAll = ~Usable{0};

  /// At most kMostPools pools; weights finite and not below 0. The order decides nothing, the names do.
  explicit Split(std::vector<Pool> pools);

  /// The pool for `point`. nullopt: no pool has a weight, or there is none. When no pool with a weight is usable, the
  /// choice is made as if all were: the caller answers for a pool without servers better than for no pool.
  std::optional<Choice> choose(Point point, Usable usable = kAll) const;

  /// With at_zero_weight: keep: as above, but a client that is already in `present` stays there when its weight is 0,
  /// as long as it is usable.
  std::optional<Choice> choose_keeping(Point point, std::optional<std::size_t> present, Usable usable = kAll) const;

  const std::vector<Pool>& pools() const { return pools_; }
  std::optional<std::size_t> find(std::string_view name) const;
  /// Of the sum of the weights; 0 when that is 0.
  double share(std::size_t pool) const;

  /// This split with `name` at `percent` and the others sharing the rest in the ratios of `rest`. Those that have no
  /// weight there share nothing; if none has any, the first other pool takes it all. nullopt: there is no such pool.
  static std::optional<Split> with_share(const Split& rest, std::string_view name, double percent);

 private:
  std::vector<Pool> pools_;
  std::vector<std::uint64_t> ids_;  // of the names
  std::optional<std::size_t>
      only_;  // the one pool with a weight, if there is no other: most upstreams, most of the time
};

}  // namespace headgate::routing
