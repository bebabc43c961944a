// SPDX-License-Identifier: Apache-2.0
#include "http/http2_tunnel.h"

namespace headgate::http {

IoResult Http2Tunnel::try_read(std::span<char> into) {
  if (const std::size_t taken = stream_.take(into); taken > 0) return IoResult::ok(taken);
  if (stream_.receive_ended()) return IoResult::eof();
  if (stream_.closed()) return IoResult::failed(stream_.error());
  stream_.readable().clear();
  return IoResult::would_block();
}

/// nghttp2 takes what there is room and window for during offer(); the rest is taken back. It stays in nghttp2's queue,
/// so that it asks again, and finds nothing, when there is room: that is what wait_write() waits for.
IoResult Http2Tunnel::try_write(std::span<const iovec> pieces) {
  std::size_t total = 0;
  for (const auto& piece : pieces) {
    if (stream_.closed()) break;
    if (piece.iov_len == 0) continue;
    stream_.offer({static_cast<const char*>(piece.iov_base), piece.iov_len}, false);
    stream_.transport().pack();
    const auto left = static_cast<std::size_t>(stream_.offered());
    stream_.withdraw();
    total += piece.iov_len - left;
    if (left > 0) break;
  }
  if (total > 0) {
    stream_.transport().send_soon();
    return IoResult::ok(total);
  }
  if (stream_.closed()) return IoResult::failed(stream_.error());
  return IoResult::would_block();
}

IoResult Http2Tunnel::try_send_file(int, off_t&, std::size_t) {
  return IoResult::failed({Errc::kInternal, Side::kInternal, "http2_has_no_sendfile"});
}

void Http2Tunnel::shutdown_write() {
  if (!stream_.end_offered()) stream_.offer_end({});
}

void Http2Tunnel::cancel() {
  stream_.readable().cancel();
  stream_.writable().cancel();
}

bool Http2Tunnel::has_pending_input() {
  return stream_.at_hand() || stream_.receive_ended() || stream_.closed();
}

}  // namespace headgate::http
