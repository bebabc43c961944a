// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/traffic_resource.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "proxy/admin/answer.h"
#include "proxy/admin/fleet_words.h"
#include "proxy/admin/pool_health.h"
#include "proxy/instance.h"

namespace headgate::proxy {
namespace {

using nlohmann::json;
using Action = UpstreamPath::Action;

struct Asked {
  traffic::Traffic::Refusal refusal;  ///< what is wrong with the request
  traffic::Weights weights;
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

/// What has pools, in the generation that a request is answered by.
struct Pooled {
  const config::Upstream* upstream = nullptr;         ///< either this
  const CompiledStaticPools* static_pools = nullptr;  ///< or that
  explicit operator bool() const { return upstream != nullptr || static_pools != nullptr; }
};

std::vector<std::string> pools_of(const Pooled& pooled) {
  std::vector<std::string> names;
  if (pooled.upstream != nullptr) {
    for (const auto& pool : pooled.upstream->pools) names.push_back(pool.name);
  } else {
    for (const auto pool : pooled.static_pools->split.pools) names.emplace_back(pool);
  }
  return names;
}

/// What is under way in a pool.
ServerTraffic traffic_in(Instance& instance, const Pooled& pooled, const std::string& name, const std::string& pool) {
  ServerTraffic sum;
  if (pooled.upstream == nullptr) {
    sum.in_flight = static_traffic_of(instance.metrics(), name, pool).in_flight;
    return sum;
  }
  for (const auto& one : pooled.upstream->pools) {
    if (one.name != pool) continue;
    for (const auto& server : one.servers) {
      const auto traffic = traffic_of(instance.metrics(), name, pool, server.address.text);
      if (!traffic) continue;
      sum.in_flight += traffic->in_flight;
      sum.tunnels += traffic->tunnels;
    }
  }
  return sum;
}

json traffic_json(Instance& instance, const Pooled& pooled, const std::string& name) {
  const auto status = instance.traffic().status(name);
  json told = {{"upstream", name}, {"pools", json::array()}};
  if (!status) return told;
  double sum = 0;
  for (const auto& [pool, weight] : status->weights) sum += weight;
  told["override"] = status->override;
  told["release"] = status->release;
  told["split"] = json::object();
  for (const auto& pool : pools_of(pooled)) {
    const double weight = traffic::weight_of(status->weights, pool);
    const auto traffic = traffic_in(instance, pooled, name, pool);
    told["split"][pool] = weight;
    told["pools"].push_back({{"pool", pool},
                             {"weight", weight},
                             {"percent", sum > 0 ? weight / sum * 100 : 0},
                             {"in_flight", traffic.in_flight},
                             {"tunnels", traffic.tunnels}});
  }
  return told;
}

traffic::Traffic::Refusal apply(traffic::Traffic& traffic, const UpstreamPath& path, const Asked& asked) {
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

bool has_pools(const Pooled& pooled, const Asked& asked) {
  const auto names = pools_of(pooled);
  const auto has = [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  return (asked.pool.empty() || has(asked.pool)) &&
         std::all_of(asked.weights.begin(), asked.weights.end(), [&](const auto& one) { return has(one.first); });
}

/// An operator's word against a rollout's: who wants the split changed has to say what is to become of the rollout.
/// Back is always possible, and ends it; then there is nothing else to do.
struct Outcome {
  std::string refused;
  bool conflict = false;
};
Outcome carry_out(traffic::Traffic& traffic, traffic::Rollouts& rollouts, const UpstreamPath& path,
                  const Pooled& pooled, const Asked& asked) {
  const auto status = rollouts.status(path.upstream);
  if (status && !status->over()) {
    const bool back = path.action == Action::kRollback;
    if (!back && (!asked.force || !has_pools(pooled, asked))) {
      return {fmt::format("a rollout of '{}' is under way, at {:g} %: `rollout abort` or `rollout promote` it first; "
                          "--force (\"force\": true) rolls it back and goes on, to pools that there are",
                          status->pool, status->percent),
              true};
    }
    rollouts.abort(path.upstream);
    if (back) return {};
  }
  const auto refusal = apply(traffic, path, asked);
  return {refusal.value_or(std::string()), false};
}

const char* method_of(Action action) {
  return action == Action::kNone ? "GET" : action == Action::kSplit ? "PUT" : "POST";
}

Pooled find(const Generation& generation, const std::string& name) {
  const auto& upstreams = generation.config.upstreams;
  const auto found =
      std::find_if(upstreams.begin(), upstreams.end(), [&](const auto& upstream) { return upstream.name == name; });
  return {found == upstreams.end() ? nullptr : &*found, generation.find_static_pools(name)};
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
  const Pooled pooled = find(*generation, path.upstream);
  const Asked asked = text ? read_asked(path.action, *text) : Asked{"the body is too long", {}, false, {}, false};
  std::string refused;
  int status = 400;
  if (!pooled) {
    status = 404;
    refused = "there is no upstream '" + path.upstream + "', nor a static with pools of that name";
  } else if (path.action != Action::kNone && asked.refusal) {
    refused = *asked.refusal;
  } else if (path.action == Action::kSwitch && !asked.force) {
    if (const auto refusal = why_not_well(instance, path.upstream, asked.pool)) {
      status = 409;
      refused = *refusal + "; --force (\"force\": true) switches all the same";
    }
  }
  Outcome outcome;
  Instance::TrafficChange changed;
  if (refused.empty() && path.action != Action::kNone) {
    std::function<bool(traffic::Traffic&, traffic::Rollouts&)> what = [&](traffic::Traffic& traffic,
                                                                          traffic::Rollouts& rollouts) {
      outcome = carry_out(traffic, rollouts, path, pooled, asked);
      return outcome.refused.empty();
    };
    auto changing = instance.change_traffic(path.upstream, path.action == Action::kRollback, std::move(what));
    changed = co_await changing;
    refused = changed.fleet.raced ? kRacedRefusal : outcome.refused;
    if (outcome.conflict || changed.fleet.raced) status = 409;
  }
  if (!refused.empty()) {
    std::string error = error_json(status == 404         ? "unknown_upstream"
                                   : changed.fleet.raced ? "raced"
                                   : outcome.conflict    ? "rollout_running"
                                   : status == 409       ? "no_healthy_server"
                                                         : "refused",
                                   refused);
    co_await respond(exchange, status, std::move(error));
    co_return;
  }
  if (path.action != Action::kNone) co_await instance.workers_told();
  json told = traffic_json(instance, pooled, path.upstream);
  if (path.action != Action::kNone) told["saved"] = changed.saved;
  if (changed.fleet.alone) told["warning"] = kAloneWarning;
  std::string body = to_text(told);
  co_await respond(exchange, 200, std::move(body));
}

}  // namespace headgate::proxy
