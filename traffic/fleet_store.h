// SPDX-License-Identifier: Apache-2.0
// Where instances keep what they share about their traffic: a small store with compare-and-set, and turns at leading a
// rollout. Redis, by two short scripts and a plain key for each upstream; tests have one of their own.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/task.h"
#include "config/model.h"

namespace headgate::traffic {

/// One loop's thread. Each call ends within a time of the store's.
class FleetStore {
 public:
  virtual ~FleetStore() = default;

  /// What is kept of each upstream, in their order; nothing where there is nothing. Nothing at all: the store is away.
  using Texts = std::vector<std::optional<std::string>>;
  virtual Task<std::optional<Texts>> read(std::vector<std::string> upstreams) = 0;

  enum class Written { kDone, kMoved, kLost };
  /// Replaces the text of an upstream if it has this version (0: none). kMoved: it has another one.
  virtual Task<Written> replace(std::string upstream, std::uint64_t version, std::string text) = 0;

  struct Member {
    std::string instance;
    std::chrono::milliseconds silent{0};  ///< since its last turn
    std::string scores;
  };
  struct Turn {
    bool leads = false;
    std::vector<Member> members;  ///< for the leader: all that took turns at this rollout, this instance included
  };
  /// Tells this instance's scores, and takes or keeps the lead of the rollout for kLease if nobody else has it.
  virtual Task<std::optional<Turn>> take_turn(std::string upstream, std::uint64_t rollout, std::string instance,
                                              std::string scores) = 0;
  static constexpr std::chrono::milliseconds kLease{2000};

  /// Its own work, such as keeping a connection, until stop().
  virtual Task<> run() = 0;
  virtual void stop() = 0;
  /// Why it is away.
  virtual std::string problem() const = 0;
};

/// The first Redis of the configuration's.
std::shared_ptr<FleetStore> redis_fleet_store(Loop& loop, const config::Redis& redis, const config::Dns& dns);

}  // namespace headgate::traffic
