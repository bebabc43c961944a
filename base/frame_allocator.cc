// SPDX-License-Identifier: Apache-2.0
#include "base/frame_allocator.h"

#include <array>
#include <new>
#include <utility>

namespace headgate {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kRecycle = false;  // let the sanitizer see every frame's life
#else
constexpr bool kRecycle = true;
#endif

constexpr std::size_t kStep = 16;        // what malloc rounds to: idle connections consist of frames
constexpr std::size_t kClasses = 256;    // frames up to 4 KiB are recycled
constexpr unsigned kKeptPerClass = 256;  // bounds what an idle thread holds

struct FreeList {
  struct Node {
    Node* next;
  };

  struct Class {
    Node* head = nullptr;
    unsigned size = 0;
  };

  std::array<Class, kClasses> classes;

  ~FreeList() {
    for (auto& c : classes) {
      while (c.head != nullptr) ::operator delete(std::exchange(c.head, c.head->next));
      c.size = kKeptPerClass;  // frames freed while the thread ends go straight back
    }
  }
};

thread_local FreeList free_list;

constexpr std::size_t class_of(std::size_t size) {
  return (size + kStep - 1) / kStep - 1;
}

}  // namespace

void* allocate_frame(std::size_t size) {
  const std::size_t index = class_of(size);
  if (!kRecycle || index >= kClasses) return ::operator new(size);
  auto& c = free_list.classes[index];
  if (c.head == nullptr) return ::operator new((index + 1) * kStep);
  --c.size;
  auto* node = c.head;
  c.head = node->next;
  return node;
}

void free_frame(void* frame, std::size_t size) noexcept {
  const std::size_t index = class_of(size);
  if (!kRecycle || index >= kClasses) {
    ::operator delete(frame);
    return;
  }
  auto& c = free_list.classes[index];
  if (c.size >= kKeptPerClass) {
    ::operator delete(frame);
    return;
  }
  c.head = new (frame) FreeList::Node{c.head};
  ++c.size;
}

}  // namespace headgate
