// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/event_lines.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "proxy/cli/status_table.h"

namespace headgate::cli {
namespace {

using nlohmann::json;

/// In this order, whatever else there is after them: they say what it is about.
constexpr std::string_view kFirst[] = {"site", "upstream", "pool", "server"};

std::string value_of(const json& value) {
  const std::string text = printable(value.is_string() ? value.get<std::string>() : value.dump());
  const bool plain = !text.empty() && text.find_first_of(" \"=") == std::string::npos;
  return plain ? text : '"' + text + '"';
}

}  // namespace

std::string EventLines::read(std::string_view piece) {
  constexpr std::string_view kData = "data: ";
  std::string out;
  for (const char c : piece) {
    if (c != '\n') {
      dropping_ = dropping_ || line_.size() >= kLongestLine;
      if (!dropping_) line_ += c;
      continue;
    }
    // Each event of headgate has one line of data.
    if (!dropping_ && line_.starts_with(kData)) out += line_of(std::string_view(line_).substr(kData.size()));
    line_.clear();
    dropping_ = false;
  }
  return out;
}

std::string EventLines::line_of(std::string_view data) const {
  if (json_) return printable(data) + '\n';
  const json event = json::parse(data, nullptr, false);
  if (!event.is_object()) return printable(data) + '\n';
  const auto text = [&](const char* key) {
    const auto found = event.find(key);
    return found != event.end() && found->is_string() ? printable(found->get<std::string>()) : std::string("-");
  };
  std::string line = text("time") + ' ' + text("type");
  const auto add = [&](std::string_view name, const json& value) {
    line += ' ' + printable(name) + '=' + value_of(value);
  };
  for (const auto name : kFirst) {
    if (const auto found = event.find(name); found != event.end()) add(name, *found);
  }
  for (const auto& [name, value] : event.items()) {
    const bool told =
        name == "time" || name == "type" || std::find(std::begin(kFirst), std::end(kFirst), name) != std::end(kFirst);
    if (!told) add(name, value);
  }
  return line + '\n';
}

}  // namespace headgate::cli
