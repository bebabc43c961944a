// SPDX-License-Identifier: Apache-2.0
#include "upstream/upstream.h"

#include <utility>

namespace headgate::upstream {

ServerRef ServerSet::get(const Server::Settings& settings) {
  const std::string identity = settings.identity();
  if (const auto known = servers_.find(identity); known != servers_.end()) return known->second;
  std::shared_ptr<tls::ClientContext> context;
  if (settings.scheme == config::Scheme::kHttps) context = std::make_shared<tls::ClientContext>(settings.tls);
  if (settings.scheme == config::Scheme::kH2) {
    const std::vector<std::string> alpn{"h2"};
    context = std::make_shared<tls::ClientContext>(settings.tls, alpn);
  }
  const ServerRef server(new Server(loop_, resolver_, settings, std::move(context)));
  servers_.emplace(identity, server);
  return server;
}

void ServerSet::sweep() {
  for (auto it = servers_.begin(); it != servers_.end();) {
    it->second->sweep();
    const auto& server = it->second;
    const bool unused = server->use_count() == 1 && server->idle_connections() == 0 && !server->busy();
    it = unused ? servers_.erase(it) : std::next(it);
  }
}

void ServerSet::cancel_leased() {
  for (auto& [identity, server] : servers_) server->cancel_leased();
}

Task<> ServerSet::stop() {
  const auto servers = std::exchange(servers_, {});  // sweep() may still be called meanwhile
  for (const auto& [identity, server] : servers) co_await server->stop();
}

Upstream::Upstream(const config::Upstream& config, ServerSet& servers) : config_(config) {
  for (const auto& server : config.pools.front().servers) {
    Server::Settings settings{server.address, config.scheme, config.tls, config.keepalive, config.tls.server_name};
    if (settings.tls_name.empty()) settings.tls_name = server.address.host;
    if (settings.tls_name.empty() && server.address.kind == config::Address::Kind::kIp) {
      settings.tls_name = server.address.ip.to_string();
    }
    members_.push_back({servers.get(settings), static_cast<std::int64_t>(server.weight), 0});
  }
}

std::size_t Upstream::pick(std::uint64_t but) {
  if (members_.size() == 1) return 0;
  std::int64_t total = 0;
  std::size_t best = members_.size();
  for (int round = 0; round < 2 && best == members_.size(); ++round) {
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (round == 0 && i < 64 && (but >> i & 1) != 0) continue;
      auto& member = members_[i];
      member.current += member.weight;
      total += member.weight;
      if (best == members_.size() || member.current > members_[best].current) best = i;
    }
  }
  members_[best].current -= total;
  return best;
}

}  // namespace headgate::upstream
