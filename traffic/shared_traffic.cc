// SPDX-License-Identifier: Apache-2.0
#include "traffic/shared_traffic.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "traffic/saved_rollouts.h"

namespace headgate::traffic {
namespace {

using nlohmann::json;
using routing::PoolFigures;
using routing::RolloutDecision;
using routing::RolloutReason;

constexpr std::size_t kLongestText = 256 * 1024;
constexpr std::size_t kLongestScores = 512 * 1024;
constexpr std::size_t kLongestSentence = 1000;
constexpr std::size_t kLongestName = 256;
constexpr double kLargestWeight = 1e9;
/// More than any instance counts, and few enough to add up those of a fleet.
constexpr std::uint64_t kMostCounted = 1'000'000'000'000'000;
constexpr std::uint64_t kLatest = 1'000'000'000'000'000;  // milliseconds since 1970: 30,000 years

std::optional<std::uint64_t> number_at(const json& object, const char* key, std::uint64_t most) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  const auto number = found->get<std::uint64_t>();
  return number <= most ? std::optional(number) : std::nullopt;
}

std::optional<std::string> text_at(const json& object, const char* key, std::size_t longest) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  auto text = found->get<std::string>();
  return text.size() <= longest ? std::optional(std::move(text)) : std::nullopt;
}

std::optional<Weights> read_bounded_weights(const json& listed) {
  auto weights = read_weights(listed);
  if (!weights || weights->size() > routing::Split::kMostPools) return std::nullopt;
  const bool good = std::all_of(weights->begin(), weights->end(), [](const auto& pool) {
    return pool.first.size() <= kLongestName && std::isfinite(pool.second) && pool.second <= kLargestWeight;
  });
  return good ? std::move(weights) : std::nullopt;
}

// --- decisions ------------------------------------------------------------------------------------------------------

constexpr std::array<std::pair<const char*, std::uint64_t PoolFigures::*>, 4> kFigures = {
    {{"requests", &PoolFigures::new_requests},
     {"errors", &PoolFigures::new_errors},
     {"old_requests", &PoolFigures::old_requests},
     {"old_errors", &PoolFigures::old_errors}}};
constexpr std::array<std::pair<const char*, std::chrono::microseconds PoolFigures::*>, 2> kTimes = {
    {{"p99_us", &PoolFigures::new_p99}, {"old_p99_us", &PoolFigures::old_p99}}};

json told_json(const Rollouts::Told& told) {
  const auto& decision = told.decision;
  const auto at = std::chrono::duration_cast<std::chrono::milliseconds>(told.at.time_since_epoch()).count();
  json object = {{"number", told.number},
                 {"at", static_cast<std::uint64_t>(std::max<std::int64_t>(at, 0))},
                 {"decision", routing::name_of(decision.kind)},
                 {"reason", routing::name_of(decision.reason)},
                 {"step", decision.step},
                 {"percent", decision.percent},
                 {"sentence", told.sentence.substr(0, kLongestSentence)}};
  const auto& figures = decision.numbers.figures;
  for (const auto& [name, member] : kFigures) object[name] = figures.*member;
  for (const auto& [name, member] : kTimes) object[name] = static_cast<std::uint64_t>((figures.*member).count());
  return object;
}

std::optional<Rollouts::Told> read_told(const json& object) {
  const auto number = number_at(object, "number", kMostCounted);
  const auto at = number_at(object, "at", kLatest);
  const auto kind = value_named(text_at(object, "decision", kLongestName), RolloutDecision::Kind::kRolledBack);
  const auto reason = value_named(text_at(object, "reason", kLongestName), RolloutReason::kReconfigured);
  const auto step = number_at(object, "step", 1000);
  auto sentence = text_at(object, "sentence", kLongestSentence);
  if (!number || !at || !kind || !reason || !step || !sentence) return std::nullopt;
  const json percent = object.value("percent", json());
  if (!percent.is_number() || !(percent.get<double>() >= 0 && percent.get<double>() <= 100)) return std::nullopt;
  Rollouts::Told told;
  told.number = *number;
  told.at = std::chrono::system_clock::time_point(std::chrono::milliseconds(static_cast<std::int64_t>(*at)));
  told.decision = {*kind, *reason, static_cast<std::size_t>(*step), percent.get<double>(), {}};
  told.sentence = *std::move(sentence);
  auto& figures = told.decision.numbers.figures;
  for (const auto& [name, member] : kFigures) figures.*member = number_at(object, name, kMostCounted).value_or(0);
  for (const auto& [name, member] : kTimes) {
    figures.*member =
        std::chrono::microseconds(static_cast<std::int64_t>(number_at(object, name, kMostCounted).value_or(0)));
  }
  return told;
}

std::optional<Rollouts::Shared> read_rollout(const std::string& upstream, const json& object) {
  const auto id = number_at(object, "id", UINT64_MAX);
  const json told = id ? object.value("told", json()) : json();
  const auto saved = id ? read_saved_rollouts(object.value("saved", json())) : std::nullopt;
  if (!saved || saved->size() != 1 || saved->front().upstream != upstream || !told.is_array() ||
      told.size() > Rollouts::kToldShared || !read_bounded_weights(weights_json(saved->front().others))) {
    return std::nullopt;
  }
  Rollouts::Shared shared{saved->front(), *id, {}};
  for (const auto& one : told) {
    auto read = read_told(one);
    const bool ascending = shared.told.empty() || (read && read->number > shared.told.back().number);
    if (!read || !ascending) return std::nullopt;
    shared.told.push_back(*std::move(read));
  }
  return shared;
}

json traffic_json(const SharedTraffic& state) {
  json document = {{"before", weights_json(state.traffic.before)}, {"release", state.traffic.release}};
  if (state.traffic.set) document["split"] = weights_json(*state.traffic.set);
  return document;
}

std::string text_of(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

// --- scores ---------------------------------------------------------------------------------------------------------

/// Pairs of a bucket and what is in it.
json card_json(const observe::Scorecard& card) {
  json classes = json::array();
  for (const auto& one : card.classes) {
    json latencies = json::array();
    for (std::size_t i = 0; i < one.latencies.size(); ++i) {
      if (one.latencies[i] == 0) continue;
      latencies.push_back(i);
      latencies.push_back(one.latencies[i]);
    }
    classes.push_back({{"outcomes", one.outcomes}, {"latencies", std::move(latencies)}});
  }
  return {{"started", card.started}, {"classes", std::move(classes)}};
}

bool read_count(const json& number, std::uint64_t& into) {
  if (!number.is_number_unsigned()) return false;
  into = number.get<std::uint64_t>();
  return into <= kMostCounted;
}

bool read_class(const json& object, observe::ClassScore& score) {
  const json outcomes = object.is_object() ? object.value("outcomes", json()) : json();
  const json latencies = object.is_object() ? object.value("latencies", json()) : json();
  if (!outcomes.is_array() || outcomes.size() != score.outcomes.size() || !latencies.is_array() ||
      latencies.size() % 2 != 0) {
    return false;
  }
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (!read_count(outcomes[i], score.outcomes[i])) return false;
  }
  for (std::size_t i = 0; i < latencies.size(); i += 2) {
    std::uint64_t bucket = 0;
    if (!read_count(latencies[i], bucket) || bucket >= score.latencies.size()) return false;
    if (!read_count(latencies[i + 1], score.latencies[bucket])) return false;
  }
  return true;
}

bool read_card(const json& object, observe::Scorecard& card) {
  const auto started = number_at(object, "started", kMostCounted);
  const json classes = started ? object.value("classes", json()) : json();
  if (!classes.is_array() || classes.size() > observe::kMostRouteClasses) return false;
  card = observe::Scorecard(classes.size());
  card.started = *started;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (!read_class(classes[i], card.classes[i])) return false;
  }
  return true;
}

}  // namespace

std::string shared_traffic_text(const SharedTraffic& state) {
  json document = traffic_json(state);
  document["writer"] = state.writer;
  document["written_at"] = static_cast<std::uint64_t>(std::max<std::int64_t>(state.written_at, 0));
  if (state.rollout) {
    json told = json::array();
    for (const auto& one : state.rollout->told) told.push_back(told_json(one));
    document["rollout"] = {
        {"id", state.rollout->id}, {"saved", saved_rollouts_json({state.rollout->saved})}, {"told", std::move(told)}};
  }
  return fmt::format("{} {}", state.version, text_of(document));
}

std::uint64_t version_of(std::string_view text) {
  const std::string_view digits = text.substr(0, text.find(' '));
  std::uint64_t version = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), version);
  const bool whole = error == std::errc() && end == digits.data() + digits.size() && digits.size() < text.size();
  return whole && version <= kMostCounted ? version : 0;
}

std::optional<SharedTraffic> read_shared_traffic(const std::string& upstream, std::string_view text) {
  const auto blank = text.find(' ');
  SharedTraffic state;
  state.version = version_of(text);
  if (text.size() > kLongestText || state.version == 0 || blank == std::string_view::npos) return std::nullopt;
  const json document = json::parse(text.substr(blank + 1), nullptr, false);
  auto writer = text_at(document, "writer", kLongestName);
  const auto at = number_at(document, "written_at", kLatest);
  const auto release = number_at(document, "release", UINT64_MAX);
  if (!writer || !at || !release) return std::nullopt;
  auto before = read_bounded_weights(document.value("before", json()));
  if (!before) return std::nullopt;
  state.writer = *std::move(writer);
  state.written_at = static_cast<std::int64_t>(*at);
  state.traffic = {upstream, std::nullopt, *std::move(before), *release};
  if (document.contains("split")) {
    state.traffic.set = read_bounded_weights(document["split"]);
    if (!state.traffic.set) return std::nullopt;
  }
  if (document.contains("rollout")) {
    state.rollout = read_rollout(upstream, document["rollout"]);
    if (!state.rollout) return std::nullopt;
  }
  return state;
}

/// Without the release, too: each instance that reads a new configuration begins one for itself, and that is no change
/// of anybody's.
std::string essence_of(const SharedTraffic& state) {
  json document = traffic_json(state);
  document.erase("release");
  if (state.rollout) {
    const auto& rollout = *state.rollout;
    document["rollout"] = {rollout.id, rollout.saved.pool, routing::name_of(rollout.saved.record.state),
                           rollout.saved.record.step, rollout.told.empty() ? 0 : rollout.told.back().number};
  }
  return text_of(document);
}

std::string scores_text(const RolloutScores& scores) {
  const json document = {{"new", card_json(scores.new_pool)},
                         {"old", card_json(scores.old_pool)},
                         {"failed", scores.failed},
                         {"shielded", scores.shielded}};
  return text_of(document);
}

std::optional<RolloutScores> read_scores(std::string_view text) {
  if (text.size() > kLongestScores) return std::nullopt;
  const json document = json::parse(text, nullptr, false);
  const auto failed = number_at(document, "failed", kMostCounted);
  const auto shielded = number_at(document, "shielded", kMostCounted);
  if (!failed || !shielded) return std::nullopt;
  RolloutScores scores;
  scores.failed = *failed;
  scores.shielded = *shielded;
  if (!read_card(document.value("new", json()), scores.new_pool)) return std::nullopt;
  if (!read_card(document.value("old", json()), scores.old_pool)) return std::nullopt;
  return scores;
}

}  // namespace headgate::traffic
