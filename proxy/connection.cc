// SPDX-License-Identifier: Apache-2.0
#include "proxy/connection.h"

#include "base/log.h"
#include "tls/stream.h"

namespace headgate::proxy {

Connection::Connection(Loop& loop, UniqueFd fd, const SocketAddress& peer,
                       std::shared_ptr<const BoundListener> listener, http::Handler& handler)
    : loop_(loop),
      listener_(std::move(listener)),
      handler_(handler),
      socket_(std::make_unique<Socket>(loop, std::move(fd), Side::kDownstream)),
      transport_(socket_.get()) {
  info_.peer = peer.host();
  info_.peer_port = peer.port();
  info_.peer_text = info_.peer.to_string();
  info_.local_port = listener_->local.port();
  info_.listener = listener_->config.address.text;
}

Task<> Connection::run(tls::ServerContext* tls, Duration handshake_timeout) {
  if (tls != nullptr) {
    const bool secured = co_await handshake(*tls, deadline_after(loop_.now(), handshake_timeout));
    if (!secured) co_return;
  } else {
    stream_ = std::move(socket_);
  }
  session_ = std::make_unique<http::Http1Session>(loop_, *stream_, info_, handler_);
  if (draining_) session_->drain();
  const bool orderly = co_await session_->run();
  if (orderly) stream_->shutdown_write();
}

Task<bool> Connection::handshake(tls::ServerContext& tls, TimePoint deadline) {
  auto stream = co_await tls::accept(tls, std::move(socket_), deadline);
  if (!stream) {
    transport_ = nullptr;
    log::debug("{}: TLS handshake with {} failed: {}", info_.listener, info_.peer_text, stream.error().reason);
    co_return false;
  }
  info_.secure = true;
  info_.tls_version = (*stream)->version();
  info_.server_name = (*stream)->server_name();
  stream_ = std::move(*stream);
  co_return true;
}

void Connection::drain() {
  draining_ = true;
  if (session_) session_->drain();
}

void Connection::cancel() {
  if (transport_ != nullptr) transport_->cancel();
}

}  // namespace headgate::proxy
