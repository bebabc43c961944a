// SPDX-License-Identifier: Apache-2.0
// What `GET /v1/status` tells, as JSON: docs/operations.md describes each field. Fields are added, never renamed.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/model.h"
#include "observe/metric_cells.h"
#include "proxy/maintenance.h"
#include "proxy/traffic_meter.h"
#include "traffic/rollouts.h"
#include "traffic/traffic.h"
#include "upstream/monitor.h"

namespace headgate::proxy {

/// Everything that is told, taken at one moment.
struct StatusFacts {
  std::string version;
  std::uint64_t generation = 0;
  std::int64_t pid = 0;
  std::int64_t uptime_s = 0;
  bool draining = false;  ///< the program is stopping
  std::uint64_t requests = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t connections = 0;
  std::vector<std::pair<std::string, bool>> listeners;  ///< the bound address, and whether it speaks TLS
  std::chrono::system_clock::time_point now;

  const config::Config* config = nullptr;
  std::vector<upstream::PoolStatus> pools;
  std::map<ServerKey, ServerTraffic> traffic;    ///< of those that are counted by name
  std::map<ServerKey, std::uint64_t> ejections;  ///< since the start
  upstream::Monitor::Drains drains;              ///< unknown ones included
  /// Of the answers of a pool since the start, by upstream and pool.
  std::map<std::pair<std::string, std::string>, observe::DurationHistogram::Sum> latencies;
  std::map<std::string, traffic::Traffic::Status> splits;     ///< by upstream, or by the name of a static with pools
  std::map<std::string, traffic::Rollouts::Status> rollouts;  ///< by upstream
  Closures closed;                                            ///< sites in maintenance, unknown ones included
  std::map<std::string, std::string> shared;                  ///< by upstream: this instance's part in the fleet

  /// A static with pools.
  struct Statics {
    std::string name, site, route;
    struct Pool {
      std::string name, folder;
      bool has_index = false;
      StaticTraffic traffic;
    };
    std::vector<Pool> pools;
  };
  std::vector<Statics> statics;
};

/// Pure.
std::string status_json(const StatusFacts& facts);

}  // namespace headgate::proxy
