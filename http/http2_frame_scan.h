// SPDX-License-Identifier: Apache-2.0
// Reads frame heads beside nghttp2, which does not tell of frames that it ignores: they cost all the same, and some of
// them are mistakes (PRIORITY once RFC 7540's priorities are switched off, WINDOW_UPDATE and DATA of a stream that is
// gone).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace headgate::http {

/// Sees all that arrives, in pieces of any size. Loop thread only.
class Http2FrameScan {
 public:
  /// `skip`: bytes before the first frame (a server's peer begins with the preface).
  explicit Http2FrameScan(std::size_t skip) : skip_(skip) {}

  struct Frame {
    std::uint32_t length;
    std::uint8_t type;
    std::uint8_t flags;
    std::int32_t stream;
    bool has_field;       ///< the payload has four bytes at least
    std::uint32_t field;  ///< they as a number: a WINDOW_UPDATE's increment, what a PRIORITY depends on

    /// DATA that brings nothing on: no content but padding, and not the end.
    bool is_empty_data() const {
      constexpr std::uint8_t kEndStream = 0x1;
      constexpr std::uint8_t kPadded = 0x8;
      if (type != 0 || (flags & kEndStream) != 0) return false;
      if ((flags & kPadded) == 0) return length == 0;
      return !has_field || length <= 1 + (field >> 24);
    }
  };

  /// Calls see(frame), a bool, for each frame whose beginning has now arrived; stops at the first false and gives it.
  template <class See>
  bool feed(std::span<const char> bytes, See see) {
    while (!bytes.empty()) {
      if (skip_ > 0) {
        const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, bytes.size()));
        skip_ -= skipped;
        bytes = bytes.subspan(skipped);
        continue;
      }
      const std::size_t part = std::min(want_ - have_, bytes.size());
      std::memcpy(seen_.data() + have_, bytes.data(), part);
      have_ += part;
      bytes = bytes.subspan(part);
      if (have_ < want_) return true;
      const std::uint32_t length = number(0) >> 8;
      if (want_ == kHead && length >= kField) {
        want_ = kHead + kField;
        continue;
      }
      const bool has_field = have_ > kHead;
      const Frame frame{.length = length,
                        .type = seen_[3],
                        .flags = seen_[4],
                        .stream = static_cast<std::int32_t>(number(5) & 0x7fffffff),
                        .has_field = has_field,
                        .field = has_field ? number(kHead) : 0};
      skip_ = length - (have_ - kHead);
      have_ = 0;
      want_ = kHead;
      if (!see(frame)) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kHead = 9;
  static constexpr std::size_t kField = 4;

  std::uint32_t number(std::size_t at) const {
    return static_cast<std::uint32_t>(seen_[at]) << 24 | static_cast<std::uint32_t>(seen_[at + 1]) << 16 |
           static_cast<std::uint32_t>(seen_[at + 2]) << 8 | seen_[at + 3];
  }

  std::uint64_t skip_;
  std::size_t have_ = 0;  // bytes of seen_
  std::size_t want_ = kHead;
  std::array<unsigned char, kHead + kField> seen_{};
};

}  // namespace headgate::http
