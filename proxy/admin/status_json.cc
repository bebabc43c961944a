// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/status_json.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "observe/access_line.h"
#include "proxy/admin/answer.h"
#include "proxy/admin/rollout_json.h"

namespace headgate::proxy {
namespace {

using nlohmann::json;
using upstream::PoolStatus;
using upstream::ServerStatus;

const char* text_of(upstream::Health health) {
  using upstream::Health;
  switch (health) {
    case Health::kUnchecked:
      return "unchecked";
    case Health::kUnknown:
      return "unknown";
    case Health::kHealthy:
      return "healthy";
    case Health::kUnhealthy:
      return "unhealthy";
  }
  return "unknown";
}

/// To the millisecond; null for what is not known.
json seconds(double value) {
  return value < 0 ? json() : json(std::round(value * 1000) / 1000);
}

/// "connect_refused" is a token of the access log; people are told in words.
std::string in_words(std::string reason) {
  const bool token = std::all_of(reason.begin(), reason.end(),
                                 [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
  if (token) std::replace(reason.begin(), reason.end(), '_', ' ');
  return reason;
}

json moment_before(std::chrono::system_clock::time_point now, double seconds) {
  if (seconds < 0) return {};
  const auto ago =
      std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::duration<double>(seconds));
  observe::LineTime time;
  time.set(now - ago);
  return time.rfc3339();
}

json share_of(const upstream::OutcomeWindow::Sum& sum) {
  if (sum.all == 0) return {};
  return std::round(static_cast<double>(sum.failed) / static_cast<double>(sum.all) * 10'000) / 10'000;
}

/// In milliseconds, the bound of the histogram's bucket below which this share lies; null: of none, or above all
/// bounds.
json quantile(const observe::DurationHistogram::Sum& sum, double share) {
  const auto wanted = share * static_cast<double>(sum.count());
  double below = 0;
  for (std::size_t i = 0; wanted > 0 && i < observe::DurationBuckets::kBounds.size(); ++i) {
    below += static_cast<double>(sum.buckets[i]);
    if (below >= wanted) return static_cast<double>(observe::DurationBuckets::kBounds[i]) / 1e6;
  }
  return {};
}

json latency_json(const StatusFacts& facts, const std::string& upstream, const std::string& pool) {
  const auto found = facts.latencies.find({upstream, pool});
  if (found == facts.latencies.end()) return {{"p50", nullptr}, {"p99", nullptr}};
  return {{"p50", quantile(found->second, 0.5)}, {"p99", quantile(found->second, 0.99)}};
}

/// One address of a server. What is counted by name is that of all its addresses.
json server_json(const StatusFacts& facts, const ServerKey& key, const config::Server& server,
                 const ServerStatus& status, std::chrono::milliseconds window) {
  const auto ejections = facts.ejections.find(key);
  json told = {
      {"address", server.address.text},
      {"resolved", status.address.empty() ? json() : json(status.address)},
      {"weight", server.weight},
      {"backup", server.backup},
      {"state", upstream::to_string(status.verdict.standing)},
      {"in_rotation", status.verdict.in_rotation},
      {"health", text_of(status.health)},
      {"reason", in_words(status.reason)},
      {"since", moment_before(facts.now, status.for_seconds)},
      {"for_s", seconds(status.for_seconds)},
      {"trial_in_s", seconds(status.ejected_for)},
      {"ejections", status.ejections},
      {"ejections_total", ejections == facts.ejections.end() ? 0 : ejections->second},
      {"ejection_refused", status.verdict.ejection_refused},
      {"recent",
       {{"requests", status.recent.all},
        {"per_s", std::round(static_cast<double>(status.recent.all) * 1e5 / static_cast<double>(window.count())) / 100},
        {"failed", status.recent.failed},
        {"error_share", share_of(status.recent)}}},
      {"override", status.drained},
  };
  const auto traffic = facts.traffic.find(key);
  const bool counted = traffic != facts.traffic.end();
  told["in_flight"] = counted ? json(traffic->second.in_flight) : json();
  told["tunnels"] = counted ? json(traffic->second.tunnels) : json();
  told["reuse_races"] = counted ? json(traffic->second.reuse_races) : json();
  return told;
}

json pool_json(const StatusFacts& facts, const config::Upstream& upstream, const config::Pool& pool) {
  json servers = json::array();
  const auto known = std::find_if(facts.pools.begin(), facts.pools.end(), [&](const PoolStatus& one) {
    return one.upstream == upstream.name && one.pool == pool.name;
  });
  const std::vector<ServerStatus> none;
  for (const auto& status : known == facts.pools.end() ? none : known->servers) {
    const auto server = std::find_if(pool.servers.begin(), pool.servers.end(),
                                     [&](const auto& one) { return one.address.text == status.server; });
    if (server == pool.servers.end()) continue;
    servers.push_back(
        server_json(facts, {upstream.name, pool.name, status.server}, *server, status, upstream.ejection.window));
  }
  const auto rotation = known == facts.pools.end() ? upstream::Rotation::kNone : known->rotation;
  return {{"name", pool.name},
          {"rotation", upstream::to_string(rotation)},
          {"latency_ms", latency_json(facts, upstream.name, pool.name)},
          {"servers", std::move(servers)}};
}

void add_split(const StatusFacts& facts, const std::string& name, json& told) {
  const auto split = facts.splits.find(name);
  if (split == facts.splits.end()) return;
  told["split"] = json::object();
  for (const auto& [pool, weight] : split->second.weights) told["split"][pool] = weight;
  told["split_override"] = split->second.override;
}

json static_json(const StatusFacts& facts, const StatusFacts::Statics& statics) {
  json pools = json::array();
  for (const auto& pool : statics.pools) {
    pools.push_back({{"name", pool.name},
                     {"folder", pool.folder},
                     {"index", pool.has_index},
                     {"in_flight", pool.traffic.in_flight},
                     {"requests", pool.traffic.requests},
                     {"lent", pool.traffic.lent}});
  }
  json told = {{"name", statics.name}, {"site", statics.site}, {"route", statics.route}, {"pools", std::move(pools)}};
  add_split(facts, statics.name, told);
  return told;
}

bool has_server(const config::Config& config, const std::string& upstream, const std::string& server) {
  return std::any_of(config.upstreams.begin(), config.upstreams.end(), [&](const auto& one) {
    return one.name == upstream && std::any_of(one.pools.begin(), one.pools.end(), [&](const auto& pool) {
             return std::any_of(pool.servers.begin(), pool.servers.end(),
                                [&](const auto& each) { return each.address.text == server; });
           });
  });
}

json closure_json(const StatusFacts& facts, const std::string& name, const Closure& closure) {
  const auto& sites = facts.config->sites;
  const bool known = std::any_of(sites.begin(), sites.end(), [&](const auto& site) { return site.name() == name; });
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(facts.now.time_since_epoch()).count();
  json told = {{"site", name},
               {"maintenance", true},
               {"for_s", std::max<std::int64_t>(0, now - closure.since)},
               {"allow", json::array()},
               {"message", closure.message},
               {"in_effect", known}};
  for (const auto& network : closure.allow) told["allow"].push_back(network.to_string());
  return told;
}

}  // namespace

std::string status_json(const StatusFacts& facts) {
  json status = {
      {"version", facts.version},     {"generation", facts.generation}, {"pid", facts.pid},
      {"uptime_s", facts.uptime_s},   {"draining", facts.draining},     {"requests", facts.requests},
      {"in_flight", facts.in_flight}, {"connections", facts.connections}, {"listeners", json::array()},
      {"upstreams", json::array()},   {"statics", json::array()},       {"overrides", json::array()},
  };
  for (const auto& [address, tls] : facts.listeners)
    status["listeners"].push_back({{"address", address}, {"tls", tls}});
  for (const auto& upstream : facts.config->upstreams) {
    json pools = json::array();
    for (const auto& pool : upstream.pools) pools.push_back(pool_json(facts, upstream, pool));
    json told = {{"name", upstream.name}, {"pools", std::move(pools)}};
    add_split(facts, upstream.name, told);
    if (const auto rollout = facts.rollouts.find(upstream.name); rollout != facts.rollouts.end())
      told["rollout"] = rollout_json(rollout->second);
    if (const auto role = facts.shared.find(upstream.name); role != facts.shared.end()) told["shared"] = role->second;
    status["upstreams"].push_back(std::move(told));
  }
  for (const auto& statics : facts.statics) status["statics"].push_back(static_json(facts, statics));
  for (const auto& [upstream, server] : facts.drains) {
    status["overrides"].push_back({{"upstream", upstream},
                                   {"server", server},
                                   {"drained", true},
                                   {"in_effect", has_server(*facts.config, upstream, server)}});
  }
  for (const auto& [site, closure] : facts.closed) status["overrides"].push_back(closure_json(facts, site, closure));
  return to_text(status);
}

}  // namespace headgate::proxy
