// SPDX-License-Identifier: Apache-2.0
// Bytes in both directions, whatever carries them: a TCP or unix socket, TLS over one, later a stream of HTTP/2.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <span>

#include "base/event.h"
#include "base/result.h"
#include "base/task.h"

namespace headgate {

/// What one attempt to move bytes did. Nothing here allocates or throws.
struct IoResult {
  enum class Kind : std::uint8_t {
    kOk,          ///< `bytes` (at least 1) were moved
    kWouldBlock,  ///< nothing now: await wait_read or wait_write, then try again
    kEof,         ///< read: the peer has finished sending (for TLS: with a close_notify)
    kError,       ///< `error` says what; the stream is of no more use
  };
  Kind kind = Kind::kOk;
  std::size_t bytes = 0;
  Error error{};

  static IoResult ok(std::size_t n) { return {Kind::kOk, n, {}}; }
  static IoResult would_block() { return {Kind::kWouldBlock, 0, {}}; }
  static IoResult eof() { return {Kind::kEof, 0, {}}; }
  static IoResult failed(Error e) { return {Kind::kError, 0, e}; }
};

/// Loop thread only. One reader and one writer at a time; the two may wait at the same time. The stream's owner may
/// destroy it only when nobody waits on it: cancel(), then let the waiters end.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  /// Reads what is there, without waiting. `into` is not empty.
  virtual IoResult try_read(std::span<char> into) = 0;

  /// False: try_read would only say kWouldBlock now, so that nobody need have a buffer ready for it; wait_read is next.
  virtual bool may_read() const { return true; }

  /// Writes what fits, without waiting; the pieces in order. Their memory is free again on return, except that after
  /// kWouldBlock the next try_write must offer the same bytes again (TLS has already sealed some of them).
  virtual IoResult try_write(std::span<const iovec> pieces) = 0;

  /// Moves up to `count` bytes of a file from `offset` (advanced by what was moved). Only when can_send_file().
  virtual IoResult try_send_file(int file, off_t& offset, std::size_t count) = 0;
  virtual bool can_send_file() const = 0;

  /// After kWouldBlock of the same direction.
  virtual Event::Wait wait_read(TimePoint deadline) = 0;
  virtual Event::Wait wait_write(TimePoint deadline) = 0;

  /// The next write is the last, and shutdown_write() will follow it at once: a stream may let the end travel with it.
  virtual void end_after_write() {}

  /// Says "no more from us" (FIN; close_notify first, for TLS), reading stays possible. Does not wait.
  virtual void shutdown_write() = 0;

  /// Ends current and later waits with Wake::kCancelled.
  virtual void cancel() = 0;

  /// Ends the current wait_read, if there is one, with Wake::kCancelled; later waits are as before.
  virtual void interrupt_read() = 0;

  /// Makes the coming close a reset instead of an orderly end, so that the peer sees that something broke.
  virtual void abort_on_close() = 0;

  /// True when the peer has already closed or sent something, as far as is known without a system call that could
  /// block: an idle pooled connection in this state must not be used again.
  virtual bool has_pending_input() = 0;
};

/// Which side a stream belongs to decides the Side of its errors.
Error stream_error(Wake wake, Side side);

/// Waits and tries until at least one byte was read or the stream ended (0). Cancelled by stream.cancel().
Task<Result<std::size_t>> read_some(ByteStream& stream, std::span<char> into, TimePoint deadline, Side side);

/// Writes all the pieces; advances them in place. The deadline is for each wait, as `idle` from its start.
Task<Result<>> write_all(ByteStream& stream, std::span<iovec> pieces, Loop& loop, Duration idle, Side side);

/// Drops the first `bytes` of the pieces.
std::span<iovec> consume(std::span<iovec> pieces, std::size_t bytes);

}  // namespace headgate
