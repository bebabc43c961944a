// SPDX-License-Identifier: Apache-2.0
// Whose turn it is: the arithmetic of balancing, without servers, sockets or a loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/time.h"
#include "config/model.h"

namespace headgate::upstream {

/// One per pool and worker. Members have slots, small numbers without large gaps, which the pool gives out and which
/// stay the same for as long as the member is there. One thread only. Memory is taken in set() alone.
class Balancer {
 public:
  static constexpr std::uint32_t kNone = ~0U;

  struct Question {
    std::uint64_t key = 0;                    ///< hash of the request's key; only `hash` looks at it
    std::span<const std::uint32_t> but = {};  ///< slots tried already: passed over
  };

  /// `seed` decides all that is drawn: the same seed and the same calls give the same picks. Workers take different
  /// ones.
  static std::unique_ptr<Balancer> make(config::Balance::Kind kind, std::uint64_t seed);

  virtual ~Balancer() = default;

  /// From now on `slot` is picked with this weight, which slow start may change often, or no more (0, or less).
  /// `id` is what the member is to every process, a hash of its address: it decides where the member stands on the hash
  /// ring. A slot may pass to another id when it has been set to 0 and nothing is in flight there; what was learnt
  /// about the former one is forgotten. A pool that introduces a member in slow start calls set() with the full weight
  /// first: then the hash ring never has to change its scale while the weight grows.
  virtual void set(std::uint32_t slot, std::uint64_t id, double weight) = 0;

  /// Whose turn it is; kNone when there is nobody but those in `but`.
  virtual std::uint32_t pick(const Question& question) = 0;

  /// A request goes to `slot`. Each began() has its ended(), also when the slot has been set to 0 meanwhile.
  virtual void began(std::uint32_t slot) = 0;

  /// It is over.
  virtual void ended(std::uint32_t slot) = 0;

  /// Before that, where it is known how it went: so long from its beginning to the head of the answer; nullopt: no
  /// answer came, or a bad one, through the server's fault. `now` never goes back. Only peak_ewma wants to know.
  virtual void measured(std::uint32_t slot, std::optional<Duration> until_head, TimePoint now) {
    static_cast<void>(slot), static_cast<void>(until_head), static_cast<void>(now);
  }
};

}  // namespace headgate::upstream
