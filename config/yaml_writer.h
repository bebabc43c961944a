// SPDX-License-Identifier: Apache-2.0
// Writes the effective configuration: block mappings, lists of scalars on one line, texts quoted where they need it.
// Internal to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <yaml-cpp/emitter.h>

#include "config/model.h"

namespace headgate::config {

class YamlWriter {
 public:
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  YamlWriter() { begin_map(); }
  std::string take() {
    end_map();
    return std::string(out_.c_str()) + "\n";
  }

  /// `empty`: nothing will follow, so that "{}" stands on the key's line; likewise "[]".
  void begin_map(std::string_view name, bool empty = false) {
    key(name);
    if (empty) out_ << YAML::Flow;
    begin_map();
  }
  void begin_map() { out_ << YAML::BeginMap; }
  void end_map() { out_ << YAML::EndMap; }
  void begin_list(std::string_view name, bool empty = false) {
    key(name);
    if (empty) out_ << YAML::Flow;
    out_ << YAML::BeginSeq;
  }
  void end_list() { out_ << YAML::EndSeq; }

  /// A word or number of ours, which needs no quotes.
  void word(std::string_view name, std::string_view value) {
    key(name);
    plain(value);
  }
  void number(std::string_view name, std::uint64_t value) { word(name, std::to_string(value)); }
  void flag(std::string_view name, bool value) { word(name, value ? "true" : "false"); }
  void duration(std::string_view name, milliseconds value);
  void size(std::string_view name, std::uint64_t bytes);
  void percent(std::string_view name, double share);

  /// A text of the user's; "${" in it is escaped, but not in a template, which was never filled in twice.
  void text(std::string_view name, std::string_view value);
  void template_text(std::string_view name, std::string_view value);
  void texts(std::string_view name, const std::vector<std::string>& values, bool templates = false);
  void pairs(std::string_view name, const Pairs& values, bool templates);
  void weights(std::string_view name, const std::vector<std::pair<std::string, double>>& values);
  void networks(std::string_view name, const std::vector<Cidr>& values);
  void header_changes(std::string_view name, const HeaderChanges& changes);

 private:
  void key(std::string_view name);
  void plain(std::string_view value) { out_ << std::string(value); }
  void value(const std::string& text);

  YAML::Emitter out_;
};

}  // namespace headgate::config
