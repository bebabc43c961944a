// SPDX-License-Identifier: Apache-2.0
#include "config/availability.h"

#include <algorithm>
#include <iterator>

namespace headgate::config {
namespace {

// Whether a value leaves everything as it is without the feature. Texts have the environment filled in.
using Inert = bool (*)(const Node& node, const std::string& text);

bool is_false(const Node&, const std::string& text) {
  return text == "false";
}

struct Entry {
  std::string_view path;
  Inert inert;
  std::string_view part;  // for the manual
};

constexpr Entry kNotAvailableYet[] = {
    {"tls.ocsp_stapling", is_false, "*"},
};

// Follows a pattern through one file, all branches of its stars.
class Walk {
 public:
  Walk(const Entry& entry, const std::string& file, const Environment& environment, std::vector<Diagnostic>& out)
      : entry_(entry), file_(file), environment_(environment), out_(out) {}

  /// `line` and `column` are those of the key that leads to the node: where a complaint points.
  void visit(const Node& node, std::string_view rest, const std::string& path, int line, int column) {
    if (rest.empty()) {
      report(node, path, line, column);
      return;
    }
    const auto dot = rest.find('.');
    const std::string_view step = rest.substr(0, dot);
    const std::string_view later = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
    for (const Node::Entry& entry : node.entries) {
      if (step != "*" && step != entry.key) continue;
      visit(*entry.value, later, path.empty() ? entry.key : path + "." + entry.key, entry.line, entry.column);
    }
    if (step != "*") return;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      visit(*node.items[i], later, path + "[" + std::to_string(i) + "]", node.items[i]->line, node.items[i]->column);
    }
  }

 private:
  void report(const Node& node, const std::string& path, int line, int column) {
    // A text that cannot be filled in is an error of its own.
    const auto text = substitute(node.text, environment_, Substitute::kTemplate);
    if (node.kind == Node::Kind::kNull || !text || entry_.inert(node, *text)) return;
    out_.push_back({{file_, line, column}, "not available yet: " + path});
  }

  const Entry& entry_;
  const std::string& file_;
  const Environment& environment_;
  std::vector<Diagnostic>& out_;
};

}  // namespace

void find_unavailable(const Node& root, const std::string& file, const Environment& environment,
                      std::vector<Diagnostic>& out) {
  for (const Entry& entry : kNotAvailableYet) Walk(entry, file, environment, out).visit(root, entry.path, "", 1, 1);
}

bool is_unavailable(std::string_view path) {
  return !unavailable_part(path).empty();
}

std::string_view unavailable_part(std::string_view path) {
  const auto found = std::find_if(std::begin(kNotAvailableYet), std::end(kNotAvailableYet),
                                  [&](const Entry& entry) { return entry.path == path; });
  return found == std::end(kNotAvailableYet) ? std::string_view() : found->part;
}

}  // namespace headgate::config
