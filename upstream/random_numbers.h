// SPDX-License-Identifier: Apache-2.0
// Small, fast and repeatable: for spreading load, never for secrets.
#pragma once

#include <cstdint>

#include "base/hash.h"

namespace headgate::upstream {

/// The golden ratio's fraction in 64 bits: multiples of it are spread evenly.
inline constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;

/// A sequence that its seed decides.
class RandomNumbers {
 public:
  explicit RandomNumbers(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() { return mix(state_ += kGolden); }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }  ///< from 0 to less than 1

 private:
  std::uint64_t state_;
};

}  // namespace headgate::upstream
