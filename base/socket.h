// SPDX-License-Identifier: Apache-2.0
// A connected, non-blocking stream socket on a loop.
#pragma once

#include "base/byte_stream.h"
#include "base/ip.h"
#include "base/loop.h"
#include "base/unique_fd.h"

namespace headgate {

/// Registered once, edge-triggered, for its whole life. It remembers what the edges said, so that a read that emptied
/// the socket is not followed by another that only learns EAGAIN.
class Socket final : public ByteStream, private Readiness {
 public:
  /// Takes a non-blocking stream socket. When the kernel refuses the registration, every try fails.
  Socket(Loop& loop, UniqueFd fd, Side side);
  ~Socket() override;

  int fd() const { return fd_.get(); }
  Loop& loop() { return loop_; }
  Side side() const { return side_; }

  IoResult try_read(std::span<char> into) override;
  bool may_read() const override { return readable_.is_set(); }  ///< as far as the edges tell
  IoResult try_write(std::span<const iovec> pieces) override;
  IoResult try_send_file(int file, off_t& offset, std::size_t count) override;
  bool can_send_file() const override { return true; }
  Event::Wait wait_read(TimePoint deadline) override { return readable_.wait(deadline); }
  Event::Wait wait_write(TimePoint deadline) override { return writable_.wait(deadline); }
  void end_after_write() override { ending_ = true; }
  void shutdown_write() override;
  void cancel() override;
  void interrupt_read() override { readable_.interrupt(); }
  void abort_on_close() override;
  bool has_pending_input() override;

 private:
  void on_events(std::uint32_t events) override;
  void clear_readable();
  IoResult failed(int error) const;

  Loop& loop_;
  UniqueFd fd_;
  Side side_;
  bool ending_ = false;   // what is written now need not be sent before the FIN
  bool hung_up_ = false;  // the peer finished or failed: reads must go on until they say so
  Event readable_;
  Event writable_;
};

/// Connects without blocking the loop. Errors: kRefused, kUnreachable, kTimeout, kCancelled.
Task<Result<UniqueFd>> connect(Loop& loop, const SocketAddress& to, TimePoint deadline);

/// A listening socket, non-blocking; SO_REUSEADDR, and SO_REUSEPORT for IP. Throws std::system_error naming the
/// address.
UniqueFd listen_on(const SocketAddress& address, bool v6_only);

}  // namespace headgate
