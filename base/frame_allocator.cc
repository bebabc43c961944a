// SPDX-License-Identifier: Apache-2.0
#include "base/frame_allocator.h"

#include <new>
#include <utility>

namespace headgate::detail {
namespace {

constexpr unsigned kKeptPerClass = 256;  // bounds what an idle thread holds

/// Opens a thread's lists, and gives back what is in them when the thread ends.
struct Keeper {
  Keeper() {
    for (auto& c : free_frames) c.room = kKeptPerClass;
  }
  ~Keeper() {
    for (auto& c : free_frames) {
      while (c.head != nullptr) ::operator delete(std::exchange(c.head, c.head->next));
      c.room = 0;  // frames freed from now on go straight back
    }
  }
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
};

}  // namespace

thread_local constinit std::array<FrameClass, kFrameClasses> free_frames;

void* allocate_new_frame(std::size_t size) {
  return ::operator new((size + kFrameStep - 1) / kFrameStep * kFrameStep);
}

void free_frame_without_room(void* frame, std::size_t size) noexcept {
  ::operator delete(frame);
  if (!kRecycleFrames || frame_class(size) >= kFrameClasses) return;
  // The first frame of a thread is spent on this; a list that is full stays so.
  thread_local Keeper keeper;
  static_cast<void>(keeper);
}

}  // namespace headgate::detail
