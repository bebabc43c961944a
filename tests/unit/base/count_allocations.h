// SPDX-License-Identifier: Apache-2.0
// Counts what a test program allocates. It replaces operator new and delete for the whole program, so one source file
// of a program may include it, and no more.
#pragma once

#include <atomic>
#include <cstdlib>
#include <new>

namespace headgate {

namespace counting {
inline thread_local std::size_t of_this_thread = 0;
inline std::atomic<std::size_t> of_all_threads{0};
}  // namespace counting

/// Of the calling thread, since it began.
inline std::size_t allocations_here() {
  return counting::of_this_thread;
}

/// Of all the other threads, since the program began.
inline std::size_t allocations_elsewhere() {
  return counting::of_all_threads.load() - counting::of_this_thread;
}

}  // namespace headgate

// All of them, since a sanitizer brings a pair of its own for each.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++headgate::counting::of_this_thread;
  ++headgate::counting::of_all_threads;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t size) {
  return operator new(size);
}
[[gnu::noinline]] void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return operator new(size, std::nothrow);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
