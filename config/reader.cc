// SPDX-License-Identifier: Apache-2.0
#include "config/reader.h"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "config/nearest.h"

namespace headgate::config {
namespace {

const std::vector<Node::Entry> kNoEntries;

bool has_control(std::string_view text, bool lines) {
  return std::any_of(text.begin(), text.end(), [&](char c) {
    if (lines && (c == '\n' || c == '\r' || c == '\t')) return false;
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

std::string joined(std::span<const std::string_view> words, std::string_view last) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? last : ", ";
    out += words[i];
  }
  return out;
}

// The folder counts, not the working directory: a service manager starts in "/".
std::string resolve(const std::string& path, const std::string& file) {
  namespace fs = std::filesystem;
  if (path.empty() || path.front() == '/') return path;
  std::error_code ignored;
  const fs::path base = fs::absolute(file, ignored).parent_path();
  std::string out = (base / path).lexically_normal().string();
  if (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

}  // namespace

std::string join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

std::string element(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}

Reader::Reader(std::string file, const Environment& environment, const Checks& checks, Loaded& out, Pending& pending)
    : file_(std::move(file)), environment_(environment), checks_(checks), out_(out), pending_(pending) {}

void Reader::error(const Node& node, std::string message) {
  out_.errors.push_back({position(node), std::move(message)});
}

void Reader::warn(const Node& node, std::string message) {
  out_.warnings.push_back({position(node), std::move(message)});
}

void Reader::mismatch(const Node& node, const std::string& path, std::string_view what) {
  error(node, (path.empty() ? "" : path + ": ") + "expected " + std::string(what) + ", got " + describe(node));
}

std::optional<std::string> Reader::scalar(const Node& node, const std::string& path, std::string_view what,
                                          Substitute mode) {
  if (node.kind != Node::Kind::kScalar) {
    mismatch(node, path, what);
    return std::nullopt;
  }
  auto filled = substitute(node.text, environment_, mode);
  if (!filled) {
    error(node, path + ": " + filled.error().message);
    return std::nullopt;
  }
  return *std::move(filled);
}

std::optional<std::string> Reader::text(const Node& node, const std::string& path, TextRule rule,
                                        std::string_view what) {
  const bool is_template = rule == TextRule::kTemplate || rule == TextRule::kBody;
  auto value = scalar(node, path, what, is_template ? Substitute::kTemplate : Substitute::kEverything);
  if (!value) return std::nullopt;
  if (has_control(*value, rule == TextRule::kBody)) {
    error(node, path + ": expected a text without control characters");
    return std::nullopt;
  }
  if (rule == TextRule::kFile) return resolve(*value, file());
  const auto& check = rule == TextRule::kRegex ? checks_.check_regex : checks_.check_template;
  if (rule != TextRule::kLine && check) {
    if (const auto problem = check(*value)) {
      error(node, path + ": " + *problem);
      return std::nullopt;
    }
  }
  return value;
}

bool Reader::settle(const Node& node, const std::string& path, Address& address) {
  if (address.kind != Address::Kind::kUnix || address.path.front() == '/') return true;
  address.path = resolve(address.path, file());
  address.text = "unix:" + address.path;
  if (parse_listen_address(address.text)) return true;
  error(node, path + ": expected a shorter path for a socket, got '" + address.path + "'");
  return false;
}

std::vector<const Node*> Reader::elements(const Node& node, const std::string& path, std::string_view what) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return {};
    case Node::Kind::kScalar:
      return {&node};
    case Node::Kind::kMap:
      mismatch(node, path, what);
      return {};
    case Node::Kind::kList:
      break;
  }
  std::vector<const Node*> out;
  for (const NodePtr& item : node.items) out.push_back(item.get());
  return out;
}

Section::Section(Reader& reader, const Node& node, const Schema& schema, std::string path)
    : reader_(reader), node_(node), schema_(schema), path_(std::move(path)) {
  if (node.kind == Node::Kind::kMap || node.kind == Node::Kind::kNull) return;
  std::vector<std::string_view> names;
  for (const Key& key : schema.keys) names.push_back(key.name);
  reader_.mismatch(
      node, path_,
      "a mapping with keys such as " + joined(std::span(names).first(std::min<std::size_t>(3, names.size())), ", "));
}

const Node* Section::find(std::string_view key) {
  const bool known =
      std::any_of(schema_.keys.begin(), schema_.keys.end(), [&](const Key& each) { return each.name == key; });
  if (!known) throw std::logic_error("a key that the schema does not have: " + std::string(key));
  asked_.push_back(key);
  return node_.find(key);
}

const Node* Section::require(std::string_view key) {
  const Node* value = find(key);
  if (value == nullptr && (node_.kind == Node::Kind::kMap || node_.kind == Node::Kind::kNull)) {
    reader_.error(node_, (path_.empty() ? "" : path_ + ": ") + "expected the key '" + std::string(key) + "'");
  }
  return value;
}

void Section::boolean(std::string_view key, bool& out) {
  parse(key, kBooleanText, parse_boolean, out);
}

void Section::duration(std::string_view key, milliseconds& out, milliseconds least) {
  const auto parser = [&](std::string_view text) -> Parsed<milliseconds> {
    auto value = parse_duration(text);
    if (value && *value < least) return expected("a duration of at least " + to_text(least), text);
    return value;
  };
  parse(key, kDurationText, parser, out);
}

void Section::duration(std::string_view key, std::optional<milliseconds>& out, milliseconds least) {
  if (!has(key)) {
    find(key);
    return;
  }
  milliseconds value{};
  duration(key, value, least);
  out = value;
}

void Section::duration(std::string_view key, seconds& out) {
  const auto parser = [&](std::string_view text) -> Parsed<seconds> {
    const auto value = parse_duration(text);
    if (!value) return value.error();
    if (value->count() % 1000 != 0) return expected("a duration in whole seconds", text);
    return std::chrono::duration_cast<seconds>(*value);
  };
  parse(key, kDurationText, parser, out);
}

void Section::size(std::string_view key, std::uint64_t& out, std::uint64_t least) {
  const auto parser = [&](std::string_view text) -> Parsed<std::uint64_t> {
    auto value = parse_size(text);
    if (value && *value < least) return expected("a size of at least " + size_text(least), text);
    return value;
  };
  parse(key, kSizeText, parser, out);
}

void Section::percent(std::string_view key, double& out, double most) {
  parse(
      key, kPercentText, [&](std::string_view text) { return parse_percent(text, most); }, out);
}

void Section::text(std::string_view key, std::string& out, TextRule rule) {
  const Node* value = find(key);
  if (value == nullptr) return;
  if (auto read = reader_.text(*value, path(key), rule)) out = *std::move(read);
}

void Section::required_text(std::string_view key, std::string& out, TextRule rule) {
  const Node* value = require(key);
  if (value == nullptr) return;
  auto read = reader_.text(*value, path(key), rule);
  if (!read) return;
  if (read->empty()) reader_.error(*value, path(key) + ": expected a text, got an empty one");
  out = *std::move(read);
}

void Section::texts(std::string_view key, std::vector<std::string>& out, TextRule rule) {
  const Node* value = find(key);
  if (value == nullptr) return;
  out.clear();
  std::size_t index = 0;
  for (const Node* item : reader_.elements(*value, path(key), "a list of texts")) {
    const std::string at = element(path(key), index++);
    auto read = reader_.text(*item, at, rule);
    if (!read) continue;
    if (read->empty()) reader_.error(*item, at + ": expected a text, got an empty one");
    out.push_back(*std::move(read));
  }
}

const std::vector<Node::Entry>& Section::entries(std::string_view key, std::string_view what) {
  const Node* value = find(key);
  if (value == nullptr || value->kind == Node::Kind::kNull) return kNoEntries;
  if (value->kind != Node::Kind::kMap) {
    reader_.mismatch(*value, path(key), what);
    return kNoEntries;
  }
  return value->entries;
}

void Section::pairs(std::string_view key, std::vector<std::pair<std::string, std::string>>& out, TextRule rule,
                    bool fields) {
  if (!has(key)) {
    find(key);
    return;
  }
  out.clear();
  for (const Node::Entry& entry : entries(key, "a mapping of names to texts")) {
    const std::string at = join(path(key), entry.key);
    const auto name = fields ? parse_token(entry.key) : Parsed<std::string>(entry.key);
    if (!name) {
      reader_.out().errors.push_back(
          {{reader_.file(), entry.line, entry.column}, path(key) + ": " + name.error().message});
    }
    auto value = reader_.text(*entry.value, at, rule);
    if (value && name) out.emplace_back(entry.key, *std::move(value));
  }
}

std::optional<std::ptrdiff_t> Section::choose(const Node& value, const std::string& path,
                                              const std::vector<std::string_view>& names) {
  const std::string what = names.size() == 1 ? std::string(names[0]) : "one of " + joined(names, " or ");
  const auto text = reader_.scalar(value, path, what);
  if (!text) return std::nullopt;
  const auto found = std::find(names.begin(), names.end(), *text);
  if (found != names.end()) return found - names.begin();
  reader_.error(value, path + ": " + expected(what, *text).message + suggestion(*text, names));
  return std::nullopt;
}

void Section::finish() {
  std::vector<std::string_view> names;
  for (const Key& key : schema_.keys) {
    names.push_back(key.name);
    if (std::find(asked_.begin(), asked_.end(), key.name) == asked_.end()) {
      throw std::logic_error("a key that nobody reads: " + path(key.name));
    }
  }
  for (const Node::Entry& entry : node_.entries) {
    if (std::find(names.begin(), names.end(), entry.key) != names.end()) continue;
    const bool included = &schema_ == &schema::kIncluded;
    const std::string where = included ? " in an included file" : path_.empty() ? "" : " in " + path_;
    reader_.out().errors.push_back({{reader_.file(), entry.line, entry.column},
                                    "unknown key '" + entry.key + "'" + where + ", expected one of " +
                                        joined(names, " or ") + suggestion(entry.key, names)});
  }
}

}  // namespace headgate::config
