// SPDX-License-Identifier: Apache-2.0
// The client's side of one HTTP/2 connection to an origin (RFC 9113): nghttp2 does framing and HPACK, each request is a
// stream of its own and a ClientExchange to whoever sends it.
//
// What all exchanges have to say in one turn of the loop leaves in one write. An origin is as little trusted as a
// client: its windows bound what waits here (kStreamWindow a stream, whatever the connection's), heads have limits,
// frames that bring nothing on a budget, and a connection that has fallen silent under requests is asked by a PING
// whether it lives.
#pragma once

#include <memory>

#include <boost/intrusive/list.hpp>

#include "http/client_exchange.h"
#include "http/http2_budget.h"
#include "http/http2_frame_scan.h"
#include "http/http2_transport.h"

namespace headgate::http {

class Http2ClientExchange;

/// Loop thread only. The exchanges belong to it; its owner keeps it until run() has returned.
class Http2Client {
 public:
  static constexpr std::size_t kMaxStreams = 128;            ///< at a time, where the origin allows as many
  static constexpr std::int32_t kStreamWindow = 128 * 1024;  ///< of an answer
  /// The connection's window never is what limits: a client that takes its answer slowly must not hold up the others.
  static constexpr std::int32_t kConnectionWindow = static_cast<std::int32_t>(kMaxStreams) * kStreamWindow;

  struct Limits {
    Duration idle_timeout{};                           ///< without any request
    std::uint64_t max_requests = 0;                    ///< 0: no limit
    Duration silence = std::chrono::seconds(10);       ///< with requests under way, before a PING is sent
    Duration ping_timeout = std::chrono::seconds(10);  ///< for anything to come after it
  };

  /// Who shares the connection out.
  class Owner {
   public:
    /// A stream has ended: there may be a place, or nothing under way any more. May be called from within nghttp2.
    virtual void stream_ended(Http2Client& client) = 0;

   protected:
    ~Owner() = default;
  };

  Http2Client(Loop& loop, std::unique_ptr<ByteStream> stream, bool secure, const Limits& limits, Owner& owner);
  ~Http2Client();
  Http2Client(const Http2Client&) = delete;
  Http2Client& operator=(const Http2Client&) = delete;

  /// Lives the connection's life. Returns when it has ended and the last exchange has been let go.
  Task<> run();

  /// Waits for the origin's SETTINGS, which say that it speaks HTTP/2 and how many requests it takes at a time. run()
  /// must have been started. Errors: timeout, upstream_not_http2, and those of the connection.
  Task<Result<>> ready(TimePoint deadline);

  /// There is room for another request.
  bool has_place() const;
  /// How many it takes at a time, as far as is known.
  std::size_t places() const;
  /// Requests that are under way.
  std::size_t streams() const { return streams_; }
  /// It has carried one before.
  bool used() const { return opened_ > 0; }

  /// Takes a place. `idle` bounds each wait for the origin to take bytes. Only when has_place().
  ClientExchangePtr begin();

  /// Takes no more requests, and ends when those under way have.
  void retire();
  /// Ends now; what is under way fails with kCancelled.
  void cancel();

  /// Its stream has been closed; exchanges may not have been let go yet.
  bool closed() const { return stream_ == nullptr; }
  /// Why it ended, once run() has returned; a literal.
  const char* end_reason() const { return goaway_ != nullptr ? goaway_ : error_.reason; }

 private:
  friend class Http2ClientExchange;
  struct Callbacks;
  friend struct Callbacks;
  /// What an exchange hangs by in its connection's list.
  using Hook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
  struct Listed : Hook {};
  using Exchanges = boost::intrusive::list<Listed, boost::intrusive::constant_time_size<false>>;

  Task<> read_until_end();
  void feed(std::span<const char> bytes);
  bool acceptable(const Http2FrameScan::Frame& frame);
  bool over() const;
  TimePoint next_deadline() const;
  void check_deadlines();
  void leave();
  void wake_reader();
  void end_with(std::uint32_t code, const Error& error);
  void close_streams();
  void released(Http2ClientExchange& exchange);

  Loop& loop_;
  std::unique_ptr<ByteStream> stream_;
  const std::string_view scheme_;
  const Limits limits_;
  Owner& owner_;
  Http2Transport transport_;
  Http2SessionPtr nghttp2_;
  Http2Budget budget_;
  Http2FrameScan scan_{0};

  Exchanges exchanges_;                          // all that exist
  Http2ClientExchange* reading_head_ = nullptr;  // of the header block that is being decoded
  std::size_t streams_ = 0;
  std::uint64_t opened_ = 0;

  Event settings_;  // the origin's have been read, or the connection is over
  Event emptied_;   // no exchange is left
  bool settings_read_ = false;
  bool taking_ = true;
  bool leaving_ = false;
  bool finished_ = false;  // nothing is read any more
  bool woken_ = false;     // the reader's wait was interrupted by ourselves
  TimePoint idle_since_;   // while there are no streams
  TimePoint busy_since_;   // while there are
  TimePoint heard_at_;     // bytes of the origin's
  TimePoint ping_again_at_;
  TimePoint ping_deadline_ = kNoDeadline;  // of a PING that is on its way
  TimePoint leave_by_ = kNoDeadline;

  Error error_{Errc::kClosed, Side::kUpstream, "upstream_closed"};  // what streams end with when the connection does
  bool broken_ = false;                                             // the first mistake decides about error_
  const char* goaway_ = nullptr;  // the name of the error for which either side ended the connection
};

}  // namespace headgate::http
