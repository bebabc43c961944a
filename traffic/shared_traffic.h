// SPDX-License-Identifier: Apache-2.0
// What a fleet knows of one upstream's traffic, as text in its store: the split that an operator has set, and the
// rollout. And what each instance tells of a rollout under way. Pure. What is read was written by anybody, perhaps:
// everything in it is bounded, and what does not fit is nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "traffic/rollouts.h"
#include "traffic/traffic.h"

namespace headgate::traffic {

/// The state of one upstream. Each change has the next version.
struct SharedTraffic {
  std::uint64_t version = 0;
  std::string writer;           ///< the instance
  std::int64_t written_at = 0;  ///< in milliseconds since 1970, by the writer's clock
  Traffic::Saved traffic;
  std::optional<Rollouts::Shared> rollout;  ///< under way, or the latest one
};

/// "17 {...}": the version stands before the rest, where a script of the store can read it.
std::string shared_traffic_text(const SharedTraffic& state);
/// The version that a text begins with; 0: it begins with none.
std::uint64_t version_of(std::string_view text);
/// Nothing: it is no such text.
std::optional<SharedTraffic> read_shared_traffic(const std::string& upstream, std::string_view text);

/// What two states that mean the same have in common: all but who wrote it, when, and how long a step has lasted.
std::string essence_of(const SharedTraffic& state);

/// Cumulative, with only the buckets that are not empty.
std::string scores_text(const RolloutScores& scores);
std::optional<RolloutScores> read_scores(std::string_view text);

}  // namespace headgate::traffic
