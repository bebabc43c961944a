// SPDX-License-Identifier: Apache-2.0
// The longest of many prefixes that begins a text: a radix tree in three flat arrays.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headgate::routing {

/// Immutable; shared by all threads. Copies what it needs of the keys. Compares bytes: "/api" begins "/apis".
/// Searching costs one step for each fork on the way, however many keys there are, and allocates nothing.
class PrefixTree {
 public:
  static constexpr std::uint32_t kNone = static_cast<std::uint32_t>(-1);

  PrefixTree() = default;
  /// `keys` in ascending order, without duplicates; fewer than 2^32 bytes of them.
  explicit PrefixTree(std::span<const std::string_view> keys);

  /// The index of the longest key that begins `text`, or kNone.
  std::uint32_t longest(std::string_view text) const;

  /// The index of the longest key that begins that key and is shorter, or kNone.
  std::uint32_t shorter(std::uint32_t key) const { return keys_[key].shorter; }

  /// Its length in bytes.
  std::size_t key_size(std::uint32_t key) const { return keys_[key].size; }

 private:
  struct Node {
    std::uint32_t label_begin = 0;  // in labels_
    std::uint32_t label_size = 0;
    std::uint32_t first_child = 0;  // children stand side by side, in the order of their first byte
    std::uint32_t child_count = 0;
    std::uint32_t key = kNone;
  };
  std::vector<Node> nodes_;
  std::string first_bytes_;  // of each node's label: what chooses among children, on one cache line
  std::string labels_;
  struct Key {
    std::uint32_t shorter = kNone;
    std::uint32_t size = 0;
  };
  std::vector<Key> keys_;
};

}  // namespace headgate::routing
