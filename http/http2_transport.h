// SPDX-License-Identifier: Apache-2.0
// The outgoing half of one HTTP/2 connection, of a server's or a client's end: what all its streams have to say is
// packed into one block and leaves in one write at the end of a turn of the loop.
//
// Loop thread only. Belongs to the session, which owns nghttp2's and outlives the writer.
//
// No frame is made before there is room for it: with the transport blocked, at most one block (64 KiB) and nghttp2's
// queue of control frames wait, and whoever writes a stream waits with its bytes.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/byte_stream.h"
#include "base/loop.h"
#include "http/http2_library.h"

namespace headgate::http {

class Http2Transport {
 public:
  /// Room that must be left for a frame of DATA to be begun.
  static constexpr std::size_t kLeastRoom = 1024;
  /// A DATA frame's payload. Larger frames would gain nothing and keep more urgent streams waiting.
  static constexpr std::size_t kMaxData = 16 * 1024;
  static constexpr std::size_t kFrameHead = 9;

  Http2Transport(Loop& loop, ByteStream& stream, Side side);
  Http2Transport(const Http2Transport&) = delete;
  Http2Transport& operator=(const Http2Transport&) = delete;

  /// Once, before anything else. `session` belongs to the caller.
  void attach(nghttp2_session* session) { session_ = session; }

  Loop& loop() { return loop_; }
  nghttp2_session* session() { return session_; }

  /// How long the peer may take nothing at all before the connection counts as broken; zero: no limit.
  void set_stall_limit(Duration limit) { stall_limit_ = limit; }

  /// Packs the frames that are ready, as far as there is room. Not from nghttp2's callbacks.
  void pack();
  /// The packed bytes, and those that can be packed, leave at the end of this turn.
  void send_soon();
  /// pack(), then send_soon() if that made any bytes.
  void push();

  /// While it lives, its owner promises to call send_now() at the end: send_soon() is left to that.
  class Corked {
   public:
    explicit Corked(Http2Transport& transport) : transport_(transport) { ++transport_.corked_; }
    Corked(const Corked&) = delete;
    Corked& operator=(const Corked&) = delete;
    ~Corked() { --transport_.corked_; }

   private:
    Http2Transport& transport_;
  };

  /// Writes now what the transport takes without waiting; the writer does the rest.
  void send_now();

  /// The writer: runs beside the session until stop() or a failure.
  Task<> run_writer();
  /// Ends the writer; what is still packed is not sent.
  void stop() { due_.cancel(); }

  /// Returns when everything has been sent, the connection has failed, or the deadline has passed.
  Task<> drained(TimePoint deadline);

  bool failed() const { return failed_; }
  const Error& error() const { return error_; }
  /// The transport takes nothing at the moment.
  bool blocked() const { return blocked_; }
  /// Nothing waits to be sent.
  bool empty() const { return begin_ == end_ && held_.empty(); }
  /// Told to the session's reader, who waits for it while the peer does not take our answers to its frames.
  Event& progress() { return progress_; }

  // --- from nghttp2's callbacks -------------------------------------------------------------------------------------

  std::size_t room() const { return BufferPool::kLarge - end_; }
  /// The largest payload of the DATA frame that is begun now. There is room for kLeastRoom at least, or nghttp2 would
  /// not have been asked for frames.
  std::size_t data_room() const { return std::min(kMaxData, room() - kFrameHead); }
  /// Room for the next bytes; at most room() may be claimed. Valid until the next call.
  char* reserve();
  void claim(std::size_t size) { end_ += size; }
  void append(const void* data, std::size_t size);

 private:
  enum class Round { kIdle, kBlocked, kMore, kFailed };
  Round write_round();
  void fail(const Error& error);

  Loop& loop_;
  ByteStream& stream_;
  const Side side_;
  nghttp2_session* session_ = nullptr;
  Duration stall_limit_{};

  Buffer block_;
  std::size_t begin_ = 0;  // bytes [begin_, end_) of the block have not been taken yet
  std::size_t end_ = 0;
  std::string_view held_;  // what did not fit of nghttp2's last frame; valid until nghttp2 makes another
  unsigned corked_ = 0;
  bool blocked_ = false;
  bool failed_ = false;
  Error error_{};
  Event due_;
  Event progress_;
};

}  // namespace headgate::http
