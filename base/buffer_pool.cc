// SPDX-License-Identifier: Apache-2.0
#include "base/buffer_pool.h"

namespace headgate {

BufferPool::~BufferPool() {
  for (auto& c : classes_) {
    while (c.head != nullptr) {
      void* next;
      std::memcpy(&next, c.head, sizeof next);
      ::operator delete(std::exchange(c.head, next));
    }
  }
}

}  // namespace headgate
