// SPDX-License-Identifier: Apache-2.0
#include "tls/stream.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls/client_context.h"
#include "tls/errors.h"
#include "tls/server_context.h"

namespace headgate::tls {
namespace {

/// What a peer may send within one read without a byte of application data (tickets, key updates, empty records).
constexpr std::size_t kMaxOverhead = 256 * 1024;

/// At most this much is read from a peer whose handshake has failed, so that its close is not a reset that would
/// overtake our alert.
constexpr int kMaxDrains = 4;

std::string subject_of(X509* certificate) {
  if (certificate == nullptr) return {};
  const BioPtr text(BIO_new(BIO_s_mem()));
  if (!text || X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0) {
    clear_errors();
    return {};
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(text.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

TlsStream::TlsStream(ssl_ctx_st* settings, std::unique_ptr<Socket> socket)
    : socket_(std::move(socket)), wire_(*socket_), ssl_(SSL_new(settings)), always_ready_(socket_->loop()) {
  clear_errors();
  if (!ssl_) throw std::bad_alloc();
  bio_st* bio = make_socket_bio(wire_).release();
  SSL_set_bio(ssl_.get(), bio, bio);
  state_.wire = &wire_;
  SSL_set_app_data(ssl_.get(), &state_);
  always_ready_.set();
}

TlsStream::~TlsStream() {
  if (!wire_.failed && !wire_.held.empty()) wire_.flush_held();
  // OpenSSL takes a connection that ends without close_notify as a reason to forget its session, which was good sense
  // with SSL 3. Browsers and origins end so all the time.
  SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

// --- facts ---------------------------------------------------------------------------------------------------------

std::string_view TlsStream::version() const {
  return SSL_get_version(ssl_.get());
}

std::string_view TlsStream::cipher() const {
  return SSL_get_cipher_name(ssl_.get());
}

bool TlsStream::resumed() const {
  return SSL_session_reused(ssl_.get()) == 1;
}

std::string_view TlsStream::alpn() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string TlsStream::peer_subject() const {
  return subject_of(SSL_get0_peer_certificate(ssl_.get()));
}

// --- reading -------------------------------------------------------------------------------------------------------

IoResult TlsStream::read_failure(int ssl_error) {
  const Side side = socket_->side();
  if (ssl_error == SSL_ERROR_ZERO_RETURN) return IoResult::eof();
  // Asked first: the alert that OpenSSL sends about it may have met a closed socket.
  if (wire_.ended && (ssl_error == SSL_ERROR_SYSCALL || is_truncation())) {
    clear_errors();
    return IoResult::failed({Errc::kReset, side, "tls_truncated"});
  }
  if (wire_.failed) {
    clear_errors();
    return IoResult::failed(wire_.error);
  }
  return IoResult::failed(record_failure(side));
}

IoResult TlsStream::try_read(std::span<char> into) {
  read_blocked_ = false;
  if (after_data_) return *after_data_;
  if (!std::exchange(ticket_waits_, false)) flush_held();
  if (!socket_->may_read() && SSL_has_pending(ssl_.get()) == 0) return blocked();
  wire_.hold = true;
  wire_.read_bytes = 0;
  wire_.read_limit = kMaxOverhead;
  std::size_t total = 0;
  // One SSL_read gives one record; what has already been read from the socket is taken along.
  do {
    std::size_t got = 0;
    clear_errors();
    const int done = SSL_read_ex(ssl_.get(), into.data() + total, into.size() - total, &got);
    if (done == 1) {
      total += got;
      wire_.read_bytes = 0;
      continue;
    }
    const int error = SSL_get_error(ssl_.get(), done);
    if (error == SSL_ERROR_WANT_READ) {
      if (total > 0) break;
      return blocked();
    }
    after_data_ = read_failure(error);
    if (total == 0) return *after_data_;
    break;
  } while (total < into.size() && SSL_has_pending(ssl_.get()) == 1);
  return IoResult::ok(total);
}

IoResult TlsStream::blocked() {
  flush_held();
  if (wire_.failed) return IoResult::failed(wire_.error);
  read_blocked_ = true;
  // An idle connection keeps no record buffers; OpenSSL itself forgets some that the handshake used.
  SSL_free_buffers(ssl_.get());
  return IoResult::would_block();
}

Event::Wait TlsStream::wait_read(TimePoint deadline) {
  if (!read_blocked_) return always_ready_.wait(deadline);
  return socket_->wait_read(deadline);
}

bool TlsStream::has_pending_input() {
  if (after_data_) return true;
  if (SSL_has_pending(ssl_.get()) == 0 && !socket_->has_pending_input()) {
    read_blocked_ = true;
    return false;
  }
  wire_.hold = true;
  wire_.read_bytes = 0;
  wire_.read_limit = kMaxOverhead;
  char byte;
  std::size_t got = 0;
  clear_errors();
  const int done = SSL_peek_ex(ssl_.get(), &byte, 1, &got);
  if (done == 1) return true;
  const int error = SSL_get_error(ssl_.get(), done);
  if (error == SSL_ERROR_WANT_READ) {
    read_blocked_ = true;
    return false;
  }
  after_data_ = read_failure(error);
  return true;
}

// --- writing -------------------------------------------------------------------------------------------------------

bool TlsStream::flush_held() {
  const Wire::Flush flushed = wire_.flush_held();
  if (flushed == Wire::Flush::kWouldBlock) return false;
  if (fin_pending_) {
    fin_pending_ = false;
    socket_->shutdown_write();
  }
  return true;
}

IoResult TlsStream::try_write(std::span<const iovec> pieces) {
  if (fin_pending_ && !flush_held()) return IoResult::would_block();
  std::size_t wanted = 0;
  const iovec* first = nullptr;
  for (const auto& piece : pieces) {
    if (piece.iov_len == 0) continue;
    if (first == nullptr) first = &piece;
    wanted += piece.iov_len;
    if (wanted >= kRecord) break;
  }
  if (first == nullptr) return IoResult::ok(0);
  const char* data = static_cast<const char*>(first->iov_base);
  std::size_t size = std::min(first->iov_len, kRecord);
  wanted = std::min(wanted, kRecord);
  Buffer gathered;
  if (size < wanted) {
    // Several small pieces: one record and one send are worth a copy.
    gathered = socket_->loop().buffers().take(wanted);
    size = 0;
    for (const iovec* piece = first; size < wanted; ++piece) {
      const std::size_t part = std::min(piece->iov_len, wanted - size);
      if (part > 0) std::memcpy(gathered.data() + size, piece->iov_base, part);
      size += part;
    }
    data = gathered.data();
  }
  wire_.hold = false;
  std::size_t put = 0;
  clear_errors();
  const int done = SSL_write_ex(ssl_.get(), data, size, &put);
  if (done == 1) return IoResult::ok(put);
  const int error = SSL_get_error(ssl_.get(), done);
  // Without renegotiation nothing makes a write wait for input.
  if (error == SSL_ERROR_WANT_WRITE) return IoResult::would_block();
  if (wire_.failed) {
    clear_errors();
    return IoResult::failed(wire_.error);
  }
  return IoResult::failed(record_failure(socket_->side()));
}

IoResult TlsStream::try_send_file(int, off_t&, std::size_t) {
  return IoResult::failed({Errc::kInternal, Side::kInternal, "tls_has_no_sendfile"});
}

void TlsStream::shutdown_write() {
  if (!wire_.failed) {
    wire_.hold = true;
    clear_errors();
    SSL_shutdown(ssl_.get());  // sends our close_notify; the peer's is read as kEof
    clear_errors();
  }
  fin_pending_ = true;
  flush_held();
}

void TlsStream::cancel() {
  always_ready_.cancel();
  socket_->cancel();
}

// --- the handshake -------------------------------------------------------------------------------------------------

Error TlsStream::handshake_error(int ssl_error) {
  const Side side = socket_->side();
  if (state_.name_refused) {
    clear_errors();
    return {Errc::kTls, side, "tls_no_certificate_for_name"};
  }
  if (wire_.ended && (ssl_error == SSL_ERROR_SYSCALL || is_truncation())) {
    clear_errors();
    return {Errc::kClosed, side, "tls_handshake_closed"};
  }
  if (wire_.failed) {
    clear_errors();
    return wire_.error;
  }
  return handshake_failure(ssl_.get(), side);
}

Task<Result<>> TlsStream::handshake(TimePoint deadline) {
  Loop& loop = socket_->loop();
  for (;;) {
    clear_errors();
    const int done = SSL_do_handshake(ssl_.get());
    if (done == 1) break;
    const int error = SSL_get_error(ssl_.get(), done);
    Wake wake = Wake::kReady;
    if (error == SSL_ERROR_WANT_READ) {
      wake = co_await socket_->wait_read(deadline);
    } else if (error == SSL_ERROR_WANT_WRITE) {
      wake = co_await socket_->wait_write(deadline);
    } else {
      const Error failure = handshake_error(error);
      drain();
      co_return failure;
    }
    // A peer that trickles never lets a wait run out, so the time is looked at as well.
    if (wake == Wake::kReady && loop.now() >= deadline) wake = Wake::kTimeout;
    if (wake == Wake::kTimeout) co_return Error{Errc::kTimeout, socket_->side(), "tls_handshake_timeout"};
    if (wake == Wake::kCancelled) co_return stream_error(wake, socket_->side());
  }
  clear_errors();
  wire_.gather = false;
  ticket_waits_ = !wire_.held.empty();
  co_return Result<>();
}

void TlsStream::drain() {
  if (wire_.failed || wire_.ended) return;
  flush_held();
  socket_->shutdown_write();
  std::array<char, 16 * 1024> waste;
  for (int i = 0; i < kMaxDrains; ++i) {
    if (socket_->try_read(waste).kind != IoResult::Kind::kOk) break;
  }
}

Task<Result<std::unique_ptr<TlsStream>>> accept(ServerContext& context, std::unique_ptr<Socket> socket,
                                                TimePoint deadline) {
  // Keeps what the handshake's callbacks use, should the context be rebuilt or destroyed meanwhile.
  const std::shared_ptr<const ServerContext::Built> built = context.current();
  std::unique_ptr<TlsStream> stream(new TlsStream(context.settings_of(*built), std::move(socket)));
  SSL_set_accept_state(stream->ssl_.get());
  const Result<> done = co_await stream->handshake(deadline);
  if (!done) co_return done.error();
  co_return std::move(stream);
}

Task<Result<std::unique_ptr<TlsStream>>> connect(ClientContext& context, std::unique_ptr<Socket> socket,
                                                 const std::string& server_name, TimePoint deadline) {
  const Side side = socket->side();
  std::unique_ptr<TlsStream> stream(new TlsStream(context.settings(), std::move(socket)));
  SSL_set_connect_state(stream->ssl_.get());
  const char* refused = context.prepare(stream->ssl_.get(), stream->state_, server_name, stream->socket_->fd());
  if (refused != nullptr) co_return Error{Errc::kTls, side, refused};
  const Result<> done = co_await stream->handshake(deadline);
  if (!done) co_return done.error();
  co_return std::move(stream);
}

}  // namespace headgate::tls
