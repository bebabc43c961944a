// SPDX-License-Identifier: Apache-2.0
// Memory for a library that takes its blocks anew for each content: what it gives back is kept, up to a bound, and
// given out again, so that a small answer does not fault in a megabyte of fresh pages.
#pragma once

#include <array>
#include <cstddef>

namespace headgate::compress {

/// One thread's; outlives every block.
class BlockStore {
 public:
  static constexpr std::size_t kMostKept = std::size_t{8} * 1024 * 1024;

  BlockStore() = default;
  BlockStore(const BlockStore&) = delete;
  BlockStore& operator=(const BlockStore&) = delete;
  ~BlockStore();

  /// Null: there is no memory. Not initialised.
  void* take(std::size_t size) noexcept;
  void give_back(void* block) noexcept;

  std::size_t kept() const { return kept_; }

 private:
  /// In front of each block. Sizes are powers of two: what is asked for differs from content to content by little.
  struct alignas(std::max_align_t) Header {
    std::size_t bits;
    Header* next;
  };
  static constexpr std::size_t kFewestBits = 9;
  static constexpr std::size_t kMostBits = 22;  // larger ones are not kept

  std::array<Header*, kMostBits + 1> free_{};
  std::size_t kept_ = 0;
};

}  // namespace headgate::compress
