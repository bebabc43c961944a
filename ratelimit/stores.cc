// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/stores.h"

#include <stdexcept>

namespace headgate::ratelimit {

Stores::Stores() : seed_(HashSeed::random()), instance_(std::to_string(HashSeed::random().first)) {}

StoreHealth& Stores::health_of(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return health_[name];
}

void Stores::adopt(const config::Config& config, Nanos now) {
  std::string store;
  if (config.redis) {
    for (const auto& url : config.redis->urls) store += url + "\n";
  }
  for (const auto& limit : config.rate_limits) {
    const Pace pace = Pace::of(limit.rate, limit.burst);
    const std::string rule =
        std::to_string(pace.interval) + "\n" + std::to_string(pace.tolerance) + "\n" + limit.key + "\n" + store;
    std::uint16_t owner = 0;
    bool changed = false;
    {
      const std::lock_guard lock(mutex_);
      const auto [known, fresh] = limits_.try_emplace(limit.name);
      if (fresh) known->second.owner = static_cast<std::uint16_t>(limits_.size());
      if (limits_.size() >= LocalStore::kMostOwners) {
        limits_.erase(known);
        throw std::invalid_argument("more than 4,095 rate limits since the start");
      }
      owner = known->second.owner;
      changed = !fresh && known->second.rule != rule;
      known->second.rule = rule;
    }
    local_.set_pace(owner, pace, now);
    // Under another rate or in another store a key that had run out may have something again.
    if (changed) leases_.forget(owner, now);
  }
}

LimitId Stores::id_of(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = limits_.find(name);
  if (found == limits_.end()) throw std::invalid_argument("unknown rate limit '" + std::string(name) + "'");
  return {found->second.owner, seed_.of(name)};
}

}  // namespace headgate::ratelimit
