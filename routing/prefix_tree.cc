// SPDX-License-Identifier: Apache-2.0
#include "routing/prefix_tree.h"

#include <algorithm>
#include <cstring>

namespace headgate::routing {
namespace {

/// How many bytes two keys share from `depth` on. Keys are sorted: what the first and the last of a range share, all
/// do.
std::size_t shared_from(std::string_view a, std::string_view b, std::size_t depth) {
  const std::size_t end = std::min(a.size(), b.size());
  std::size_t at = depth;
  while (at < end && a[at] == b[at]) ++at;
  return at - depth;
}

}  // namespace

PrefixTree::PrefixTree(std::span<const std::string_view> keys) : keys_(keys.size()) {
  if (keys.empty()) return;
  struct Work {
    std::size_t begin;
    std::size_t end;
    std::size_t depth;    // bytes that the nodes above have matched
    std::uint32_t above;  // nearest key on the way, or kNone
  };
  // Breadth first: work[i] becomes nodes_[i], and children come to stand side by side.
  std::vector<Work> work{{0, keys.size(), 0, kNone}};
  for (std::size_t i = 0; i < work.size(); ++i) {
    const Work here = work[i];
    const auto first = keys[here.begin];
    Node node;
    node.label_begin = static_cast<std::uint32_t>(labels_.size());
    node.label_size = static_cast<std::uint32_t>(shared_from(first, keys[here.end - 1], here.depth));
    labels_.append(first, here.depth, node.label_size);
    first_bytes_.push_back(node.label_size == 0 ? '\0' : first[here.depth]);

    const std::size_t depth = here.depth + node.label_size;
    std::size_t begin = here.begin;
    auto above = here.above;
    if (first.size() == depth) {
      node.key = static_cast<std::uint32_t>(begin);
      keys_[begin] = {above, static_cast<std::uint32_t>(depth)};
      above = node.key;
      ++begin;
    }
    node.first_child = static_cast<std::uint32_t>(work.size());
    while (begin < here.end) {
      std::size_t end = begin + 1;
      while (end < here.end && keys[end][depth] == keys[begin][depth]) ++end;
      work.push_back({begin, end, depth, above});
      ++node.child_count;
      begin = end;
    }
    nodes_.push_back(node);
  }
  nodes_.shrink_to_fit();
  labels_.shrink_to_fit();
  first_bytes_.shrink_to_fit();
}

std::uint32_t PrefixTree::longest(std::string_view text) const {
  if (nodes_.empty()) return kNone;
  std::uint32_t best = kNone;
  const Node* node = nodes_.data();
  while (true) {
    if (text.size() < node->label_size ||
        std::memcmp(text.data(), labels_.data() + node->label_begin, node->label_size) != 0) {
      return best;
    }
    text.remove_prefix(node->label_size);
    if (node->key != kNone) best = node->key;
    if (text.empty() || node->child_count == 0) return best;
    const char* const bytes = first_bytes_.data() + node->first_child;
    const void* const found = std::memchr(bytes, static_cast<unsigned char>(text.front()), node->child_count);
    if (found == nullptr) return best;
    node = nodes_.data() + node->first_child + (static_cast<const char*>(found) - bytes);
  }
}

}  // namespace headgate::routing
