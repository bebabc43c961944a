// SPDX-License-Identifier: Apache-2.0
#include "traffic/traffic.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "base/log.h"
#include "config/nearest.h"

namespace headgate::traffic {
namespace {

double sum_of(const Weights& weights) {
  double sum = 0;
  for (const auto& [name, weight] : weights) sum += weight;
  return sum;
}

/// The same pools as in `order`, with these weights; pools that are not there any more are left out.
Weights ordered(const Weights& order, const Weights& weights) {
  Weights result;
  for (const auto& [name, ignored] : order) result.emplace_back(name, weight_of(weights, name));
  return result;
}

/// Some pool gets its first clients: a release begins, and it draws its own.
bool begins_release(const Weights& before, const Weights& after) {
  return std::any_of(after.begin(), after.end(),
                     [&](const auto& pool) { return pool.second > 0 && weight_of(before, pool.first) <= 0; });
}

routing::Split split_of(const Weights& weights) {
  std::vector<routing::Split::Pool> pools;
  for (const auto& [name, weight] : weights) pools.push_back({name, weight});
  return routing::Split(std::move(pools));
}

std::shared_ptr<const Plan> plan_of(const std::string& upstream, const Weights& weights, std::uint64_t release,
                                           std::shared_ptr<const Trial> trial) {
  // The same in every instance that has had the same releases.
  routing::Points points(fmt::format("headgate release {} of {}", release, upstream));
  return std::make_shared<const Plan>(Plan{split_of(weights), std::move(points), std::move(trial)});
}

/// `pool` at so many percent, the others sharing the rest.
Weights with_share(Weights others, const std::string& pool, double percent) {
  const double sum = sum_of(others);
  for (auto& [name, weight] : others) {
    weight = name == pool ? percent : sum > 0 ? weight * (100 - percent) / sum : 0;
  }
  return others;
}

std::string unknown_pool(const char* kind, const Weights& pools, const std::string& upstream, const std::string& pool) {
  std::vector<std::string_view> names;
  for (const auto& [name, weight] : pools) names.push_back(name);
  return fmt::format("{} '{}' has no pool '{}'{}", kind, upstream, pool, config::suggestion(pool, names));
}

/// Whatever a pool is: it has a name.
template <class Pools, class Name>
Weights weights_of(const Pools& pools, const config::SplitRules& rules, Name name_of) {
  Weights weights;
  for (const auto& pool : pools) {
    const bool first = weights.empty();
    const std::string& name = name_of(pool);
    weights.emplace_back(name, rules.split.empty() && first ? 1 : weight_of(rules.split, name));
  }
  return weights;
}

/// What has pools and is in the configuration: by name, what it is and what the file says.
struct Configured {
  const char* kind;
  Weights weights;
};

std::map<std::string, Configured> configured_in(const config::Config& config) {
  std::map<std::string, Configured> all;
  for (const auto& upstream : config.upstreams) all[upstream.name] = {"upstream", configured_weights(upstream)};
  config::each_pooled_static(config, [&](const config::Static& files, const config::Site&, const config::Route&) {
    all[files.name] = {"static", configured_weights(files)};
  });
  return all;
}

}  // namespace

double weight_of(const Weights& weights, std::string_view pool) {
  for (const auto& [name, weight] : weights) {
    if (name == pool) return weight;
  }
  return 0;
}

Weights configured_weights(const config::Upstream& upstream) {
  return weights_of(upstream.pools, upstream, [](const auto& pool) -> const std::string& { return pool.name; });
}

Weights configured_weights(const config::Static& files) {
  return weights_of(files.pools, files, [](const auto& pool) -> const std::string& { return pool.first; });
}

bool same_shares(const Weights& a, const Weights& b) {
  const double sum_a = sum_of(a);
  const double sum_b = sum_of(b);
  const auto same = [&](const auto& pool) {
    return std::abs(pool.second * sum_b - weight_of(b, pool.first) * sum_a) <= 1e-9 * sum_a * sum_b;
  };
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), same);
}

std::string text_of(const Weights& weights) {
  std::string text;
  for (const auto& [name, weight] : weights) text += fmt::format("{}{} {:g}", text.empty() ? "" : ", ", name, weight);
  return text;
}

// --- the configuration ----------------------------------------------------------------------------------------------

std::shared_ptr<Feed> Traffic::feed(const config::Upstream& upstream) {
  return feed(upstream.name, configured_weights(upstream));
}

std::shared_ptr<Feed> Traffic::feed(const config::Static& files) {
  return feed(files.name, configured_weights(files));
}

std::shared_ptr<Feed> Traffic::feed(const std::string& name, const Weights& file) {
  auto& state = states_[name];
  if (!state.feed) {
    const Weights now = state.set ? ordered(file, *state.set) : file;
    state.feed = std::make_shared<Feed>(plan_of(name, sum_of(now) > 0 ? now : file, state.release, nullptr));
  }
  return state.feed;
}

void Traffic::adopt(const config::Config& config) {
  const auto configured = configured_in(config);
  for (auto& [name, state] : states_) {
    const auto found = configured.find(name);
    const Weights before = effective(state);
    const bool first = state.file.empty();
    state.file = found == configured.end() ? Weights() : found->second.weights;
    if (state.file.empty()) continue;
    state.kind = found->second.kind;
    const Weights after = effective(state);
    if (!first && !before.empty() && begins_release(ordered(after, before), after)) ++state.release;
    publish(name, state);
  }
  std::erase_if(states_, [](const auto& entry) {
    return entry.second.file.empty() && !entry.second.set && !entry.second.rolling;
  });
  changed_();
}

/// What an operator has set counts for the pools that there are; when none of those is left, the file's.
Weights Traffic::at_rest(const State& state) const {
  if (!state.set) return state.file;
  const Weights set = ordered(state.file, *state.set);
  return sum_of(set) > 0 ? set : state.file;
}

Weights Traffic::effective(const State& state) const {
  if (!state.rolling) return at_rest(state);
  const auto& rolling = *state.rolling;
  const Weights now = with_share(ordered(state.file, rolling.others), rolling.pool, rolling.percent);
  return sum_of(now) > 0 ? now : at_rest(state);
}

void Traffic::publish(const std::string& name, State& state) {
  std::shared_ptr<const Trial> trial;
  if (state.rolling) {
    const auto& rolling = *state.rolling;
    trial = std::make_shared<const Trial>(Trial{rolling.pool, split_of(rolling.others), rolling.cells, rolling.shield});
  }
  auto plan = plan_of(name, effective(state), state.release, std::move(trial));
  if (state.feed) {
    state.feed->publish(std::move(plan));
  } else {
    state.feed = std::make_shared<Feed>(std::move(plan));
  }
}

// --- operators ------------------------------------------------------------------------------------------------------

Traffic::Refusal Traffic::find(const std::string& upstream, State*& state) {
  const auto found = states_.find(upstream);
  if (found != states_.end() && !found->second.file.empty()) {
    state = &found->second;
    return std::nullopt;
  }
  std::vector<std::string_view> names;
  for (const auto& [name, each] : states_) names.push_back(name);
  return fmt::format("there is no upstream '{}', nor a static with pools of that name{}", upstream,
                     config::suggestion(upstream, names));
}

Traffic::Refusal Traffic::find_to_change(const std::string& upstream, State*& state) {
  if (auto refusal = find(upstream, state)) return refusal;
  if (!state->rolling) return std::nullopt;
  return fmt::format("a rollout of '{}' is under way in upstream '{}'", state->rolling->pool, upstream);
}

void Traffic::change(const std::string& name, State& state, Weights to, std::optional<Weights> set, const char* type) {
  const Weights before = effective(state);
  if (set == state.set && same_shares(before, to)) return;  // said twice: what was before is still what was before
  if (begins_release(before, to)) ++state.release;
  state.before = before;
  state.set = std::move(set);
  publish(name, state);
  changed_();
  const std::string now = text_of(effective(state));
  log::info("{} {}: {}: {} (was {})", state.kind, name, type, now, text_of(before));
  events_.add(type, {{"upstream", name}, {"split", now}, {"before", text_of(before)}});
}

Traffic::Refusal Traffic::split(const std::string& upstream, const Weights& weights) {
  State* state = nullptr;
  if (auto refusal = find_to_change(upstream, state)) return refusal;
  for (const auto& [pool, weight] : weights) {
    const auto known = [&, &name = pool](const auto& one) { return one.first == name; };
    if (std::none_of(state->file.begin(), state->file.end(), known))
      return unknown_pool(state->kind, state->file, upstream, pool);
    if (!(weight >= 0) || weight > 1e9) return fmt::format("the weight of '{}' is not a number from 0 on", pool);
  }
  const double sum = sum_of(weights);
  Weights to = ordered(state->file, weights);
  if (weights.size() < state->file.size()) {
    if (sum > 100) return fmt::format("{:g} % of the requests is more than there are: name all pools, or less", sum);
    Weights others = effective(*state);
    for (auto& [name, weight] : others) {
      const auto named = [&, &pool = name](const auto& one) { return one.first == pool; };
      if (std::any_of(weights.begin(), weights.end(), named)) weight = 0;
    }
    const double rest = sum_of(others);
    if (rest <= 0 && sum < 100)
      return fmt::format("no other pool gets requests now: name who shall have the other {:g} %", 100 - sum);
    for (auto& [name, weight] : to) {
      if (const double share = weight_of(others, name); share > 0) weight = share * (100 - sum) / rest;
    }
  }
  if (sum_of(to) <= 0) return std::string("some pool needs a weight above 0");
  change(upstream, *state, to, to, "split");
  return std::nullopt;
}

Traffic::Refusal Traffic::switch_to(const std::string& upstream, const std::string& pool) {
  State* state = nullptr;
  if (auto refusal = find_to_change(upstream, state)) return refusal;
  Weights to = state->file;
  bool known = false;
  for (auto& [name, weight] : to) {
    weight = name == pool ? 100 : 0;
    known = known || name == pool;
  }
  if (!known) return unknown_pool(state->kind, state->file, upstream, pool);
  change(upstream, *state, to, to, "switch");
  return std::nullopt;
}

Traffic::Refusal Traffic::rollback(const std::string& upstream) {
  State* state = nullptr;
  if (auto refusal = find_to_change(upstream, state)) return refusal;
  Weights to = ordered(state->file, state->before);
  if (sum_of(to) <= 0) return fmt::format("the split of {} '{}' has not been changed yet", state->kind, upstream);
  change(upstream, *state, to, to, "rollback");
  return std::nullopt;
}

Traffic::Refusal Traffic::reset(const std::string& upstream) {
  State* state = nullptr;
  if (auto refusal = find_to_change(upstream, state)) return refusal;
  if (state->set) change(upstream, *state, state->file, std::nullopt, "reset");
  return std::nullopt;
}

std::optional<Traffic::Status> Traffic::status(const std::string& upstream) const {
  const auto found = states_.find(upstream);
  if (found == states_.end() || found->second.file.empty()) return std::nullopt;
  return Status{effective(found->second), found->second.set.has_value(), found->second.release};
}

// --- rollouts -------------------------------------------------------------------------------------------------------

void Traffic::begin_rollout(const std::string& upstream, Rolling rolling, bool new_release) {
  State& state = states_[upstream];
  if (new_release) ++state.release;
  state.rolling = std::move(rolling);
  publish(upstream, state);
  changed_();
}

void Traffic::measure_rollout(const std::string& upstream, std::shared_ptr<RolloutCells> cells, bool shield) {
  State& state = states_[upstream];
  if (!state.rolling) return;
  state.rolling->cells = std::move(cells);
  state.rolling->shield = shield;
  publish(upstream, state);
  changed_();
}

void Traffic::share(const std::string& upstream, double percent) {
  State& state = states_[upstream];
  if (!state.rolling) return;
  state.rolling->percent = percent;
  publish(upstream, state);
  changed_();
}

void Traffic::end_rollout(const std::string& upstream, bool promoted) {
  State& state = states_[upstream];
  if (!state.rolling) return;
  const Rolling rolling = *std::exchange(state.rolling, std::nullopt);
  if (promoted) {
    state.before = rolling.others;
    state.set = with_share(rolling.others, rolling.pool, 100);
  } else if (!same_shares(at_rest(state), ordered(state.file, rolling.others))) {
    // The new pool had something before, or the file has been changed meanwhile: it must not come back by that.
    state.set = rolling.others;
  }
  publish(upstream, state);
  changed_();
}

// --- restarts -------------------------------------------------------------------------------------------------------

std::vector<Traffic::Saved> Traffic::saved() const {
  std::vector<Saved> all;
  for (const auto& [name, state] : states_) {
    if (state.set || state.release != 0) all.push_back({name, state.set, state.before, state.release});
  }
  return all;
}

void Traffic::restore(const std::vector<Saved>& saved) {
  for (const auto& one : saved) {
    State& state = states_[one.upstream];
    state.set = one.set;
    state.before = one.before;
    state.release = one.release;
    if (state.file.empty()) continue;
    publish(one.upstream, state);
    if (state.set)
      log::warn("{} {}: the split is an operator's: {}", state.kind, one.upstream, text_of(effective(state)));
  }
  changed_();
}

// --- a fleet --------------------------------------------------------------------------------------------------------

std::vector<std::string> Traffic::switchable() const {
  std::vector<std::string> names;
  for (const auto& [name, state] : states_) {
    if (state.file.size() > 1) names.push_back(name);
  }
  return names;
}

std::optional<Traffic::Saved> Traffic::saved(const std::string& upstream) const {
  const auto found = states_.find(upstream);
  if (found == states_.end() || found->second.file.empty()) return std::nullopt;
  const State& state = found->second;
  return Saved{upstream, state.set, state.before, state.release};
}

void Traffic::follow(const Saved& shared, const std::string& by) {
  const auto here = saved(shared.upstream);
  if (!here || *here == shared) return;
  State& state = states_[shared.upstream];
  const Weights before = effective(state);
  state.set = shared.set;
  state.before = shared.before;
  state.release = shared.release;
  publish(shared.upstream, state);
  changed_();
  const Weights after = effective(state);
  if (same_shares(before, after)) return;
  log::info("upstream {}: split: {} (was {}), as instance {} has set it", shared.upstream, text_of(after),
            text_of(before), by);
  events_.add("split",
              {{"upstream", shared.upstream}, {"split", text_of(after)}, {"before", text_of(before)}, {"by", by}});
}

void Traffic::leave_rollout(const std::string& upstream) {
  const auto found = states_.find(upstream);
  if (found == states_.end() || !std::exchange(found->second.rolling, std::nullopt)) return;
  publish(upstream, found->second);
  changed_();
}

}  // namespace headgate::traffic
