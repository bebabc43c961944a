// SPDX-License-Identifier: Apache-2.0
// All servers that one loop has connections to, by what tells them apart. They outlive generations: a reload that names
// the same server finds its connections again.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "upstream/server.h"

namespace headgate::upstream {

/// How requests of this upstream reach this server of it, at this one of its addresses.
Server::Settings settings_of(const config::Upstream& upstream, const config::Server& server,
                             const SocketAddress& address);

/// Loop thread only.
class ServerSet {
 public:
  explicit ServerSet(Loop& loop) : loop_(loop) {}

  /// The server of these settings, made when it is not known yet. Throws std::runtime_error when a CA or client
  /// certificate cannot be loaded.
  ServerRef get(const Server::Settings& settings);

  /// Sweeps idle connections and forgets servers that nobody uses any more.
  void sweep();
  std::size_t size() const { return servers_.size(); }
  void cancel_leased();  ///< as Server::cancel_leased, of all
  Task<> stop();

 private:
  std::shared_ptr<tls::ClientContext> context_for(const Server::Settings& settings);

  Loop& loop_;
  std::map<std::string, ServerRef> servers_;
  std::map<std::string, std::weak_ptr<tls::ClientContext>> contexts_;  // those of one upstream's servers are one
};

}  // namespace headgate::upstream
