// SPDX-License-Identifier: Apache-2.0
// Blocks of memory for bytes in transit. One pool a loop: no lock, and the block freed last, still in the cache, is
// the next one used. A connection holds blocks only while bytes are on their way, so idle ones cost nothing here.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <utility>

namespace headgate {

class BufferPool;

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
  void release();

 private:
  friend class BufferPool;
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(pool_, other.pool_);
  }
  char* data_ = nullptr;
  std::size_t size_ = 0;
  BufferPool* pool_ = nullptr;
};

class BufferPool {
 public:
  static constexpr std::size_t kSmall = 4 * 1024;
  static constexpr std::size_t kMedium = 16 * 1024;
  static constexpr std::size_t kLarge = 64 * 1024;

  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  /// A block of at least `size` bytes, not initialised. Above kLarge it comes from the heap and returns there.
  Buffer take(std::size_t size);

 private:
  friend class Buffer;
  struct Class {
    std::size_t block;
    unsigned keep;  // free blocks kept at most
    void* head = nullptr;
    unsigned size = 0;
  };
  Class* class_for(std::size_t size);
  void give_back(char* data, std::size_t size);

  std::array<Class, 3> classes_{{{kSmall, 256}, {kMedium, 128}, {kLarge, 64}}};
};

}  // namespace headgate
