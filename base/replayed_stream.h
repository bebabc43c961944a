// SPDX-License-Identifier: Apache-2.0
// A stream whose first bytes have been looked at to learn which protocol it speaks, and are read again.
#pragma once

#include <memory>
#include <string_view>

#include "base/buffer_pool.h"
#include "base/byte_stream.h"
#include "base/loop.h"

namespace headgate {

/// Loop thread only. Owns the stream below it.
class ReplayedStream final : public ByteStream {
 public:
  ReplayedStream(Loop& loop, std::unique_ptr<ByteStream> below);

  /// Reads until that is known: false at the first byte that differs, at an end, and at the deadline. `text` has at
  /// most 4096 bytes.
  Task<bool> begins_with(std::string_view text, TimePoint deadline);

  IoResult try_read(std::span<char> into) override;
  IoResult try_write(std::span<const iovec> pieces) override { return below_->try_write(pieces); }
  IoResult try_send_file(int file, off_t& offset, std::size_t count) override {
    return below_->try_send_file(file, offset, count);
  }
  bool can_send_file() const override { return below_->can_send_file(); }
  Event::Wait wait_read(TimePoint deadline) override {
    return begin_ < end_ ? ready_.wait(deadline) : below_->wait_read(deadline);
  }
  Event::Wait wait_write(TimePoint deadline) override { return below_->wait_write(deadline); }
  void end_after_write() override { below_->end_after_write(); }
  void shutdown_write() override { below_->shutdown_write(); }
  void cancel() override {
    ready_.cancel();
    below_->cancel();
  }
  void interrupt_read() override { below_->interrupt_read(); }
  void abort_on_close() override { below_->abort_on_close(); }
  bool has_pending_input() override { return begin_ < end_ || below_->has_pending_input(); }

 private:
  Loop& loop_;
  const std::unique_ptr<ByteStream> below_;
  Event ready_;
  Buffer seen_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace headgate
