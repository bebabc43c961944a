// SPDX-License-Identifier: Apache-2.0
// What the readers of all sections share: Reader, where complaints go and texts are filled in, and Section, one
// mapping of the file with the keys that its schema allows. Internal to this folder.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/document.h"
#include "config/load.h"
#include "config/schema.h"
#include "config/units.h"

namespace headgate::config {

/// How a text is filled in and what it may hold.
enum class TextRule {
  kLine,      ///< no control characters
  kFile,      ///< a path; a relative one begins at the configuration file's folder
  kTemplate,  ///< one line with variables, checked by Checks
  kBody,      ///< as kTemplate, of several lines
  kRegex,     ///< checked by Checks
};

inline constexpr std::uint64_t kNoMost = std::numeric_limits<std::uint64_t>::max();

/// A name that must be defined somewhere: judged when all files have been read.
struct Reference {
  Position where;
  std::string path;  // of the key
  std::string name;
};

/// A route that takes whole bodies, and so needs a max_body that can be met.
struct BoundedBody {
  Position where;
  std::string path;                       // of the key
  std::optional<std::uint64_t> max_body;  // the route's own
};

/// What the files of one configuration leave to be put together at the end.
struct Pending {
  std::vector<Reference> upstreams;
  std::vector<Reference> rate_limits;
  std::vector<Reference> listeners;
  std::vector<BoundedBody> bounded_bodies;
  std::vector<Upstream> anonymous;  // of `proxy: URL`
  std::set<std::string> anonymous_names;
};

/// One file being read. Lives during load(); not thread-safe.
class Reader {
 public:
  Reader(std::string file, const Environment& environment, const Checks& checks, Loaded& out, Pending& pending);

  Position position(const Node& node) const { return {file_, node.line, node.column}; }
  void error(const Node& node, std::string message);
  void warn(const Node& node, std::string message);
  /// "PATH: expected WHAT, got a list".
  void mismatch(const Node& node, const std::string& path, std::string_view what);

  /// A scalar's text with the environment filled in; nothing (and an error) when it is none.
  std::optional<std::string> scalar(const Node& node, const std::string& path, std::string_view what,
                                    Substitute mode = Substitute::kEverything);

  /// A scalar read by one of the parsers of units.h.
  template <class T, class Parse>
  bool parse(const Node& node, const std::string& path, std::string_view what, Parse parser, T& out) {
    const auto text = scalar(node, path, what);
    if (!text) return false;
    auto value = parser(*text);
    if (!value) {
      error(node, path + ": " + value.error().message);
      return false;
    }
    out = static_cast<T>(*std::move(value));
    if constexpr (std::is_same_v<T, Address>) return settle(node, path, out);
    if constexpr (std::is_same_v<T, std::optional<Address>>) return settle(node, path, *out);
    return true;
  }

  /// A unix socket's relative path begins at the configuration file's folder, like that of a file. False (and an
  /// error) when it becomes too long for the kernel.
  bool settle(const Node& node, const std::string& path, Address& address);

  std::optional<std::string> text(const Node& node, const std::string& path, TextRule rule,
                                  std::string_view what = "a text");

  /// The elements of a list; a scalar counts as a list of one. Nothing (and an error) for a mapping.
  std::vector<const Node*> elements(const Node& node, const std::string& path, std::string_view what);

  const std::string& file() const { return file_.text(); }
  Config& config() { return out_.config; }
  Loaded& out() { return out_; }
  Pending& pending() { return pending_; }

 private:
  FileName file_;
  const Environment& environment_;
  const Checks& checks_;
  Loaded& out_;
  Pending& pending_;
};

std::string join(const std::string& path, std::string_view key);
std::string element(const std::string& path, std::size_t index);

template <class E>
struct Word {
  std::string_view text;
  E value;
};

/// One mapping. Every key of its schema must be asked for; finish() then complains about the keys that are unknown.
/// A key that is absent leaves the value, and so its default, alone.
class Section {
 public:
  Section(Reader& reader, const Node& node, const Schema& schema, std::string path);

  Reader& reader() { return reader_; }
  const Node& node() const { return node_; }
  const std::string& path() const { return path_; }
  std::string path(std::string_view key) const { return join(path_, key); }

  /// The key's value, or null when it is absent. A key without a value (`routes:`) has a node of kind kNull.
  const Node* find(std::string_view key);
  /// As find, with an error when it is absent.
  const Node* require(std::string_view key);
  /// Whether a key is there, without asking for it.
  bool has(std::string_view key) const { return node_.find(key) != nullptr; }

  void boolean(std::string_view key, bool& out);
  void duration(std::string_view key, milliseconds& out, milliseconds least = milliseconds(0));
  void duration(std::string_view key, std::optional<milliseconds>& out, milliseconds least = milliseconds(0));
  void duration(std::string_view key, seconds& out);
  void size(std::string_view key, std::uint64_t& out, std::uint64_t least = 0);
  void percent(std::string_view key, double& out, double most = 100);
  void text(std::string_view key, std::string& out, TextRule rule = TextRule::kLine);
  /// As text, and neither absent nor empty.
  void required_text(std::string_view key, std::string& out, TextRule rule = TextRule::kLine);

  template <class T>
  void integer(std::string_view key, T& out, std::uint64_t least = 0, std::uint64_t most = kNoMost) {
    const std::uint64_t fits = std::numeric_limits<T>::max();
    const std::uint64_t limit = most < fits ? most : fits;
    parse(
        key, "a whole number", [&](std::string_view text) { return parse_integer(text, least, limit); }, out);
  }

  template <class T, class Parse>
  void parse(std::string_view key, std::string_view what, Parse parser, T& out) {
    if (const Node* value = find(key)) reader_.parse(*value, path(key), what, parser, out);
  }

  template <class E>
  void choice(std::string_view key, E& out, std::initializer_list<Word<E>> words) {
    const Node* value = find(key);
    if (value == nullptr) return;
    std::vector<std::string_view> names;
    for (const Word<E>& word : words) names.push_back(word.text);
    const auto chosen = choose(*value, path(key), names);
    if (chosen) out = (words.begin() + *chosen)->value;
  }

  /// A list of scalars, or one scalar.
  template <class T, class Parse>
  void list(std::string_view key, std::string_view what, Parse parser, std::vector<T>& out) {
    const Node* value = find(key);
    if (value == nullptr) return;
    out.clear();
    std::size_t index = 0;
    for (const Node* item : reader_.elements(*value, path(key), "a list, each element " + std::string(what))) {
      T parsed{};
      if (reader_.parse(*item, element(path(key), index++), what, parser, parsed)) out.push_back(std::move(parsed));
    }
  }
  void texts(std::string_view key, std::vector<std::string>& out, TextRule rule = TextRule::kLine);

  /// A mapping with names of the user's own. `fields`: the names are header names.
  const std::vector<Node::Entry>& entries(std::string_view key, std::string_view what);
  void pairs(std::string_view key, std::vector<std::pair<std::string, std::string>>& out, TextRule rule,
             bool fields = false);

  void finish();

 private:
  std::optional<std::ptrdiff_t> choose(const Node& value, const std::string& path,
                                       const std::vector<std::string_view>& names);

  Reader& reader_;
  const Node& node_;
  const Schema& schema_;
  std::string path_;
  std::vector<std::string_view> asked_;
};

}  // namespace headgate::config
