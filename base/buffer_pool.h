// SPDX-License-Identifier: Apache-2.0
// Blocks of memory for bytes in transit. One pool a loop: no lock, and the block freed last, still in the cache, is
// the next one used. A connection holds blocks only while bytes are on their way, so idle ones cost nothing here.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <utility>

namespace headgate {

class Buffer;

class BufferPool {
 public:
  static constexpr std::size_t kSmall = 4 * 1024;
  static constexpr std::size_t kMedium = 16 * 1024;
  static constexpr std::size_t kLarge = 64 * 1024;
  static constexpr std::size_t kHuge = 128 * 1024;

  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  /// A block of at least `size` bytes, not initialised. Above kHuge it comes from the heap and returns there.
  Buffer take(std::size_t size);

 private:
  friend class Buffer;
  /// Free blocks of one size; each holds the address of the next.
  struct Class {
    std::size_t block;
    unsigned keep;  // at most
    unsigned size = 0;
    void* head = nullptr;
  };

  std::array<Class, 4> classes_{{{kSmall, 256}, {kMedium, 128}, {kLarge, 64}, {kHuge, 16}}};
};

/// Owns one block of a pool; empty after a move or release(). Must not outlive its pool.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer(std::move(other)).swap(*this);
    return *this;
  }
  ~Buffer() { release(); }

  explicit operator bool() const { return data_ != nullptr; }
  char* data() const { return data_; }
  std::size_t size() const { return size_; }

  void release() {
    if (data_ == nullptr) return;
    if (home_ != nullptr && home_->size < home_->keep) {
      std::memcpy(data_, &home_->head, sizeof home_->head);
      home_->head = data_;
      ++home_->size;
    } else {
      ::operator delete(data_);
    }
    data_ = nullptr;
    size_ = 0;
  }

 private:
  friend class BufferPool;
  Buffer(char* data, std::size_t size, BufferPool::Class* home) : data_(data), size_(size), home_(home) {}
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(home_, other.home_);
  }
  char* data_ = nullptr;
  std::size_t size_ = 0;
  BufferPool::Class* home_ = nullptr;  // null: the heap
};

inline Buffer BufferPool::take(std::size_t size) {
  Class* const home = size <= kSmall    ? &classes_[0]
                      : size <= kMedium ? &classes_[1]
                      : size <= kLarge  ? &classes_[2]
                      : size <= kHuge   ? &classes_[3]
                                        : nullptr;
  if (home == nullptr) return {static_cast<char*>(::operator new(size)), size, nullptr};
  if (home->head == nullptr) return {static_cast<char*>(::operator new(home->block)), home->block, home};
  auto* const data = static_cast<char*>(home->head);
  std::memcpy(&home->head, data, sizeof home->head);
  --home->size;
  return {data, home->block, home};
}

}  // namespace headgate
