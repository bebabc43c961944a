// SPDX-License-Identifier: Apache-2.0
#include "proxy/connection.h"

#include "base/line_limit.h"
#include "base/log.h"
#include "base/replayed_stream.h"
#include "tls/stream.h"

namespace headgate::proxy {
namespace {

/// A balancer that is set up wrong does this to every connection, and whoever runs it must hear of it.
void refused_introduction(const Loop& loop, const ClientConnectionInfo& info, const char* reason) {
  if (info.cells != nullptr) info.cells->proxy_headers_refused.add(1);
  thread_local LineLimit lines;
  const auto untold = lines.admit(loop.now());
  if (!untold) return;
  const auto more =
      *untold == 0 ? std::string() : " (and " + std::to_string(*untold) + " more since the last such line)";
  log::warn("{}: connection of {} refused: proxy_protocol is on, and it did not begin with a PROXY header: {}{}",
            info.listener, info.peer_text, reason, more);
}

}  // namespace

ProxiedEnds ClientConnectionInfo::ends() const {
  if (destination.is_known()) return {peer, peer_port, destination, destination_port};
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(descriptor, address, &length) != 0) return {peer, peer_port, {}, local_port};
  return {peer, peer_port, IpAddress::from_sockaddr(address), local_port};
}

Connection::Connection(Loop& loop, UniqueFd fd, const SocketAddress& peer,
                       std::shared_ptr<const BoundListener> listener, http::Handler& handler, ConnectionCount* counted,
                       observe::ListenerCells* cells)
    : loop_(loop),
      listener_(std::move(listener)),
      handler_(handler),
      counted_(counted),
      socket_(std::make_unique<Socket>(loop, std::move(fd), Side::kDownstream)),
      transport_(socket_.get()) {
  info_.peer = peer.host();
  info_.peer_port = peer.port();
  info_.peer_text = info_.peer.to_string();
  info_.local_port = listener_->local.port();
  info_.listener = listener_->config.address.text;
  info_.cells = cells;
  info_.descriptor = socket_->fd();
  if (cells != nullptr) cells->open.add(1);
}

Connection::~Connection() {
  if (counted_ != nullptr) counted_->remove(info_.peer);
  if (info_.cells != nullptr) info_.cells->open.subtract(1);
}

/// The one frame of an idle connection beside its session's: kept small, so the steps share a Task.
Task<> Connection::serve(std::unique_ptr<Connection> connection, tls::ServerContext* tls, Duration handshake_timeout) {
  Connection& self = *connection;
  const TimePoint deadline = deadline_after(self.loop_.now(), handshake_timeout);
  bool done = true;
  Task<bool> step;
  if (self.awaits_proxy_header_) {
    step = self.read_proxy_header(deadline);
    done = co_await step;
    if (!done) co_return;
  }
  step = self.begin(tls, deadline);
  done = co_await step;
  if (!done) co_return;
  step = self.run_session();
  done = co_await step;
  if (done) self.stream_->shutdown_write();
}

Task<bool> Connection::read_proxy_header(TimePoint deadline) {
  ProxyHeaderReader reader;
  const char* reason = nullptr;
  while (reason == nullptr && !reader.complete()) {
    auto reading = read_some(*socket_, reader.wants(), deadline, Side::kDownstream);
    const auto count = co_await reading;
    if (!count) {
      reason = count.error().reason;
    } else if (*count == 0) {
      if (!reader.begun()) co_return false;  // somebody looked whether we are there
      reason = "bad_proxy_header";
    } else if (!reader.took(*count)) {
      reason = reader.reason();
    }
  }
  if (reason != nullptr) {
    refused_introduction(loop_, info_, reason);
    co_return false;
  }
  co_return become(reader.ends());
}

/// From here on the connection is that of whom the proxy speaks for.
bool Connection::become(const ProxiedEnds& ends) {
  if (!ends.source.is_known()) return true;
  if (counted_ != nullptr &&
      counted_->move(info_.peer, ends.source, most_per_address_) != ConnectionCount::Verdict::kAdmitted) {
    log::debug("{}: connection of {} refused: limits.max_connections_per_ip", info_.listener, ends.source.to_string());
    return false;
  }
  info_.peer = ends.source;
  info_.peer_port = ends.source_port;
  info_.peer_text = info_.peer.to_string();
  info_.destination = ends.destination;
  info_.destination_port = ends.destination_port;
  return true;
}

Task<bool> Connection::begin(tls::ServerContext* tls, TimePoint deadline) {
  if (tls != nullptr) return handshake(*tls, deadline);
  stream_ = std::move(socket_);
  if (listener_->config.h2c) return look_for_preface(deadline);
  return true;
}

/// True: it may end in good order.
Task<bool> Connection::run_session() {
  if (speaks_http2_) {
    http2_ = std::make_unique<http::Http2Session>(loop_, *stream_, info_, handler_);
    if (draining_) http2_->drain();
    return http2_->run();
  }
  http1_ = std::make_unique<http::Http1Session>(loop_, *stream_, info_, handler_);
  if (draining_) http1_->drain();
  return http1_->run();
}

/// Prior knowledge shows in the first bytes (RFC 9113 section 3.3). They are read again by the session.
Task<bool> Connection::look_for_preface(TimePoint deadline) {
  auto stream = std::make_unique<ReplayedStream>(loop_, std::move(stream_));
  auto& replayed = *stream;
  stream_ = std::move(stream);
  speaks_http2_ = co_await replayed.begins_with(http::kHttp2Preface, deadline);
  co_return true;
}

Task<bool> Connection::handshake(tls::ServerContext& tls, TimePoint deadline) {
  if (info_.cells != nullptr) info_.cells->shaking_hands.add(1);
  auto stream = co_await tls::accept(tls, std::move(socket_), deadline);
  if (info_.cells != nullptr) info_.cells->shaking_hands.subtract(1);
  if (!stream) {
    transport_ = nullptr;
    log::debug("{}: TLS handshake with {} failed: {}", info_.listener, info_.peer_text, stream.error().reason);
    co_return false;
  }
  info_.secure = true;
  info_.tls_version = (*stream)->version();
  info_.server_name = (*stream)->server_name();
  speaks_http2_ = (*stream)->alpn() == "h2";
  if (info_.cells != nullptr) info_.cells->count_handshake(info_.tls_version, (*stream)->resumed());
  stream_ = std::move(*stream);
  co_return true;
}

void Connection::announce_end() {
  draining_ = true;
  if (http1_) http1_->announce_end();
  if (http2_) http2_->drain();  // which has words for it
}

void Connection::drain() {
  draining_ = true;
  if (http1_) http1_->drain();
  if (http2_) http2_->drain();
}

void Connection::cancel() {
  if (transport_ != nullptr) transport_->cancel();
}

}  // namespace headgate::proxy
