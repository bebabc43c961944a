// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace headgate::upstream {

/// The same in every process and on every machine: what is decided by it, all instances decide alike. Not for keys that
/// an attacker could choose to collide. FNV-1a, finished so that what differs in the last letters differs everywhere.
inline std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccd;
  return hash ^ (hash >> 33);
}

}  // namespace headgate::upstream
