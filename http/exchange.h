// SPDX-License-Identifier: Apache-2.0
// Exchange: one request of a client and its answer, whatever protocol carries them. A session (HTTP/1, HTTP/2) makes
// one for each request it has read and hands it to `serve`; nothing behind `serve` knows the protocol.
//
// Loop thread only. The session owns the Exchange and everything in it; it lives until serve() has returned. One
// reader of the body and one writer of the response at a time; the two may be different tasks. When a call fails with
// Side::kDownstream the client is gone: the handler stops, nothing more can be sent.
//
// Order of the response: any number of send_interim, then respond() alone, or start() followed by write(),
// write_file() and finish(). Nothing leaves before a flush point: the first write(), write_file(), flush() or finish(),
// so that a head and a small body share one system call.
#pragma once

#include <span>
#include <string>

#include "base/arena.h"
#include "base/byte_stream.h"
#include "base/ip.h"
#include "base/loop.h"
#include "http/message.h"
#include "http/rejection.h"

namespace headgate::http {

/// What is known of the connection that carries an exchange. Owned by the connection; constant after the handshake.
struct ConnectionInfo {
  IpAddress peer;  ///< the socket's other end, or PROXY protocol's source; unknown for a unix socket
  std::uint16_t peer_port = 0;
  std::uint16_t local_port = 0;  ///< 0 for a unix socket
  std::string_view listener;     ///< its address as the configuration writes it
  std::string peer_text;         ///< peer as text, made once
  bool secure = false;           ///< TLS
  std::string_view tls_version;  ///< "TLSv1.3"; empty in clear
  std::string server_name;       ///< SNI, lower case; empty when none was sent
};

class Exchange {
 public:
  Exchange(Loop& loop, const ConnectionInfo& connection)
      : loop_(loop), connection_(connection), arena_(loop.buffers()), started_at_(loop.now()) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  virtual ~Exchange() = default;

  RequestHead request;

  Loop& loop() { return loop_; }
  const ConnectionInfo& connection() const { return connection_; }
  Arena& arena() { return arena_; }                     ///< memory that lives as long as this exchange
  TimePoint started_at() const { return started_at_; }  ///< when the first byte of the head was seen

  // --- the request's body ---------------------------------------------------------------------------------------

  /// Above this many bytes read_body fails with kTooLarge ("body_too_large"); 0: no limit. A declared length above it
  /// fails at the first read. Set before reading.
  void limit_body(std::uint64_t bytes) { body_limit_ = bytes; }
  std::uint64_t body_limit() const { return body_limit_; }

  /// The next piece; empty at the end, after which trailers() is complete. The view is valid until the next call.
  /// Sends "100 Continue" first where the client waits for it. Deadline: the session's idle limit for each wait.
  virtual Task<Result<std::span<const char>>> read_body() = 0;
  virtual bool has_body() const = 0;  ///< false: read_body would give the end at once
  /// True when bytes of the body are at hand, so that read_body would not wait.
  virtual bool body_ready() const = 0;

  /// Bytes of the body given out so far.
  std::uint64_t body_bytes() const { return body_bytes_; }
  virtual bool body_finished() const = 0;
  virtual const Fields& trailers() const = 0;

  /// Makes a reader that waits in read_body or departed (in another task) end.
  virtual void cancel_read() = 0;

  /// After cancel_read(), and when its reader has ended: the body can be read again.
  virtual void resume_read() = 0;

  /// While nobody reads the body: returns true when the client has closed or broken the connection; false when it has
  /// sent something else, or after cancel_read().
  virtual Task<bool> departed() = 0;

  /// Who wants to know at once that the client has broken its request off.
  class Onlooker {
   public:
    /// Called from within the session, once: it may wake others, and no more.
    virtual void client_departed(const Error& error) = 0;

   protected:
    ~Onlooker() = default;
  };
  /// Has `who` (null: nobody any more) told of it until the exchange ends, also while the body is being read. False:
  /// this protocol cannot tell that from a client that has only said all it wanted; departed() is the way then.
  virtual bool watch([[maybe_unused]] Onlooker* who) { return false; }

  // --- the response ---------------------------------------------------------------------------------------------

  /// An informational response (100, 103). Dropped where the protocol or the client's version has none.
  virtual Task<Result<>> send_interim(const ResponseHead& head) = 0;

  /// The final head, once. Views in it need to live only during the call. Nothing is sent yet.
  virtual void start(const ResponseHead& head) = 0;

  /// Sends what is buffered and then `data`, with back-pressure: returns when the transport has taken it all. With
  /// `last` it is also the end, as finish() without trailers, in the same send. Data beyond content_length is an error
  /// of ours (kInternal). For a response without content it is dropped.
  virtual Task<Result<>> write(std::span<const char> data, bool last) = 0;
  Task<Result<>> write(std::span<const char> data) { return write(data, false); }

  /// As write, but of part of a file; the transport copies (sendfile) where it can.
  virtual Task<Result<>> write_file(int file, std::uint64_t offset, std::uint64_t count) = 0;

  virtual Task<Result<>> flush() = 0;

  /// The end, with trailers where the protocol allows them. Fewer bytes than content_length: as abort().
  virtual Task<Result<>> finish(const Fields* trailers = nullptr) = 0;

  /// start, write and finish in one: one send for a small answer. `head` is used during the call and not later, when
  /// the Task is awaited; `body` stays until that has ended, as with write().
  virtual Task<Result<>> respond(const ResponseHead& head, std::span<const char> body) = 0;

  /// The response broke off after start(): the client must see an error, not a clean end (RFC 9112 section 8).
  virtual void abort() = 0;

  /// Sends the head of a protocol switch (101 here; 200 for extended CONNECT) and turns the exchange into plain bytes.
  /// `early` is what the client had already sent after its head. The stream belongs to the session.
  struct Tunnel {
    ByteStream* stream;
    std::span<const char> early;
  };
  virtual Task<Result<Tunnel>> upgrade(const ResponseHead& head) = 0;

  bool response_started() const { return status_ != 0; }
  int status() const { return status_; }                  ///< 0 before start()
  std::uint64_t bytes_out() const { return bytes_out_; }  ///< of the response's content, as sent

  /// After this answer the connection takes no further request (Connection: close, or GOAWAY at the session's choice).
  virtual void close_after() = 0;

 protected:
  Loop& loop_;
  const ConnectionInfo& connection_;
  Arena arena_;
  TimePoint started_at_;
  std::uint64_t body_limit_ = 0;
  std::uint64_t body_bytes_ = 0;
  std::uint64_t bytes_out_ = 0;
  int status_ = 0;
};

/// What one connection may cost, from the configuration's `limits`. Durations of zero: no limit.
struct SessionLimits {
  Duration header_timeout{};
  Duration body_idle_timeout{};
  Duration keepalive_timeout{};
  std::uint64_t keepalive_requests = 0;
  std::size_t max_header_bytes = 32 * 1024;
  std::size_t max_headers = 100;
};

/// What a session hands its exchanges to: the program's `serve`. Lives longer than all sessions.
class Handler {
 public:
  /// Answers the request. Returns when the answer is complete or the client is gone.
  virtual Task<> handle(Exchange& exchange) = 0;

  /// Answers what was no acceptable request: as much of exchange.request is filled as was understood. The connection
  /// closes afterwards.
  virtual Task<> refuse(Exchange& exchange, const Rejection& rejection) = 0;

  /// The limits for the next request: those of the configuration that is current now.
  virtual const SessionLimits& session_limits() const = 0;

  /// A session has held its client off: a flood, a limit, a deadline, an error of the protocol; `reason` is a literal.
  /// May be called from within nghttp2: for counting and logging.
  virtual void held_off([[maybe_unused]] const ConnectionInfo& connection, [[maybe_unused]] const char* reason) {}

 protected:
  ~Handler() = default;
};

}  // namespace headgate::http
