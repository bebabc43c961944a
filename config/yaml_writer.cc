// SPDX-License-Identifier: Apache-2.0
#include "config/yaml_writer.h"

#include <algorithm>

#include "config/environment.h"
#include "config/units.h"

namespace headgate::config {
namespace {

// What is certainly a plain scalar in any place; all else is quoted.
bool is_plain_text(const std::string& text) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/' || c == '$' || c == '_';
  };
  const auto fits = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '*'; };
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || c == '-'; };
  if (!text.empty() && text[0] != '-' && std::all_of(text.begin(), text.end(), digit)) return true;
  if (text.empty() || !letter(text[0]) || !std::all_of(text.begin(), text.end(), fits)) return false;
  return text != "null" && text != "true" && text != "false";
}

}  // namespace

void YamlWriter::key(std::string_view name) {
  const std::string text(name);
  out_ << YAML::Key;
  value(text);
  out_ << YAML::Value;
}

void YamlWriter::value(const std::string& text) {
  if (is_plain_text(text)) {
    out_ << text;
  } else {
    out_ << YAML::DoubleQuoted << text;
  }
}

void YamlWriter::duration(std::string_view name, milliseconds value) {
  word(name, to_text(value));
}
void YamlWriter::size(std::string_view name, std::uint64_t bytes) {
  word(name, size_text(bytes));
}
void YamlWriter::percent(std::string_view name, double share) {
  word(name, percent_text(share));
}

void YamlWriter::text(std::string_view name, std::string_view text) {
  key(name);
  value(escape_variables(text));
}

void YamlWriter::template_text(std::string_view name, std::string_view text) {
  key(name);
  value(std::string(text));
}

void YamlWriter::texts(std::string_view name, const std::vector<std::string>& values, bool templates) {
  key(name);
  out_ << YAML::Flow << YAML::BeginSeq;
  for (const std::string& text : values) value(templates ? text : escape_variables(text));
  out_ << YAML::EndSeq;
}

void YamlWriter::pairs(std::string_view name, const Pairs& values, bool templates) {
  key(name);
  if (values.empty()) out_ << YAML::Flow;
  begin_map();
  for (const auto& [each, text] : values) {
    key(each);
    value(templates ? text : escape_variables(text));
  }
  end_map();
}

void YamlWriter::weights(std::string_view name, const std::vector<std::pair<std::string, double>>& values) {
  key(name);
  out_ << YAML::Flow;
  begin_map();
  for (const auto& [each, weight] : values) word(each, number_text(weight));
  end_map();
}

void YamlWriter::networks(std::string_view name, const std::vector<Cidr>& values) {
  std::vector<std::string> list;
  for (const Cidr& network : values) list.push_back(network.to_string());
  texts(name, list);
}

void YamlWriter::header_changes(std::string_view name, const HeaderChanges& changes) {
  begin_map(name);
  pairs("set", changes.set, true);
  pairs("add", changes.add, true);
  texts("remove", changes.remove);
  end_map();
}

}  // namespace headgate::config
