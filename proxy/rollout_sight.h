// SPDX-License-Identifier: Apache-2.0
// What this instance sees of a rollout: what its workers have counted, and what its Monitor thinks of the pools.
#pragma once

#include "proxy/generation.h"
#include "traffic/rollouts.h"
#include "upstream/roster.h"

namespace headgate::proxy {

/// Servers that are well. One that has not been checked yet, as after a start, counts as well: nothing is known against
/// it. Of a pool whose last servers ought to be ejected none does.
std::size_t healthy_servers(const upstream::Roster& roster);

/// Main thread.
traffic::Rollouts::Sight look_at(const traffic::Rollouts::Place& place, const Generation& generation);

}  // namespace headgate::proxy
