// SPDX-License-Identifier: Apache-2.0
// A rollout for people: a picture of its steps and of both pools side by side, and what became of it. Pure.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace headgate::cli {

/// Of what the admin API says; a line each, without newlines.
std::vector<std::string> rollout_picture(const nlohmann::json& rollout, bool colours);

/// "api: green rolled back in step 2: ..."
std::string rollout_line(const nlohmann::json& rollout);

/// What clients had of it: requests that failed, and that were shielded.
std::string rollout_damage(const nlohmann::json& rollout);

}  // namespace headgate::cli
