// SPDX-License-Identifier: Apache-2.0
// Coroutine frames come and go several times a request: this keeps freed ones in per-thread lists by size.
//
// Both functions are here for the compiler to see: it knows each frame's size, and so its list.
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace headgate {

namespace detail {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kRecycleFrames = false;  // let the sanitizer see every frame's life
#else
inline constexpr bool kRecycleFrames = true;
#endif

inline constexpr std::size_t kFrameStep = 16;      // what malloc rounds to: idle connections consist of frames
inline constexpr std::size_t kFrameClasses = 256;  // frames up to 4 KiB are recycled

/// A frame that is not in use.
struct FreeFrame {
  FreeFrame* next;
};

struct FrameClass {
  FreeFrame* head = nullptr;
  unsigned room = 0;  // how many more are kept; none before the first was freed, and none while the thread ends
};

// Constant from the start and with nothing to destroy, so that it is reached without asking whether it exists.
extern thread_local constinit std::array<FrameClass, kFrameClasses> free_frames [[gnu::tls_model("initial-exec")]];

constexpr std::size_t frame_class(std::size_t size) {
  return (size + kFrameStep - 1) / kFrameStep - 1;
}

void* allocate_new_frame(std::size_t size);
void free_frame_without_room(void* frame, std::size_t size) noexcept;

}  // namespace detail

/// Memory for a coroutine frame; freed by free_frame on the same or another thread. Never null (throws bad_alloc).
[[gnu::always_inline]] inline void* allocate_frame(std::size_t size) {
  const std::size_t index = detail::frame_class(size);
  if (!detail::kRecycleFrames || index >= detail::kFrameClasses) return detail::allocate_new_frame(size);
  auto& c = detail::free_frames[index];
  if (c.head == nullptr) [[unlikely]]
    return detail::allocate_new_frame(size);
  ++c.room;
  auto* const frame = c.head;
  c.head = frame->next;
  return frame;
}

/// `size` is what allocate_frame was asked for.
[[gnu::always_inline]] inline void free_frame(void* frame, std::size_t size) noexcept {
  const std::size_t index = detail::frame_class(size);
  if (!detail::kRecycleFrames || index >= detail::kFrameClasses) return detail::free_frame_without_room(frame, size);
  auto& c = detail::free_frames[index];
  if (c.room == 0) [[unlikely]]
    return detail::free_frame_without_room(frame, size);
  --c.room;
  c.head = ::new (frame) detail::FreeFrame{c.head};
}

}  // namespace headgate
