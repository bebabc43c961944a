// SPDX-License-Identifier: Apache-2.0
// What one worker counts for one generation: the cells of its routes, servers and pools, found once, so that a request
// adds to numbers and looks nothing up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "observe/metrics.h"

namespace headgate::proxy {

class Generation;
class Request;

/// Loop thread only; part of a WorkerGeneration, and so of everything that is under way on it.
class TrafficMeter {
 public:
  TrafficMeter(observe::Metrics& metrics, std::size_t worker, const Generation& generation);
  TrafficMeter(const TrafficMeter&) = delete;
  TrafficMeter& operator=(const TrafficMeter&) = delete;

  /// One request whose answer has ended, or that has none: code 499 then. A route's cells are found at its first
  /// request, since most of a hundred thousand have none.
  void count(const Request& request, Duration duration);

  /// What this worker has compressed.
  observe::CompressionCells& compression() { return compression_; }

  /// A request that its site does not let in; in time counted by count(), too.
  void count_denial(const Request& request, observe::Denial why);

  /// What becomes of copies for this upstream; one that a route mirrors to.
  observe::MirrorCells& mirror(std::uint32_t upstream) { return *mirrors_[upstream]; }
  observe::StoredBodyCells& stored_bodies() { return stored_bodies_; }

  /// `server`: its number among all of the upstream's, in the order of the configuration.
  struct Target {
    observe::ServerCells* server;
    observe::PoolCells* pool;
  };
  const Target& target(std::uint32_t upstream, std::size_t server) const {
    return targets_[first_targets_[upstream] + server];
  }

  /// Of a static with pools, by its index in Generation::static_pools.
  observe::StaticPoolCells& static_pool(std::uint32_t pools, std::size_t pool) const {
    return *static_pools_[first_static_pools_[pools] + pool];
  }

 private:
  observe::RouteCells& find_cells(std::size_t index, const Request& request);

  observe::Metrics& metrics_;
  const std::size_t worker_;
  const Generation& generation_;
  observe::CompressionCells& compression_;
  observe::StoredBodyCells& stored_bodies_;
  std::vector<observe::RouteCells*> routes_;  // by CompiledSite::first_series; null until the first request
  std::vector<observe::DenialCells*> denials_;  // by site; null for those that let everybody in
  std::vector<std::uint32_t> first_targets_;  // of each upstream
  std::vector<Target> targets_;
  std::vector<std::uint32_t> first_static_pools_;  // of each static with pools
  std::vector<observe::StaticPoolCells*> static_pools_;
  std::vector<observe::MirrorCells*> mirrors_;  // by upstream; null where no route mirrors to it
};

/// One attempt at a server, for as long as it lives.
class AttemptMeter {
 public:
  explicit AttemptMeter(const TrafficMeter::Target& target) : target_(target) { target_.server->in_flight.add(1); }
  ~AttemptMeter() { (tunnel_ ? target_.server->tunnels : target_.server->in_flight).subtract(1); }
  AttemptMeter(const AttemptMeter&) = delete;
  AttemptMeter& operator=(const AttemptMeter&) = delete;

  /// It is a tunnel from now on: a drain does not wait for its end. Once.
  void became_tunnel() {
    target_.server->tunnels.add(1);
    target_.server->in_flight.subtract(1);
    tunnel_ = true;
  }

  /// It comes after another one of the same request.
  void is_retry() { target_.pool->retries.add(1); }

  /// The server's answer; 0: the client left before one.
  void answered(int status, Duration until_head) {
    target_.server->codes.add(status != 0 ? status : 499);
    target_.pool->durations.add(until_head);
  }
  /// There was none, since the server closed the kept connection at that moment.
  void lost_race() { target_.server->reuse_races.add(1); }
  /// There was none. Counts as the code that a client is given for it: 502, 503 or 504; 499 when it was the client's
  /// side that failed.
  void failed(const Error& error);

 private:
  const TrafficMeter::Target target_;
  bool tunnel_ = false;
};

/// Upstream, pool, server as written.
using ServerKey = std::tuple<std::string, std::string, std::string>;

/// What is under way at one server, all workers added up.
struct ServerTraffic {
  std::uint64_t in_flight = 0;  ///< attempts, without
  std::uint64_t tunnels = 0;    ///< those that have become one
  std::uint64_t reuse_races = 0;
};
ServerTraffic traffic_of(const observe::Series<observe::ServerCells, 3>& series);
/// Nothing: it is not counted by its name (observe::Metrics::kMostServers). Any thread.
std::optional<ServerTraffic> traffic_of(observe::Metrics& metrics, std::string_view upstream, std::string_view pool,
                                        std::string_view server);

/// What a pool of a static has had, all workers added up.
struct StaticTraffic {
  std::uint64_t in_flight = 0;
  std::uint64_t requests = 0;
  std::uint64_t lent = 0;
};
/// Zeros for one that is not counted. Any thread.
StaticTraffic static_traffic_of(observe::Metrics& metrics, std::string_view name, std::string_view pool);

/// What a client is told of a failure on the upstream's side: 503 when nobody can be asked or the program is stopping,
/// 504 or 502.
int status_of_upstream_failure(const Error& error);

/// Tells the tables which routes the generation has, those without requests included.
void name_routes(observe::Metrics& metrics, const Generation& generation);

}  // namespace headgate::proxy
