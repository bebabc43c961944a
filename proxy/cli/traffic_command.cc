// SPDX-License-Identifier: Apache-2.0
// The commands split, switch and rollback.
#include <charconv>
#include <iostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "config/units.h"
#include "proxy/cli/admin_target.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/drain_wait.h"
#include "proxy/cli/options.h"

namespace headgate::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kCallTimeout{10'000};

std::string path_of(const Options& options) {
  return "/v1/upstreams/" + path_segment(options.upstream);
}

/// In the pools that get no requests any more.
Remaining remaining_in(const json& traffic) {
  Remaining left;
  for (const auto& pool : traffic.value("pools", json::array())) {
    if (pool.value("weight", 1.0) > 0) continue;
    left.in_flight += pool.value("in_flight", std::uint64_t{0});
    left.tunnels += pool.value("tunnels", std::uint64_t{0});
  }
  return left;
}

std::string text_of(const json& traffic) {
  std::string text;
  for (const auto& pool : traffic.value("pools", json::array())) {
    text += fmt::format("{}{} {:.4g} %", text.empty() ? "" : ", ", pool.value("pool", "?"), pool.value("percent", 0.0));
  }
  return text;
}

std::optional<json> ask(const Options& options, const AdminTarget& target, const char* method,
                        const std::string& action, const json& body) {
  const auto answer =
      call(target, method, path_of(options) + action, kCallTimeout, body.is_null() ? std::string() : body.dump());
  if (!answer) return std::nullopt;
  json traffic = json::parse(*answer, nullptr, false);
  if (!traffic.is_object()) {
    std::cerr << "headgate: what the instance answered is not a JSON object\n";
    return std::nullopt;
  }
  if (traffic.contains("saved") && traffic["saved"] == false) {
    std::cerr << "warning: it could not be saved in state_dir: a restart will forget it (see the log)\n";
  }
  warn_of(traffic);
  return traffic;
}

/// Until the pools that were left have no request in flight.
bool wait_until_left(const Options& options, const AdminTarget& target, json& traffic, TimePoint deadline) {
  const DrainWait wait{options.upstream + ": the pools that get no requests any more", "the change stays", deadline,
                       options.wait_timeout};
  return wait_until_drained(wait, remaining_in(traffic),
                            [&]() -> std::optional<Remaining> {
                              auto next = ask(options, target, "GET", "", json());
                              if (!next) return std::nullopt;
                              traffic = *std::move(next);
                              return remaining_in(traffic);
                            })
      .has_value();
}

int change(const Options& options, const char* method, const char* action, const json& body) {
  const auto timeout = config::parse_duration(options.wait_timeout);
  if (!timeout) {
    std::cerr << "headgate: --timeout: " << timeout.error().message << '\n';
    return kWrongUsage;
  }
  const auto target = find_target(options);
  if (!target) return kFailed;
  const TimePoint deadline = Clock::now() + *timeout;
  auto traffic = ask(options, *target, method, action, body);
  if (!traffic) return kFailed;
  if (options.wait && !wait_until_left(options, *target, *traffic, deadline)) return kFailed;
  std::cout << fmt::format("{}: {}", options.upstream, text_of(*traffic));
  if (options.wait) std::cout << "; drained: " << text_of(remaining_in(*traffic));
  std::cout << '\n';
  return kDone;
}

}  // namespace

int split(const Options& options) {
  if (options.reset != options.weights.empty()) {
    std::cerr << "headgate: split: expected POOL=WEIGHT for one pool or more, or --reset\n";
    return kWrongUsage;
  }
  if (options.reset) return change(options, "PUT", "/split", {{"reset", true}, {"force", options.force}});
  json weights = json::object();
  for (const auto& text : options.weights) {
    const auto equals = text.find('=');
    double weight = -1;
    const char* const end = text.data() + text.size();
    const char* const begin = equals == std::string::npos ? end : text.data() + equals + 1;
    const char* const last = begin != end && end[-1] == '%' ? end - 1 : end;
    const auto [stop, error] = std::from_chars(begin, last, weight);
    if (equals == 0 || equals == std::string::npos || error != std::errc() || stop != last || weight < 0) {
      std::cerr << fmt::format("headgate: split: expected POOL=WEIGHT such as green=10, got '{}'\n", text);
      return kWrongUsage;
    }
    weights[text.substr(0, equals)] = weight;
  }
  return change(options, "PUT", "/split", {{"weights", weights}, {"force", options.force}});
}

int switch_pool(const Options& options) {
  return change(options, "POST", "/switch", {{"pool", options.pool}, {"force", options.force}});
}

int rollback(const Options& options) {
  return change(options, "POST", "/rollback", json::object());
}

}  // namespace headgate::cli
