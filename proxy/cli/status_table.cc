// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/status_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "proxy/cli/rollout_picture.h"

namespace headgate::cli {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 10> kColumns = {"SERVER",  "STATE",  "HEALTH", "FOR",       "IN FLIGHT",
                                                       "TUNNELS", "RECENT", "ERRORS", "EJECTIONS", "WEIGHT"};
constexpr std::size_t kState = 1;
constexpr std::string_view kWhy = "WHY";

/// The columns, and the reason, which stands last and has no width.
struct Row {
  std::array<std::string, kColumns.size()> cells;
  std::string why;
};

const json& member(const json& object, const char* key) {
  static const json nothing;
  if (!object.is_object()) return nothing;
  const auto found = object.find(key);
  return found != object.end() ? *found : nothing;
}

/// Empty for what is not there.
std::string text_at(const json& object, const char* key) {
  const json& value = member(object, key);
  if (value.is_null()) return {};
  return printable(value.is_string() ? value.get<std::string>() : value.dump());
}

bool is_true(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_boolean() && value.get<bool>();
}

std::string duration_at(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_number() ? short_duration(value.get<double>()) : std::string();
}

std::string percent(const json& share) {
  return share.is_number() ? fmt::format("{:.3g}%", share.get<double>() * 100) : std::string();
}

/// As many as a terminal shows: bytes of UTF-8 that begin a character.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string why_of(const json& server) {
  std::string why = text_at(server, "reason");
  const auto add = [&](const std::string& more) { why += (why.empty() ? "" : "; ") + more; };
  if (const auto soon = duration_at(server, "trial_in_s"); !soon.empty()) add("tried again in " + soon);
  if (is_true(server, "override")) add("override of the file");
  return why;
}

Row row_of(const json& server) {
  const json& recent = member(server, "recent");
  std::string name = text_at(server, "address");
  const std::string resolved = text_at(server, "resolved");
  if (!resolved.empty() && resolved != name) name += " (" + resolved + ")";
  std::string weight = text_at(server, "weight");
  if (is_true(server, "backup")) weight += " backup";
  Row row;
  row.cells = {name,
               text_at(server, "state"),
               text_at(server, "health"),
               duration_at(server, "for_s"),
               text_at(server, "in_flight"),
               text_at(server, "tunnels"),
               text_at(recent, "requests"),
               percent(member(recent, "error_share")),
               text_at(server, "ejections_total"),
               weight};
  row.why = why_of(server);
  return row;
}

const char* colour_of(std::string_view state) {
  if (state == "serving") return "\033[32m";
  return state == "ejected" || state == "unhealthy" ? "\033[31m" : "\033[33m";
}

std::string line_of(const Row& row, const std::array<std::size_t, kColumns.size()>& widths, bool colours) {
  std::string line = "   ";
  for (std::size_t i = 0; i < row.cells.size(); ++i) {
    const std::string& cell = row.cells[i];
    const std::string blanks(widths[i] - width_of(cell), ' ');
    const bool painted = colours && i == kState;
    line += ' ';
    line += painted ? colour_of(cell) + cell + "\033[0m" : cell;
    line += blanks + ' ';
  }
  line += ' ' + row.why;
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

/// ", weight 95 (override of the file)"; nothing where there is but one pool.
std::string weight_text(const json& group, const std::string& pool) {
  const auto weight = text_at(member(group, "split"), pool.c_str());
  if (weight.empty() || member(group, "split").size() <= 1) return {};
  return ", weight " + weight + (is_true(group, "split_override") ? " (override of the file)" : "");
}

/// "  pool blue: serving, weight 95, p50 1 ms, p99 5 ms"
std::string title_of(const json& upstream, const json& pool) {
  const std::string name = text_at(pool, "name");
  std::string title = fmt::format("  pool {}: {}", name, text_at(pool, "rotation"));
  title += weight_text(upstream, name);
  for (const char* const share : {"p50", "p99"}) {
    const auto latency = text_at(member(pool, "latency_ms"), share);
    if (!latency.empty()) title += fmt::format(", {} {} ms", share, latency);
  }
  return title + "\n";
}

std::string shared_line(const std::string& role) {
  if (role == "away") return "shared through Redis: away, this instance is on its own";
  return "shared through Redis: " + (role == "in_step" ? "in step" : role);
}

std::string upstream_table(const json& upstream, bool colours) {
  Row names;
  std::copy(kColumns.begin(), kColumns.end(), names.cells.begin());
  names.why = kWhy;
  std::array<std::size_t, kColumns.size()> widths{};
  const auto widen = [&](const Row& row) {
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], width_of(row.cells[i]));
  };
  widen(names);
  std::vector<std::pair<std::string, std::vector<Row>>> pools;
  for (const json& pool : member(upstream, "pools")) {
    auto& [title, rows] = pools.emplace_back();
    title = title_of(upstream, pool);
    for (const json& server : member(pool, "servers")) widen(rows.emplace_back(row_of(server)));
  }
  std::string text = "\nupstream " + text_at(upstream, "name") + '\n';
  if (const json& rollout = member(upstream, "rollout"); rollout.is_object()) {
    text += "  rollout " + rollout_line(rollout) + '\n';
  }
  if (const auto role = text_at(upstream, "shared"); !role.empty()) text += "  " + shared_line(role) + '\n';
  for (const auto& [title, rows] : pools) {
    text += title;
    if (&title == &pools.front().first) text += line_of(names, widths, false);
    for (const Row& row : rows) text += line_of(row, widths, colours);
  }
  return text;
}

std::string static_lines(const json& statics) {
  std::string text = fmt::format("\nstatic {} ({} {})\n", text_at(statics, "name"), text_at(statics, "site"),
                                 text_at(statics, "route"));
  for (const json& pool : member(statics, "pools")) {
    const std::string name = text_at(pool, "name");
    text +=
        fmt::format("  pool {}: {}{}{}, {} in flight, {} requests, {} files lent to other pools\n", name,
                    text_at(pool, "folder"), is_true(pool, "index") ? "" : " (no index)", weight_text(statics, name),
                    text_at(pool, "in_flight"), text_at(pool, "requests"), text_at(pool, "lent"));
  }
  return text;
}

}  // namespace

std::string status_table(const json& status, bool colours) {
  std::string text =
      fmt::format("headgate {}, generation {}, up {}{}\n", text_at(status, "version"), text_at(status, "generation"),
                  duration_at(status, "uptime_s"), is_true(status, "draining") ? ", stopping" : "");
  text += fmt::format("{} requests, {} in flight, {} connections\n", text_at(status, "requests"),
                      text_at(status, "in_flight"), text_at(status, "connections"));
  for (const json& listener : member(status, "listeners")) {
    text += fmt::format("listener {} ({})\n", text_at(listener, "address"), is_true(listener, "tls") ? "tls" : "plain");
  }
  for (const json& one : member(status, "overrides")) {
    if (!is_true(one, "maintenance") || !is_true(one, "in_effect")) continue;
    text += fmt::format("site {}: {}in maintenance{} for {} (override of the file)\n", text_at(one, "site"),
                        colours ? "\033[33m" : "", colours ? "\033[0m" : "", duration_at(one, "for_s"));
  }
  for (const json& upstream : member(status, "upstreams")) text += upstream_table(upstream, colours);
  for (const json& statics : member(status, "statics")) text += static_lines(statics);
  bool first = true;
  for (const json& one : member(status, "overrides")) {
    if (is_true(one, "in_effect")) continue;
    if (std::exchange(first, false)) {
      text += "\noverrides without effect: the configuration has no such server or site\n";
    }
    if (is_true(one, "maintenance")) {
      text += fmt::format("  site {}: in maintenance\n", text_at(one, "site"));
    } else {
      text += fmt::format("  upstream {}, server {}: drained\n", text_at(one, "upstream"), text_at(one, "server"));
    }
  }
  return text;
}

std::string short_duration(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::clamp(seconds, 0.0, 1e12));
  const auto two = [](std::uint64_t large, const char* unit, std::uint64_t small, const char* smaller) {
    return small == 0 ? fmt::format("{}{}", large, unit) : fmt::format("{}{}{}{}", large, unit, small, smaller);
  };
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return two(whole / 60, "m", whole % 60, "s");
  if (whole < 86400) return two(whole / 3600, "h", whole % 3600 / 60, "m");
  return two(whole / 86400, "d", whole % 86400 / 3600, "h");
}

std::string printable(std::string_view text) {
  std::string clean(text);
  std::replace_if(
      clean.begin(), clean.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return clean;
}

}  // namespace headgate::cli
