// SPDX-License-Identifier: Apache-2.0
// Memory that lives as long as one request: allocate by moving a pointer, free all at once.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "base/buffer_pool.h"

namespace headgate {

/// Not thread-safe. Everything it gave out dies with it or with reset().
class Arena {
 public:
  explicit Arena(BufferPool& pool) : pool_(pool) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// `size` bytes, aligned for any scalar.
  char* allocate(std::size_t size);

  /// A copy of `text` that lives as long as the arena.
  std::string_view copy(std::string_view text);

  /// The pieces one after another.
  std::string_view join(std::initializer_list<std::string_view> pieces);

  void reset();

 private:
  BufferPool& pool_;
  Buffer current_;
  std::size_t used_ = 0;
  std::vector<Buffer> full_;
};

}  // namespace headgate
