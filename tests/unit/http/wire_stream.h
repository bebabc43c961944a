// SPDX-License-Identifier: Apache-2.0
// A ByteStream in memory whose peer is the test: bytes in pieces of any size with waits between them, a window for what
// may be written, and a failure at any operation.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include <unistd.h>

#include "base/byte_stream.h"
#include "base/loop.h"

namespace headgate::http {

/// Loop thread only.
class WireStream final : public ByteStream {
 public:
  static constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

  explicit WireStream(Loop& loop, Side side = Side::kDownstream)
      : loop_(loop), side_(side), readable_(loop), writable_(loop) {
    writable_.set();
  }
  ~WireStream() override {
    *alive_ = false;
    if (heir != nullptr) heir->append(output_);
  }

  // --- the peer's part ----------------------------------------------------------------------------------------------

  /// The peer has sent this.
  void send(std::string_view bytes) {
    input_.append(bytes);
    readable_.set();
  }
  /// The peer has finished sending.
  void finish() {
    eof_ = true;
    readable_.set();
  }
  /// The connection is reset: the next read says so, once; later ones see an end, as those of a socket do.
  void reset() {
    reset_ = true;
    readable_.set();
    writable_.set();
  }
  /// What has been written to the peer. It may take it away.
  std::string& output() { return output_; }
  /// How many bytes more the transport takes before it blocks.
  void open_window(std::size_t bytes) {
    window_ = bytes;
    if (window_ > 0) writable_.set();
  }

  // --- how it behaves -----------------------------------------------------------------------------------------------

  std::size_t read_piece = kUnlimited;   ///< bytes that one read gives at most
  std::size_t write_piece = kUnlimited;  ///< bytes that one write takes at most
  bool pauses = false;                   ///< every other read or write would block, until the loop's next turn
  bool sends_files = true;
  std::size_t fail_at = kUnlimited;    ///< the number of the operation that fails, and of all after it
  std::function<void()> on_wait_read;  ///< called when a reader is about to wait for the peer
  std::string* heir = nullptr;         ///< gets the output when the stream is destroyed by its owner

  std::size_t operations() const { return operations_; }
  std::size_t writes() const { return writes_; }
  bool shut() const { return shut_; }
  bool ending() const { return ending_; }
  bool aborted() const { return aborted_; }
  std::size_t unread() const { return input_.size(); }
  bool has_reader() const { return readable_.has_waiter(); }
  bool has_writer() const { return writable_.has_waiter(); }

  // --- ByteStream ---------------------------------------------------------------------------------------------------

  IoResult try_read(std::span<char> into) override {
    if (fails()) return failure();
    if (into.empty()) return IoResult::eof();  // as recv() says
    if (pause(read_paused_, readable_)) return IoResult::would_block();
    if (!input_.empty()) {
      const std::size_t size = std::min({into.size(), read_piece, input_.size()});
      std::memcpy(into.data(), input_.data(), size);
      input_.erase(0, size);
      return IoResult::ok(size);
    }
    if (std::exchange(reset_, false)) {
      eof_ = true;
      return failure();
    }
    if (eof_) return IoResult::eof();
    readable_.clear();
    return IoResult::would_block();
  }

  IoResult try_write(std::span<const iovec> pieces) override {
    if (fails()) return failure();
    if (pause(write_paused_, writable_)) return IoResult::would_block();
    if (window_ == 0) {
      writable_.clear();
      return IoResult::would_block();
    }
    ++writes_;
    std::size_t room = std::min(window_, write_piece);
    std::size_t taken = 0;
    for (const auto& piece : pieces) {
      const std::size_t size = std::min(room, piece.iov_len);
      output_.append(static_cast<const char*>(piece.iov_base), size);
      taken += size;
      room -= size;
    }
    if (window_ != kUnlimited) window_ -= taken;
    return IoResult::ok(taken);
  }

  IoResult try_send_file(int file, off_t& offset, std::size_t count) override {
    if (fails()) return failure();
    if (pause(write_paused_, writable_)) return IoResult::would_block();
    if (window_ == 0) {
      writable_.clear();
      return IoResult::would_block();
    }
    std::string block(std::min({count, window_, write_piece, std::size_t{64} * 1024}), '\0');
    const ssize_t got = ::pread(file, block.data(), block.size(), offset);
    if (got <= 0) return IoResult::failed({Errc::kInternal, Side::kInternal, "file_truncated"});
    output_.append(block, 0, static_cast<std::size_t>(got));
    offset += got;
    if (window_ != kUnlimited) window_ -= static_cast<std::size_t>(got);
    return IoResult::ok(static_cast<std::size_t>(got));
  }

  bool can_send_file() const override { return sends_files; }
  Event::Wait wait_read(TimePoint deadline) override {
    if (on_wait_read && !readable_.is_set()) on_wait_read();
    return readable_.wait(deadline);
  }
  Event::Wait wait_write(TimePoint deadline) override { return writable_.wait(deadline); }
  void end_after_write() override { ending_ = true; }
  void shutdown_write() override { shut_ = true; }
  void cancel() override {
    readable_.cancel();
    writable_.cancel();
  }
  void interrupt_read() override { readable_.interrupt(); }
  void abort_on_close() override { aborted_ = true; }
  bool has_pending_input() override { return !input_.empty() || eof_ || reset_; }

 private:
  bool fails() { return operations_++ >= fail_at; }
  IoResult failure() const {
    return IoResult::failed({Errc::kReset, side_, side_ == Side::kUpstream ? "upstream_reset" : "client_reset"});
  }
  bool pause(bool& paused, Event& event) {
    if (!pauses) return false;
    paused = !paused;
    if (!paused) return false;
    event.clear();
    loop_.post([alive = alive_, &event] {
      if (*alive) event.set();
    });
    return true;
  }

  Loop& loop_;
  Side side_;
  Event readable_;
  Event writable_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::string input_;
  std::string output_;
  std::size_t window_ = kUnlimited;
  std::size_t operations_ = 0;
  std::size_t writes_ = 0;
  bool eof_ = false;
  bool reset_ = false;
  bool ending_ = false;
  bool read_paused_ = false;
  bool write_paused_ = false;
  bool shut_ = false;
  bool aborted_ = false;
};

}  // namespace headgate::http
