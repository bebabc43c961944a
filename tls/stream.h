// SPDX-License-Identifier: Apache-2.0
// TlsStream: a ByteStream that speaks TLS 1.2 or 1.3 (RFC 5246, RFC 8446) over a socket it owns; and the two ways to
// get one, accept and connect.
//
// OpenSSL reads and writes the descriptor itself: no copies through memory, and its record buffers (34 KB) exist only
// while a record is on its way. No renegotiation, no compression, no early data.
//
// As every ByteStream: loop thread, one reader and one writer, who may wait at the same time. Neither ever waits for
// the other's event: what a read must send (an alert) is sent or kept for the next write.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/byte_stream.h"
#include "base/socket.h"
#include "tls/connection_state.h"
#include "tls/handles.h"
#include "tls/socket_bio.h"

namespace headgate::tls {

class ClientContext;
class ServerContext;

class TlsStream final : public ByteStream {
 public:
  /// The largest plaintext of one record (RFC 8446 section 5.1); try_write seals at most one.
  static constexpr std::size_t kRecord = 16 * 1024;

  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  /// Closes the socket without a close_notify: an orderly end is shutdown_write() first.
  ~TlsStream() override;

  // --- facts of the handshake; constant. OpenSSL keeps them, so that an idle stream does not --------------------

  std::string_view version() const;  ///< "TLSv1.3"
  std::string_view cipher() const;   ///< "TLS_AES_128_GCM_SHA256"
  bool resumed() const;
  std::string_view alpn() const;  ///< "http/1.1"; empty when none was agreed; lives as long as the stream

  /// SNI as the client sent it: lower case, without a final dot. Empty when there was none.
  const std::string& server_name() const { return state_.server_name; }

  /// The verified peer certificate's subject (RFC 2253 text); on the accepting side empty without mTLS.
  std::string peer_subject() const;

  Socket& socket() { return *socket_; }

  // --- ByteStream ----------------------------------------------------------------------------------------------

  /// kEof only after a close_notify. An end without one is kError kReset "tls_truncated": whoever knows the protocol
  /// above decides whether that was harmless (RFC 9112 section 9.8).
  IoResult try_read(std::span<char> into) override;

  /// Small pieces go out together as one record.
  IoResult try_write(std::span<const iovec> pieces) override;

  IoResult try_send_file(int file, off_t& offset, std::size_t count) override;
  bool can_send_file() const override { return false; }

  /// Ready at once unless the last try_read would have blocked: records may lie decrypted in OpenSSL's buffer.
  Event::Wait wait_read(TimePoint deadline) override;
  Event::Wait wait_write(TimePoint deadline) override { return socket_->wait_write(deadline); }

  void end_after_write() override { socket_->end_after_write(); }

  /// close_notify, then FIN. When the kernel's buffer is full both go out with the next call on this stream.
  void shutdown_write() override;
  void cancel() override;
  void interrupt_read() override { socket_->interrupt_read(); }
  void abort_on_close() override { socket_->abort_on_close(); }

  /// Takes in session tickets on the way: they are no sign that the origin has closed or answered.
  bool has_pending_input() override;

 private:
  friend Task<Result<std::unique_ptr<TlsStream>>> accept(ServerContext&, std::unique_ptr<Socket>, TimePoint);
  friend Task<Result<std::unique_ptr<TlsStream>>> connect(ClientContext&, std::unique_ptr<Socket>, const std::string&,
                                                          TimePoint);

  TlsStream(ssl_ctx_st* settings, std::unique_ptr<Socket> socket);

  Task<Result<>> handshake(TimePoint deadline);
  Error handshake_error(int ssl_error);
  void drain();
  bool flush_held();
  IoResult read_failure(int ssl_error);
  IoResult blocked();

  std::unique_ptr<Socket> socket_;
  Wire wire_;
  ConnectionState state_;
  SslPtr ssl_;
  Event always_ready_;
  std::optional<IoResult> after_data_;  // what a read met behind the bytes that it gave out
  bool read_blocked_ = false;
  bool ticket_waits_ = false;  // held since the handshake, until something is written or the client is silent
  bool fin_pending_ = false;
};

/// The server's handshake over a connected socket. The caller may keep a pointer to the socket to cancel() it while it
/// awaits. On failure the socket is closed, after OpenSSL's alert was sent where it fits; the reasons:
/// tls_handshake_timeout, tls_handshake_closed, tls_not_tls, tls_plain_http, tls_unsupported_version,
/// tls_nothing_in_common, tls_no_application_protocol, tls_no_certificate_for_name, tls_client_certificate_required,
/// tls_certificate_expired, tls_certificate_not_yet_valid, tls_certificate_verify_failed, tls_peer_alert,
/// tls_handshake_failed. `context` must live until the first wait, no longer.
Task<Result<std::unique_ptr<TlsStream>>> accept(ServerContext& context, std::unique_ptr<Socket> socket,
                                                TimePoint deadline);

/// The client's. `server_name` is a host name (sent as SNI) or an IP address; the certificate must be valid for it when
/// the context verifies, and an empty one then fails with tls_no_server_name. Further reasons: as accept, and
/// tls_certificate_name_mismatch.
Task<Result<std::unique_ptr<TlsStream>>> connect(ClientContext& context, std::unique_ptr<Socket> socket,
                                                 const std::string& server_name, TimePoint deadline);

}  // namespace headgate::tls
