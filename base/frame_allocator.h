// SPDX-License-Identifier: Apache-2.0
// Coroutine frames come and go several times a request: this keeps freed ones in per-thread lists by size.
#pragma once

#include <cstddef>

namespace headgate {

/// Memory for a coroutine frame; freed by free_frame on the same or another thread. Never null (throws bad_alloc).
void* allocate_frame(std::size_t size);

/// `size` is what allocate_frame was asked for.
void free_frame(void* frame, std::size_t size) noexcept;

}  // namespace headgate
