// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/rollout_json.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "observe/access_line.h"

namespace headgate::proxy {
namespace {

using nlohmann::json;

json moment(std::chrono::system_clock::time_point at) {
  observe::LineTime time;
  time.set(at);
  return time.rfc3339();
}

json seconds(std::chrono::milliseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

/// Null where nothing was answered.
json milliseconds(std::chrono::microseconds time) {
  return time.count() == 0 ? json() : json(static_cast<double>(time.count()) / 1000);
}

template <class Number>
json or_null(const std::optional<Number>& number) {
  return number ? json(*number) : json();
}

json decision_json(const traffic::Rollouts::Told& told) {
  return {{"number", told.number},
          {"time", moment(told.at)},
          {"decision", routing::name_of(told.decision.kind)},
          {"reason", routing::name_of(told.decision.reason)},
          {"step", told.decision.step + 1},
          {"percent", told.decision.percent},
          {"sentence", told.sentence}};
}

}  // namespace

json rollout_json(const traffic::Rollouts::Status& status) {
  const auto& numbers = status.numbers;
  const auto& figures = numbers.figures;
  json decisions = json::array();
  if (status.told != nullptr) {
    for (const auto& told : *status.told) decisions.push_back(decision_json(told));
  }
  return {
      {"upstream", status.upstream},
      {"pool", status.pool},
      {"against", status.old_pools},
      {"id", status.id},
      {"started_at", moment(status.started_at)},
      {"state", routing::name_of(status.state)},
      {"over", status.over()},
      {"reason", routing::name_of(status.reason)},
      {"sentence", status.sentence},
      {"step", status.step + 1},
      {"steps", status.steps},
      {"percent", status.percent},
      {"in_step_s", seconds(status.in_step)},
      {"step_time_s", seconds(status.step_time)},
      {"in_this_step",
       {{"route", status.route.empty() ? json() : json(status.route)},
        {"new",
         {{"requests", figures.new_requests},
          {"errors", figures.new_errors},
          {"p99_ms", milliseconds(figures.new_p99)}}},
        {"old",
         {{"requests", figures.old_requests},
          {"errors", figures.old_errors},
          {"p99_ms", milliseconds(figures.old_p99)}}}}},
      {"certainty", numbers.certainty},
      {"tolerance_odds", numbers.tolerance_odds},
      {"connect_failures", numbers.connect_failures},
      {"more_requests", or_null(numbers.more_requests)},
      {"more_time_s", numbers.more_time ? json(numbers.more_time->count()) : json()},
      {"since_start",
       {{"new", {{"requests", status.totals.new_requests}, {"errors", status.totals.new_errors}}},
        {"old", {{"requests", status.totals.old_requests}, {"errors", status.totals.old_errors}}},
        {"failed_for_clients", status.totals.failed},
        {"shielded", status.totals.shielded}}},
      {"decisions", std::move(decisions)},
  };
}

}  // namespace headgate::proxy
