// SPDX-License-Identifier: Apache-2.0
#include "proxy/rollout_sight.h"

#include <algorithm>

namespace headgate::proxy {

std::size_t healthy_servers(const upstream::Roster& roster) {
  using upstream::Standing;
  if (roster.resolving) return 1;
  if (roster.doubtful) return 0;
  const auto well = std::count_if(roster.entries.begin(), roster.entries.end(), [](const auto& entry) {
    const auto standing = entry.verdict.standing;
    return standing == Standing::kServing || standing == Standing::kUnknown;
  });
  return static_cast<std::size_t>(well);
}

traffic::Rollouts::Sight look_at(const traffic::Rollouts::Place& place, const Generation& generation) {
  traffic::Rollouts::Sight sight;
  sight.scores = place.cells.scores();
  sight.new_health = {0, sight.scores.connect_failures_in_a_row};
  sight.old_health = {0, 0};
  const auto& upstreams = generation.config.upstreams;
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    if (upstreams[i].name != place.upstream) continue;
    const auto& pools = upstreams[i].pools;
    for (std::size_t j = 0; j < pools.size(); ++j) {
      const std::size_t well = healthy_servers(*generation.upstreams[i].watch.pools[j]->roster());
      if (pools[j].name == place.pool) {
        sight.new_health.healthy_servers = well;
      } else if (traffic::weight_of(place.others, pools[j].name) > 0) {
        sight.old_health.healthy_servers += well;
      }
    }
  }
  return sight;
}

}  // namespace headgate::proxy
