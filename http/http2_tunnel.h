// SPDX-License-Identifier: Apache-2.0
// The content of one HTTP/2 stream as plain bytes both ways: what is behind an extended CONNECT (RFC 8441).
#pragma once

#include "http/http2_stream.h"

namespace headgate::http {

/// Loop thread only; the stream outlives it. Holds no bytes of its own.
class Http2Tunnel final : public ByteStream {
 public:
  explicit Http2Tunnel(Http2Stream& stream) : stream_(stream) {}

  IoResult try_read(std::span<char> into) override;
  IoResult try_write(std::span<const iovec> pieces) override;
  IoResult try_send_file(int file, off_t& offset, std::size_t count) override;
  bool can_send_file() const override { return false; }
  Event::Wait wait_read(TimePoint deadline) override { return stream_.readable().wait(deadline); }
  Event::Wait wait_write(TimePoint deadline) override { return stream_.writable().wait(deadline); }
  void shutdown_write() override;
  void cancel() override;
  void interrupt_read() override { stream_.readable().interrupt(); }
  void abort_on_close() override { aborted_ = true; }
  bool has_pending_input() override;

  /// abort_on_close() was asked for.
  bool aborted() const { return aborted_; }

 private:
  Http2Stream& stream_;
  bool aborted_ = false;
};

}  // namespace headgate::http
