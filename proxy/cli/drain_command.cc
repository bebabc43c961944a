// SPDX-License-Identifier: Apache-2.0
// The commands drain and undrain.
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
struct Server {
  Remaining remaining;
  bool drained = false;
};

std::string server_path(const Options& options) {
  return "/v1/upstreams/" + path_segment(options.upstream) + "/servers/" + path_segment(options.server);
}

/// Nothing after the complaint was printed.
std::optional<Server> read_server(const Options& options, const std::string& body) {
  const json answer = json::parse(body, nullptr, false);
  const auto number = [&](const char* key) -> std::optional<std::uint64_t> {
    const auto found = answer.is_object() ? answer.find(key) : answer.end();
    if (!answer.is_object() || found == answer.end() || !found->is_number_unsigned()) return std::nullopt;
    return found->get<std::uint64_t>();
  };
  const auto in_flight = number("in_flight");
  const auto tunnels = number("tunnels");
  if (!in_flight || !tunnels) {
    std::cerr << fmt::format("headgate: the instance does not count what is under way at {}\n", options.server);
    return std::nullopt;
  }
  if (answer.contains("saved") && answer["saved"] == false) {
    std::cerr << "warning: it could not be saved in state_dir: a restart will forget it (see the log)\n";
  }
  return Server{{*in_flight, *tunnels}, answer.contains("drained") && answer["drained"] == true};
}

/// What is under way there now. Nothing: it is not drained any more, or the instance does not answer.
std::optional<Remaining> look_again(const Options& options, const AdminTarget& target) {
  const auto body = call(target, "GET", server_path(options), kCallTimeout);
  const auto server = body ? read_server(options, *body) : std::nullopt;
  if (!server) return std::nullopt;
  if (server->drained) return server->remaining;
  std::cerr << fmt::format("{}: somebody has undrained it meanwhile\n", options.server);
  return std::nullopt;
}

std::optional<Remaining> act(const Options& options, const AdminTarget& target, const std::string& action) {
  const auto body = call(target, "POST", server_path(options) + action, kCallTimeout);
  const auto server = body ? read_server(options, *body) : std::nullopt;
  return server ? std::optional(server->remaining) : std::nullopt;
}

}  // namespace

int drain(const Options& options) {
  const auto timeout = config::parse_duration(options.wait_timeout);
  if (!timeout) {
    std::cerr << "headgate: --timeout: " << timeout.error().message << '\n';
    return kWrongUsage;
  }
  const auto target = find_target(options);
  if (!target) return kFailed;
  const TimePoint deadline = Clock::now() + *timeout;
  auto remaining = act(options, *target, options.force ? "/drain?force=true" : "/drain");
  if (remaining && options.wait) {
    remaining = wait_until_drained({options.server, "it stays drained", deadline, options.wait_timeout}, *remaining,
                                   [&] { return look_again(options, *target); });
  }
  if (!remaining) return kFailed;
  std::cout << fmt::format("{} drained: {}\n", options.server, text_of(*remaining));
  return kDone;
}

int undrain(const Options& options) {
  const auto target = find_target(options);
  if (!target || !act(options, *target, "/undrain")) return kFailed;
  std::cout << fmt::format("{} takes requests again\n", options.server);
  return kDone;
}

}  // namespace headgate::cli
