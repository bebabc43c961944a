// SPDX-License-Identifier: Apache-2.0
#include "http/http2_library.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include <sys/mman.h>

#include "base/frame_allocator.h"

namespace headgate::http {
namespace {

/// Stands before each block: free() is not told the size.
struct alignas(std::max_align_t) Head {
  std::size_t size;
};

/// nghttp2 keeps a block of 16 KiB for each session to put frames together in. Heads of a few hundred bytes are all
/// that is written there, since DATA goes past it: on pages of its own most of it never exists, while from the heap it
/// comes with whatever lay there before.
class PageBlocks {
 public:
  static constexpr std::size_t kSize = 20 * 1024;

  PageBlocks() = default;
  PageBlocks(const PageBlocks&) = delete;
  PageBlocks& operator=(const PageBlocks&) = delete;
  ~PageBlocks() {
    for (std::size_t i = 0; i < count_; ++i) ::munmap(kept_[i], kSize);
    count_ = kept_.size();  // blocks freed while the thread ends go straight back
  }

  void* take() {
    if (count_ > 0) return kept_[--count_];
    void* const block = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) throw std::bad_alloc();
    return block;
  }
  void give_back(void* block) {
    if (count_ < kept_.size()) {
      kept_[count_++] = block;
    } else {
      ::munmap(block, kSize);
    }
  }

 private:
  std::array<void*, 64> kept_{};
  std::size_t count_ = 0;
};

thread_local PageBlocks page_blocks;

constexpr bool has_own_pages(std::size_t size) {
  return size > PageBlocks::kSize / 2 && size <= PageBlocks::kSize;
}

void* take(std::size_t size) {
  return has_own_pages(size) ? page_blocks.take() : allocate_frame(size);
}

void give_back(void* block, std::size_t size) {
  if (has_own_pages(size)) {
    page_blocks.give_back(block);
  } else {
    free_frame(block, size);
  }
}

void* allocate(std::size_t size, void*) {
  try {
    auto* head = static_cast<Head*>(take(sizeof(Head) + size));
    head->size = size;
    return head + 1;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void free_block(void* block, void*) {
  if (block == nullptr) return;
  Head* head = static_cast<Head*>(block) - 1;
  give_back(head, sizeof(Head) + head->size);
}

void* allocate_zeroed(std::size_t count, std::size_t size, void* user) {
  void* block = allocate(count * size, user);
  if (block != nullptr) std::memset(block, 0, count * size);
  return block;
}

void* reallocate(void* block, std::size_t size, void* user) {
  void* larger = allocate(size, user);
  if (block == nullptr || larger == nullptr) return larger;
  std::memcpy(larger, block, std::min(size, (static_cast<Head*>(block) - 1)->size));
  free_block(block, user);
  return larger;
}

template <class Pointer, class Make>
Pointer made(Make make) {
  typename Pointer::pointer object = nullptr;
  if (make(&object) != 0) throw std::bad_alloc();
  return Pointer(object);
}

}  // namespace

nghttp2_mem* http2_memory() {
  static nghttp2_mem memory{nullptr, allocate, free_block, allocate_zeroed, reallocate};
  return &memory;
}

Http2CallbacksPtr new_http2_callbacks() {
  return made<Http2CallbacksPtr>(nghttp2_session_callbacks_new);
}

Http2OptionPtr new_http2_option() {
  return made<Http2OptionPtr>(nghttp2_option_new);
}

const char* http2_error_name(std::uint32_t code) {
  return nghttp2_http2_strerror(code);
}

}  // namespace headgate::http
