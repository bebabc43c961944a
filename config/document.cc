// SPDX-License-Identifier: Apache-2.0
#include "config/document.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <unordered_map>
#include <utility>

#include <yaml-cpp/emitterstyle.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace headgate::config {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxNodes = 2'000'000;

// Thrown through the YAML parser, which has no other way to be stopped.
YAML::ParserException refuse(const YAML::Mark& mark, const std::string& message) {
  return {mark, message};
}

class Builder final : public YAML::EventHandler {
 public:
  Builder(const std::string& file, std::vector<Diagnostic>& errors) : file_(file), errors_(errors) {}

  NodePtr root() const { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { leaf(Node::Kind::kNull, mark, anchor, {}); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    const bool plain = tag.empty() || tag == "?";
    const bool null = plain && (value == "~" || value == "null" || value.empty());
    // A key is what its text says, also when that is "null".
    const bool as_key = !open_.empty() && open_.back().node->kind == Node::Kind::kMap && !open_.back().has_key;
    leaf(null && !as_key ? Node::Kind::kNull : Node::Kind::kScalar, mark, anchor, value);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw refuse(mark, "an alias inside the node that it stands for");
    add(found->second, mark);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;
    Node::Entry entry;  // the key that waits for its value
    std::vector<NodePtr> merges;
    std::unordered_map<std::string, int> lines;  // of the keys so far
  };

  // Our own tags would be options that do nothing; those of YAML's core types are harmless.
  static void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!" || tag.starts_with("tag:yaml.org,2002:")) return;
    throw refuse(mark, "tags such as " + tag + " are not known here");
  }

  static std::shared_ptr<Node> make(Node::Kind kind, const YAML::Mark& mark) {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->line = mark.line + 1;
    node->column = mark.column + 1;
    return node;
  }

  void leaf(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& text) {
    auto node = make(kind, mark);
    node->text = text;
    if (!open_.empty() && open_.back().has_key && kind == Node::Kind::kNull) {
      // "key:" with nothing behind it: the library points at whatever comes next.
      node->line = open_.back().entry.line;
      node->column = open_.back().entry.column;
    }
    if (anchor != 0) anchors_[anchor] = node;
    add(node, mark);
  }

  void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    check_tag(mark, tag);
    if (open_.size() >= kMaxDepth) throw refuse(mark, "more than " + std::to_string(kMaxDepth) + " levels");
    if (!open_.empty() && open_.back().node->kind == Node::Kind::kMap && !open_.back().has_key) {
      throw refuse(mark, "a key must be a plain text");
    }
    Open entry;
    entry.node = make(kind, mark);
    entry.anchor = anchor;
    open_.push_back(std::move(entry));
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    for (const NodePtr& merge : done.merges) merge_into(done, *merge);
    if (done.anchor != 0) anchors_[done.anchor] = done.node;
    add(done.node, YAML::Mark());
  }

  void add(const NodePtr& node, const YAML::Mark& mark) {
    if (open_.empty()) {
      root_ = node;
      return;
    }
    Open& parent = open_.back();
    grow(parent, node->weight, mark);
    if (parent.node->kind == Node::Kind::kList) {
      parent.node->items.push_back(node);
    } else if (!parent.has_key) {
      if (node->kind != Node::Kind::kScalar) throw refuse(mark, "a key must be a plain text");
      parent.entry = {node->text, node->line, node->column, nullptr};
      parent.has_key = true;
    } else {
      parent.has_key = false;
      parent.entry.value = node;
      add_entry(parent, mark);
    }
  }

  void add_entry(Open& map, const YAML::Mark& mark) {
    Node::Entry entry = std::move(map.entry);
    if (entry.key == "<<") {
      collect_merge(map, *entry.value, entry.value, mark);
      return;
    }
    const auto [first, fresh] = map.lines.emplace(entry.key, entry.line);
    if (!fresh) {
      errors_.push_back(
          {{file_, entry.line, entry.column},
           "duplicate key '" + entry.key + "'; the first one is on line " + std::to_string(first->second)});
      return;
    }
    map.node->entries.push_back(std::move(entry));
  }

  static void collect_merge(Open& map, const Node& value, const NodePtr& node, const YAML::Mark& mark) {
    if (value.kind == Node::Kind::kMap) {
      map.merges.push_back(node);
      return;
    }
    const bool maps = value.kind == Node::Kind::kList &&
                      std::all_of(value.items.begin(), value.items.end(),
                                  [](const NodePtr& item) { return item->kind == Node::Kind::kMap; });
    if (!maps) throw refuse(mark, "'<<' takes a mapping or a list of mappings");
    map.merges.insert(map.merges.end(), value.items.begin(), value.items.end());
  }

  // Keys that the mapping has itself, or that an earlier merge gave it, stay.
  void merge_into(Open& map, const Node& from) {
    for (const Node::Entry& entry : from.entries) {
      if (map.lines.emplace(entry.key, entry.line).second) map.node->entries.push_back(entry);
    }
  }

  // A few aliases of aliases can stand for billions of nodes, and every reader walks them all.
  static void grow(Open& parent, std::size_t weight, const YAML::Mark& mark) {
    parent.node->weight += weight;
    if (parent.node->weight > kMaxNodes) throw refuse(mark, "more than " + std::to_string(kMaxNodes) + " values");
  }

  const std::string& file_;
  std::vector<Diagnostic>& errors_;
  NodePtr root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, NodePtr> anchors_;
};

}  // namespace

std::string to_string(const Diagnostic& diagnostic) {
  const Position& at = diagnostic.where;
  if (at.line == 0) return at.file.text() + ": " + diagnostic.message;
  return at.file.text() + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + diagnostic.message;
}

const Node* Node::find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : found->value.get();
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kScalar:
      return "'" + node.text.substr(0, 80) + "'";
    case Node::Kind::kList:
      return node.items.empty() ? "an empty list" : "a list";
    case Node::Kind::kMap:
      return node.entries.empty() ? "an empty mapping" : "a mapping";
  }
  return "nothing";
}

NodePtr parse_document(const std::string& text, const std::string& file, std::vector<Diagnostic>& errors) {
  const auto syntax_error = [&](const YAML::Mark& mark, const std::string& message) {
    errors.push_back({{file, std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1}, "not valid YAML: " + message});
    return nullptr;
  };
  if (const auto nul = text.find('\0'); nul != std::string::npos) {
    YAML::Mark mark;
    mark.line = static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(nul), '\n'));
    mark.column = static_cast<int>(nul - (nul == 0 ? 0 : text.rfind('\n', nul) + 1));
    return syntax_error(mark, "a NUL byte");
  }
  try {
    // The library takes a quoted text that never ends for one that ends with the file, but not when it runs into the
    // end marker of the document.
    std::istringstream stream(text + (text.empty() || text.ends_with('\n') ? "...\n" : "\n...\n"));
    YAML::Parser parser(stream);
    Builder builder(file, errors);
    if (!parser.HandleNextDocument(builder) || builder.root() == nullptr || builder.root()->kind == Node::Kind::kNull) {
      auto empty = std::make_shared<Node>();
      empty->kind = Node::Kind::kMap;
      empty->line = empty->column = 1;
      return empty;
    }
    std::vector<Diagnostic> ignored;
    Builder second(file, ignored);
    if (parser.HandleNextDocument(second) && second.root() != nullptr) {
      errors.push_back({{file, second.root()->line, second.root()->column}, "expected one YAML document, got another"});
    }
    return builder.root();
  } catch (const YAML::Exception& problem) {
    const bool unending = problem.msg == YAML::ErrorMsg::DOC_IN_SCALAR;
    return syntax_error(problem.mark, unending ? "a quoted text that began before this line has no end" : problem.msg);
  }
}

}  // namespace headgate::config
