// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/shard_ring.h"

#include <algorithm>

#include "ratelimit/key_hash.h"

namespace headgate::ratelimit {
namespace {

constexpr int kPoints = 160;  // of each store: shares differ by some percent

/// The same in every process: instances must agree.
constexpr HashSeed kSeed{0x6865616467617465, 0x72696e67};

}  // namespace

ShardRing::ShardRing(std::span<const std::string> names) : count_(names.size()) {
  if (count_ < 2) return;
  points_.reserve(count_ * kPoints);
  for (std::size_t i = 0; i < count_; ++i) {
    for (int point = 0; point < kPoints; ++point) {
      points_.emplace_back(key_hash(kSeed, names[i] + "#" + std::to_string(point)), i);
    }
  }
  std::sort(points_.begin(), points_.end());
}

std::size_t ShardRing::of(std::string_view key) const {
  if (count_ < 2) return 0;
  const auto found = std::lower_bound(points_.begin(), points_.end(), std::pair(key_hash(kSeed, key), std::size_t{0}));
  return (found == points_.end() ? points_.front() : *found).second;
}

}  // namespace headgate::ratelimit
