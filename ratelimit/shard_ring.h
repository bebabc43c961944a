// SPDX-License-Identifier: Apache-2.0
// Which of several stores a key belongs to: consistent hashing, the same on every instance with the same list in any
// order. A store that is added or removed takes along only its own share of the keys. Immutable; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headgate::ratelimit {

class ShardRing {
 public:
  /// `names`: of at least one store.
  explicit ShardRing(std::span<const std::string> names);

  /// The index of its store.
  std::size_t of(std::string_view key) const;

 private:
  std::size_t count_;
  std::vector<std::pair<std::uint64_t, std::size_t>> points_;
};

}  // namespace headgate::ratelimit
