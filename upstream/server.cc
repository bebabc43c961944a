// SPDX-License-Identifier: Apache-2.0
#include "upstream/server.h"

#include <algorithm>

#include <sys/stat.h>

#include "base/log.h"
#include "base/socket.h"
#include "http/http2_client_exchange.h"
#include "upstream/shared_connections.h"

namespace headgate::upstream {
namespace {

/// getaddrinfo tells no TTL: a name is looked up again after this time, in the background, when it is used.
constexpr Duration kResolveAgain = std::chrono::seconds(10);
constexpr Duration kResolveTimeout = std::chrono::seconds(5);

/// Changes when a file does: a reload then makes a new server, with what the file says now.
std::string state_of(const std::string& file) {
  struct stat info {};
  if (file.empty() || ::stat(file.c_str(), &info) != 0) return {};
  return std::to_string(info.st_ino) + " " + std::to_string(info.st_size) + " " + std::to_string(info.st_mtim.tv_sec) +
         " " + std::to_string(info.st_mtim.tv_nsec);
}

}  // namespace

http::ClientExchange& Lease::place(Duration idle) {
  static_cast<http::Http2ClientExchange&>(*connection_->place).set_idle(idle);
  return *connection_->place;
}

void Lease::give_back() {
  if (shared()) {
    connection_->place.reset();
  } else {
    server_->keep(std::move(connection_));
  }
}

std::string Server::Settings::identity() const {
  std::string id = address.text;
  const auto add = [&id](std::string_view part) { (id += '\n') += part; };
  add(std::to_string(static_cast<int>(scheme)));
  add(std::to_string(keepalive.idle_connections));
  add(std::to_string(keepalive.idle_timeout.count()));
  add(std::to_string(keepalive.max_requests));
  if (scheme == config::Scheme::kHttps || scheme == config::Scheme::kH2) {
    add(tls_name);
    add(tls.verify ? "verify" : "trust");
    for (const auto* file : {&tls.ca, &tls.cert, &tls.key}) {
      add(*file);
      add(state_of(*file));
    }
  }
  return id;
}

Server::Server(Loop& loop, Resolver& resolver, Settings settings, std::shared_ptr<tls::ClientContext> tls)
    : loop_(loop), resolver_(resolver), settings_(std::move(settings)), tls_(std::move(tls)), lookups_(loop) {
  const auto& address = settings_.address;
  if (address.kind == config::Address::Kind::kIp) {
    addresses_.push_back(SocketAddress::ip(address.ip, address.port));
  } else if (address.kind == config::Address::Kind::kUnix) {
    addresses_.push_back(SocketAddress::unix_path(address.path));
  }
  const bool http2 = settings_.scheme == config::Scheme::kH2 || settings_.scheme == config::Scheme::kH2c;
  if (http2) shared_ = std::make_unique<SharedConnections>(*this);
}

Server::~Server() = default;

Task<Result<Lease>> Server::lease(TimePoint deadline, bool fresh) {
  while (!fresh && !idle_.empty()) {
    // The one used last: the least likely to be timing out at the origin just now.
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    if (connection->stream->has_pending_input()) continue;  // closed, or saying something nobody asked for
    return lend(std::move(connection));
  }
  return shared_ ? lease_place(deadline) : lease_new(deadline);
}

/// Nearly always there is a place, and nothing to wait for.
Task<Result<Lease>> Server::lease_place(TimePoint deadline) {
  auto place = shared_->take();
  if (!place.exchange) return wait_place(deadline);
  return lend(std::move(place.exchange), place.reused);
}

Task<Result<Lease>> Server::wait_place(TimePoint deadline) {
  const ServerRef self(this);  // a reload may forget us while we wait
  auto place = co_await shared_->wait(deadline);
  if (!place) co_return place.error();
  co_return lend(std::move(place->exchange), place->reused);
}

Task<Result<Lease>> Server::lease_new(TimePoint deadline) {
  const ServerRef self(this);  // a reload may forget us while we wait
  auto stream = co_await open(deadline);
  if (!stream) co_return stream.error();
  auto connection = std::make_unique<OriginConnection>();
  connection->stream = std::move(*stream);
  co_return lend(std::move(connection));
}

Lease Server::lend(std::unique_ptr<OriginConnection> connection) {
  leased_.push_back(*connection);
  return Lease(ServerRef(this), std::move(connection));
}

Lease Server::lend(http::ClientExchangePtr place, bool reused) {
  auto connection = std::make_unique<OriginConnection>();
  connection->place = std::move(place);
  connection->requests = reused ? 1 : 0;
  return Lease(ServerRef(this), std::move(connection));
}

void Server::keep(std::unique_ptr<OriginConnection> connection) {
  connection->unlink();
  connection->idle_since = loop_.now();
  ++connection->requests;
  const auto& keepalive = settings_.keepalive;
  if (keepalive.max_requests != 0 && connection->requests >= keepalive.max_requests) return;
  if (keepalive.idle_connections == 0) return;
  if (idle_.size() >= keepalive.idle_connections) idle_.erase(idle_.begin());
  idle_.push_back(std::move(connection));
}

void Server::sweep() {
  const TimePoint oldest = loop_.now() - settings_.keepalive.idle_timeout;
  std::erase_if(idle_, [&](const auto& connection) {
    return connection->idle_since < oldest || connection->stream->has_pending_input();
  });
}

void Server::cancel_leased() {
  for (auto& connection : leased_) connection.stream->cancel();
  if (shared_) shared_->cancel();
}

bool Server::busy() const {
  return lookups_.size() > 0 || (shared_ && shared_->busy());
}

Task<> Server::stop() {
  idle_.clear();
  if (shared_) co_await shared_->stop();
  co_await lookups_.join(kNoDeadline);
}

Task<Result<SocketAddress>> Server::address(TimePoint deadline) {
  const bool named = settings_.address.kind == config::Address::Kind::kName;
  if (named && addresses_.empty()) {
    auto found = co_await resolver_.resolve(loop_, settings_.address.host, settings_.address.port, deadline);
    if (!found) co_return found.error();
    addresses_ = std::move(*found);
    resolved_at_ = loop_.now();
  } else if (named && !resolving_ && loop_.now() - resolved_at_ > kResolveAgain) {
    lookups_.spawn(refresh());
  }
  co_return addresses_[next_address_ % addresses_.size()];
}

/// Looks the name up beside the traffic; the last good answer stays in use until there is a better one.
Task<> Server::refresh() {
  resolving_ = true;
  auto found =
      co_await resolver_.resolve(loop_, settings_.address.host, settings_.address.port, loop_.now() + kResolveTimeout);
  resolving_ = false;
  resolved_at_ = loop_.now();
  if (found) {
    addresses_ = std::move(*found);
  } else {
    log::warn("{}: the name could not be looked up again ({}); the last answer stays in use", name(),
              found.error().reason);
  }
}

/// A name may have several addresses, of which some are not served: "localhost" is the usual one.
Task<Result<UniqueFd>> Server::connect_to_any(TimePoint deadline) {
  for (std::size_t tries = 1;; ++tries) {
    auto to = co_await address(deadline);
    if (!to) co_return to.error();
    auto connected = co_await connect(loop_, *to, deadline);
    if (connected) co_return std::move(*connected);
    ++next_address_;
    resolved_at_ = {};
    if (tries >= addresses_.size() || connected.error().code == Errc::kTimeout) co_return connected.error();
  }
}

Task<Result<std::unique_ptr<ByteStream>>> Server::open(TimePoint deadline) {
  auto connected = co_await connect_to_any(deadline);
  if (!connected) co_return connected.error();
  auto socket = std::make_unique<Socket>(loop_, std::move(*connected), Side::kUpstream);
  if (!tls_) co_return std::unique_ptr<ByteStream>(std::move(socket));
  auto secured = co_await tls::connect(*tls_, std::move(socket), settings_.tls_name, deadline);
  if (!secured) co_return secured.error();
  if (shared_ && (*secured)->alpn() != "h2") co_return Error{Errc::kTls, Side::kUpstream, "upstream_not_http2"};
  co_return std::unique_ptr<ByteStream>(std::move(*secured));
}

}  // namespace headgate::upstream
