// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/traffic_resource.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "proxy/admin/answer.h"
#include "proxy/admin/pool_health.h"
#include "proxy/instance.h"

namespace headgate::proxy {
namespace {

using nlohmann::json;
using Action = UpstreamPath::Action;

struct Asked {
  Traffic::Refusal refusal;  ///< what is wrong with the request
  Weights weights;
  bool reset = false;
  std::string pool;
  bool force = false;
};

/// {"weights": {"blue": 90, "green": 10}} or {"reset": true}; {"pool": "green", "force": false}
Asked read_asked(Action action, const std::string& text) {
  Asked asked;
  if (action == Action::kRollback) return asked;
  const json body = json::parse(text, nullptr, false);
  if (!body.is_object()) {
    asked.refusal = "expected a JSON object";
    return asked;
  }
  asked.force = body.value("force", json()) == true;
  if (action == Action::kSwitch) {
    asked.pool = body.contains("pool") && body["pool"].is_string() ? body["pool"].get<std::string>() : std::string();
    if (asked.pool.empty()) asked.refusal = "expected the name of a pool: {\"pool\": NAME}";
  } else if (body.value("reset", json()) == true) {
    asked.reset = true;
  } else {
    const json listed = body.value("weights", json::object());
    const json weights = listed.is_object() ? listed : json::object();
    for (const auto& [pool, weight] : weights.items()) {
      if (!weight.is_number()) asked.refusal = "the weight of '" + pool + "' is not a number";
      asked.weights.emplace_back(pool, weight.is_number() ? weight.get<double>() : 0);
    }
    if (asked.weights.empty()) asked.refusal = "expected {\"weights\": {POOL: NUMBER}} or {\"reset\": true}";
  }
  return asked;
}

json traffic_json(Instance& instance, const config::Upstream& upstream) {
  const auto status = instance.traffic().status(upstream.name);
  json told = {{"upstream", upstream.name}, {"pools", json::array()}};
  if (!status) return told;
  double sum = 0;
  for (const auto& [pool, weight] : status->weights) sum += weight;
  told["override"] = status->override;
  told["release"] = status->release;
  told["split"] = json::object();
  for (const auto& pool : upstream.pools) {
    const double weight = weight_of(status->weights, pool.name);
    ServerTraffic traffic;
    for (const auto& server : pool.servers) {
      const auto one = traffic_of(instance.metrics(), upstream.name, pool.name, server.address.text);
      if (!one) continue;
      traffic.in_flight += one->in_flight;
      traffic.tunnels += one->tunnels;
    }
    told["split"][pool.name] = weight;
    told["pools"].push_back({{"pool", pool.name},
                             {"weight", weight},
                             {"percent", sum > 0 ? weight / sum * 100 : 0},
                             {"in_flight", traffic.in_flight},
                             {"tunnels", traffic.tunnels}});
  }
  return told;
}

Traffic::Refusal apply(Traffic& traffic, const UpstreamPath& path, const Asked& asked) {
  switch (path.action) {
    case Action::kSplit:
      return asked.reset ? traffic.reset(path.upstream) : traffic.split(path.upstream, asked.weights);
    case Action::kSwitch:
      return traffic.switch_to(path.upstream, asked.pool);
    case Action::kRollback:
      return traffic.rollback(path.upstream);
    case Action::kNone:
    case Action::kRollout:
      break;
  }
  return std::nullopt;
}

bool has_pools(const config::Upstream& upstream, const Asked& asked) {
  const auto has = [&](const std::string& name) {
    return std::any_of(upstream.pools.begin(), upstream.pools.end(),
                       [&](const auto& pool) { return pool.name == name; });
  };
  return (asked.pool.empty() || has(asked.pool)) &&
         std::all_of(asked.weights.begin(), asked.weights.end(), [&](const auto& one) { return has(one.first); });
}

/// An operator's word against a rollout's: who wants the split changed has to say what is to become of the rollout.
/// Back is always possible, and ends it. `saved` is set when it has ended.
Traffic::Refusal end_rollout(Instance& instance, const UpstreamPath& path, const config::Upstream& upstream,
                             const Asked& asked, bool& saved) {
  const auto status = instance.rollouts().status(path.upstream);
  if (!status || status->over()) return std::nullopt;
  const bool back = path.action == Action::kRollback;
  if (!back && (!asked.force || !has_pools(upstream, asked))) {
    return fmt::format(
        "a rollout of '{}' is under way, at {:g} %: `rollout abort` or `rollout promote` it first; "
        "--force (\"force\": true) rolls it back and goes on, to pools that there are",
        status->pool, status->percent);
  }
  saved = instance.change_rollout([&](Rollouts& rollouts) { return rollouts.abort(path.upstream); }).saved;
  return std::nullopt;
}

const char* method_of(Action action) {
  return action == Action::kNone ? "GET" : action == Action::kSplit ? "PUT" : "POST";
}

const config::Upstream* find(const config::Config& config, const std::string& name) {
  const auto found = std::find_if(config.upstreams.begin(), config.upstreams.end(),
                                  [&](const auto& upstream) { return upstream.name == name; });
  return found == config.upstreams.end() ? nullptr : &*found;
}

}  // namespace

Task<> respond_traffic(http::Exchange& exchange, Instance& instance, const UpstreamPath& path) {
  if (exchange.request.method_name != method_of(path.action)) {
    co_await refuse_method(exchange, method_of(path.action));
    co_return;
  }
  auto reading = read_text(exchange);
  const auto text = co_await reading;
  const auto generation = instance.shared_generation();  // a reload may come while this waits
  const auto* const upstream = find(generation->config, path.upstream);
  const Asked asked = text ? read_asked(path.action, *text) : Asked{"the body is too long", {}, false, {}, false};
  std::string refused;
  int status = 400;
  if (upstream == nullptr) {
    status = 404;
    refused = "there is no upstream '" + path.upstream + "'";
  } else if (path.action != Action::kNone && asked.refusal) {
    refused = *asked.refusal;
  } else if (path.action == Action::kSwitch && !asked.force) {
    if (const auto refusal = why_not_well(instance, path.upstream, asked.pool)) {
      status = 409;
      refused = *refusal + "; --force (\"force\": true) switches all the same";
    }
  }
  bool saved = true;
  bool conflict = false;
  const bool aborts = path.action == Action::kRollback && instance.rollouts().running(path.upstream);
  if (refused.empty() && path.action != Action::kNone) {
    if (const auto refusal = end_rollout(instance, path, *upstream, asked, saved)) {
      conflict = true;
      status = 409;
      refused = *refusal;
    }
  }
  if (refused.empty() && path.action != Action::kNone && !aborts) {
    const auto changed = instance.overrides().change([&](Traffic& traffic) { return apply(traffic, path, asked); });
    saved = changed.saved;
    if (changed.refusal) refused = *changed.refusal;
  }
  if (!refused.empty()) {
    std::string error = error_json(status == 404   ? "unknown_upstream"
                                   : conflict      ? "rollout_running"
                                   : status == 409 ? "no_healthy_server"
                                                   : "refused",
                                   refused);
    co_await respond(exchange, status, std::move(error));
    co_return;
  }
  if (path.action != Action::kNone) co_await instance.workers_told();
  json told = traffic_json(instance, *upstream);
  if (path.action != Action::kNone) told["saved"] = saved;
  std::string body = to_text(told);
  co_await respond(exchange, 200, std::move(body));
}

}  // namespace headgate::proxy
