// SPDX-License-Identifier: Apache-2.0
// Bytes being put together for the wire, in one pooled block that grows.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/buffer_pool.h"

namespace headgate {

/// Loop thread only. Holds no memory while empty.
class ByteWriter {
 public:
  explicit ByteWriter(BufferPool& pool) : pool_(pool) {}

  [[gnu::always_inline]] void append(std::string_view text) {
    if (text.empty()) return;  // memcpy takes no null pointer, not even for nothing
    std::memcpy(reserve(text.size()), text.data(), text.size());
    size_ += text.size();
  }
  /// One call for several pieces: room is made once.
  template <class... Pieces>
  void append_all(const Pieces&... pieces) {
    char* out = reserve((std::string_view(pieces).size() + ...));
    ((out = put(out, pieces)), ...);
    size_ = static_cast<std::size_t>(out - buffer_.data());
  }
  void append_number(std::uint64_t value, int base = 10) {
    char* const out = reserve(20);
    size_ = static_cast<std::size_t>(std::to_chars(out, out + 20, value, base).ptr - buffer_.data());
  }

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  char* data() { return buffer_.data(); }

  void clear() {
    buffer_.release();
    size_ = 0;
  }

 private:
  static char* put(char* out, std::string_view text) { return std::copy(text.begin(), text.end(), out); }
  /// Where the next `more` bytes go.
  char* reserve(std::size_t more) {
    if (buffer_.size() - size_ < more) grow(more);
    return buffer_.data() + size_;
  }
  void grow(std::size_t more) {
    Buffer larger = pool_.take(buffer_ ? std::max(buffer_.size() * 2, size_ + more) : more);
    if (size_ > 0) std::memcpy(larger.data(), buffer_.data(), size_);
    buffer_ = std::move(larger);
  }

  BufferPool& pool_;
  Buffer buffer_;
  std::size_t size_ = 0;
};

}  // namespace headgate
