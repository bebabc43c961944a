// SPDX-License-Identifier: Apache-2.0
// Registry: what live traffic tells, and operators.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/log.h"
#include "upstream/registry.h"

namespace headgate::upstream {
namespace {

/// A name is looked up again because of a connect failure no more often than this for each of its addresses.
constexpr Duration kLookUpAgain = std::chrono::seconds(1);

std::string text_of(const Endpoint::Grounds& grounds) {
  if (grounds.errors_in_row != 0) return fmt::format("{} errors in a row", grounds.errors_in_row);
  return fmt::format("{} of {} requests failed", grounds.window.failed, grounds.window.all);
}

/// Doubles with each ejection in a row.
std::chrono::milliseconds time_of(std::uint32_t earlier, const config::Ejection& rules) {
  const double doubled = static_cast<double>(rules.base_time.count()) * std::exp2(std::min(earlier, 30U));
  const double most = static_cast<double>(rules.max_time.count());
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(doubled, most)));
}

}  // namespace

/// True when some pool of today would really do without it.
bool Registry::may_eject(const Endpoint& endpoint) const {
  for (const auto& pool : pools_) {
    if (!is_current(*pool)) continue;
    auto facts = facts_of(*pool);
    std::vector<Verdict> verdicts(facts.size());
    std::vector<std::size_t> mine;
    std::size_t at = 0;
    for (const auto& server : pool->servers) {
      for (const auto& member : server.members) {
        if (member.endpoint.get() == &endpoint) mine.push_back(at);
        ++at;
      }
    }
    for (const auto index : mine) {
      facts[index].passive = Passive::kEjected;
      facts[index].ejected_at = Clock::now();
    }
    judge(facts, pool->upstream->ejection.max_ejected, verdicts);
    const bool goes =
        std::any_of(mine.begin(), mine.end(), [&](std::size_t index) { return !verdicts[index].ejection_refused; });
    if (goes) return true;
  }
  return false;
}

void Registry::eject(Endpoint& endpoint, const config::Ejection& rules, std::string why) {
  auto& record = endpoint.record;
  const TimePoint now = Clock::now();
  if (record.returned_at != TimePoint{} && now - record.returned_at > rules.max_time) record.ejections = 0;
  const auto time = time_of(record.ejections++, rules);
  if (record.passive == Passive::kIn) record.ejected_at = now;
  record.passive = Passive::kEjected;
  record.until = now + time;
  record.why = std::move(why);
  endpoint.begin_anew(now);
  tell("ejected", endpoint, fmt::format("{}; for {:.3g} s", record.why, std::chrono::duration<double>(time).count()));
  publish_with(endpoint);
  alarm_.set();
}

void Registry::grounds_to_eject(Endpoint& endpoint, const Endpoint::Grounds& grounds, const config::Ejection& rules) {
  if (endpoint.record.passive == Passive::kIn) {
    if (may_eject(endpoint)) {
      eject(endpoint, rules, text_of(grounds));
    } else {
      // It goes on serving, and has to give new grounds before this is looked at again.
      const bool told = !endpoint.record.why.empty();
      endpoint.record.why = text_of(grounds) + "; not ejected: max_ejected, or it is the last one";
      if (!told) tell("ejection_refused", endpoint, endpoint.record.why);
      endpoint.begin_anew(Clock::now());
      endpoint.record.doubtful_until = Clock::now() + rules.base_time;
      publish_with(endpoint);
      alarm_.set();
    }
  }
  endpoint.report_taken();
}

void Registry::take_back(Endpoint& endpoint, const char* why) {
  auto& record = endpoint.record;
  const TimePoint now = Clock::now();
  record.passive = Passive::kIn;
  record.doubtful_until = {};
  record.returned_at = now;
  record.why.clear();
  endpoint.begin_anew(now);
  tell("returned", endpoint, why);
  publish_with(endpoint);
}

void Registry::alive(Endpoint& endpoint) {
  if (endpoint.record.passive != Passive::kIn) take_back(endpoint, "a request succeeded");
  endpoint.report_taken();
}

void Registry::trial_failed(Endpoint& endpoint, const config::Ejection& rules) {
  if (endpoint.record.passive == Passive::kTrial) eject(endpoint, rules, "its trial failed");
}

void Registry::end_ejections(TimePoint now) {
  for (const auto& [identity, endpoint] : endpoints_) {
    auto& record = endpoint->record;
    if (record.doubtful_until != TimePoint{} && record.doubtful_until <= now) {
      record.doubtful_until = {};
      publish_with(*endpoint);
    }
    if (record.passive != Passive::kEjected || record.until > now) continue;
    record.passive = Passive::kTrial;
    endpoint->release_trial();
    publish_with(*endpoint);
  }
}

void Registry::unreachable(Endpoint& endpoint) {
  auto& looked_up_at = endpoint.record.looked_up_at;
  const TimePoint now = Clock::now();
  if (now - looked_up_at < kLookUpAgain) return;
  looked_up_at = now;
  for (const auto& pool : pools_) {
    for (const auto& server : pool->servers) {
      if (server.name && has(server, endpoint)) server.name->refresh();
    }
  }
}

// --- operators ------------------------------------------------------------------------------------------------------

bool Registry::drain(const std::string& upstream, const std::string& server, bool drained) {
  bool known = false;
  for (const auto& pool : pools_) {
    if (!is_current(*pool) || pool->upstream->name != upstream) continue;
    known = known || std::any_of(pool->servers.begin(), pool->servers.end(),
                                 [&](const auto& one) { return one.config->address.text == server; });
  }
  const ServerName name(upstream, server);
  // What is drained may have left the file since; it can be given back all the same.
  if (!known && (drained || drained_.count(name) == 0)) return false;
  const bool changed = drained ? drained_.insert(name).second : drained_.erase(name) > 0;
  if (!changed) return true;
  log::info("upstream {}, server {}: {}", upstream, server, drained ? "drained" : "undrained");
  events_.add(drained ? "drained" : "undrained", {{"upstream", upstream}, {"server", server}});
  for (auto& pool : pools_) {
    if (pool->upstream->name != upstream) continue;
    for (auto& one : pool->servers) {
      if (drained || one.config->address.text != server) continue;
      for (auto& member : one.members) member.endpoint->record.returned_at = Clock::now();  // restarted, most likely
    }
    publish(*pool);
  }
  changed_();
  return true;
}

Monitor::Drains Registry::drains() const {
  return {drained_.begin(), drained_.end()};
}

void Registry::restore(const Monitor::Drains& drains) {
  drained_.insert(drains.begin(), drains.end());
  for (auto& pool : pools_) publish(*pool);
  changed_();
}

}  // namespace headgate::upstream
