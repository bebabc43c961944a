// SPDX-License-Identifier: Apache-2.0
// What an instance tells of itself: for metrics and for status.
#include <algorithm>
#include <map>
#include <set>

#include <unistd.h>

#include "proxy/handlers/folder_choice.h"
#include "proxy/instance.h"
#include "proxy/process_figures.h"
#include "proxy/version.h"

namespace headgate::proxy {
namespace {

/// By name, of which two certificates may have the same one, with keys of two types: the one that ends first counts.
std::vector<std::pair<std::string, std::int64_t>> seconds_left(const tls::CertificateSet& set) {
  const auto now = std::chrono::system_clock::now();
  std::map<std::string, std::int64_t> ends;
  for (const auto& certificate : set.certificates()) {
    const std::int64_t left = std::chrono::duration_cast<std::chrono::seconds>(certificate->not_after - now).count();
    const auto [known, fresh] = ends.emplace(certificate->display_name, left);
    if (!fresh) known->second = std::min(known->second, left);
  }
  return {ends.begin(), ends.end()};
}

/// A name with several addresses is one server, and well when one of them is.
void take_server_states(upstream::Monitor& monitor, const traffic::Traffic& traffic, observe::ProgramFigures& figures) {
  std::map<ServerKey, std::uint64_t> ejections;
  for (auto& one : monitor.ejections()) ejections[{one.upstream, one.pool, one.server}] = one.count;
  for (const auto& pool : monitor.status()) {
    const auto split = traffic.status(pool.upstream);
    figures.pools.push_back({pool.upstream, pool.pool, pool.rotation == upstream::Rotation::kPanic,
                             split ? traffic::weight_of(split->weights, pool.pool) : 0});
    const std::size_t first = figures.servers.size();
    for (const auto& server : pool.servers) {
      // Its addresses stand one after another.
      if (figures.servers.size() == first || figures.servers.back().server != server.server) {
        const auto count = ejections.find({pool.upstream, pool.pool, server.server});
        figures.servers.push_back(
            {pool.upstream, pool.pool, server.server, false, count == ejections.end() ? 0 : count->second});
      }
      if (server.verdict.standing == upstream::Standing::kServing) figures.servers.back().healthy = true;
    }
  }
}

void take_static_pools(const Generation& generation, const traffic::Traffic& traffic,
                       observe::ProgramFigures& figures) {
  for (const auto& pools : generation.static_pools) {
    const auto split = traffic.status(pools.config->name);
    for (const auto pool : pools.split.pools) {
      figures.static_pools.push_back(
          {pools.config->name, std::string(pool), split ? traffic::weight_of(split->weights, pool) : 0});
    }
  }
}

void take_rollouts(const traffic::Rollouts& rollouts, observe::ProgramFigures& figures) {
  for (const auto& status : rollouts.all()) {
    const auto lifetime = rollouts.lifetime(status.upstream);
    figures.rollouts.push_back({status.upstream, 1 + static_cast<std::uint64_t>(status.state), status.percent,
                                lifetime.failed, lifetime.shielded});
  }
}

/// Of each name once; closed ones first, so that a bound leaves out others.
void take_closures(const config::Config& config, const Closures& closed, observe::ProgramFigures& figures) {
  std::set<std::string> names;
  for (const auto& site : config.sites) names.insert(site.name());
  for (const bool wanted : {true, false}) {
    for (const auto& name : names) {
      if (closed.contains(name) == wanted) figures.sites.emplace_back(name, wanted);
    }
  }
}

void take_fleet(const traffic::Fleet& fleet, const traffic::Traffic& traffic, observe::ProgramFigures& figures) {
  if (!fleet.on()) return;
  figures.fleet_connected = fleet.up() ? 1 : 0;
  for (const auto& upstream : traffic.switchable()) {
    figures.fleet_leads.emplace_back(upstream, fleet.role(upstream) == traffic::Fleet::Role::kLeader);
  }
}

}  // namespace

Worker::Figures Instance::figures() const {
  Worker::Figures sum;
  for (const auto& worker : workers_) {
    const auto one = worker->figures();
    sum.requests += one.requests;
    sum.in_flight += one.in_flight;
  }
  return sum;
}

observe::Exposition Instance::exposition() {
  observe::ProgramFigures figures;
  figures.version = kVersion;
  figures.generation = generation_->number;
  figures.reloads_applied = reloads_applied_;
  figures.reloads_refused = reloads_refused_;
  figures.upgrades_failed = upgrades_failed_;
  figures.requests_in_flight = this->figures().in_flight;
  figures.rate_limit_store_errors = limits_.failures();
  figures.stored_body_bytes = bodies_.used();
  figures.access_log_dropped = access_log_.dropped();
  figures.workers = workers_.size();
  if (generation_->certificates) figures.certificates = seconds_left(*generation_->certificates->current());
  take_server_states(monitor_, traffic_, figures);
  take_static_pools(*generation_, traffic_, figures);
  take_rollouts(rollouts_, figures);
  take_closures(generation_->config, maintenance_.closed(), figures);
  take_fleet(fleet_, traffic_, figures);
  figures.started_at = std::chrono::duration<double>(started_at_wall_clock_.time_since_epoch()).count();
  figures.cpu_seconds = process_cpu_seconds();
  figures.resident_bytes = process_resident_bytes();
  figures.open_descriptors = process_open_descriptors();
  figures.most_descriptors = process_descriptor_limit();
  return observe::Exposition(metrics_, std::move(figures));
}

StatusFacts Instance::status() {
  StatusFacts facts;
  facts.version = kVersion;
  facts.generation = generation_->number;
  facts.pid = ::getpid();
  facts.uptime_s = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - started_at_).count();
  facts.draining = draining_;
  const auto figures = this->figures();
  facts.requests = figures.requests;
  facts.in_flight = figures.in_flight;
  facts.connections = connections();
  for (const auto& listener : listeners_)
    facts.listeners.emplace_back(listener->local.to_string(), listener->config.tls);
  facts.now = std::chrono::system_clock::now();
  facts.config = &generation_->config;
  facts.pools = monitor_.status();
  for (const auto& series : metrics_.servers.all()) {
    const auto& [upstream, pool, server] = series->labels;
    facts.traffic[{upstream, pool, server}] = traffic_of(*series);
  }
  for (const auto& series : metrics_.pools.all()) {
    auto& sum = facts.latencies[{series->labels[0], series->labels[1]}];
    series->each([&](const observe::PoolCells& cells) { cells.durations.add_to(sum); });
  }
  for (auto& one : monitor_.ejections()) facts.ejections[{one.upstream, one.pool, one.server}] = one.count;
  facts.drains = monitor_.drains();
  facts.closed = maintenance_.closed();
  for (const auto& upstream : generation_->config.upstreams) {
    if (const auto status = traffic_.status(upstream.name)) facts.splits[upstream.name] = *status;
  }
  for (const auto& pools : generation_->static_pools) {
    const config::Static& files = *pools.config;
    StatusFacts::Statics told{files.name, pools.site->name, pools.route->name, {}};
    for (const auto& [pool, folder] : files.pools) {
      told.pools.push_back({pool, folder, !why_no_index(files, pool), static_traffic_of(metrics_, files.name, pool)});
    }
    facts.statics.push_back(std::move(told));
    if (const auto status = traffic_.status(files.name)) facts.splits[files.name] = *status;
  }
  if (fleet_.on()) {
    for (const auto& upstream : traffic_.switchable()) facts.shared[upstream] = to_string(fleet_.role(upstream));
  }
  for (auto& rollout : rollouts_.all()) facts.rollouts.emplace(rollout.upstream, std::move(rollout));
  return facts;
}

}  // namespace headgate::proxy
