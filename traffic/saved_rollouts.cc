// SPDX-License-Identifier: Apache-2.0
#include "traffic/saved_rollouts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

namespace headgate::traffic {
namespace {

using nlohmann::json;
using routing::RolloutReason;
using routing::RolloutRecord;
using routing::RolloutState;

/// Ten years: what was written by us is less, and what follows from it does not overflow.
constexpr std::int64_t kLongest = std::int64_t{10} * 365 * 24 * 3600 * 1000;

std::optional<std::string> text_at(const json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

template <class Number>
bool read_number(const json& object, const char* key, Number& number) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return false;
  const auto value = found->get<std::uint64_t>();
  if (value > static_cast<std::uint64_t>(std::numeric_limits<Number>::max())) return false;
  number = static_cast<Number>(value);
  return true;
}

bool read_time(const json& object, const char* key, std::chrono::milliseconds& time) {
  std::int64_t number = 0;
  if (!read_number(object, key, number) || number > kLongest) return false;
  time = std::chrono::milliseconds(number);
  return true;
}

json record_json(const RolloutRecord& record) {
  return {{"state", routing::name_of(record.state)},
          {"reason", routing::name_of(record.reason)},
          {"step", record.step},
          {"in_step_ms", static_cast<std::uint64_t>(record.in_step.count())},
          {"in_rollout_ms", static_cast<std::uint64_t>(record.in_rollout.count())},
          {"late_stakes", record.late_stakes},
          {"restores", record.restores}};
}

std::optional<RolloutRecord> read_record(const json& object) {
  if (!object.is_object()) return std::nullopt;
  RolloutRecord record;
  const auto state = value_named(text_at(object, "state"), RolloutState::kRolledBack);
  const auto reason = value_named(text_at(object, "reason"), RolloutReason::kReconfigured);
  const bool read =
      state && reason && read_number(object, "step", record.step) && read_time(object, "in_step_ms", record.in_step) &&
      read_time(object, "in_rollout_ms", record.in_rollout) && read_number(object, "late_stakes", record.late_stakes) &&
      read_number(object, "restores", record.restores);
  if (!read) return std::nullopt;
  record.state = *state;
  record.reason = *reason;
  return record;
}

constexpr std::array<std::pair<const char*, std::uint64_t Rollouts::Totals::*>, 6> kTotals = {
    {{"new_requests", &Rollouts::Totals::new_requests},
     {"new_errors", &Rollouts::Totals::new_errors},
     {"old_requests", &Rollouts::Totals::old_requests},
     {"old_errors", &Rollouts::Totals::old_errors},
     {"failed", &Rollouts::Totals::failed},
     {"shielded", &Rollouts::Totals::shielded}}};

}  // namespace

json weights_json(const Weights& weights) {
  json pools = json::array();
  for (const auto& [pool, weight] : weights) pools.push_back({{"pool", pool}, {"weight", weight}});
  return pools;
}

std::optional<Weights> read_weights(const json& pools) {
  if (!pools.is_array()) return std::nullopt;
  Weights weights;
  for (const auto& one : pools) {
    auto pool = text_at(one, "pool");
    const json weight = one.is_object() ? one.value("weight", json()) : json();
    if (!pool || !weight.is_number() || weight.get<double>() < 0) return std::nullopt;
    weights.emplace_back(*std::move(pool), weight.get<double>());
  }
  return weights;
}

json saved_rollouts_json(const std::vector<Rollouts::Saved>& saved) {
  json listed = json::array();
  for (const auto& one : saved) {
    json told = {{"upstream", one.upstream},
                 {"pool", one.pool},
                 {"others", weights_json(one.others)},
                 {"record", record_json(one.record)},
                 {"started_at", static_cast<std::uint64_t>(std::max<std::int64_t>(one.started_at, 0))}};
    for (const auto& [name, member] : kTotals) told[name] = one.totals.*member;
    listed.push_back(std::move(told));
  }
  return listed;
}

std::optional<std::vector<Rollouts::Saved>> read_saved_rollouts(const json& listed) {
  if (!listed.is_array()) return std::nullopt;
  std::vector<Rollouts::Saved> all;
  for (const auto& object : listed) {
    auto upstream = text_at(object, "upstream");
    auto pool = text_at(object, "pool");
    if (!upstream || !pool) return std::nullopt;
    const auto others = read_weights(object.value("others", json()));
    const auto record = read_record(object.value("record", json()));
    if (!others || !record) return std::nullopt;
    Rollouts::Saved saved{*std::move(upstream), *std::move(pool), *others, *record, {}, 0};
    bool read = read_number(object, "started_at", saved.started_at) && saved.started_at < kLongest;
    for (const auto& [name, member] : kTotals) read = read && read_number(object, name, saved.totals.*member);
    if (!read) return std::nullopt;
    all.push_back(std::move(saved));
  }
  return all;
}

}  // namespace headgate::traffic
