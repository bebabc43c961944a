// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/rollout_picture.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "proxy/cli/status_table.h"

namespace headgate::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kBar = 40;

const json& member(const json& object, const char* key) {
  static const json nothing;
  if (!object.is_object()) return nothing;
  const auto found = object.find(key);
  return found != object.end() ? *found : nothing;
}

std::string text_at(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_string() ? printable(value.get<std::string>()) : std::string();
}

double number_at(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_number() ? value.get<double>() : 0;
}

std::uint64_t count_at(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

/// With a comma for each thousand.
std::string count(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string errors_of(const json& pool) {
  const auto requests = count_at(pool, "requests");
  const auto errors = count_at(pool, "errors");
  if (requests == 0) return count(errors);
  return fmt::format("{} ({:.3g} %)", count(errors), 100 * static_cast<double>(errors) / static_cast<double>(requests));
}

std::string p99_of(const json& pool) {
  const json& value = member(pool, "p99_ms");
  return value.is_number() ? fmt::format("{:.3g} ms", value.get<double>()) : std::string("-");
}

std::string in_words(std::string state) {
  std::replace(state.begin(), state.end(), '_', ' ');
  return state;
}

const char* colour_of(std::string_view state) {
  if (state == "promoted" || state == "running") return "\033[32m";
  return state == "rolled_back" ? "\033[31m" : "\033[33m";
}

/// "1 %   [5 %]   25 %": the one it is in between brackets.
std::string steps_of(const json& rollout) {
  std::string text;
  const auto now = count_at(rollout, "step");
  std::uint64_t number = 0;
  for (const json& step : member(rollout, "steps")) {
    const std::string percent = step.is_number() ? fmt::format("{:g} %", step.get<double>()) : "?";
    text += ++number == now ? "[" + percent + "]  " : " " + percent + "   ";
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string bar_of(const json& rollout) {
  const double share = std::clamp(number_at(rollout, "percent") / 100, 0.0, 1.0);
  const auto full = static_cast<std::size_t>(share * static_cast<double>(kBar) + 0.5);
  return "[" + std::string(full, '#') + std::string(kBar - full, '.') + "]";
}

std::string needs_of(const json& rollout) {
  const json& more = member(rollout, "more_requests");
  if (!more.is_number_unsigned()) return "cannot be said yet";
  if (more.get<std::uint64_t>() == 0) return "no more requests";
  std::string text = "about " + count(more.get<std::uint64_t>()) + " more requests";
  const json& time = member(rollout, "more_time_s");
  if (time.is_number()) text += ", " + short_duration(time.get<double>()) + " at the present rate";
  return text;
}

}  // namespace

std::vector<std::string> rollout_picture(const json& rollout, bool colours) {
  const json& step = member(rollout, "in_this_step");
  const json& fresh = member(step, "new");
  const json& old = member(step, "old");
  const std::string pool = text_at(rollout, "pool");
  const std::string against = text_at(rollout, "against");
  const std::string state = text_at(rollout, "state");
  const std::string shown = colours ? colour_of(state) + in_words(state) + "\033[0m" : in_words(state);
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{}: rollout of {} against {}: {}", text_at(rollout, "upstream"), pool, against, shown));
  const bool over = member(rollout, "over") == true;
  const auto row = [&](std::string_view name, const std::string& left, const std::string& right) {
    std::string line = fmt::format("  {:<10} {:<20} {}", name, left, right);
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(std::move(line));
  };
  lines.push_back(fmt::format("  {:<10} {}", "steps", steps_of(rollout)));
  lines.push_back(fmt::format("  {:<10} {} {:g} %", "share", bar_of(rollout), number_at(rollout, "percent")));
  lines.push_back(fmt::format("  {:<10} {} of {} at least", "step time",
                              short_duration(number_at(rollout, "in_step_s")),
                              short_duration(number_at(rollout, "step_time_s"))));
  row(text_at(step, "route").empty() ? "" : "on " + text_at(step, "route"), pool, against);
  row("requests", count(count_at(fresh, "requests")), count(count_at(old, "requests")));
  row("errors", errors_of(fresh), errors_of(old));
  row("p99", p99_of(fresh), p99_of(old));
  if (!over) {
    row("suspicion", fmt::format("{:.3g} (1 rolls back)", number_at(rollout, "certainty")), "");
    row("needs", needs_of(rollout), "");
  }
  row("clients", rollout_damage(rollout), "");
  lines.push_back("  " + text_at(rollout, "sentence"));
  return lines;
}

std::string rollout_line(const json& rollout) {
  if (member(rollout, "over") == true)
    return fmt::format("{}: {}", text_at(rollout, "upstream"), text_at(rollout, "sentence"));
  std::string line =
      fmt::format("{}: {} {} at {:g} %, step {} of {}", text_at(rollout, "upstream"), text_at(rollout, "pool"),
                  in_words(text_at(rollout, "state")), number_at(rollout, "percent"), count_at(rollout, "step"),
                  member(rollout, "steps").size());
  if (const auto why = text_at(rollout, "sentence"); !why.empty()) line += ": " + why;
  return line;
}

std::string rollout_damage(const json& rollout) {
  const json& since = member(rollout, "since_start");
  const auto failed = count_at(since, "failed_for_clients");
  const auto shielded = count_at(since, "shielded");
  return fmt::format("{} request{} failed for clients, {} shielded", count(failed), failed == 1 ? "" : "s",
                     count(shielded));
}

}  // namespace headgate::cli
