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
  std::string id = address.to_string();
  const auto add = [&id](std::string_view part) { (id += '\n') += part; };
  add(std::to_string(static_cast<int>(scheme)));
  add(std::to_string(keepalive.idle_connections));
  add(std::to_string(keepalive.idle_timeout.count()));
  add(std::to_string(keepalive.max_requests));
  add(std::to_string(static_cast<int>(proxy_protocol)));
  if (const auto secure = tls_identity(); !secure.empty()) {
    add(tls_name);
    add(secure);
  }
  return id;
}

std::string Server::Settings::tls_identity() const {
  if (scheme != config::Scheme::kHttps && scheme != config::Scheme::kH2) return {};
  std::string id = scheme == config::Scheme::kH2 ? "h2" : "https";
  const auto add = [&id](std::string_view part) { (id += '\n') += part; };
  add(tls.verify ? "verify" : "trust");
  for (const auto* file : {&tls.ca, &tls.cert, &tls.key}) {
    add(*file);
    add(state_of(*file));
  }
  return id;
}

Server::Server(Loop& loop, Settings settings, std::shared_ptr<tls::ClientContext> tls)
    : loop_(loop),
      settings_(std::move(settings)),
      name_(settings_.address.to_string()),
      tls_(std::move(tls)),
      idle_limit_(settings_.keepalive.idle_timeout) {
  const bool http2 = settings_.scheme == config::Scheme::kH2 || settings_.scheme == config::Scheme::kH2c;
  if (http2) shared_ = std::make_unique<SharedConnections>(*this);
}

Server::~Server() = default;

Task<Result<Lease>> Server::lease(TimePoint deadline, Age age, const ProxiedEnds* client) {
  if (age != Age::kNew) {
    if (auto connection = take_kept(age)) return lend(std::move(connection));
  }
  return shared_ ? lease_place(deadline) : lease_new(deadline, introduction(client));
}

std::string Server::introduction(const ProxiedEnds* client) const {
  if (!introduces()) return {};
  const ProxiedEnds ends = client != nullptr ? *client : ProxiedEnds{};
  return settings_.proxy_protocol == config::ProxyProtocol::kV1 ? proxy_header_v1(ends) : proxy_header_v2(ends);
}

/// The one used last: the least likely to be timing out at the origin just now.
std::unique_ptr<OriginConnection> Server::take_kept(Age age) {
  const TimePoint now = loop_.now();
  while (!idle_.empty()) {
    const Duration idle_for = now - idle_.back()->idle_since;
    if (age == Age::kYoung && idle_for > idle_limit_.careful_limit(now)) return nullptr;
    if (idle_for > idle_limit_.limit(now)) {
      idle_.clear();  // the others have been idle for longer
      return nullptr;
    }
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    connection->idle_for = idle_for;
    if (!connection->stream->has_pending_input()) return connection;
    idle_limit_.closed(idle_for, now);  // or it says something that nobody asked for
  }
  return nullptr;
}

void Lease::lost() {
  server_->idle_limit_.closed(connection_->idle_for, server_->loop_.now());
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

Task<Result<Lease>> Server::lease_new(TimePoint deadline, std::string introduction) {
  const ServerRef self(this);  // a reload may forget us while we wait
  auto opening = open(deadline, std::move(introduction));
  auto stream = co_await opening;
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
  if (keepalive.idle_connections == 0 || introduces()) return;
  if (idle_.size() >= keepalive.idle_connections) idle_.erase(idle_.begin());
  idle_.push_back(std::move(connection));
}

void Server::sweep() {
  const TimePoint now = loop_.now();
  std::erase_if(idle_, [&](const auto& connection) {
    const Duration idle_for = now - connection->idle_since;
    const bool closed = connection->stream->has_pending_input();
    if (closed) idle_limit_.closed(idle_for, now);
    return closed || idle_for > idle_limit_.limit(now);
  });
}

void Server::cancel_leased() {
  for (auto& connection : leased_) connection.stream->cancel();
  if (shared_) shared_->cancel();
}

bool Server::busy() const {
  return shared_ && shared_->busy();
}

Task<> Server::stop() {
  idle_.clear();
  if (shared_) co_await shared_->stop();
}

Task<Result<std::unique_ptr<ByteStream>>> Server::open(TimePoint deadline, std::string introduction) {
  auto connected = co_await connect(loop_, settings_.address, deadline);
  if (!connected) co_return connected.error();
  auto socket = std::make_unique<Socket>(loop_, std::move(*connected), Side::kUpstream);
  if (!introduction.empty()) {
    // A new socket takes so little at once.
    const iovec piece{introduction.data(), introduction.size()};
    const auto sent = socket->try_write({&piece, 1});
    if (sent.kind == IoResult::Kind::kError) co_return sent.error;
    if (sent.bytes != introduction.size()) co_return Error{Errc::kInternal, Side::kUpstream, "short_write"};
  }
  if (!tls_) co_return std::unique_ptr<ByteStream>(std::move(socket));
  auto secured = co_await tls::connect(*tls_, std::move(socket), settings_.tls_name, deadline);
  if (!secured) co_return secured.error();
  if (shared_ && (*secured)->alpn() != "h2") co_return Error{Errc::kTls, Side::kUpstream, "upstream_not_http2"};
  co_return std::unique_ptr<ByteStream>(std::move(*secured));
}

}  // namespace headgate::upstream
