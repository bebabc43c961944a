// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/pool_health.h"

#include <fmt/format.h>

#include "proxy/handlers/folder_choice.h"
#include "proxy/instance.h"

namespace headgate::proxy {

std::optional<std::string> why_not_well(Instance& instance, const std::string& upstream, const std::string& pool) {
  if (const auto* const files = instance.generation().find_static_pools(upstream)) {
    return why_no_index(*files->config, pool);
  }
  for (const auto& one : instance.monitor().status()) {
    if (one.upstream != upstream || one.pool != pool || one.serving()) continue;
    std::string why;
    for (const auto& server : one.servers) {
      why += fmt::format("{}{} is {}", why.empty() ? "" : ", ", server.server,
                         upstream::to_string(server.verdict.standing));
      if (!server.reason.empty()) why += " (" + server.reason + ")";
    }
    return fmt::format("pool '{}' has no server that is well: {}", pool, why);
  }
  return std::nullopt;
}

}  // namespace headgate::proxy
