// SPDX-License-Identifier: Apache-2.0
#include "proxy/traffic_meter.h"

#include "http/message.h"
#include "proxy/generation.h"
#include "proxy/request.h"

namespace headgate::proxy {
namespace {

static_assert(static_cast<std::size_t>(http::Method::kGet) == 0 &&
              static_cast<std::size_t>(http::Method::kPatch) == 8 &&
              static_cast<std::size_t>(http::Method::kOther) + 1 == observe::kMethodLabels.size());

/// What could not be read as a request may have no method at all.
std::size_t method_index(const http::RequestHead& head) {
  return static_cast<std::size_t>(head.method_name.empty() ? http::Method::kOther : head.method);
}

}  // namespace

TrafficMeter::TrafficMeter(observe::Metrics& metrics, std::size_t worker, const Generation& generation)
    : metrics_(metrics),
      worker_(worker),
      generation_(generation),
      compression_(metrics.compression->of(worker)),
      stored_bodies_(metrics.stored_bodies->of(worker)),
      routes_(generation.series_count),
      mirrors_(generation.config.upstreams.size()) {
  for (const auto& site : generation.sites) {
    const bool guarded = site.gate != nullptr || !site.gates.empty();
    denials_.push_back(guarded ? &metrics.denials.cells(worker, {site.name}, generation.number) : nullptr);
  }
  for (const auto& upstream : generation.config.upstreams) {
    first_targets_.push_back(static_cast<std::uint32_t>(targets_.size()));
    for (const auto& pool : upstream.pools) {
      auto& pool_cells = metrics.pools.cells(worker, {upstream.name, pool.name}, generation.number);
      for (const auto& server : pool.servers) {
        auto& cells = metrics.servers.cells(worker, {upstream.name, pool.name, server.address.text}, generation.number);
        targets_.push_back({&cells, &pool_cells});
      }
    }
  }
  for (const auto& pools : generation.static_pools) {
    first_static_pools_.push_back(static_cast<std::uint32_t>(static_pools_.size()));
    for (const auto pool : pools.split.pools) {
      static_pools_.push_back(&metrics.static_pools.cells(worker, {pools.config->name, pool}, generation.number));
    }
  }
  for (const auto& site : generation.sites) {
    for (const auto& route : site.routes) {
      if (!route.has_body_rules || !route.rules->bodies.mirror) continue;
      const auto index = route.rules->bodies.mirror->upstream;
      mirrors_[index] = &metrics.mirrors.cells(worker, {generation.config.upstreams[index].name}, generation.number);
    }
  }
}

void TrafficMeter::count_denial(const Request& request, observe::Denial why) {
  auto* const cells = denials_[static_cast<std::size_t>(request.site - generation_.sites.data())];
  if (cells != nullptr) cells->denied[static_cast<std::size_t>(why)].add(1);
}

void TrafficMeter::count(const Request& request, Duration duration) {
  // 0: no site. Each site has one for what found no route of it, then one for each route.
  std::size_t index = 0;
  if (request.site != nullptr) {
    index = request.site->first_series;
    if (request.route != nullptr) index += 1 + static_cast<std::size_t>(request.route - request.site->routes.data());
  }
  observe::RouteCells* cells = routes_[index];
  if (cells == nullptr) cells = &find_cells(index, request);
  const int status = request.exchange.status();
  cells->count(method_index(request.exchange.request), status != 0 ? status : 499, duration);
}

observe::RouteCells& TrafficMeter::find_cells(std::size_t index, const Request& request) {
  const std::string_view site = request.site != nullptr ? std::string_view(request.site->name) : std::string_view();
  const std::string_view route = request.route != nullptr ? std::string_view(request.route->name) : std::string_view();
  routes_[index] = &metrics_.routes.cells(worker_, {site, route}, generation_.number);
  return *routes_[index];
}

void AttemptMeter::failed(const Error& error) {
  target_.server->codes.add(error.side == Side::kDownstream ? 499 : status_of_upstream_failure(error));
}

ServerTraffic traffic_of(const observe::Series<observe::ServerCells, 3>& series) {
  ServerTraffic sum;
  series.each([&](const observe::ServerCells& cells) {
    sum.in_flight += cells.in_flight.value();
    sum.tunnels += cells.tunnels.value();
    sum.reuse_races += cells.reuse_races.value();
  });
  return sum;
}

std::optional<ServerTraffic> traffic_of(observe::Metrics& metrics, std::string_view upstream, std::string_view pool,
                                        std::string_view server) {
  const auto series = metrics.servers.find({upstream, pool, server});
  return series ? std::optional(traffic_of(*series)) : std::nullopt;
}

StaticTraffic static_traffic_of(observe::Metrics& metrics, std::string_view name, std::string_view pool) {
  StaticTraffic sum;
  if (const auto series = metrics.static_pools.find({name, pool})) {
    series->each([&](const observe::StaticPoolCells& cells) {
      sum.in_flight += cells.in_flight.value();
      sum.requests += cells.requests.value();
      sum.lent += cells.lent.value();
    });
  }
  return sum;
}

int status_of_upstream_failure(const Error& error) {
  if (error.code == Errc::kInternal && error.side == Side::kInternal) return 500;
  // Only the end of shutdown_grace cancels what waits for an origin.
  if (error.code == Errc::kCancelled || error.code == Errc::kUnavailable) return 503;
  return error.code == Errc::kTimeout ? 504 : 502;
}

void name_routes(observe::Metrics& metrics, const Generation& generation) {
  metrics.routes.name({}, generation.number);
  for (const auto& site : generation.sites) {
    metrics.routes.name({site.name, {}}, generation.number);
    metrics.denials.name({site.name}, generation.number);
    for (const auto& route : site.routes) metrics.routes.name({site.name, route.name}, generation.number);
  }
}

}  // namespace headgate::proxy
