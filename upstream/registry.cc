// SPDX-License-Identifier: Apache-2.0
#include "upstream/registry.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"

namespace headgate::upstream {
namespace {

/// What nobody follows any more is forgotten, and ejections end, at the next of these at the latest.
constexpr Duration kRound = std::chrono::seconds(1);

}  // namespace

Registry::Registry(Loop& loop, std::size_t workers, const config::Dns& dns, observe::Events& events,
                   std::function<void()> changed)
    : loop_(loop),
      workers_(workers),
      events_(events),
      changed_(std::move(changed)),
      servers_(loop),
      resolver_(loop, dns),
      names_(loop, resolver_, dns),
      alarm_(loop),
      tasks_(loop) {
  names_.on_change([this](Name& name) { name_changed(name); });
  tasks_.spawn(keep_time());
}

Registry::~Registry() = default;

// --- pools ----------------------------------------------------------------------------------------------------------

std::vector<UpstreamWatch> Registry::watch(const config::Config& config) {
  ++watched_;
  std::vector<UpstreamWatch> watches;
  watches.reserve(config.upstreams.size());
  for (const auto& upstream : config.upstreams) {
    const auto copy = std::make_shared<const config::Upstream>(upstream);
    UpstreamWatch watch;
    for (const auto& pool : copy->pools) {
      watch.pools.push_back(std::make_shared<PoolWatch>());
      follow(copy, pool, watch.pools.back());
    }
    auto& budget = budgets_[upstream.name];
    watch.budget = budget.lock();
    if (!watch.budget) budget = watch.budget = std::make_shared<RetryBudget>(workers_);
    watches.push_back(std::move(watch));
  }
  return watches;
}

void Registry::configure(const config::Dns& dns) {
  resolver_.configure(dns);
  names_.configure(dns);
}

void Registry::follow(const std::shared_ptr<const config::Upstream>& upstream, const config::Pool& pool,
                      const std::shared_ptr<PoolWatch>& watch) {
  auto followed = std::make_unique<FollowedPool>();
  followed->watch = watch;
  followed->upstream = upstream;
  followed->name = pool.name;
  followed->watched = watched_;
  for (const auto& server : pool.servers) {
    FollowedServer one;
    one.config = &server;
    if (server.address.kind == config::Address::Kind::kName) one.name = names_.follow(server.address.host);
    find_members(*followed, one);
    followed->servers.push_back(std::move(one));
  }
  publish(*followed);
  pools_.push_back(std::move(followed));
}

/// One for each address that the server has now. Those that stay keep their endpoint and check.
void Registry::find_members(FollowedPool& pool, FollowedServer& server) {
  const auto& address = server.config->address;
  std::vector<SocketAddress> addresses;
  if (address.kind == config::Address::Kind::kIp) addresses.push_back(SocketAddress::ip(address.ip, address.port));
  if (address.kind == config::Address::Kind::kUnix) addresses.push_back(SocketAddress::unix_path(address.path));
  if (server.name) {
    for (const auto& ip : server.name->addresses()) addresses.push_back(SocketAddress::ip(ip, address.port));
  }
  std::vector<Member> members;
  for (const auto& one : addresses) {
    Member member;
    member.endpoint = endpoint_of(*pool.upstream, one);
    if (pool.upstream->health) member.check = check_of(*pool.upstream, *server.config, *member.endpoint);
    members.push_back(std::move(member));
  }
  server.members = std::move(members);
}

std::shared_ptr<Endpoint> Registry::endpoint_of(const config::Upstream& upstream, const SocketAddress& address) {
  const auto window = upstream.ejection.window;
  // Counting over different times is the one thing that keeps two upstreams from sharing what is known of an address.
  auto& known = endpoints_[fmt::format("{}\n{}", address.to_string(), window.count())];
  if (!known) {
    known = std::make_shared<Endpoint>(address, workers_, window);
    known->record.returned_at = Clock::now();
  }
  return known;
}

void Registry::name_changed(const Name& name) {
  for (auto& pool : pools_) {
    bool concerned = false;
    for (auto& server : pool->servers) {
      if (server.name.get() != &name) continue;
      find_members(*pool, server);
      concerned = true;
    }
    if (concerned) publish(*pool);
  }
  changed_();
}

// --- rosters --------------------------------------------------------------------------------------------------------

Facts Registry::facts_of(const FollowedPool& pool, const FollowedServer& server, const Member& member) const {
  Facts facts;
  const auto& record = member.endpoint->record;
  if (member.check) facts.health = member.check->record.health;
  facts.passive = record.passive;
  facts.ejected_at = record.ejected_at;
  facts.backup = server.config->backup;
  facts.doubtful = record.doubtful_until > Clock::now();
  facts.drained = drained_.count({pool.upstream->name, server.config->address.text}) > 0;
  return facts;
}

std::vector<Facts> Registry::facts_of(const FollowedPool& pool) const {
  std::vector<Facts> facts;
  for (const auto& server : pool.servers) {
    for (const auto& member : server.members) facts.push_back(facts_of(pool, server, member));
  }
  return facts;
}

Roster Registry::roster_of(const FollowedPool& pool) const {
  const auto facts = facts_of(pool);
  std::vector<Verdict> verdicts(facts.size());
  Roster roster;
  roster.rotation = judge(facts, pool.upstream->ejection.max_ejected, verdicts);
  roster.doubtful = !facts.empty();
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (verdicts[i].in_rotation && !facts[i].doubtful) roster.doubtful = false;
  }
  auto verdict = verdicts.begin();
  for (std::uint32_t i = 0; i < pool.servers.size(); ++i) {
    const auto& server = pool.servers[i];
    for (const auto& member : server.members) {
      TimePoint returned_at = member.endpoint->record.returned_at;
      if (member.check) returned_at = std::max(returned_at, member.check->record.since);
      roster.entries.push_back({member.endpoint, i, *verdict++, returned_at});
    }
    if (!server.name || !server.members.empty()) continue;
    if (server.name->error().empty()) {
      roster.resolving = true;
    } else {
      roster.missing = server.name->error().data();  // a literal
    }
  }
  return roster;
}

void Registry::publish(FollowedPool& pool) {
  const auto watch = pool.watch.lock();
  if (!watch) return;
  auto roster = std::make_shared<const Roster>(roster_of(pool));
  const Rotation before = std::exchange(pool.rotation, roster->rotation);
  if (before != roster->rotation && roster->rotation == Rotation::kPanic) {
    log::error("upstream {}, pool {}: no server is well; all are used", pool.upstream->name, pool.name);
    events_.add("panic", {{"upstream", pool.upstream->name}, {"pool", pool.name}});
  }
  watch->publish(std::move(roster));
}

bool Registry::has(const FollowedServer& server, const Endpoint& endpoint) {
  return std::any_of(server.members.begin(), server.members.end(),
                     [&](const Member& member) { return member.endpoint.get() == &endpoint; });
}

void Registry::publish_those(const std::function<bool(const Member&)>& which) {
  for (auto& pool : pools_) {
    const bool concerned = std::any_of(pool->servers.begin(), pool->servers.end(), [&](const auto& server) {
      return std::any_of(server.members.begin(), server.members.end(), which);
    });
    if (concerned) publish(*pool);
  }
  changed_();
}

void Registry::publish_with(const Endpoint& endpoint) {
  publish_those([&](const Member& member) { return member.endpoint.get() == &endpoint; });
}

/// News of one server, for the log and the events, once for each pool that has it now.
void Registry::tell(const char* type, const Endpoint& endpoint, std::string why) {
  for (const auto& pool : pools_) {
    if (!is_current(*pool)) continue;
    for (const auto& server : pool->servers) {
      if (!has(server, endpoint)) continue;
      const auto& upstream = pool->upstream->name;
      const auto& name = server.config->address.text;
      log::warn("upstream {}, pool {}, server {}: {}: {}", upstream, pool->name, name, type, why);
      events_.add(type, {{"upstream", upstream}, {"pool", pool->name}, {"server", name}, {"reason", why}});
      if (std::string_view(type) == "ejected") ++ejections_[{upstream, pool->name, name}];
    }
  }
}

// --- time -----------------------------------------------------------------------------------------------------------

/// Of the latest generation that there is: a reload that was refused in the end has left nothing behind.
bool Registry::is_current(const FollowedPool& pool) const {
  std::uint64_t latest = 0;
  for (const auto& one : pools_) {
    if (!one->watch.expired()) latest = std::max(latest, one->watched);
  }
  return pool.watched == latest;
}

Task<> Registry::keep_time() {
  for (;;) {
    TimePoint due = Clock::now() + kRound;
    for (const auto& [identity, endpoint] : endpoints_) {
      const auto& record = endpoint->record;
      if (record.passive == Passive::kEjected) due = std::min(due, record.until);
      if (record.doubtful_until != TimePoint{}) due = std::min(due, record.doubtful_until);
    }
    const Wake wake = co_await alarm_.wait(due);
    if (wake == Wake::kCancelled) co_return;
    alarm_.clear();
    end_ejections(Clock::now());
    forget_unused();
    servers_.sweep();
  }
}

void Registry::forget_unused() {
  std::erase_if(pools_, [](const auto& pool) { return pool->watch.expired(); });
  std::erase_if(checks_, [](const auto& entry) {
    const bool unused = entry.second.use_count() == 2;  // this one, and its task's
    if (unused) entry.second->alarm.cancel();
    return unused;
  });
  std::erase_if(endpoints_, [](const auto& entry) { return entry.second.use_count() == 1; });
  std::erase_if(budgets_, [](const auto& entry) { return entry.second.expired(); });
}

Task<> Registry::stop() {
  alarm_.cancel();
  for (const auto& [identity, check] : checks_) check->alarm.cancel();
  pools_.clear();
  servers_.cancel_leased();
  resolver_.cancel();
  co_await names_.close();
  co_await tasks_.join(kNoDeadline);
  co_await servers_.stop();
}

}  // namespace headgate::upstream
