// SPDX-License-Identifier: Apache-2.0
// The sending end of an HTTP/1 message: its head and its framed content to the stream, in as few system calls as can
// be. What an exchange with a client and one with an origin have in common.
#pragma once

#include <boost/container/static_vector.hpp>

#include "base/byte_stream.h"
#include "base/byte_writer.h"
#include "base/loop.h"
#include "http/http1_writer.h"

namespace headgate::http {

/// Loop thread only; one writer at a time. The stream outlives it.
class Http1Output {
 public:
  Http1Output(Loop& loop, ByteStream& stream, Side side)
      : buffered(loop.buffers()), loop_(loop), stream_(stream), side_(side) {}

  /// What goes out before the content of the next write: a head, usually.
  ByteWriter buffered;

  enum class Framing : std::uint8_t { kPlain, kChunked };

  /// Sends what is buffered and then the content, in a chunk of its own where it is chunked; with `last` also the last
  /// chunk, without trailers. Returns when the stream has taken all of it; `data` stays until then. `idle` bounds each
  /// wait. Nothing is buffered afterwards.
  Task<Result<>> write(std::span<const char> data, Framing framing, bool last, Duration idle);

  /// The write that was called last waits for the stream.
  bool waiting() const { return waiting_; }

 private:
  /// Content between what frames it.
  struct Framed {
    std::string_view before;
    std::span<const char> data;
    std::string_view after;
  };
  using Pieces = boost::container::static_vector<iovec, 4>;
  static Framed frame(const ChunkHead& chunk, std::span<const char> data, Framing framing, bool last);
  Pieces gather(const Framed& content);
  Task<Result<>> write_rest(ChunkHead chunk, Framed content, std::size_t sent, Duration idle);

  Loop& loop_;
  ByteStream& stream_;
  Side side_;
  bool waiting_ = false;
};

}  // namespace headgate::http
