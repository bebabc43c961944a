// SPDX-License-Identifier: Apache-2.0
// Paths that are compared as a whole: a hash table in two flat arrays.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headgate::routing {

/// Immutable; shared by all threads. Copies what it needs of the paths. Finding one of a hundred thousand sites' paths
/// is mostly waiting for memory, so it costs two cache lines: the slot with its value, and the text.
template <class Value>
class ExactPaths {
 public:
  struct Entry {
    std::string_view path;
    Value value;
  };

  ExactPaths() = default;
  /// Without duplicates; fewer than 2^32 bytes of paths.
  explicit ExactPaths(std::span<const Entry> entries);

  /// Null when it is not among them; allocates nothing.
  const Value* find(std::string_view path) const;

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t begin = kEmpty;  // of its text, in texts_
    std::uint32_t size = 0;
    Value value{};
  };
  static constexpr std::uint32_t kEmpty = static_cast<std::uint32_t>(-1);

  static std::uint32_t hash_of(std::string_view path) {
    return static_cast<std::uint32_t>(std::hash<std::string_view>{}(path));
  }

  std::vector<Slot> slots_;  // a power of two of them, at least half of them empty
  std::string texts_;
};

template <class Value>
ExactPaths<Value>::ExactPaths(std::span<const Entry> entries) {
  if (entries.empty()) return;
  slots_.resize(std::bit_ceil(entries.size() * 2));
  std::size_t bytes = 0;
  for (const auto& entry : entries) bytes += entry.path.size();
  texts_.reserve(bytes);
  for (const auto& [path, value] : entries) {
    const auto hash = hash_of(path);
    std::size_t at = hash & (slots_.size() - 1);
    while (slots_[at].begin != kEmpty) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {hash, static_cast<std::uint32_t>(texts_.size()), static_cast<std::uint32_t>(path.size()), value};
    texts_ += path;
  }
}

template <class Value>
const Value* ExactPaths<Value>::find(std::string_view path) const {
  if (slots_.empty()) return nullptr;
  const auto hash = hash_of(path);
  for (std::size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[at];
    if (slot.begin == kEmpty) return nullptr;
    if (slot.hash == hash && path == std::string_view(texts_.data() + slot.begin, slot.size)) return &slot.value;
  }
}

}  // namespace headgate::routing
