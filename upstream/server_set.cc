// SPDX-License-Identifier: Apache-2.0
#include "upstream/server_set.h"

#include <utility>

namespace headgate::upstream {

Server::Settings settings_of(const config::Upstream& upstream, const config::Server& server,
                             const SocketAddress& address) {
  Server::Settings settings{address, upstream.scheme, upstream.tls, upstream.keepalive, upstream.tls.server_name,
                            upstream.proxy_protocol};
  if (settings.tls_name.empty()) settings.tls_name = server.address.host;
  if (settings.tls_name.empty() && server.address.kind == config::Address::Kind::kIp) {
    settings.tls_name = server.address.ip.to_string();
  }
  return settings;
}

ServerRef ServerSet::get(const Server::Settings& settings) {
  const std::string identity = settings.identity();
  if (const auto known = servers_.find(identity); known != servers_.end()) return known->second;
  const ServerRef server(new Server(loop_, settings, context_for(settings)));
  servers_.emplace(identity, server);
  return server;
}

/// Loading a CA file is the dear part of it.
std::shared_ptr<tls::ClientContext> ServerSet::context_for(const Server::Settings& settings) {
  const std::string identity = settings.tls_identity();
  if (identity.empty()) return nullptr;
  auto& slot = contexts_[identity];
  if (auto known = slot.lock()) return known;
  std::vector<std::string> alpn;
  if (settings.scheme == config::Scheme::kH2) alpn.emplace_back("h2");
  auto made = std::make_shared<tls::ClientContext>(settings.tls, alpn);
  slot = made;
  return made;
}

void ServerSet::sweep() {
  for (auto it = servers_.begin(); it != servers_.end();) {
    it->second->sweep();
    const auto& server = it->second;
    const bool unused = server->use_count() == 1 && server->idle_connections() == 0 && !server->busy();
    it = unused ? servers_.erase(it) : std::next(it);
  }
  std::erase_if(contexts_, [](const auto& entry) { return entry.second.expired(); });
}

void ServerSet::cancel_leased() {
  for (auto& [identity, server] : servers_) server->cancel_leased();
}

Task<> ServerSet::stop() {
  const auto servers = std::exchange(servers_, {});  // sweep() may still be called meanwhile
  for (const auto& [identity, server] : servers) co_await server->stop();
}

}  // namespace headgate::upstream
