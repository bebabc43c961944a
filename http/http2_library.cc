// SPDX-License-Identifier: Apache-2.0
#include "http/http2_library.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/frame_allocator.h"

namespace headgate::http {
namespace {

/// Stands before each block: free() is not told the size.
struct alignas(std::max_align_t) Head {
  std::size_t size;
};

void* allocate(std::size_t size, void*) {
  try {
    auto* head = static_cast<Head*>(allocate_frame(sizeof(Head) + size));
    head->size = size;
    return head + 1;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void free_block(void* block, void*) {
  if (block == nullptr) return;
  Head* head = static_cast<Head*>(block) - 1;
  free_frame(head, sizeof(Head) + head->size);
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
