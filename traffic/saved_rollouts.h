// SPDX-License-Identifier: Apache-2.0
// Rollouts as JSON, for state_dir and for other instances: enough to go on with them. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "traffic/rollouts.h"

namespace headgate::traffic {

nlohmann::json saved_rollouts_json(const std::vector<Rollouts::Saved>& saved);
/// Nothing: it is no such thing.
std::optional<std::vector<Rollouts::Saved>> read_saved_rollouts(const nlohmann::json& listed);

/// [{"pool": "blue", "weight": 95}, ...]
nlohmann::json weights_json(const Weights& weights);
std::optional<Weights> read_weights(const nlohmann::json& pools);

/// The value with this name, of an enumeration whose values are those from 0 to `last`.
template <class Enumeration>
std::optional<Enumeration> value_named(const std::optional<std::string>& name, Enumeration last) {
  for (int i = 0; name && i <= static_cast<int>(last); ++i) {
    const auto value = static_cast<Enumeration>(i);
    if (routing::name_of(value) == *name) return value;
  }
  return std::nullopt;
}

}  // namespace headgate::traffic
