// SPDX-License-Identifier: Apache-2.0
// A YAML file as a tree whose every node knows where it stood. What the readers see in place of the YAML library.
//
// Scalars are kept as text: whether "8080" is a number is for the key to say. Anchors, aliases and merge keys ("<<")
// are resolved here, within a bound on what they expand to. Any thread; trees are immutable once made.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"

namespace headgate::config {

struct Node;
using NodePtr = std::shared_ptr<const Node>;

struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Entry {
    std::string key;
    int line = 0;
    int column = 0;
    NodePtr value;
  };

  Kind kind = Kind::kNull;
  int line = 0;  ///< from 1
  int column = 0;
  std::string text;            ///< kScalar
  std::vector<NodePtr> items;  ///< kList
  std::vector<Entry> entries;  ///< kMap: in the file's order, without duplicates
  std::size_t weight = 1;      ///< nodes in this tree, aliases counted each time

  /// The value of a key, or null.
  const Node* find(std::string_view key) const;
};

/// What a message calls a node that was not expected: "a list", "a mapping", "nothing", "'text'".
std::string describe(const Node& node);

/// The tree of a text with exactly one document (an empty one is an empty mapping); null after a syntax error.
/// Duplicate keys are reported and the first one stays.
NodePtr parse_document(const std::string& text, const std::string& file, std::vector<Diagnostic>& errors);

}  // namespace headgate::config
