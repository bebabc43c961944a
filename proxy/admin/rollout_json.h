// SPDX-License-Identifier: Apache-2.0
// A rollout as the admin API tells of it; docs/rollouts.md describes each field. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "traffic/rollouts.h"

namespace headgate::proxy {

nlohmann::json rollout_json(const traffic::Rollouts::Status& status);

}  // namespace headgate::proxy
