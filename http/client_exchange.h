// SPDX-License-Identifier: Apache-2.0
// ClientExchange: one request that we send to an origin and its answer: the mirror of Exchange, whatever protocol.
//
// Loop thread only. One writer (the request) and one reader (the answer) at a time, which may be different tasks. After
// a failure of either the other may go on: an origin may answer without having read the whole request.
#pragma once

#include <memory>
#include <span>

#include "base/byte_stream.h"
#include "http/message.h"

namespace headgate::http {

// What an origin's head may be, by the sum of its fields: more than a client's, since it is ours and its cookies are
// many.
inline constexpr std::size_t kMaxOriginHead = 64 * 1024;
inline constexpr std::size_t kMaxOriginFields = 256;
/// Interim heads that one answer may begin with.
inline constexpr unsigned kMaxInterim = 32;

class ClientExchange {
 public:
  ClientExchange() = default;
  ClientExchange(const ClientExchange&) = delete;
  ClientExchange& operator=(const ClientExchange&) = delete;
  virtual ~ClientExchange() = default;

  /// The head; its views need to live only during the call. The fields hold neither framing nor hop-by-hop fields:
  /// body, content_length and upgrade say what is written for them. Sent with the first write() or finish().
  virtual void start(const RequestHead& head) = 0;
  virtual Task<Result<>> write(std::span<const char> data, bool last) = 0;
  virtual Task<Result<>> finish(const Fields* trailers) = 0;

  /// The next head: interim ones (status below 200) first, the final one (or 101) last. Valid until the next read,
  /// and the caller's to change.
  virtual Task<Result<ResponseHead*>> read_head(TimePoint deadline) = 0;

  /// The next piece of the content; empty at the end. Valid until the next call.
  virtual Task<Result<std::span<const char>>> read_body(TimePoint deadline) = 0;
  virtual bool body_finished() const = 0;
  /// True when read_body would not wait. Tries to read.
  virtual bool body_ready() = 0;
  virtual const Fields& trailers() const = 0;

  /// What became of a request whose answer failed to begin, with this error.
  enum class Fate : std::uint8_t {
    kUnknown,    ///< the origin may have taken it, or has begun to answer
    kLost,       ///< its connection ended without a byte of an answer: an origin that closed it may never have seen it
    kUntouched,  ///< the origin has not looked at it and will not (RFC 9113 section 8.7): it may be sent again
  };
  virtual Fate fate(const Error& error) const = 0;

  /// The connection may carry another request: both directions have ended as they should, and nothing is left over.
  virtual bool reusable() const = 0;

  /// Ends a wait in read_head or read_body with kCancelled; later waits are as before.
  virtual void interrupt_read() = 0;
  /// Ends the waits of both directions, now and later. The request is lost; over HTTP/1 its connection, too.
  virtual void cancel() = 0;
  /// Its owner is done with it: nobody waits in it any more, and what is left of it is broken off. It is gone then, or
  /// goes by itself.
  virtual void let_go() = 0;

  /// After a 101: the plain bytes, and what had arrived behind the head.
  struct Tunnel {
    ByteStream* stream;
    std::span<const char> early;
  };
  virtual Tunnel upgrade() = 0;
};

struct LetGo {
  void operator()(ClientExchange* exchange) const { exchange->let_go(); }
};
using ClientExchangePtr = std::unique_ptr<ClientExchange, LetGo>;

}  // namespace headgate::http
