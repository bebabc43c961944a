// SPDX-License-Identifier: Apache-2.0
#include "compress/block_store.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>

namespace headgate::compress {

BlockStore::~BlockStore() {
  for (Header* block : free_) {
    while (block != nullptr) std::free(std::exchange(block, block->next));
  }
}

void* BlockStore::take(std::size_t size) noexcept {
  const std::size_t bits = std::max<std::size_t>(kFewestBits, std::bit_width(size + sizeof(Header) - 1));
  if (bits <= kMostBits && free_[bits] != nullptr) {
    Header* const block = free_[bits];
    free_[bits] = block->next;
    kept_ -= std::size_t{1} << bits;
    return block + 1;
  }
  auto* const block = static_cast<Header*>(std::malloc(std::size_t{1} << bits));
  if (block == nullptr) return nullptr;
  block->bits = bits;
  return block + 1;
}

void BlockStore::give_back(void* given) noexcept {
  if (given == nullptr) return;
  Header* const block = static_cast<Header*>(given) - 1;
  const std::size_t size = std::size_t{1} << block->bits;
  if (block->bits > kMostBits || kept_ + size > kMostKept) {
    std::free(block);
    return;
  }
  block->next = free_[block->bits];
  free_[block->bits] = block;
  kept_ += size;
}

}  // namespace headgate::compress
