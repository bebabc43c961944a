// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/server_resource.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/nearest.h"
#include "proxy/admin/answer.h"
#include "proxy/instance.h"

namespace headgate::proxy {
namespace {

using nlohmann::json;
using upstream::Standing;

constexpr std::string_view kForce = "force=true";

/// Where the configuration has it. Views into the configuration.
struct Place {
  const config::Upstream* upstream = nullptr;
  std::vector<std::string_view> pools;  ///< that list the server
};

Place find(const config::Config& config, const ServerPath& path) {
  Place place;
  for (const auto& upstream : config.upstreams) {
    if (upstream.name != path.upstream) continue;
    place.upstream = &upstream;
    for (const auto& pool : upstream.pools) {
      const bool lists = std::any_of(pool.servers.begin(), pool.servers.end(),
                                     [&](const auto& server) { return server.address.text == path.server; });
      if (lists) place.pools.push_back(pool.name);
    }
  }
  return place;
}

std::string unknown_name(const config::Config& config, const ServerPath& path, const Place& place) {
  std::vector<std::string_view> known;
  if (place.upstream == nullptr) {
    for (const auto& upstream : config.upstreams) known.push_back(upstream.name);
    return fmt::format("there is no upstream '{}'{}", path.upstream, config::suggestion(path.upstream, known));
  }
  for (const auto& pool : place.upstream->pools) {
    for (const auto& server : pool.servers) known.push_back(server.address.text);
  }
  return fmt::format("upstream '{}' has no server '{}'{}", path.upstream, path.server,
                     config::suggestion(path.server, known));
}

bool is_drained(Instance& instance, const ServerPath& path) {
  const auto drains = instance.monitor().drains();
  return std::find(drains.begin(), drains.end(), std::pair(path.upstream, path.server)) != drains.end();
}

json server_json(Instance& instance, const ServerPath& path, const Place& place) {
  json told = {{"upstream", path.upstream},
               {"server", path.server},
               {"pools", place.pools},
               {"drained", is_drained(instance, path)},
               {"in_flight", 0},
               {"tunnels", 0}};
  ServerTraffic sum;
  for (const auto pool : place.pools) {
    const auto traffic = traffic_of(instance.metrics(), path.upstream, pool, path.server);
    if (!traffic) {
      told["in_flight"] = told["tunnels"] = nullptr;
      return told;
    }
    sum.in_flight += traffic->in_flight;
    sum.tunnels += traffic->tunnels;
  }
  told["in_flight"] = sum.in_flight;
  told["tunnels"] = sum.tunnels;
  return told;
}

}  // namespace

std::string refusal_to_drain(const std::vector<upstream::PoolStatus>& pools, const std::string& upstream,
                             const std::string& server) {
  for (const auto& pool : pools) {
    if (pool.upstream != upstream) continue;
    bool serves = false;  // it
    bool listed = false;
    bool others = false;
    bool others_serve = false;
    for (const auto& one : pool.servers) {
      const bool well = one.verdict.standing == Standing::kServing;
      if (one.server == server) {
        if (one.drained) return {};  // nothing changes
        listed = true;
        serves = serves || well;
      } else if (!one.drained) {
        others = true;
        others_serve = others_serve || well;
      }
    }
    if (!listed) continue;
    if (!others) return fmt::format("'{}' is the last server of pool '{}' that is not drained", server, pool.pool);
    if (serves && !others_serve) return fmt::format("no other server of pool '{}' is well", pool.pool);
  }
  return {};
}

Task<> respond_server(http::Exchange& exchange, Instance& instance, const ServerPath& path) {
  using Action = ServerPath::Action;
  const auto method = exchange.request.method;
  const bool reads = method == http::Method::kGet || method == http::Method::kHead;
  if (path.action == Action::kNone ? !reads : method != http::Method::kPost) {
    co_await refuse_method(exchange, path.action == Action::kNone ? "GET, HEAD" : "POST");
    co_return;
  }
  const bool undrains = path.action == Action::kUndrain;
  const auto generation = instance.shared_generation();  // a reload may come while this waits
  const Place place = find(generation->config, path);
  // What was drained and has left the file can still be given back.
  const bool known = !place.pools.empty() || (path.action != Action::kDrain && is_drained(instance, path));
  if (!known) {
    std::string error = error_json("unknown_server", unknown_name(generation->config, path, place));
    co_await respond(exchange, 404, std::move(error));
    co_return;
  }
  bool saved = true;
  if (path.action != Action::kNone) {
    if (!undrains && exchange.request.query != kForce) {
      const auto refusal = refusal_to_drain(instance.monitor().status(), path.upstream, path.server);
      if (!refusal.empty()) {
        std::string error = error_json("last_server", refusal + "; --force (force=true) drains it all the same");
        co_await respond(exchange, 409, std::move(error));
        co_return;
      }
    }
    const auto outcome = instance.overrides().drain(path.upstream, path.server, !undrains);
    saved = outcome == Overrides::Outcome::kDone;
    co_await instance.workers_told();
  }
  json told = server_json(instance, path, place);
  if (path.action != Action::kNone) told["saved"] = saved;
  std::string body = to_text(told);
  co_await respond(exchange, 200, std::move(body));
}

}  // namespace headgate::proxy
