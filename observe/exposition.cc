// SPDX-License-Identifier: Apache-2.0
// The table at the end is all there is to see at a scrape. A new metric is a line there, the function that writes one
// item of it, and its entry in docs/metrics.md.
#include "observe/exposition.h"

#include <algorithm>
#include <array>
#include <map>

#include "observe/prometheus_text.h"

namespace headgate::observe {
namespace {

using Snapshot = Exposition::Snapshot;

/// A name and its samples, item by item.
struct Family {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  std::size_t (*items)(const Snapshot&);
  void (*write)(const Family&, const Snapshot&, std::size_t item, PrometheusText&);
};

std::string code_label(int code) {
  return code == CodeCounts::kOtherCode ? std::string(kOtherLabel) : std::to_string(code);
}

// --- by route -------------------------------------------------------------------------------------------------------

std::size_t routes(const Snapshot& now) {
  return now.routes.size();
}

void write_requests(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.routes[item];
  std::map<std::pair<std::size_t, int>, std::uint64_t> counts;
  series.each([&](const RouteCells& cells) {
    cells.each([&](std::size_t method, const CodeCounts& codes, const DurationHistogram&) {
      codes.each([&](int code, std::uint64_t count) { counts[{method, code}] += count; });
    });
  });
  for (const auto& [key, count] : counts) {
    out.sample(family.name,
               {{"site", series.labels[0]},
                {"route", series.labels[1]},
                {"method", kMethodLabels[key.first]},
                {"code", code_label(key.second)}},
               count);
  }
}

void write_request_durations(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.routes[item];
  std::array<DurationHistogram::Sum, kMethodLabels.size()> sums;
  std::array<bool, kMethodLabels.size()> seen{};
  series.each([&](const RouteCells& cells) {
    cells.each([&](std::size_t method, const CodeCounts&, const DurationHistogram& durations) {
      durations.add_to(sums[method]);
      seen[method] = true;
    });
  });
  for (std::size_t method = 0; method < sums.size(); ++method) {
    if (!seen[method]) continue;
    out.histogram(family.name,
                  {{"site", series.labels[0]}, {"route", series.labels[1]}, {"method", kMethodLabels[method]}},
                  sums[method]);
  }
}

// --- by server and pool ---------------------------------------------------------------------------------------------

std::size_t servers(const Snapshot& now) {
  return now.servers.size();
}
std::size_t pools(const Snapshot& now) {
  return now.pools.size();
}

void write_upstream_requests(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.servers[item];
  std::map<int, std::uint64_t> counts;
  series.each([&](const ServerCells& cells) {
    cells.codes.each([&](int code, std::uint64_t count) { counts[code] += count; });
  });
  const auto& [upstream, pool, server] = series.labels;
  for (const auto& [code, count] : counts) {
    out.sample(family.name, {{"upstream", upstream}, {"pool", pool}, {"server", server}, {"code", code_label(code)}},
               count);
  }
}

void write_upstream_in_flight(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.servers[item];
  std::uint64_t sum = 0;
  series.each([&](const ServerCells& cells) { sum += cells.in_flight.value() + cells.tunnels.value(); });
  const auto& [upstream, pool, server] = series.labels;
  out.sample(family.name, {{"upstream", upstream}, {"pool", pool}, {"server", server}}, sum);
}

void write_upstream_reuse_races(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.servers[item];
  std::uint64_t sum = 0;
  series.each([&](const ServerCells& cells) { sum += cells.reuse_races.value(); });
  const auto& [upstream, pool, server] = series.labels;
  out.sample(family.name, {{"upstream", upstream}, {"pool", pool}, {"server", server}}, sum);
}

void write_upstream_durations(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.pools[item];
  DurationHistogram::Sum sum;
  series.each([&](const PoolCells& cells) { cells.durations.add_to(sum); });
  out.histogram(family.name, {{"upstream", series.labels[0]}, {"pool", series.labels[1]}}, sum);
}

void write_upstream_retries(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.pools[item];
  std::uint64_t sum = 0;
  series.each([&](const PoolCells& cells) { sum += cells.retries.value(); });
  out.sample(family.name, {{"upstream", series.labels[0]}, {"pool", series.labels[1]}}, sum);
}

// --- what is decided about servers and pools ------------------------------------------------------------------------

std::size_t server_states(const Snapshot& now) {
  return std::min(now.figures.servers.size(), Metrics::kMostServers);
}
std::size_t pool_states(const Snapshot& now) {
  return std::min(now.figures.pools.size(), Metrics::kMostPools);
}

template <auto kFigure>
void write_server_state(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& state = now.figures.servers[item];
  out.sample(family.name, {{"upstream", state.upstream}, {"pool", state.pool}, {"server", state.server}},
             std::uint64_t{state.*kFigure});
}

void write_panic(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& state = now.figures.pools[item];
  out.sample(family.name, {{"upstream", state.upstream}, {"pool", state.pool}}, std::uint64_t{state.panic});
}

std::size_t static_pool_states(const Snapshot& now) {
  return std::min(now.figures.static_pools.size(), Metrics::kMostPools);
}
std::size_t all_pool_states(const Snapshot& now) {
  return pool_states(now) + static_pool_states(now);
}

void write_weight(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  if (const std::size_t first = pool_states(now); item >= first) {
    const auto& state = now.figures.static_pools[item - first];
    out.sample(family.name, {{"upstream", state.name}, {"pool", state.pool}}, state.weight);
    return;
  }
  const auto& state = now.figures.pools[item];
  out.sample(family.name, {{"upstream", state.upstream}, {"pool", state.pool}}, state.weight);
}

std::size_t rollouts(const Snapshot& now) {
  return std::min(now.figures.rollouts.size(), Metrics::kMostPools);
}

template <auto kFigure>
void write_rollout(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& rollout = now.figures.rollouts[item];
  out.sample(family.name, {{"upstream", rollout.upstream}}, rollout.*kFigure);
}

std::size_t fleet_leads(const Snapshot& now) {
  return std::min(now.figures.fleet_leads.size(), Metrics::kMostPools);
}

void write_fleet_leader(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& [upstream, leads] = now.figures.fleet_leads[item];
  out.sample(family.name, {{"upstream", upstream}}, std::uint64_t{leads});
}

void write_fleet_connected(const Family& family, const Snapshot& now, std::size_t, PrometheusText& out) {
  out.sample(family.name, {}, static_cast<std::uint64_t>(now.figures.fleet_connected));
}

void write_spills(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.pools[item];
  std::uint64_t sum = 0;
  series.each([&](const PoolCells& cells) { sum += cells.spilled.value(); });
  out.sample(family.name, {{"upstream", series.labels[0]}, {"pool", series.labels[1]}}, sum);
}

std::size_t static_pools(const Snapshot& now) {
  return now.static_pools.size();
}

template <auto kCounter>
void write_static_pool(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.static_pools[item];
  std::uint64_t sum = 0;
  series.each([&](const StaticPoolCells& cells) { sum += (cells.*kCounter).value(); });
  out.sample(family.name, {{"upstream", series.labels[0]}, {"pool", series.labels[1]}}, sum);
}

// --- by site --------------------------------------------------------------------------------------------------------

std::size_t sites(const Snapshot& now) {
  return std::min(now.figures.sites.size(), ProgramFigures::kMostSites);
}

void write_maintenance(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& [site, closed] = now.figures.sites[item];
  out.sample(family.name, {{"site", site}}, std::uint64_t{closed});
}

// --- by listener ----------------------------------------------------------------------------------------------------

std::size_t listeners(const Snapshot& now) {
  return now.listeners.size();
}

void write_connections(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.listeners[item];
  std::uint64_t open = 0;
  std::uint64_t handshake = 0;
  std::uint64_t active = 0;
  series.each([&](const ListenerCells& cells) {
    open += cells.open.value();
    handshake += cells.shaking_hands.value();
    active += cells.active.value();
  });
  // Read one after another while the worker goes on: the rest may not come out negative.
  const std::uint64_t idle = open - std::min(open, handshake + active);
  const auto& listener = series.labels[0];
  out.sample(family.name, {{"listener", listener}, {"state", "handshake"}}, handshake);
  out.sample(family.name, {{"listener", listener}, {"state", "active"}}, active);
  out.sample(family.name, {{"listener", listener}, {"state", "idle"}}, idle);
}

/// All reasons from the first connection on: rate() needs the zeros.
void write_http2_protections(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.listeners[item];
  for (std::size_t reason = 0; reason < ListenerCells::kHttp2Reasons.size(); ++reason) {
    std::uint64_t sum = 0;
    series.each([&](const ListenerCells& cells) { sum += cells.http2_held_off[reason].value(); });
    out.sample(family.name, {{"listener", series.labels[0]}, {"reason", ListenerCells::kHttp2Reasons[reason]}}, sum);
  }
}

void write_proxy_headers_refused(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.listeners[item];
  std::uint64_t sum = 0;
  series.each([&](const ListenerCells& cells) { sum += cells.proxy_headers_refused.value(); });
  out.sample(family.name, {{"listener", series.labels[0]}}, sum);
}

// --- by rate limit --------------------------------------------------------------------------------------------------

std::size_t limits(const Snapshot& now) {
  return now.limits.size();
}

void write_limited(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.limits[item];
  std::uint64_t sum = 0;
  series.each([&](const LimitCells& cells) { sum += cells.limited.value(); });
  out.sample(family.name, {{"limit", series.labels[0]}}, sum);
}

// --- by site --------------------------------------------------------------------------------------------------------

std::size_t denials(const Snapshot& now) {
  return now.denials.size();
}

void write_denied(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.denials[item];
  for (std::size_t i = 0; i < kDenialReasons.size(); ++i) {
    std::uint64_t sum = 0;
    series.each([&](const DenialCells& cells) { sum += cells.denied[i].value(); });
    out.sample(family.name, {{"site", series.labels[0]}, {"reason", kDenialReasons[i]}}, sum);
  }
}

// --- by upstream that gets copies -----------------------------------------------------------------------------------

std::size_t mirrors(const Snapshot& now) {
  return now.mirrors.size();
}

void write_mirrored(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& series = *now.mirrors[item];
  const auto write = [&](std::string_view result, Counter MirrorCells::*which) {
    std::uint64_t sum = 0;
    series.each([&](const MirrorCells& cells) { sum += (cells.*which).value(); });
    out.sample(family.name, {{"upstream", series.labels[0]}, {"result", result}}, sum);
  };
  write("sent", &MirrorCells::sent);
  write("skipped", &MirrorCells::skipped);
  write("failed", &MirrorCells::failed);
}

// --- of the whole program -------------------------------------------------------------------------------------------

std::size_t one(const Snapshot&) {
  return 1;
}

void write_handshakes(const Family& family, const Snapshot& now, std::size_t, PrometheusText& out) {
  for (std::size_t version = 0; version < ListenerCells::kTlsVersions.size(); ++version) {
    for (const std::size_t resumed : {0, 1}) {
      std::uint64_t sum = 0;
      for (const auto& series : now.listeners) {
        series->each([&](const ListenerCells& cells) { sum += cells.handshakes[version][resumed].value(); });
      }
      if (sum == 0 && ListenerCells::kTlsVersions[version] == "other") continue;
      out.sample(family.name,
                 {{"version", ListenerCells::kTlsVersions[version]}, {"resumed", resumed == 1 ? "true" : "false"}},
                 sum);
    }
  }
}

void write_compressed(const Family& family, const Snapshot& now, std::size_t, PrometheusText& out) {
  for (std::size_t encoding = 0; encoding < CompressionCells::kEncodings.size(); ++encoding) {
    std::uint64_t sum = 0;
    now.compression->each([&](const CompressionCells& cells) { sum += cells.responses[encoding].value(); });
    out.sample(family.name, {{"encoding", CompressionCells::kEncodings[encoding]}}, sum);
  }
}

void write_compression_bytes(const Family& family, const Snapshot& now, std::size_t, PrometheusText& out) {
  std::uint64_t in = 0;
  std::uint64_t made = 0;
  now.compression->each([&](const CompressionCells& cells) {
    in += cells.bytes_in.value();
    made += cells.bytes_out.value();
  });
  out.sample(family.name, {{"direction", "in"}}, in);
  out.sample(family.name, {{"direction", "out"}}, made);
}

void write_stored_bodies(const Family& family, const Snapshot& now, std::size_t, PrometheusText& out) {
  std::uint64_t in_memory = 0;
  std::uint64_t in_file = 0;
  now.stored_bodies->each([&](const StoredBodyCells& cells) {
    in_memory += cells.in_memory.value();
    in_file += cells.in_file.value();
  });
  out.sample(family.name, {{"where", "memory"}}, in_memory);
  out.sample(family.name, {{"where", "file"}}, in_file);
}

std::size_t certificates(const Snapshot& now) {
  return now.figures.certificates.size();
}

void write_certificate(const Family& family, const Snapshot& now, std::size_t item, PrometheusText& out) {
  const auto& [name, seconds] = now.figures.certificates[item];
  out.sample(family.name, {{"name", name}}, seconds);
}

void write_reloads(const Family& family, const Snapshot& now, std::size_t, PrometheusText& out) {
  out.sample(family.name, {{"result", "applied"}}, now.figures.reloads_applied);
  out.sample(family.name, {{"result", "refused"}}, now.figures.reloads_refused);
}

void write_build(const Family& family, const Snapshot& now, std::size_t, PrometheusText& out) {
  out.sample(family.name, {{"version", now.figures.version}}, std::uint64_t{1});
}

template <auto kFigure>
void write_figure(const Family& family, const Snapshot& now, std::size_t, PrometheusText& out) {
  out.sample(family.name, {}, now.figures.*kFigure);
}

/// One, when the system told it.
template <auto kFigure>
std::size_t known(const Snapshot& now) {
  return now.figures.*kFigure < 0 ? 0 : 1;
}

using F = ProgramFigures;

constexpr Family kFamilies[] = {
    {"headgate_requests_total", "counter", "Requests answered.", routes, write_requests},
    {"headgate_request_duration_seconds", "histogram", "From the first byte of a request to the end of its answer.",
     routes, write_request_durations},
    {"headgate_requests_in_flight", "gauge", "Requests under way, tunnels included.", one,
     write_figure<&F::requests_in_flight>},
    {"headgate_upstream_requests_total", "counter", "Attempts at a server, by what came of them.", servers,
     write_upstream_requests},
    {"headgate_upstream_duration_seconds", "histogram", "From sending a request to the head of its answer.", pools,
     write_upstream_durations},
    {"headgate_upstream_in_flight", "gauge", "Attempts under way, tunnels included.", servers,
     write_upstream_in_flight},
    {"headgate_upstream_retries_total", "counter", "Attempts after the first one of a request.", pools,
     write_upstream_retries},
    {"headgate_upstream_reuse_races_total", "counter", "Kept connections closed by a server under a request.", servers,
     write_upstream_reuse_races},
    {"headgate_upstream_healthy", "gauge", "1 when the server is well and takes requests.", server_states,
     write_server_state<&ServerState::healthy>},
    {"headgate_upstream_ejections_total", "counter", "Times that live traffic had the server taken out.", server_states,
     write_server_state<&ServerState::ejections>},
    {"headgate_upstream_panic", "gauge", "1 when no server of the pool is well, and all are used.", pool_states,
     write_panic},
    {"headgate_rate_limited_total", "counter", "Requests over a rate limit, also those that dry_run let pass.", limits,
     write_limited},
    {"headgate_rate_limit_store_errors_total", "counter",
     "Requests for which the store of a rate limit did not answer.", one, write_figure<&F::rate_limit_store_errors>},
    {"headgate_denied_total", "counter", "Requests that were not let in.", denials, write_denied},
    {"headgate_mirrored_requests_total", "counter", "Copies of requests for another upstream, by what came of them.",
     mirrors, write_mirrored},
    {"headgate_buffered_bodies_total", "counter", "Request bodies that were taken whole before an upstream was asked.",
     one, write_stored_bodies},
    {"headgate_buffered_body_bytes", "gauge", "What such bodies take now, in memory and in files.", one,
     write_figure<&F::stored_body_bytes>},
    {"headgate_split_weight", "gauge", "The pool's weight among those of its upstream, or of its static.",
     all_pool_states, write_weight},
    {"headgate_rollout_state", "gauge", "1 running, 2 paused, 3 holding, 4 promoted, 5 rolled back.", rollouts,
     write_rollout<&RolloutFigures::state>},
    {"headgate_rollout_percent", "gauge", "The share of the rollout's new pool.", rollouts,
     write_rollout<&RolloutFigures::percent>},
    {"headgate_rollout_failed_total", "counter", "Requests of a rollout's new pool whose client was told of a failure.",
     rollouts, write_rollout<&RolloutFigures::failed>},
    {"headgate_rollout_shielded_total", "counter",
     "Requests that failed in a new pool and were answered by the old one.", rollouts,
     write_rollout<&RolloutFigures::shielded>},
    {"headgate_fleet_connected", "gauge", "1 when the store of the fleet's traffic state answers.",
     known<&F::fleet_connected>, write_fleet_connected},
    {"headgate_fleet_leader", "gauge", "1 when this instance leads the upstream's rollout.", fleet_leads,
     write_fleet_leader},
    {"headgate_upstream_spills_total", "counter", "Requests from a pool in which no server was well.", pools,
     write_spills},
    {"headgate_maintenance", "gauge", "1 while the site is in maintenance.", sites, write_maintenance},
    {"headgate_static_pool_requests_total", "counter", "Requests of a pool of static files.", static_pools,
     write_static_pool<&StaticPoolCells::requests>},
    {"headgate_static_pool_in_flight", "gauge", "Requests of a pool of static files that are under way.", static_pools,
     write_static_pool<&StaticPoolCells::in_flight>},
    {"headgate_static_pool_lent_total", "counter", "Files of the pool that clients of other pools got.", static_pools,
     write_static_pool<&StaticPoolCells::lent>},
    {"headgate_static_pool_spills_total", "counter", "Requests from a pool without an index.", static_pools,
     write_static_pool<&StaticPoolCells::spilled>},
    {"headgate_connections", "gauge", "Open client connections.", listeners, write_connections},
    {"headgate_http2_protections_total", "counter", "Clients of HTTP/2 that were held off.", listeners,
     write_http2_protections},
    {"headgate_proxy_headers_refused_total", "counter",
     "Connections that had to begin with a PROXY header, and did not.", listeners, write_proxy_headers_refused},
    {"headgate_compressed_responses_total", "counter", "Answers that were compressed here.", one, write_compressed},
    {"headgate_compression_bytes_total", "counter", "Content of compressed answers, before (in) and after (out).", one,
     write_compression_bytes},
    {"headgate_tls_handshakes_total", "counter", "TLS handshakes with clients that succeeded.", one, write_handshakes},
    {"headgate_certificate_expiry_seconds", "gauge", "Until the certificate ends; negative when it has.", certificates,
     write_certificate},
    {"headgate_config_reloads_total", "counter", "Reloads asked for.", one, write_reloads},
    {"headgate_upgrades_failed_total", "counter", "Binary upgrades whose new process did not come to serve.", one,
     write_figure<&F::upgrades_failed>},
    {"headgate_config_generation", "gauge", "The configuration in force: 1 at the start, one more after each reload.",
     one, write_figure<&F::generation>},
    {"headgate_access_log_dropped_total", "counter", "Lines of the access log that its output did not take in time.",
     one, write_figure<&F::access_log_dropped>},
    {"headgate_workers", "gauge", "Worker threads.", one, write_figure<&F::workers>},
    {"headgate_build_info", "gauge", "Always 1; the version is a label.", one, write_build},
    {"process_start_time_seconds", "gauge", "When the process began, in seconds since 1970.", one,
     write_figure<&F::started_at>},
    {"process_cpu_seconds_total", "counter", "User and system time of the process.", one,
     write_figure<&F::cpu_seconds>},
    {"process_resident_memory_bytes", "gauge", "Resident size of the process.", known<&F::resident_bytes>,
     write_figure<&F::resident_bytes>},
    {"process_open_fds", "gauge", "Open file descriptors.", known<&F::open_descriptors>,
     write_figure<&F::open_descriptors>},
    {"process_max_fds", "gauge", "The limit of open file descriptors.", known<&F::most_descriptors>,
     write_figure<&F::most_descriptors>},
};

}  // namespace

Exposition::Exposition(const Metrics& metrics, ProgramFigures figures)
    : snapshot_{metrics.routes.all(),       metrics.pools.all(),   metrics.servers.all(), metrics.listeners.all(),
                metrics.limits.all(),       metrics.denials.all(), std::move(figures),    metrics.compression,
                metrics.static_pools.all(), metrics.mirrors.all(), metrics.stored_bodies} {}

bool Exposition::next(std::string& piece) {
  piece.clear();
  PrometheusText out(piece);
  for (; family_ < std::size(kFamilies); ++family_, item_ = 0) {
    const Family& family = kFamilies[family_];
    const std::size_t items = family.items(snapshot_);
    if (item_ == 0 && items > 0) out.family(family.name, family.type, family.help);
    while (item_ < items) {
      family.write(family, snapshot_, item_++, out);
      if (piece.size() > kPiece) return true;
    }
  }
  return !piece.empty();
}

}  // namespace headgate::observe
