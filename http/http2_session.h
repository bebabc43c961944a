// SPDX-License-Identifier: Apache-2.0
// The server's side of one HTTP/2 connection (RFC 9113): nghttp2 does framing and HPACK; each request becomes an
// Exchange in a task of its own, which ends in the same Handler as HTTP/1.
//
// All that arrives in one turn of the loop is read before anything is sent, and all that the streams have to say to it
// leaves in one write. Limits: kMaxStreams requests at a time and that many more that the client has already broken
// off; windows that bound what uploads may wait; deadlines for the preface, a header block, an idle connection, a
// stalled write; a budget for frames that bring nothing on. A client beyond them gets GOAWAY with ENHANCE_YOUR_CALM.
#pragma once

#include <array>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "base/task_group.h"
#include "http/exchange.h"
#include "http/http2_budget.h"
#include "http/http2_frame_scan.h"
#include "http/http2_transport.h"

namespace headgate::http {

/// What a client sends first (RFC 9113 section 3.4).
inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Loop thread only. The stream, the connection info and the handler outlive it.
class Http2Session {
 public:
  static constexpr std::uint32_t kMaxStreams = 128;           ///< SETTINGS_MAX_CONCURRENT_STREAMS
  static constexpr std::int32_t kStreamWindow = 128 * 1024;   ///< of an upload
  static constexpr std::int32_t kConnectionWindow = 1 << 20;  ///< of all uploads of a connection

  Http2Session(Loop& loop, ByteStream& stream, const ConnectionInfo& connection, Handler& handler);
  ~Http2Session();
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  /// Serves requests until the connection ends; the stream may be destroyed then. Ended early by stream.cancel().
  /// False: the connection broke, or was ended because of an error; it must not end as if all were well.
  Task<bool> run();

  /// Tells the client to open no more streams (GOAWAY in two steps, RFC 9113 section 6.8) and ends when those under
  /// way are done. A connection that has sent no request yet may send its first.
  void drain();

 private:
  class H2Exchange;
  struct Callbacks;
  friend struct Callbacks;
  /// What an exchange hangs by in its session's list.
  using Hook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
  struct Listed : Hook {};
  using Exchanges = boost::intrusive::list<Listed, boost::intrusive::constant_time_size<false>>;

  /// Streams that were closed last, so that a late frame of one is told from nonsense (RFC 9113 section 5.1).
  struct Gone {
    std::int32_t id = 0;
    bool by_peer = false;  ///< the client has said that it would send nothing more
  };
  const Gone* find_gone(std::int32_t id) const;

  Task<> read_until_end();
  void feed(std::span<const char> bytes);
  bool acceptable(const Http2FrameScan::Frame& frame);
  void start_streams();
  Task<> serve(H2Exchange& exchange);
  void finished(H2Exchange& exchange);
  void release(H2Exchange& exchange);

  bool over() const;
  TimePoint next_deadline() const;
  void check_deadlines();
  void begin_goaway();
  void finish_goaway();
  void wake_reader();
  /// How long the client may have nothing under way.
  Duration patience() const;
  /// The client did what it must not do: GOAWAY, and the end. The literal is for log, streams and metrics.
  void end_with(std::uint32_t code, const char* reason);
  /// Notes, once, why the connection ends.
  void ends_because(const char* reason);
  void close_streams(const Error& error);
  Task<> wind_up();
  Task<> linger();

  Loop& loop_;
  ByteStream& stream_;
  const ConnectionInfo& connection_;
  Handler& handler_;
  SessionLimits limits_;
  Http2Transport transport_;
  Http2SessionPtr nghttp2_;
  Http2Budget budget_;
  Http2FrameScan scan_{kHttp2Preface.size()};

  std::array<Gone, kMaxStreams> gone_{};
  std::size_t next_gone_ = 0;
  std::int32_t last_reset_ = 0;  // by the client; seen before nghttp2 has read it

  Exchanges exchanges_;             // all that exist
  std::vector<H2Exchange*> ready_;  // whose heads have just been read
  TaskGroup streams_;
  H2Exchange* reading_head_ = nullptr;  // of the header block that is being decoded
  std::size_t alive_ = 0;
  std::size_t open_ = 0;  // of those, which nghttp2 has

  std::uint64_t opened_ = 0;
  TimePoint idle_since_;                     // while no exchange is alive
  TimePoint block_deadline_ = kNoDeadline;   // of the header block that has begun and not ended
  TimePoint notice_deadline_ = kNoDeadline;  // of the second GOAWAY
  bool preface_read_ = false;
  bool draining_ = false;
  bool goaway_begun_ = false;
  bool goaway_finished_ = false;
  bool peer_leaving_ = false;   // its GOAWAY has been read
  bool peer_finished_ = false;  // it sends nothing more
  bool woken_ = false;          // the reader's wait was interrupted by ourselves
  const char* ended_because_ = nullptr;
  bool clean_ = true;
};

}  // namespace headgate::http
