// SPDX-License-Identifier: Apache-2.0
// The command maintenance.
#include <iostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/units.h"
#include "proxy/cli/admin_target.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/options.h"

namespace headgate::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kCallTimeout{10'000};

/// What is asked for; null after the complaint was printed.
json asked_by(const Options& options) {
  json asked = json::object();
  if (!options.retry_after.empty()) {
    if (const auto duration = config::parse_duration(options.retry_after); !duration) {
      std::cerr << "headgate: --retry-after: " << duration.error().message << '\n';
      return nullptr;
    }
    asked["retry_after"] = options.retry_after;
  }
  for (const auto& network : options.allow) {
    if (const auto parsed = config::parse_network(network); !parsed) {
      std::cerr << "headgate: --allow: " << parsed.error().message << '\n';
      return nullptr;
    }
    asked["allow"].push_back(network);
  }
  if (!options.message.empty()) asked["message"] = options.message;
  return asked;
}

/// "shop.example: in maintenance; clients are told to come back in 10m; 10.0.0.0/8 pass"
std::string text_of(const json& told) {
  std::string text = told.value("site", "?");
  if (told.value("maintenance", json()) != true) return text + ": open";
  text += ": in maintenance";
  if (const auto seconds = told.value("retry_after_s", std::int64_t{0}); seconds > 0) {
    text += "; clients are told to come back in " + config::to_text(std::chrono::seconds(seconds));
  }
  std::string allowed;
  for (const auto& network : told.value("allow", json::array())) {
    if (network.is_string()) allowed += (allowed.empty() ? "" : ", ") + network.get<std::string>();
  }
  if (!allowed.empty()) text += "; those of " + allowed + " pass";
  return text;
}

}  // namespace

int maintenance(const Options& options) {
  const bool closes = options.state == "on";
  if (!closes && (!options.retry_after.empty() || !options.allow.empty() || !options.message.empty())) {
    std::cerr << "headgate: maintenance off takes no options\n";
    return kWrongUsage;
  }
  const json asked = asked_by(options);
  if (asked.is_null()) return kWrongUsage;
  const auto target = find_target(options);
  if (!target) return kFailed;
  const auto answer =
      call(*target, closes ? "PUT" : "DELETE", "/v1/sites/" + path_segment(options.site) + "/maintenance", kCallTimeout,
           closes ? asked.dump() : std::string());
  if (!answer) return kFailed;
  const json told = json::parse(*answer, nullptr, false);
  if (!told.is_object()) {
    std::cerr << "headgate: what the instance answered is not a JSON object\n";
    return kFailed;
  }
  if (told.contains("saved") && told["saved"] == false) {
    std::cerr << "warning: it could not be saved in state_dir: a restart will forget it (see the log)\n";
  }
  std::cout << text_of(told) << '\n';
  return kDone;
}

}  // namespace headgate::cli
