// SPDX-License-Identifier: Apache-2.0
#include "base/buffer_pool.h"

#include <cstring>
#include <new>

namespace headgate {

void Buffer::release() {
  if (data_ == nullptr) return;
  pool_->give_back(data_, size_);
  data_ = nullptr;
  size_ = 0;
}

BufferPool::~BufferPool() {
  for (auto& c : classes_) {
    while (c.head != nullptr) {
      void* next;
      std::memcpy(&next, c.head, sizeof next);
      ::operator delete(std::exchange(c.head, next));
    }
  }
}

BufferPool::Class* BufferPool::class_for(std::size_t size) {
  for (auto& c : classes_) {
    if (size <= c.block) return &c;
  }
  return nullptr;
}

Buffer BufferPool::take(std::size_t size) {
  Buffer buffer;
  buffer.pool_ = this;
  Class* c = class_for(size);
  buffer.size_ = c != nullptr ? c->block : size;
  if (c != nullptr && c->head != nullptr) {
    buffer.data_ = static_cast<char*>(c->head);
    std::memcpy(&c->head, buffer.data_, sizeof c->head);
    --c->size;
  } else {
    buffer.data_ = static_cast<char*>(::operator new(buffer.size_));
  }
  return buffer;
}

void BufferPool::give_back(char* data, std::size_t size) {
  Class* c = class_for(size);
  if (c == nullptr || c->size >= c->keep) {
    ::operator delete(data);
    return;
  }
  std::memcpy(data, &c->head, sizeof c->head);
  c->head = data;
  ++c->size;
}

}  // namespace headgate
