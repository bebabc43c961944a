// SPDX-License-Identifier: Apache-2.0
#include "upstream/upstream.h"

namespace headgate::upstream {

Upstream::Upstream(const config::Upstream& config, const UpstreamWatch& watch, WorkerSide& side)
    : config_(config), side_(side), budget_(watch.budget) {
  std::size_t servers = 0;
  for (std::size_t i = 0; i < config.pools.size(); ++i) {
    first_servers_.push_back(servers);
    servers += config.pools[i].servers.size();
    pools_.push_back(std::make_unique<Pool>(config, config.pools[i], watch.pools[i], side));
  }
}

}  // namespace headgate::upstream
