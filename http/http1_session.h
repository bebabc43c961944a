// SPDX-License-Identifier: Apache-2.0
// The server's side of one HTTP/1 connection (RFC 9112): reads heads within limits and deadlines, hands an Exchange for
// each to the handler, one after another, and keeps the framing of both directions right.
#pragma once

#include "http/exchange.h"
#include "http/http1_parser.h"

namespace headgate::http {

/// Loop thread only. The stream, the connection info and the handler outlive it.
class Http1Session {
 public:
  Http1Session(Loop& loop, ByteStream& stream, const ConnectionInfo& connection, Handler& handler);
  Http1Session(const Http1Session&) = delete;
  Http1Session& operator=(const Http1Session&) = delete;

  /// Serves requests until the connection ends; the stream may be destroyed then. Ended early by stream.cancel().
  /// False: an answer was broken off, and the connection must not end as if all were well.
  Task<bool> run();

  /// From now on the current answer, or the next one, is the last.
  void announce_end() { ending_ = true; }
  /// Likewise, and a connection that has served and idles is closed.
  void drain();

  /// Between requests, with nothing of the next one read.
  bool idle() const { return idle_; }

 private:
  class H1Exchange;

  enum class Arrival { kBytes, kNone, kOver };
  bool take_ahead();
  Arrival try_arrival(TimePoint deadline);
  /// False: the connection is over.
  Task<bool> serve_one();
  Task<> linger();
  bool make_room();
  void adopt(Buffer buffer, std::size_t begin, std::size_t end);

  Loop& loop_;
  ByteStream& stream_;
  const ConnectionInfo& connection_;
  Handler& handler_;
  SessionLimits limits_;  // of the current request

  Buffer in_;              // begins with the head of the current request
  std::size_t begin_ = 0;  // bytes [begin_, end_) have been received and not been used
  std::size_t end_ = 0;
  TimePoint head_deadline_ = kNoDeadline;  // of the head that is being read
  std::uint64_t served_ = 0;
  bool ending_ = false;
  bool draining_ = false;
  bool idle_ = false;
  bool broken_off_ = false;
};

}  // namespace headgate::http
