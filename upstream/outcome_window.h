// SPDX-License-Identifier: Apache-2.0
// How many attempts at one server failed within the last seconds: a window that slides, in slices of a twentieth of its
// length or less. Each worker writes to a ring of its own, without a locked instruction; whoever asks adds the rings up.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace headgate::upstream {

class OutcomeWindow {
 public:
  /// What one worker can count in one slice; more is not counted.
  static constexpr std::uint64_t kMostInSlice = (1U << 18) - 1;

  OutcomeWindow(std::size_t workers, Duration length)
      : shift_(shift_of(length)),
        slices_(std::max<std::uint64_t>(1, static_cast<std::uint64_t>(length.count()) >> shift_)),
        rings_(workers) {}

  /// That worker's thread.
  void add(std::size_t worker, TimePoint now, bool failed) {
    const std::uint64_t epoch = epoch_of(now);
    auto& cell = rings_[worker].cells[epoch % kCells];
    std::uint64_t value = cell.load(std::memory_order_relaxed);
    if (value >> kEpochShift != (epoch & kEpochMask)) value = (epoch & kEpochMask) << kEpochShift;
    if ((value & kMostInSlice) == kMostInSlice) return;
    cell.store(value + 1 + (failed ? kOneFailed : 0), std::memory_order_relaxed);
  }

  /// Likewise: an attempt that was added as a good one has failed after all.
  void add_second_thought(std::size_t worker, TimePoint now) {
    const std::uint64_t epoch = epoch_of(now);
    auto& cell = rings_[worker].cells[epoch % kCells];
    std::uint64_t value = cell.load(std::memory_order_relaxed);
    if (value >> kEpochShift != (epoch & kEpochMask)) value = (epoch & kEpochMask) << kEpochShift;
    if ((value >> kFailedShift & kMostInSlice) == kMostInSlice) return;
    cell.store(value + kOneFailed, std::memory_order_relaxed);
  }

  struct Sum {
    std::uint64_t all = 0;
    std::uint64_t failed = 0;
  };
  /// Of all workers, over the window that ends now; at most one slice short of it. Any thread.
  Sum sum(TimePoint now) const {
    const std::uint64_t last = epoch_of(now);
    const std::uint64_t first =
        std::max(last >= slices_ ? last - slices_ + 1 : 0, counted_from_.load(std::memory_order_relaxed));
    Sum sum;
    for (const auto& ring : rings_) {
      for (std::uint64_t epoch = first; epoch <= last; ++epoch) {
        const std::uint64_t value = ring.cells[epoch % kCells].load(std::memory_order_relaxed);
        if (value >> kEpochShift != (epoch & kEpochMask)) continue;
        sum.all += value & kMostInSlice;
        sum.failed += value >> kFailedShift & kMostInSlice;
      }
    }
    // What failed after all may have begun before the window.
    sum.failed = std::min(sum.failed, sum.all);
    return sum;
  }

  /// What was until now counts no more: the server begins anew. Any thread.
  void forget(TimePoint now) { counted_from_.store(epoch_of(now) + 1, std::memory_order_relaxed); }

 private:
  // Of a cell, from the lowest bit: all, failed, and the slice's number, without which it may be one of long ago.
  static constexpr unsigned kFailedShift = 18;
  static constexpr unsigned kEpochShift = 36;
  static constexpr std::uint64_t kOneFailed = std::uint64_t{1} << kFailedShift;
  static constexpr std::uint64_t kEpochMask = (std::uint64_t{1} << (64 - kEpochShift)) - 1;

  // Slices are a power of two of nanoseconds, so that no request has to divide; of a window there are 20 to 39.
  static constexpr std::uint64_t kLeastSlices = 20;
  static constexpr std::uint64_t kCells = 64;

  struct alignas(64) Ring {
    std::array<std::atomic<std::uint64_t>, kCells> cells{};
  };

  static unsigned shift_of(Duration length) {
    const auto slice = static_cast<std::uint64_t>(length.count()) / kLeastSlices;
    return slice == 0 ? 0 : static_cast<unsigned>(std::bit_width(slice)) - 1;
  }
  std::uint64_t epoch_of(TimePoint now) const {
    return static_cast<std::uint64_t>(now.time_since_epoch().count()) >> shift_;
  }

  const unsigned shift_;
  const std::uint64_t slices_;
  std::atomic<std::uint64_t> counted_from_{0};
  std::vector<Ring> rings_;
};

}  // namespace headgate::upstream
