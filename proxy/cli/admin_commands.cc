// SPDX-License-Identifier: Apache-2.0
// The commands that ask a running instance one thing: reload and status.
#include <cstdlib>
#include <iostream>
#include <optional>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "proxy/cli/admin_target.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/options.h"
#include "proxy/cli/status_table.h"

namespace headgate::cli {
namespace {

using nlohmann::json;

// A reload reads certificates and builds everything anew before it answers.
constexpr std::chrono::milliseconds kReloadTimeout{60'000};
constexpr std::chrono::milliseconds kStatusTimeout{10'000};

/// https://no-color.org: set to anything but nothing.
bool wants_colours() {
  const char* const refused = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) == 1 && (refused == nullptr || *refused == '\0');
}

}  // namespace

int reload(const Options& options) {
  const auto target = find_target(options);
  if (!target) return kFailed;
  const auto reply = call_admin(target->address, {"POST", "/v1/reload", target->token, kReloadTimeout});
  if (!reply) {
    complain(*target, reply.error());
    return kFailed;
  }
  if (reply->status != 200) {
    complain(*target, *reply);
    std::cerr << "not applied: the old configuration goes on\n";
    return kFailed;
  }
  const json answer = json::parse(reply->body, nullptr, false);
  if (answer.is_object() && answer.contains("warnings") && answer["warnings"].is_array()) {
    for (const auto& warning : answer["warnings"]) {
      if (warning.is_string()) std::cerr << "warning: " << warning.get<std::string>() << '\n';
    }
  }
  std::cout << "applied";
  if (answer.is_object() && answer.contains("generation")) std::cout << ": generation " << answer["generation"];
  std::cout << '\n';
  return kDone;
}

int status(const Options& options) {
  const auto target = find_target(options);
  if (!target) return kFailed;
  const auto body = call(*target, "GET", "/v1/status", kStatusTimeout);
  if (!body) return kFailed;
  const json answer = json::parse(*body, nullptr, false);
  if (!answer.is_object()) {
    std::cerr << "headgate: the admin API's answer is not JSON\n";
    return kFailed;
  }
  if (options.json) {
    std::cout << answer.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  } else {
    std::cout << status_table(answer, wants_colours());
  }
  return kDone;
}

}  // namespace headgate::cli
