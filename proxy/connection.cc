// SPDX-License-Identifier: Apache-2.0
#include "proxy/connection.h"

#include "base/log.h"
#include "base/replayed_stream.h"
#include "tls/stream.h"

namespace headgate::proxy {

Connection::Connection(Loop& loop, UniqueFd fd, const SocketAddress& peer,
                       std::shared_ptr<const BoundListener> listener, http::Handler& handler,
                       observe::ListenerCells* cells)
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
  info_.cells = cells;
  if (cells != nullptr) cells->open.add(1);
}

Connection::~Connection() {
  if (info_.cells != nullptr) info_.cells->open.subtract(1);
}

Task<> Connection::run(tls::ServerContext* tls, Duration handshake_timeout) {
  const TimePoint deadline = deadline_after(loop_.now(), handshake_timeout);
  bool http2 = false;
  if (tls != nullptr) {
    const bool secured = co_await handshake(*tls, deadline);
    if (!secured) co_return;
    http2 = agreed_http2_;
  } else {
    stream_ = std::move(socket_);
    if (listener_->config.h2c) http2 = co_await speaks_http2(deadline);
  }
  bool orderly = false;
  if (http2) {
    http2_ = std::make_unique<http::Http2Session>(loop_, *stream_, info_, handler_);
    if (draining_) http2_->drain();
    orderly = co_await http2_->run();
  } else {
    http1_ = std::make_unique<http::Http1Session>(loop_, *stream_, info_, handler_);
    if (draining_) http1_->drain();
    orderly = co_await http1_->run();
  }
  if (orderly) stream_->shutdown_write();
}

/// Prior knowledge shows in the first bytes (RFC 9113 section 3.3). They are read again by the session.
Task<bool> Connection::speaks_http2(TimePoint deadline) {
  auto stream = std::make_unique<ReplayedStream>(loop_, std::move(stream_));
  auto& replayed = *stream;
  stream_ = std::move(stream);
  co_return co_await replayed.begins_with(http::kHttp2Preface, deadline);
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
  agreed_http2_ = (*stream)->alpn() == "h2";
  if (info_.cells != nullptr) info_.cells->count_handshake(info_.tls_version, (*stream)->resumed());
  stream_ = std::move(*stream);
  co_return true;
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
