// SPDX-License-Identifier: Apache-2.0
// Hashes that every process computes alike, whatever its machine or version: what is decided by one, all instances of a
// fleet decide alike, and again after an upgrade. Their values are part of the contract; tests hold them.
#pragma once

#include <cstdint>
#include <string_view>

namespace headgate {

/// For names of our own choice: not for keys that an attacker could choose to collide. FNV-1a, finished so that what
/// differs in the last letters differs everywhere.
inline std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccd;
  return hash ^ (hash >> 33);
}

/// Every bit of the result depends on every bit of `value`; no two values have the same result (splitmix64's finish).
inline constexpr std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012) under a key: without it nobody can tell where a text falls, nor choose
/// texts that fall together. A value; some 20 ns for a short text.
class KeyedHash {
 public:
  /// As in the paper: the first and the second eight bytes of the key, little-endian.
  constexpr KeyedHash(std::uint64_t first, std::uint64_t second) : first_(first), second_(second) {}
  /// A key made of a text of any length.
  explicit KeyedHash(std::string_view secret);

  std::uint64_t of(std::string_view text) const;

 private:
  std::uint64_t first_;
  std::uint64_t second_;
};

}  // namespace headgate
