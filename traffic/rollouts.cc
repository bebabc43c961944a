// SPDX-License-Identifier: Apache-2.0
#include "traffic/rollouts.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/log.h"
#include "config/nearest.h"

namespace headgate::traffic {
namespace {

using routing::RolloutDecision;
using routing::RolloutReason;
using routing::RolloutState;
using Kind = RolloutDecision::Kind;

constexpr const char* kOtherRoutes = "the other routes";

Rollouts::Refusal unknown(std::string message) {
  return {Rollouts::Refusal::Kind::kUnknown, std::move(message)};
}

Rollouts::Refusal conflict(std::string message) {
  return {Rollouts::Refusal::Kind::kConflict, std::move(message)};
}

std::string names_with_weight(const Weights& weights) {
  std::string names;
  for (const auto& [name, weight] : weights) {
    if (weight > 0) names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

std::string text_of(const std::optional<std::uint64_t>& number) {
  return number ? std::to_string(*number) : std::string();
}

std::string milliseconds(std::chrono::microseconds duration) {
  return fmt::format("{:.3f}", static_cast<double>(duration.count()) / 1000);
}

}  // namespace

Rollouts::Totals& Rollouts::Totals::operator+=(const Totals& other) {
  new_requests += other.new_requests;
  new_errors += other.new_errors;
  old_requests += other.old_requests;
  old_errors += other.old_errors;
  failed += other.failed;
  shielded += other.shielded;
  return *this;
}

// --- the configuration ----------------------------------------------------------------------------------------------

/// Route classes are in the order of the configuration, as Generation::class_routes gives them to routes.
std::map<std::string, Rollouts::Known> Rollouts::known_of(const config::Config& config) {
  std::map<std::string, Known> all;
  for (const auto& upstream : config.upstreams) {
    if (upstream.pools.size() < 2) continue;
    Known& known = all[upstream.name];
    for (const auto& pool : upstream.pools) known.pools.push_back(pool.name);
    known.settings = upstream.rollout.value_or(config::Rollout());
  }
  if (all.empty()) return all;
  for (const auto& site : config.sites) {
    for (const auto& route : site.routes) {
      const auto* const proxy = std::get_if<config::Proxy>(&route.action);
      const auto found = proxy == nullptr ? all.end() : all.find(proxy->upstream);
      if (found == all.end()) continue;
      auto& routes = found->second.routes;
      if (routes.size() < observe::kMostRouteClasses) {
        routes.push_back(config.sites.size() > 1 ? site.name() + " " + route.name() : route.name());
      } else {
        routes.back() = kOtherRoutes;
      }
    }
  }
  return all;
}

bool Rollouts::adopt(const config::Config& config, TimePoint now) {
  bool changed = false;
  known_ = known_of(config);
  std::erase_if(entries_,
                [&](const auto& item) { return item.second->rollout.over() && !known_.contains(item.first); });
  for (auto& [upstream, entry] : entries_) {
    if (entry->rollout.over()) continue;
    const auto found = known_.find(upstream);
    const auto has = [&](const std::string& pool) {
      const auto& pools = found->second.pools;
      return std::find(pools.begin(), pools.end(), pool) != pools.end();
    };
    const bool others_left =
        found != known_.end() && std::any_of(entry->others.begin(), entry->others.end(),
                                             [&](const auto& pool) { return pool.second > 0 && has(pool.first); });
    if (!others_left || !has(entry->pool)) {
      entry->rollout.abort(RolloutReason::kReconfigured);
      changed = follow(*entry) || changed;
    } else if (entry->settings != found->second.settings || entry->routes != found->second.routes) {
      measure_anew(*entry, found->second, now);
      changed = true;
    }
  }
  return changed;
}

void Rollouts::measure_anew(Entry& entry, const Known& known, TimePoint now) {
  follow(entry);
  entry.before = totals_of(entry);
  entry.settings = known.settings;
  entry.routes = known.routes;
  entry.cells = std::make_shared<RolloutCells>(workers_, entry.routes.size());
  entry.rollout = routing::Rollout::restored(entry.settings, entry.routes.size(), now, entry.rollout.record());
  traffic_.measure_rollout(entry.upstream, entry.cells, entry.settings.shield);
  follow(entry);
  log::info("upstream {}: the rollout of {} goes on by the new configuration", entry.upstream, entry.pool);
}

// --- operators ------------------------------------------------------------------------------------------------------

std::unique_ptr<Rollouts::Entry> Rollouts::make(const std::string& upstream, const std::string& pool, Weights others,
                                                routing::Rollout rollout) const {
  const Known& known = known_.at(upstream);
  for (auto& [name, weight] : others) {
    if (name == pool) weight = 0;
  }
  std::string old_pools = names_with_weight(others);
  auto cells = std::make_shared<RolloutCells>(workers_, known.routes.size());
  const double percent = rollout.percent();
  return std::make_unique<Entry>(Entry{upstream,
                                       pool,
                                       known.settings,
                                       known.routes,
                                       std::move(others),
                                       std::move(old_pools),
                                       std::move(cells),
                                       std::move(rollout),
                                       percent,
                                       0,
                                       std::chrono::system_clock::now(),
                                       {},
                                       0,
                                       {},
                                       {}});
}

void Rollouts::begin(std::unique_ptr<Entry> entry, bool new_release) {
  traffic_.begin_rollout(
      entry->upstream, {entry->pool, entry->percent, entry->others, entry->cells, entry->settings.shield}, new_release);
  entry->id = traffic_.status(entry->upstream)->release;
  auto& place = entries_[entry->upstream];
  if (place) earlier_[entry->upstream] += totals_of(*place);
  place = std::move(entry);
}

Rollouts::Refused Rollouts::start(const std::string& upstream, const std::string& pool, TimePoint now) {
  const auto found = known_.find(upstream);
  if (found == known_.end()) {
    const bool there = traffic_.status(upstream).has_value();
    return there ? conflict(fmt::format("upstream '{}' has but one pool", upstream))
                 : unknown(fmt::format("there is no upstream '{}'", upstream));
  }
  const auto& pools = found->second.pools;
  if (std::find(pools.begin(), pools.end(), pool) == pools.end()) {
    const std::vector<std::string_view> names(pools.begin(), pools.end());
    return unknown(fmt::format("upstream '{}' has no pool '{}'{}", upstream, pool, config::suggestion(pool, names)));
  }
  if (running(upstream)) {
    return conflict(
        fmt::format("a rollout of '{}' is under way in upstream '{}'", entries_.at(upstream)->pool, upstream));
  }
  Weights others = traffic_.status(upstream)->weights;
  const bool alone =
      std::all_of(others.begin(), others.end(), [&](const auto& one) { return one.first == pool || one.second <= 0; });
  if (alone)
    return conflict(fmt::format("pool '{}' has all requests already: there is nothing to compare it with", pool));
  auto entry = make(upstream, pool, std::move(others),
                    routing::Rollout(found->second.settings, found->second.routes.size(), now));
  Entry& begun = *entry;
  begin(std::move(entry), true);
  follow(begun);
  return std::nullopt;
}

Rollouts::Refused Rollouts::find(const std::string& upstream, Entry*& entry) {
  const auto found = entries_.find(upstream);
  if (found != entries_.end() && !found->second->rollout.over()) {
    entry = found->second.get();
    return std::nullopt;
  }
  if (!traffic_.status(upstream)) return unknown(fmt::format("there is no upstream '{}'", upstream));
  return conflict(fmt::format("no rollout is under way in upstream '{}'", upstream));
}

Rollouts::Refused Rollouts::act(const std::string& upstream, bool (*action)(routing::Rollout&), const char* what) {
  Entry* entry = nullptr;
  if (auto refusal = find(upstream, entry)) return refusal;
  if (!action(entry->rollout)) {
    return conflict(fmt::format("the rollout of '{}' cannot be {}: it is {}", entry->pool, what,
                                routing::name_of(entry->rollout.state())));
  }
  follow(*entry);
  return std::nullopt;
}

Rollouts::Refused Rollouts::pause(const std::string& upstream) {
  return act(
      upstream, [](routing::Rollout& rollout) { return rollout.pause(); }, "paused");
}

Rollouts::Refused Rollouts::resume(const std::string& upstream) {
  return act(
      upstream, [](routing::Rollout& rollout) { return rollout.resume(); }, "resumed");
}

Rollouts::Refused Rollouts::promote(const std::string& upstream) {
  return act(
      upstream, [](routing::Rollout& rollout) { return rollout.promote(); }, "promoted");
}

Rollouts::Refused Rollouts::abort(const std::string& upstream) {
  return act(
      upstream, [](routing::Rollout& rollout) { return rollout.abort(); }, "aborted");
}

// --- what goes on ---------------------------------------------------------------------------------------------------

bool Rollouts::running() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const auto& item) { return !item.second->rollout.over(); });
}

bool Rollouts::running(const std::string& upstream) const {
  const auto found = entries_.find(upstream);
  return found != entries_.end() && !found->second->rollout.over();
}

bool Rollouts::tick(TimePoint now, const See& see) {
  bool decided = false;
  for (auto& [upstream, entry] : entries_) {
    if (entry->rollout.over()) continue;
    const Sight sight = see({upstream, entry->pool, entry->others, *entry->cells, entry->id});
    judged_by(*entry, sight.judge, now);
    const bool judges = sight.judge == Sight::Judge::kAlone || sight.judge == Sight::Judge::kForAll;
    entry->rollout.tick({now, sight.scores.new_pool, sight.scores.old_pool, sight.new_health, sight.old_health,
                         sight.may_advance, judges, sight.own ? &sight.own->new_pool : nullptr,
                         sight.own ? &sight.own->old_pool : nullptr});
    decided = follow(*entry) || decided;
  }
  return decided;
}

/// Evidence of other eyes is no evidence: it is collected anew, on what is left of the false alarms' budget.
void Rollouts::judged_by(Entry& entry, Sight::Judge judge, TimePoint now) {
  if (judge == Sight::Judge::kUnknown || entry.judge == judge) return;
  if (entry.judge) {
    entry.rollout = routing::Rollout::restored(entry.settings, entry.routes.size(), now, entry.rollout.record());
  }
  entry.judge = judge;
}

/// Traffic first, words after it.
bool Rollouts::follow(Entry& entry) {
  const auto decisions = entry.rollout.take_decisions();
  if (entry.rollout.over()) {
    traffic_.end_rollout(entry.upstream, entry.rollout.state() == RolloutState::kPromoted);
  } else if (const double percent = entry.rollout.percent(); percent != entry.percent) {
    entry.percent = percent;
    traffic_.share(entry.upstream, percent);
  }
  for (const auto& decision : decisions) tell(entry, decision);
  return !decisions.empty();
}

std::string Rollouts::route_of(const Entry& entry, const routing::RolloutNumbers& numbers) {
  if (!numbers.route_class || *numbers.route_class >= entry.routes.size()) return {};
  return entry.routes[*numbers.route_class];
}

void Rollouts::tell(Entry& entry, const RolloutDecision& decision) {
  const std::string route = route_of(entry, decision.numbers);
  std::string text = routing::sentence(decision, entry.pool, entry.old_pools, route);
  const bool bad = decision.kind == Kind::kRolledBack || decision.kind == Kind::kHeld;
  const auto totals = totals_of(entry);
  if (bad) {
    log::warn("upstream {}: {}", entry.upstream, text);
  } else {
    log::info("upstream {}: {}", entry.upstream, text);
  }
  const auto& numbers = decision.numbers;
  const auto& figures = numbers.figures;
  events_.add("rollout", {{"upstream", entry.upstream},
                          {"pool", entry.pool},
                          {"decision", std::string(routing::name_of(decision.kind))},
                          {"reason", std::string(routing::name_of(decision.reason))},
                          {"sentence", text},
                          {"against", entry.old_pools},
                          {"step", std::to_string(decision.step + 1)},
                          {"percent", fmt::format("{:g}", decision.percent)},
                          {"route", route},
                          {"requests", std::to_string(figures.new_requests)},
                          {"errors", std::to_string(figures.new_errors)},
                          {"p99_ms", milliseconds(figures.new_p99)},
                          {"old_requests", std::to_string(figures.old_requests)},
                          {"old_errors", std::to_string(figures.old_errors)},
                          {"old_p99_ms", milliseconds(figures.old_p99)},
                          {"certainty", fmt::format("{:.4g}", numbers.certainty)},
                          {"tolerance_odds", fmt::format("{:.4g}", numbers.tolerance_odds)},
                          {"connect_failures", std::to_string(numbers.connect_failures)},
                          {"more_requests", text_of(numbers.more_requests)},
                          {"failed_for_clients", std::to_string(totals.failed)},
                          {"shielded", std::to_string(totals.shielded)}});
  entry.told.push_back({++entry.number, std::chrono::system_clock::now(), decision, std::move(text)});
  if (entry.told.size() > kToldKept) entry.told.pop_front();
}

// --- what is told of them -------------------------------------------------------------------------------------------

Rollouts::Totals Rollouts::totals_of(const Entry& entry) {
  const auto scores = entry.cells->scores();
  Totals totals = entry.before;
  totals += {scores.new_pool.requests(),
             scores.new_pool.errors(),
             scores.old_pool.requests(),
             scores.old_pool.errors(),
             scores.failed,
             scores.shielded};
  return totals;
}

Rollouts::Status Rollouts::status_of(const Entry& entry) const {
  Status status;
  status.upstream = entry.upstream;
  status.pool = entry.pool;
  status.old_pools = entry.old_pools;
  status.id = entry.id;
  status.started_at = entry.started_at;
  status.state = entry.rollout.state();
  status.reason = entry.rollout.reason();
  status.step = entry.rollout.step();
  status.steps = entry.rollout.steps();
  status.percent = entry.rollout.percent();
  status.in_step = entry.rollout.in_step();
  status.step_time = entry.settings.step_time;
  status.numbers = entry.rollout.numbers();
  status.told = &entry.told;
  if (status.over() && !entry.told.empty()) {
    // What it was judged by, not what came after.
    status.numbers = entry.told.back().decision.numbers;
    status.sentence = entry.told.back().sentence;
  }
  status.route = route_of(entry, status.numbers);
  if (status.sentence.empty()) {
    status.sentence = routing::sentence(status.reason, status.numbers, entry.pool, entry.old_pools, status.route);
  }
  status.totals = totals_of(entry);
  return status;
}

std::optional<Rollouts::Status> Rollouts::status(const std::string& upstream) const {
  const auto found = entries_.find(upstream);
  return found == entries_.end() ? std::nullopt : std::optional(status_of(*found->second));
}

std::vector<Rollouts::Status> Rollouts::all() const {
  std::vector<Status> all;
  for (const auto& [upstream, entry] : entries_) all.push_back(status_of(*entry));
  return all;
}

Rollouts::Totals Rollouts::lifetime(const std::string& upstream) const {
  Totals totals;
  if (const auto found = earlier_.find(upstream); found != earlier_.end()) totals = found->second;
  if (const auto found = entries_.find(upstream); found != entries_.end()) totals += totals_of(*found->second);
  return totals;
}

// --- restarts -------------------------------------------------------------------------------------------------------

Rollouts::Saved Rollouts::saved_of(const Entry& entry) {
  const auto started = std::chrono::duration_cast<std::chrono::seconds>(entry.started_at.time_since_epoch()).count();
  return {entry.upstream, entry.pool, entry.others, entry.rollout.record(), totals_of(entry), started};
}

std::vector<Rollouts::Saved> Rollouts::saved() const {
  std::vector<Saved> all;
  for (const auto& [upstream, entry] : entries_) {
    if (entry->rollout.over()) continue;
    all.push_back(saved_of(*entry));
  }
  return all;
}

bool Rollouts::possible(const Saved& saved) const {
  const auto found = known_.find(saved.upstream);
  if (found == known_.end()) return false;
  const auto& pools = found->second.pools;
  const auto has = [&](const std::string& pool) { return std::find(pools.begin(), pools.end(), pool) != pools.end(); };
  return has(saved.pool) && std::any_of(saved.others.begin(), saved.others.end(),
                                        [&](const auto& pool) { return pool.second > 0 && has(pool.first); });
}

void Rollouts::restore(const std::vector<Saved>& saved, TimePoint now) {
  for (const auto& one : saved) {
    if (!possible(one)) {
      log::warn("upstream {}: {} rolled back: the configuration does not have its rollout's pools any more",
                one.upstream, one.pool);
      events_.add("rollout", {{"upstream", one.upstream},
                              {"pool", one.pool},
                              {"decision", "rolled_back"},
                              {"reason", std::string(routing::name_of(RolloutReason::kReconfigured))}});
      continue;
    }
    const Known& known = known_.at(one.upstream);
    auto entry = make(one.upstream, one.pool, one.others,
                      routing::Rollout::restored(known.settings, known.routes.size(), now, one.record));
    entry->before = one.totals;
    entry->started_at = std::chrono::system_clock::time_point(std::chrono::seconds(one.started_at));
    log::warn("upstream {}: the rollout of {} goes on in step {}, at {:g} %", one.upstream, one.pool,
              entry->rollout.step() + 1, entry->percent);
    begin(std::move(entry), false);
  }
}

}  // namespace headgate::traffic
