// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/pool_choice.h"

#include <algorithm>
#include <random>

#include "base/hash.h"
#include "proxy/request_id.h"

namespace headgate::proxy {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);
/// Of a cookie's value: what is longer was not written by us.
constexpr std::size_t kLongestId = 128;

bool may_stand_in_id(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/// With at_zero_weight: keep the pool stands behind the id: "ID.POOL".
struct ClientCookie {
  std::string_view id;
  std::string_view pool;
};

ClientCookie read_cookie(std::string_view value) {
  const auto dot = value.find('.');
  const auto id = value.substr(0, dot);
  const bool sound = !id.empty() && id.size() <= kLongestId && std::all_of(id.begin(), id.end(), may_stand_in_id);
  if (!sound) return {};
  return {id, dot == std::string_view::npos ? std::string_view() : value.substr(dot + 1)};
}

}  // namespace

PoolChoice::PoolChoice(const CompiledSplit& compiled, const upstream::Changes& changes)
    : compiled_(compiled), rules_(*compiled.rules), changes_(changes), drawn_(std::random_device{}()) {
  follow();
}

void PoolChoice::follow() {
  const auto now = changes_.count();
  if (seen_ == now) return;
  seen_ = now;
  auto plan = compiled_.traffic->plan();
  if (plan == plan_) return;
  plan_ = std::move(plan);
  pools_.clear();
  for (const auto& pool : plan_->split.pools()) pools_.push_back(pool_named(pool.name).value_or(kNone));
}

std::optional<std::size_t> PoolChoice::pool_named(std::string_view name) const {
  const auto& pools = compiled_.pools;
  const auto found = std::find(pools.begin(), pools.end(), name);
  return found == pools.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - pools.begin()));
}

routing::Split::Usable PoolChoice::usable() {
  routing::Split::Usable usable = 0;
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    if (pools_[i] != kNone && well(pools_[i])) usable |= routing::Split::Usable{1} << i;
  }
  return usable;
}

/// Only those who may have one.
std::optional<std::size_t> PoolChoice::wish(const Request& request) const {
  const auto& rule = rules_.split_override;
  if (!rule) return std::nullopt;
  const bool allowed = std::any_of(rule->allow.begin(), rule->allow.end(),
                                   [&](const auto& network) { return network.contains(request.client); });
  if (!allowed) return std::nullopt;
  const auto& fields = request.exchange.request.fields;
  if (!rule->header.empty()) {
    if (const auto named = fields.get(rule->header)) return pool_named(*named);
  }
  return rule->cookie.empty() ? std::nullopt : pool_named(cookie(fields, rule->cookie));
}

PoolChoice::Chosen PoolChoice::choose(Request& request) {
  follow();
  if (const auto wished = wish(request)) return {*wished, false};
  const auto chosen = draw(request);
  if (plan_->trial) join_trial(request, chosen.pool);
  return chosen;
}

/// A pool that had no weight before the rollout has but testers and clients that were kept there: nobody to compare.
void PoolChoice::join_trial(Request& request, std::size_t pool) const {
  const auto& trial = plan_->trial;
  const std::string_view name = compiled_.pools[pool];
  const bool is_new = name == trial->pool;
  const auto place = trial->others.find(name);
  if (!is_new && !(place && trial->others.pools()[*place].weight > 0)) return;
  request.trial = trial;
  request.trial_is_new = is_new;
}

std::optional<std::size_t> PoolChoice::other(const traffic::Trial& trial) {
  routing::Split::Usable usable = 0;
  const auto& pools = trial.others.pools();
  const auto answers = [&](std::size_t place) -> std::optional<std::size_t> {
    const auto pool = pool_named(pools[place].name);
    return pool && well(*pool) ? pool : std::nullopt;
  };
  for (std::size_t i = 0; i < pools.size(); ++i) {
    if (pools[i].weight > 0 && answers(i)) usable |= routing::Split::Usable{1} << i;
  }
  if (usable == 0) return std::nullopt;
  drawn_ += 0x9e3779b97f4a7c15;
  const auto choice = trial.others.choose(routing::Point(mix(drawn_)), usable);
  return choice ? answers(choice->pool) : std::nullopt;
}

PoolChoice::Chosen PoolChoice::draw(Request& request) {
  const auto usable_pools = usable();
  if (rules_.split_by == config::SplitBy::kClient) return by_client(request, usable_pools);
  return draw_anew(usable_pools);
}

std::size_t PoolChoice::draw_for_nobody() {
  follow();
  return draw_anew(usable()).pool;
}

PoolChoice::Chosen PoolChoice::draw_anew(routing::Split::Usable usable_pools) {
  drawn_ += 0x9e3779b97f4a7c15;
  const auto choice = plan_->split.choose(routing::Point(mix(drawn_)), usable_pools);
  if (!choice || pools_[choice->pool] == kNone) return {};
  return {pools_[choice->pool], choice->spilled};
}

PoolChoice::Chosen PoolChoice::by_client(Request& request, routing::Split::Usable usable_pools) {
  const bool keeps = rules_.at_zero_weight == config::AtZeroWeight::kKeep;
  std::string_view key = compiled_.split_key ? request.expand(*compiled_.split_key) : std::string_view();
  ClientCookie known;
  if (key.empty() || keeps) known = read_cookie(cookie(request.exchange.request.fields, rules_.split_cookie));
  const bool is_new = known.id.empty();
  const std::string_view id = is_new ? request_id({}, request.exchange.arena()) : known.id;
  const bool by_cookie = key.empty();
  if (by_cookie) key = id;
  const auto present = keeps ? plan_->split.find(known.pool) : std::nullopt;
  const auto choice = plan_->split.choose_keeping(plan_->points.of(key), present, usable_pools);
  if (!choice || pools_[choice->pool] == kNone) return {};
  const std::size_t pool = pools_[choice->pool];
  const bool moved = keeps && known.pool != compiled_.pools[pool] && !choice->spilled;
  if ((by_cookie && is_new) || moved) tell(request, id, pool);
  return {pool, choice->spilled};
}

void PoolChoice::tell(Request& request, std::string_view id, std::size_t pool) const {
  const bool keeps = rules_.at_zero_weight == config::AtZeroWeight::kKeep;
  request.split_cookie = request.exchange.arena().join(
      {rules_.split_cookie, "=", id, keeps ? "." : "", keeps ? compiled_.pools[pool] : "",
       "; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", request.exchange.connection().secure ? "; Secure" : ""});
}

}  // namespace headgate::proxy
