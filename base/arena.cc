// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <algorithm>

namespace headgate {

char* Arena::allocate(std::size_t size) {
  constexpr std::size_t kAlign = alignof(std::max_align_t);
  const std::size_t rounded = (size + kAlign - 1) & ~(kAlign - 1);
  if (!current_ || current_.size() - used_ < rounded) {
    if (current_) full_.push_back(std::move(current_));
    current_ = pool_.take(std::max(rounded, BufferPool::kSmall));
    used_ = 0;
  }
  char* result = current_.data() + used_;
  used_ += rounded;
  return result;
}

std::string_view Arena::copy(std::string_view text) { return join({text}); }

std::string_view Arena::join(std::initializer_list<std::string_view> pieces) {
  std::size_t size = 0;
  for (auto piece : pieces) size += piece.size();
  if (size == 0) return {};
  char* const begin = allocate(size);
  char* out = begin;
  for (auto piece : pieces) out = std::copy(piece.begin(), piece.end(), out);
  return {begin, size};
}

void Arena::reset() {
  full_.clear();
  current_.release();
  used_ = 0;
}

}  // namespace headgate
