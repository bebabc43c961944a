// SPDX-License-Identifier: Apache-2.0
// A bound for lines of the log that strangers can cause: one in each period, which tells how many were left out.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/time.h"

namespace headgate {

/// One thread.
class LineLimit {
 public:
  static constexpr Duration kPeriod = std::chrono::seconds(10);

  /// How many lines have been left out since the last one; nothing: this one is left out, too.
  std::optional<std::uint64_t> admit(TimePoint now) {
    if (now < next_) {
      ++left_out_;
      return std::nullopt;
    }
    next_ = now + kPeriod;
    return std::exchange(left_out_, 0);
  }

 private:
  TimePoint next_{};
  std::uint64_t left_out_ = 0;
};

}  // namespace headgate
