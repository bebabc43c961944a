// SPDX-License-Identifier: Apache-2.0
// What a rollout says of itself.
#include <array>
#include <cmath>
#include <cstdio>

#include "routing/rollout.h"

namespace headgate::routing {
namespace {

/// As short as it is exact enough: 5 %, 0.1 %, 12.5 %.
std::string percent(double share) {
  std::array<char, 32> text{};
  const double value = share * 100;
  std::snprintf(text.data(), text.size(), value >= 10 || value == 0 ? "%.3g %%" : "%.2g %%", value);
  return text.data();
}

/// With a comma for each thousand.
std::string count(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string share(std::uint64_t some, std::uint64_t all) {
  std::string text = count(some) + " of " + count(all) + " requests";
  if (all > 0) text += " (" + percent(static_cast<double>(some) / static_cast<double>(all)) + ")";
  return text;
}

std::string milliseconds(std::chrono::microseconds duration) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g ms", static_cast<double>(duration.count()) / 1000);
  return text.data();
}

std::string span_of_time(std::chrono::seconds time) {
  const auto seconds = time.count();
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string((seconds + 59) / 60) + " min";
  return count(static_cast<std::uint64_t>((seconds + 3599) / 3600)) + " h";
}

std::string on_route(const RolloutNumbers& numbers, std::string_view route) {
  return numbers.route_class ? " on " + std::string(route) : std::string();
}

std::string errors(const RolloutNumbers& numbers, std::string_view old_pool) {
  const PoolFigures& seen = numbers.figures;
  std::string text = share(seen.new_errors, seen.new_requests);
  if (seen.old_requests > 0) {
    text += " failed, " + std::string(old_pool) + "'s " + share(seen.old_errors, seen.old_requests);
  } else {
    text += " failed";
  }
  return text;
}

std::string needs(const RolloutNumbers& numbers) {
  if (!numbers.more_requests) return "how many more it takes cannot be said";
  std::string text = "about " + count(*numbers.more_requests) + " more requests";
  if (numbers.more_time) text += ", " + span_of_time(*numbers.more_time) + " at the present rate";
  return text;
}

}  // namespace

std::string_view name_of(RolloutState state) {
  switch (state) {
    case RolloutState::kRunning:
      return "running";
    case RolloutState::kPaused:
      return "paused";
    case RolloutState::kHolding:
      return "holding";
    case RolloutState::kPromoted:
      return "promoted";
    case RolloutState::kRolledBack:
      break;
  }
  return "rolled_back";
}

std::string_view name_of(RolloutReason reason) {
  constexpr std::array<std::string_view, 18> kNames = {
      "none",          "step_time",        "min_requests",      "errors_unclear", "latency_unclear", "suspicious",
      "no_advance",    "no_verdict",       "old_pool_down",     "all_steps",      "errors_worse",    "latency_worse",
      "error_ceiling", "connect_failures", "no_healthy_server", "stalled",        "operator",        "reconfigured"};
  return kNames[static_cast<std::size_t>(reason)];
}

std::string_view name_of(RolloutDecision::Kind kind) {
  constexpr std::array<std::string_view, 8> kNames = {"started", "advanced", "held",     "released",
                                                      "paused",  "resumed",  "promoted", "rolled_back"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string sentence(RolloutReason reason, const RolloutNumbers& numbers, std::string_view new_pool,
                     std::string_view old_pool, std::string_view route) {
  const std::string fresh(new_pool);
  const std::string old(old_pool);
  const PoolFigures& seen = numbers.figures;
  switch (reason) {
    case RolloutReason::kNone:
      return "";
    case RolloutReason::kStepTime:
      return "the step's time is not over";
    case RolloutReason::kMinRequests:
      return fresh + " has had " + count(seen.new_requests) + " requests; the step takes " + needs(numbers);
    case RolloutReason::kErrorsUnclear:
      return "not enough data on errors: " + needs(numbers);
    case RolloutReason::kLatencyUnclear:
      return "not enough data on latency: " + needs(numbers);
    case RolloutReason::kSuspicious:
      return fresh + " looks worse" + on_route(numbers, route) + ", which may be chance: " + errors(numbers, old) +
             "; p99 " + milliseconds(seen.new_p99) + " against " + milliseconds(seen.old_p99);
    case RolloutReason::kNoAdvance:
      return "the other instances cannot be seen: the weight is frozen";
    case RolloutReason::kNoVerdict:
      return "no verdict within max_step_time: " + errors(numbers, old) + "; " + needs(numbers);
    case RolloutReason::kOldPoolDown:
      return fresh + " ought to be rolled back, but " + old + " has no healthy server: " + errors(numbers, old);
    case RolloutReason::kAllSteps:
      return "all steps passed";
    case RolloutReason::kErrorsWorse:
      return "more errors than " + old + on_route(numbers, route) + ": " + errors(numbers, old);
    case RolloutReason::kLatencyWorse:
      return "slower than " + old + on_route(numbers, route) + ": p99 " + milliseconds(seen.new_p99) + " against " +
             milliseconds(seen.old_p99) + ", after " + count(seen.new_requests) + " requests";
    case RolloutReason::kErrorCeiling:
      return "errors above error_rate_ceiling: " + errors(numbers, old);
    case RolloutReason::kConnectFailures:
      return count(numbers.connect_failures) + " connections in a row failed";
    case RolloutReason::kNoHealthyServer:
      return fresh + " has no healthy server";
    case RolloutReason::kStalled:
      return fresh + " has stopped answering: " + count(seen.new_requests) + " requests ended in this step";
    case RolloutReason::kReconfigured:
      return "the configuration does not have the pool any more";
    case RolloutReason::kOperator:
      break;
  }
  return "by command";
}

std::string sentence(const RolloutDecision& decision, std::string_view new_pool, std::string_view old_pool,
                     std::string_view route) {
  using Kind = RolloutDecision::Kind;
  const std::string fresh(new_pool);
  const std::string why = sentence(decision.reason, decision.numbers, new_pool, old_pool, route);
  const std::string at = percent(decision.percent / 100);
  switch (decision.kind) {
    case Kind::kStarted:
      return "rollout of " + fresh + " started: " + at;
    case Kind::kAdvanced:
      return fresh + " advanced to " + at + ": " + errors(decision.numbers, old_pool);
    case Kind::kHeld:
      return fresh + " held at " + at + ": " + why;
    case Kind::kReleased:
      return fresh + " no longer held at " + at;
    case Kind::kPaused:
      return fresh + " paused at " + at + ", " + why;
    case Kind::kResumed:
      return fresh + " resumed at " + at + ", " + why;
    case Kind::kPromoted:
      return fresh + " promoted: " + why;
    case Kind::kRolledBack:
      break;
  }
  return fresh + " rolled back in step " + std::to_string(decision.step + 1) + ": " + why;
}

}  // namespace headgate::routing
