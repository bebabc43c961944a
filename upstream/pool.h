// SPDX-License-Identifier: Apache-2.0
// A pool of one generation as one worker uses it: it follows the Monitor's rosters and says who is next.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "upstream/balancer.h"
#include "upstream/sticky.h"
#include "upstream/worker_side.h"

namespace headgate::upstream {

class Pool;

/// Answers that say that the server, or who stands behind it, is not well.
inline bool is_failure(int status) {
  return status >= 502 && status <= 504;
}

/// One attempt's turn at a server: until it is destroyed the attempt counts as under way there. Says how it ended by
/// succeeded() or failed(); neither: nothing is known (the client left). Loop thread only; the pool outlives it.
class Turn {
 public:
  Turn(Turn&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)),
        slot_(other.slot_),
        trial_(other.trial_),
        balanced_(other.balanced_),
        outcome_(other.outcome_),
        row_(other.row_),
        until_head_(other.until_head_) {}
  Turn& operator=(Turn&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(slot_, other.slot_);
    std::swap(trial_, other.trial_);
    std::swap(balanced_, other.balanced_);
    std::swap(outcome_, other.outcome_);
    std::swap(row_, other.row_);
    std::swap(until_head_, other.until_head_);
    return *this;
  }
  ~Turn();

  Server& server() const;
  const std::string& name() const;  ///< as written in the configuration
  std::size_t index() const;        ///< of the server in its pool's configuration
  std::uint64_t id() const;         ///< Endpoint::id
  std::uint32_t slot() const { return slot_; }

  /// An answer has begun, whatever it says, unless is_failure().
  void succeeded(Duration until_head);
  /// Connect errors, resets (also after succeeded()), timeouts, 502, 503, 504. `reached`: there was a connection.
  void failed(bool reached);
  /// Most of the server's attempts of the last seconds went well.
  bool was_well() const;

 private:
  friend class Pool;
  Turn(Pool& pool, std::uint32_t slot, bool trial, bool balanced)
      : pool_(&pool), slot_(slot), trial_(trial), balanced_(balanced) {}

  Pool* pool_;
  std::uint32_t slot_;
  bool trial_;
  bool balanced_;  // the balancer knows of it
  enum class Outcome : std::uint8_t { kNothing, kSucceeded, kFailed } outcome_ = Outcome::kNothing;
  std::uint32_t row_ = 0;  // of errors, that succeeded() has ended
  Duration until_head_{};
};

/// Loop thread only. `upstream` and `config` outlive it, and so does `side`.
class Pool {
 public:
  Pool(const config::Upstream& upstream, const config::Pool& config, std::shared_ptr<PoolWatch> watch,
       WorkerSide& side);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  const std::string& name() const { return config_.name; }

  struct Ask {
    std::uint64_t key = 0;                    ///< a hash of what `balance: hash(...)` names
    std::uint64_t token = 0;                  ///< of the server that the client had, by its cookie; 0: it had none
    bool repeatable = false;                  ///< it may be tried elsewhere when it fails: good for a trial
    bool patient = true;                      ///< would wait a moment for servers that are not known yet
    std::span<const std::uint32_t> but = {};  ///< slots that were tried already
  };
  enum class Missing : std::uint8_t {
    kNone,
    kUnknown,  ///< wait for the next of WorkerSide::changes
    kBusy,     ///< all places of max_connections are taken; likewise
    kNobody,   ///< there is no server (left)
  };
  struct Pick {
    std::optional<Turn> turn;
    Missing missing = Missing::kNone;
  };
  Pick pick(const Ask& ask);

  /// Somebody besides these slots could be picked.
  bool has_other(std::span<const std::uint32_t> but);
  /// Some server is well; else requests had better go to another pool, where there is one.
  bool serving();
  /// Why there is no address at all: a reason token, or null.
  const char* no_address() const {
    return roster_->missing == nullptr && roster_->resolving ? "resolve_timeout" : roster_->missing;
  }

 private:
  friend class Turn;
  struct Member {
    std::shared_ptr<Endpoint> endpoint;  // null: the slot is free
    ServerRef server;
    const config::Server* config = nullptr;
    std::uint64_t token = 0;  // in the cookie
    std::uint32_t index = 0;
    std::uint32_t in_flight = 0;
    bool in_rotation = false;
    bool present = false;
    bool wanted = false;  // in rotation from now on
    TimePoint returned_at{};
  };

  void follow();
  void adopt();
  std::uint32_t slot_of(const Roster::Entry& entry);
  double weight_of(const Member& member) const;
  void ramp();
  bool take_place(const Member& member) const;
  void forget(std::uint32_t slot);
  std::optional<Turn> pick_trial(const Ask& ask);
  std::optional<Turn> pick_sticky(const Ask& ask);
  std::optional<Turn> begin(std::uint32_t slot, bool trial);
  Pick pick_among(const Ask& ask);
  void end(const Turn& turn);

  const config::Upstream& upstream_;
  const config::Pool& config_;
  const std::shared_ptr<PoolWatch> watch_;
  WorkerSide& side_;
  const std::optional<Sticky> sticky_;
  const std::unique_ptr<Balancer> balancer_;

  std::uint64_t seen_ = 0;  // of the worker's changes
  std::shared_ptr<const Roster> roster_;
  std::vector<Member> members_;                              // by slot
  std::unordered_map<std::uint64_t, std::uint32_t> slots_;   // by Endpoint::id
  std::unordered_map<std::uint64_t, std::uint32_t> tokens_;  // by the cookie's
  std::uint32_t only_ = Balancer::kNone;  // the one server in rotation, where there is but one: nothing to balance
  std::vector<std::uint32_t> trials_;
  TimePoint trials_since_{};
  TimePoint next_ramp_ = kNoDeadline;  // kNoDeadline: nobody's share is growing
  bool limited_ = false;               // some server has max_connections
};

inline Server& Turn::server() const {
  return *pool_->members_[slot_].server;
}
inline const std::string& Turn::name() const {
  return pool_->members_[slot_].config->address.text;
}
inline std::size_t Turn::index() const {
  return pool_->members_[slot_].index;
}
inline std::uint64_t Turn::id() const {
  return pool_->members_[slot_].endpoint->id;
}

}  // namespace headgate::upstream
