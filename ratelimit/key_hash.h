// SPDX-License-Identifier: Apache-2.0
// Keys as numbers: SipHash-2-4 (Aumasson and Bernstein, 2012) with a seed of the process, so that no client can choose
// two keys that share a counter, or a thousand that share a place. Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace headgate::ratelimit {

struct HashSeed {
  std::uint64_t first = 0;
  std::uint64_t second = 0;

  /// Of the system's randomness. Throws std::system_error when there is none.
  static HashSeed random();

  /// Another seed for each name: what is hashed under different names is unrelated.
  HashSeed of(std::string_view name) const;
};

std::uint64_t key_hash(const HashSeed& seed, std::string_view key);

}  // namespace headgate::ratelimit
