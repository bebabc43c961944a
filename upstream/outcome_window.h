// SPDX-License-Identifier: Apache-2.0
// How many attempts at one server failed within the last seconds: a window that slides, in slices of a twentieth of its
// length. Each worker writes to a ring of its own, without a locked instruction; whoever asks adds the rings up.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace headgate::upstream {

class OutcomeWindow {
 public:
  static constexpr std::uint64_t kSlices = 20;
  /// What one worker can count in one slice; more is not counted.
  static constexpr std::uint64_t kMostInSlice = (1U << 18) - 1;

  OutcomeWindow(std::size_t workers, Duration length)
      : slice_(std::max<Duration::rep>(1, length.count() / static_cast<Duration::rep>(kSlices))), rings_(workers) {}

  /// That worker's thread.
  void add(std::size_t worker, TimePoint now, bool failed) {
    const std::uint64_t epoch = epoch_of(now);
    auto& cell = rings_[worker].cells[epoch % kSlices];
    std::uint64_t value = cell.load(std::memory_order_relaxed);
    if (value >> kEpochShift != (epoch & kEpochMask)) value = (epoch & kEpochMask) << kEpochShift;
    if ((value & kMostInSlice) == kMostInSlice) return;
    cell.store(value + 1 + (failed ? kOneFailed : 0), std::memory_order_relaxed);
  }

  struct Sum {
    std::uint64_t all = 0;
    std::uint64_t failed = 0;
  };
  /// Of all workers, over the window that ends now; at most one slice short of it. Any thread.
  Sum sum(TimePoint now) const {
    const std::uint64_t last = epoch_of(now);
    const std::uint64_t first =
        std::max(last >= kSlices ? last - kSlices + 1 : 0, counted_from_.load(std::memory_order_relaxed));
    Sum sum;
    for (const auto& ring : rings_) {
      for (std::uint64_t epoch = first; epoch <= last; ++epoch) {
        const std::uint64_t value = ring.cells[epoch % kSlices].load(std::memory_order_relaxed);
        if (value >> kEpochShift != (epoch & kEpochMask)) continue;
        sum.all += value & kMostInSlice;
        sum.failed += value >> kFailedShift & kMostInSlice;
      }
    }
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

  struct alignas(64) Ring {
    std::array<std::atomic<std::uint64_t>, kSlices> cells{};
  };

  std::uint64_t epoch_of(TimePoint now) const {
    return static_cast<std::uint64_t>(now.time_since_epoch().count() / slice_);
  }

  const Duration::rep slice_;
  std::atomic<std::uint64_t> counted_from_{0};
  std::vector<Ring> rings_;
};

}  // namespace headgate::upstream
