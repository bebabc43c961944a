// SPDX-License-Identifier: Apache-2.0
// The commands drain and undrain.
#include <iostream>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/time.h"
#include "config/units.h"
#include "proxy/cli/admin_target.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/options.h"
#include "proxy/cli/progress.h"

namespace headgate::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kCallTimeout{10'000};
/// Between two looks: short at first, for most requests end within that.
constexpr std::chrono::milliseconds kFirstPause{20};
constexpr std::chrono::milliseconds kLongestPause{500};

struct Traffic {
  std::uint64_t in_flight = 0;
  std::uint64_t tunnels = 0;
  bool drained = false;
};

std::string server_path(const Options& options) {
  return "/v1/upstreams/" + path_segment(options.upstream) + "/servers/" + path_segment(options.server);
}

/// Nothing after the complaint was printed.
std::optional<Traffic> read_traffic(const Options& options, const std::string& body) {
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
  return Traffic{*in_flight, *tunnels, answer.contains("drained") && answer["drained"] == true};
}

std::string count(std::uint64_t number, const char* what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

std::string text_of(const Traffic& traffic) {
  std::string text = count(traffic.in_flight, "request") + " in flight";
  if (traffic.tunnels != 0) text += ", " + count(traffic.tunnels, "tunnel") + " open";
  return text;
}

/// Until no request is in flight there. Nothing: the time was over, or the instance does not answer any more.
std::optional<Traffic> wait_until_idle(const Options& options, const AdminTarget& target, Traffic traffic,
                                       TimePoint deadline) {
  Progress progress;
  auto pause = kFirstPause;
  while (traffic.in_flight != 0) {
    progress.show(fmt::format("{}: {}", options.server, text_of(traffic)));
    const TimePoint now = Clock::now();
    if (now >= deadline) {
      progress.show("");
      std::cerr << fmt::format("{}: still {} after {}; it stays drained\n", options.server, text_of(traffic),
                               options.wait_timeout);
      return std::nullopt;
    }
    std::this_thread::sleep_until(std::min<TimePoint>(now + pause, deadline));
    pause = std::min(pause * 2, kLongestPause);
    const auto body = call(target, "GET", server_path(options), kCallTimeout);
    const auto next = body ? read_traffic(options, *body) : std::nullopt;
    if (!next) return std::nullopt;
    traffic = *next;
    if (!traffic.drained) {
      progress.show("");
      std::cerr << fmt::format("{}: somebody has undrained it meanwhile\n", options.server);
      return std::nullopt;
    }
  }
  return traffic;
}

std::optional<Traffic> act(const Options& options, const AdminTarget& target, const std::string& action) {
  const auto body = call(target, "POST", server_path(options) + action, kCallTimeout);
  return body ? read_traffic(options, *body) : std::nullopt;
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
  auto traffic = act(options, *target, options.force ? "/drain?force=true" : "/drain");
  if (traffic && options.wait) traffic = wait_until_idle(options, *target, *traffic, deadline);
  if (!traffic) return kFailed;
  std::cout << fmt::format("{} drained: {}\n", options.server, text_of(*traffic));
  return kDone;
}

int undrain(const Options& options) {
  const auto target = find_target(options);
  if (!target || !act(options, *target, "/undrain")) return kFailed;
  std::cout << fmt::format("{} takes requests again\n", options.server);
  return kDone;
}

}  // namespace headgate::cli
