// SPDX-License-Identifier: Apache-2.0
// The beginning of a request's body, kept while it could have to be sent a second time.
#pragma once

#include <span>

#include "base/byte_writer.h"

namespace headgate::proxy {

/// Loop thread only. A body beyond kMax is not kept: its request is not sent again.
class BodyCopy {
 public:
  static constexpr std::size_t kMax = 64 * 1024;

  explicit BodyCopy(BufferPool& pool) : bytes_(pool) {}

  void add(std::span<const char> piece) {
    if (dropped_ || piece.empty()) return;
    if (bytes_.size() + piece.size() > kMax) return drop();
    bytes_.append({piece.data(), piece.size()});
  }
  /// It will not be needed.
  void drop() {
    dropped_ = true;
    if (!bytes_.empty()) bytes_.clear();
  }

  std::size_t size() const { return bytes_.size(); }
  std::span<const char> bytes() { return {bytes_.data(), bytes_.size()}; }

 private:
  ByteWriter bytes_;
  bool dropped_ = false;
};

}  // namespace headgate::proxy
