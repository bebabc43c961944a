// SPDX-License-Identifier: Apache-2.0
// An upstream of the configuration as one worker uses it: its servers and the turn they take.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "upstream/server.h"

namespace headgate::upstream {

/// All servers that one worker knows, by identity. They outlive generations: a reload that names the same server finds
/// its connections again. Loop thread only.
class ServerSet {
 public:
  ServerSet(Loop& loop, Resolver& resolver) : loop_(loop), resolver_(resolver) {}

  /// The server of these settings, made when it is not known yet. Throws as Upstream's constructor.
  ServerRef get(const Server::Settings& settings);

  /// Sweeps idle connections and forgets servers that no generation uses any more.
  void sweep();
  std::size_t size() const { return servers_.size(); }
  void cancel_leased();  ///< as Server::cancel_leased, of all
  Task<> stop();

 private:
  Loop& loop_;
  Resolver& resolver_;
  std::map<std::string, ServerRef> servers_;
};

/// One per generation and worker. Loop thread only. `config` outlives it.
class Upstream {
 public:
  /// Throws std::runtime_error when a CA or client certificate of its tls section cannot be loaded.
  Upstream(const config::Upstream& config, ServerSet& servers);

  const config::Upstream& config() const { return config_; }
  std::size_t size() const { return members_.size(); }
  const std::string& pool_name() const { return config_.pools.front().name; }

  /// The next server in smooth weighted round robin: with weights 5 and 1 the light one comes in the middle of the
  /// others, not after a burst of five. Servers in `but` (a bit each, of the first 64) are passed over while another is
  /// left. The index in the upstream.
  std::size_t pick(std::uint64_t but);
  Server& server(std::size_t index) { return *members_[index].server; }

 private:
  struct Member {
    ServerRef server;
    std::int64_t weight;
    std::int64_t current;
  };
  const config::Upstream& config_;
  std::vector<Member> members_;
};

}  // namespace headgate::upstream
