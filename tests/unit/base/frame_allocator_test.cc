// SPDX-License-Identifier: Apache-2.0
#include "base/frame_allocator.h"

#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace headgate {
namespace {

TEST(FrameAllocator, FramesOfAllSizesAreApartAndAligned) {
  std::vector<std::pair<void*, std::size_t>> frames;
  std::set<void*> distinct;
  for (int round = 0; round < 3; ++round) {
    for (std::size_t size = 1; size < 6000; size += 37) {
      void* const frame = allocate_frame(size);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(frame) % alignof(std::max_align_t), 0u);
      std::memset(frame, static_cast<int>(size % 256), size);
      frames.emplace_back(frame, size);
      distinct.insert(frame);
    }
    EXPECT_EQ(distinct.size(), frames.size());
    for (const auto& [frame, size] : frames) {
      const auto* const bytes = static_cast<const unsigned char*>(frame);
      EXPECT_EQ(bytes[0], size % 256);
      EXPECT_EQ(bytes[size - 1], size % 256);
      free_frame(frame, size);
    }
    frames.clear();
    distinct.clear();
  }
}

TEST(FrameAllocator, AFrameMayBeFreedOnAnotherThread) {
  std::vector<void*> frames;
  for (int i = 0; i < 1000; ++i) frames.push_back(allocate_frame(200));
  std::thread other([&] {
    for (void* frame : frames) free_frame(frame, 200);
    for (int i = 0; i < 1000; ++i) free_frame(allocate_frame(200), 200);
  });
  other.join();
}

}  // namespace
}  // namespace headgate
