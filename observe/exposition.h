// SPDX-License-Identifier: Apache-2.0
// One scrape: everything that is counted as Prometheus' text, given out in pieces, so that neither the text of a
// hundred thousand series is ever in memory nor the loop that sends it is held up for long.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "observe/metrics.h"

namespace headgate::observe {

/// What is decided about a server of a pool of the configuration in force.
struct ServerState {
  std::string upstream, pool, server;
  bool healthy = false;
  std::uint64_t ejections = 0;
};
struct PoolState {
  std::string upstream, pool;
  bool panic = false;
  double weight = 0;  ///< of the split
};
/// Of a pool of static files.
struct StaticPoolState {
  std::string name, pool;
  double weight = 0;
};

/// The rollout of an upstream that is under way, or the latest one.
struct RolloutFigures {
  std::string upstream;
  std::uint64_t state = 0;  ///< as docs/metrics.md numbers them
  double percent = 0;
  std::uint64_t failed = 0;    ///< of all its rollouts
  std::uint64_t shielded = 0;  ///< likewise
};

/// What the program knows beside the tables; taken at the moment of the scrape.
struct ProgramFigures {
  std::string version;
  std::uint64_t generation = 0;
  std::uint64_t reloads_applied = 0;
  std::uint64_t reloads_refused = 0;
  std::uint64_t upgrades_failed = 0;
  std::uint64_t requests_in_flight = 0;
  std::uint64_t access_log_dropped = 0;
  std::uint64_t rate_limit_store_errors = 0;
  std::uint64_t stored_body_bytes = 0;
  std::uint64_t workers = 0;
  std::vector<std::pair<std::string, std::int64_t>> certificates;  ///< name and seconds left; names are unlike
  std::vector<ServerState> servers;  ///< no two of one name; at most Metrics::kMostServers are told
  std::vector<PoolState> pools;      ///< likewise; Metrics::kMostPools
  std::vector<StaticPoolState> static_pools;  ///< likewise
  std::vector<RolloutFigures> rollouts;  ///< likewise
  std::int64_t fleet_connected = -1;     ///< 1 the fleet's store answers, 0 it does not; -1: there is none
  std::vector<std::pair<std::string, bool>> fleet_leads;  ///< by upstream, whether this instance leads its rollout

  /// By name, and whether it is in maintenance; at most kMostSites are told.
  std::vector<std::pair<std::string, bool>> sites;
  static constexpr std::size_t kMostSites = 1000;

  // of the process; a negative number: the system did not tell
  double started_at = 0;  ///< seconds since 1970
  double cpu_seconds = 0;
  std::int64_t resident_bytes = -1;
  std::int64_t open_descriptors = -1;
  std::int64_t most_descriptors = -1;
};

/// One thread. Holds the series that it tells, so that they may be dropped from their tables meanwhile.
class Exposition {
 public:
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";
  /// A piece ends with the first series that makes it longer than this.
  static constexpr std::size_t kPiece = 32 * 1024;

  Exposition(const Metrics& metrics, ProgramFigures figures);

  /// Replaces `piece` by the next one, of whole lines. False: there was no more.
  bool next(std::string& piece);

  struct Snapshot {
    std::vector<std::shared_ptr<const Series<RouteCells, 2>>> routes;
    std::vector<std::shared_ptr<const Series<PoolCells, 2>>> pools;
    std::vector<std::shared_ptr<const Series<ServerCells, 3>>> servers;
    std::vector<std::shared_ptr<const Series<ListenerCells, 1>>> listeners;
    std::vector<std::shared_ptr<const Series<LimitCells, 1>>> limits;
    std::vector<std::shared_ptr<const Series<DenialCells, 1>>> denials;
    ProgramFigures figures;
    std::shared_ptr<const Series<CompressionCells, 0>> compression;
    std::vector<std::shared_ptr<const Series<StaticPoolCells, 2>>> static_pools;
    std::vector<std::shared_ptr<const Series<MirrorCells, 1>>> mirrors;
    std::shared_ptr<const Series<StoredBodyCells, 0>> stored_bodies;
  };

 private:
  Snapshot snapshot_;
  std::size_t family_ = 0;
  std::size_t item_ = 0;
};

}  // namespace headgate::observe
