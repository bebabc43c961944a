// SPDX-License-Identifier: Apache-2.0
#include "upstream/registry.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <fmt/format.h>

#include "base/log.h"
#include "upstream/health_check.h"

namespace headgate::upstream {
namespace {

/// A server of which nothing is known yet is asked in quick succession: until then it gets no requests.
constexpr Duration kUnknownInterval = std::chrono::milliseconds(100);
constexpr double kJitter = 0.1;  // of the interval, to either side
/// What nobody follows any more is forgotten, and ejections end, at the next of these at the latest.
constexpr Duration kRound = std::chrono::seconds(1);
/// A name is looked up again because of a connect failure no more often than this for each of its addresses.
constexpr Duration kLookUpAgain = std::chrono::seconds(1);

Duration jittered(Duration interval) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_real_distribution<double> factor(1 - kJitter, 1 + kJitter);
  return std::chrono::duration_cast<Duration>(interval * factor(random));
}

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::string text_of(const Endpoint::Grounds& grounds) {
  if (grounds.errors_in_row != 0) return fmt::format("{} errors in a row", grounds.errors_in_row);
  return fmt::format("{} of {} requests failed", grounds.window.failed, grounds.window.all);
}

/// The same questions, asked the same way.
std::string identity_of(const config::Health& rules, const std::string& host) {
  std::string id =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", host, rules.path, rules.host, rules.expect_body,
                  rules.interval.count(), rules.timeout.count(), rules.healthy_after, rules.unhealthy_after);
  for (const auto& [low, high] : rules.expect_status) id += fmt::format("\n{}-{}", low, high);
  return id;
}

}  // namespace

struct Registry::Check {
  Check(Loop& loop, config::Health r, std::string h, ServerRef s)
      : rules(std::move(r)), host(std::move(h)), server(std::move(s)), alarm(loop) {}
  const config::Health rules;
  const std::string host;
  const ServerRef server;
  HealthRecord record;
  Event alarm;
  bool running = false;
};

Registry::Registry(Loop& loop, std::size_t workers, observe::Events& events, std::function<void()> changed)
    : loop_(loop),
      workers_(workers),
      events_(events),
      changed_(std::move(changed)),
      servers_(loop),
      resolver_(loop, config::Dns()),
      names_(loop, resolver_, config::Dns()),
      alarm_(loop),
      tasks_(loop) {
  names_.on_change([this](Name& name) { name_changed(name); });
  tasks_.spawn(keep_time());
}

Registry::~Registry() = default;

// --- pools
// ------------------------------------------------------------------------------------------------------------

std::vector<UpstreamWatch> Registry::watch(const config::Config& config) {
  ++watched_;
  resolver_.configure(config.dns);
  names_.configure(config.dns);
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
  if (!known) known = std::make_shared<Endpoint>(address, workers_, window);
  return known;
}

std::shared_ptr<Registry::Check> Registry::check_of(const config::Upstream& upstream, const config::Server& server,
                                                    const Endpoint& endpoint) {
  const auto settings = settings_of(upstream, server, endpoint.address);
  const bool local = server.address.kind == config::Address::Kind::kUnix;
  const std::string host = local ? "localhost" : server.address.text;
  auto& known = checks_[settings.identity() + "\n" + identity_of(*upstream.health, host)];
  if (!known) {
    known = std::make_shared<Check>(loop_, *upstream.health, host, servers_.get(settings));
    tasks_.spawn(run_check(known));
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

// --- rosters
// ----------------------------------------------------------------------------------------------------------

Facts Registry::facts_of(const FollowedPool& pool, const FollowedServer& server, const Member& member) const {
  Facts facts;
  const auto& record = member.endpoint->record;
  if (member.check) facts.health = member.check->record.health;
  facts.passive = record.passive;
  facts.ejected_at = record.ejected_at;
  facts.backup = server.config->backup;
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

template <class Which>
void Registry::publish_those(const Which& which) {
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
    if (pool->watched != watched_) continue;
    for (const auto& server : pool->servers) {
      const bool has = std::any_of(server.members.begin(), server.members.end(),
                                   [&](const Member& member) { return member.endpoint.get() == &endpoint; });
      if (!has) continue;
      const auto& upstream = pool->upstream->name;
      const auto& name = server.config->address.text;
      log::warn("upstream {}, pool {}, server {}: {}: {}", upstream, pool->name, name, type, why);
      events_.add(type, {{"upstream", upstream}, {"pool", pool->name}, {"server", name}, {"reason", why}});
      if (std::string_view(type) == "ejected") ++ejections_[{upstream, pool->name, name}];
    }
  }
}

// --- active checks
// ----------------------------------------------------------------------------------------------------

Task<> Registry::run_check(std::shared_ptr<Check> check) {
  check->running = true;
  while (!check->alarm.cancelled()) {
    const auto result = co_await check_health(loop_, *check->server, check->rules, check->host);
    if (check->alarm.cancelled()) break;
    const Health before = check->record.health;
    const bool changed = check->record.note(result.passed, result.found, Clock::now(), check->rules);
    if (changed) {
      for (const auto& [identity, endpoint] : endpoints_) {
        const bool asked = endpoint->name == check->server->name();
        // A server that its checks found well again has most likely been restarted: it begins anew.
        if (asked && result.passed && before == Health::kUnhealthy && endpoint->record.passive != Passive::kIn) {
          take_back(*endpoint, "its checks found it healthy again");
        }
        if (asked && before != Health::kUnknown) tell(result.passed ? "healthy" : "unhealthy", *endpoint, result.found);
      }
      publish_those([&](const Member& member) { return member.check == check; });
    }
    const Duration interval = check->rules.interval;
    const bool unknown = check->record.health == Health::kUnknown;
    co_await check->alarm.wait(Clock::now() +
                               (unknown ? std::min<Duration>(interval, kUnknownInterval) : jittered(interval)));
  }
  check->running = false;
}

// --- live traffic
// -----------------------------------------------------------------------------------------------------

/// True when some pool of today would really do without it.
bool Registry::may_eject(const Endpoint& endpoint) const {
  for (const auto& pool : pools_) {
    if (pool->watched != watched_) continue;
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
  const auto doubled = static_cast<double>(rules.base_time.count()) * std::exp2(std::min(record.ejections, 30U));
  const auto time = std::chrono::milliseconds(
      static_cast<std::int64_t>(std::min(doubled, static_cast<double>(rules.max_time.count()))));
  ++record.ejections;
  if (record.passive == Passive::kIn) record.ejected_at = now;
  record.passive = Passive::kEjected;
  record.until = now + time;
  record.why = std::move(why);
  endpoint.begin_anew(now);
  tell("ejected", endpoint, fmt::format("{}; for {:.3g} s", record.why, seconds(time)));
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
      if (!told) tell("ejection refused", endpoint, endpoint.record.why);
      endpoint.begin_anew(Clock::now());
    }
  }
  endpoint.report_taken();
}

void Registry::take_back(Endpoint& endpoint, const char* why) {
  auto& record = endpoint.record;
  const TimePoint now = Clock::now();
  record.passive = Passive::kIn;
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
    if (record.passive != Passive::kEjected || record.until > now) continue;
    record.passive = Passive::kTrial;
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
      if (!server.name) continue;
      const bool has = std::any_of(server.members.begin(), server.members.end(),
                                   [&](const Member& member) { return member.endpoint.get() == &endpoint; });
      if (has) server.name->refresh();
    }
  }
}

// --- operators
// --------------------------------------------------------------------------------------------------------

bool Registry::drain(const std::string& upstream, const std::string& server, bool drained) {
  bool known = false;
  for (const auto& pool : pools_) {
    if (pool->watched != watched_ || pool->upstream->name != upstream) continue;
    known = known || std::any_of(pool->servers.begin(), pool->servers.end(),
                                 [&](const auto& one) { return one.config->address.text == server; });
  }
  if (!known) return false;
  const ServerName name(upstream, server);
  const bool changed = drained ? drained_.insert(name).second : drained_.erase(name) > 0;
  if (!changed) return true;
  log::info("upstream {}, server {}: {}", upstream, server, drained ? "drained" : "undrained");
  events_.add(drained ? "drained" : "undrained", {{"upstream", upstream}, {"server", server}});
  for (auto& pool : pools_) {
    if (pool->upstream->name == upstream) publish(*pool);
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

std::vector<Monitor::Ejections> Registry::ejections() const {
  std::vector<Monitor::Ejections> result;
  for (const auto& [names, count] : ejections_) {
    result.push_back({std::get<0>(names), std::get<1>(names), std::get<2>(names), count});
  }
  return result;
}

// --- time
// -------------------------------------------------------------------------------------------------------------

Task<> Registry::keep_time() {
  for (;;) {
    TimePoint due = Clock::now() + kRound;
    for (const auto& [identity, endpoint] : endpoints_) {
      if (endpoint->record.passive == Passive::kEjected) due = std::min(due, endpoint->record.until);
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
  const auto before = pools_.size();
  std::erase_if(pools_, [](const auto& pool) { return pool->watch.expired(); });
  if (pools_.size() == before) return;
  for (auto it = checks_.begin(); it != checks_.end();) {
    // Its task holds it, too.
    const bool unused = it->second.use_count() <= (it->second->running ? 2 : 1);
    if (unused) it->second->alarm.cancel();
    it = unused ? checks_.erase(it) : std::next(it);
  }
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

// --- for people
// -------------------------------------------------------------------------------------------------------

std::vector<PoolStatus> Registry::status() const {
  const TimePoint now = Clock::now();
  std::vector<PoolStatus> result;
  for (const auto& pool : pools_) {
    if (pool->watched != watched_) continue;
    const Roster roster = roster_of(*pool);
    PoolStatus status{pool->upstream->name, pool->name, roster.rotation, {}};
    auto entry = roster.entries.begin();
    for (const auto& server : pool->servers) {
      if (server.members.empty()) {
        ServerStatus& one = status.servers.emplace_back();
        one.server = server.config->address.text;
        one.verdict.standing = Standing::kUnknown;
        const auto error = server.name->error();
        one.reason = error.empty() ? "its name is being looked up" : in_words(error);
      }
      for (const auto& member : server.members)
        status.servers.push_back(status_of(*pool, server, member, (entry++)->verdict, now));
    }
    result.push_back(std::move(status));
  }
  return result;
}

ServerStatus Registry::status_of(const FollowedPool& pool, const FollowedServer& server, const Member& member,
                                 const Verdict& verdict, TimePoint now) const {
  const auto& record = member.endpoint->record;
  ServerStatus status;
  status.server = server.config->address.text;
  status.address = member.endpoint->name;
  status.verdict = verdict;
  status.drained = drained_.count({pool.upstream->name, status.server}) > 0;
  status.ejections = record.ejections;
  status.recent = member.endpoint->recent(now);
  if (member.check) status.health = member.check->record.health;
  const auto since = [&](TimePoint at) { return at == TimePoint{} ? -1 : seconds(now - at); };
  switch (verdict.standing) {
    case Standing::kDrained:
      status.reason = "drained by an operator";
      break;
    case Standing::kUnhealthy:
    case Standing::kUnknown:
      status.reason = member.check->record.last.empty() ? "not checked yet" : member.check->record.last;
      status.for_seconds = since(member.check->record.since);
      break;
    case Standing::kEjected:
      status.ejected_for = std::max(0.0, seconds(record.until - now));
      [[fallthrough]];
    case Standing::kTrial:
      status.reason = record.why;
      status.for_seconds = since(record.ejected_at);
      break;
    case Standing::kServing:
      if (verdict.ejection_refused || !record.why.empty())
        status.reason = record.why;
      else if (member.check)
        status.reason = member.check->record.last;
      status.for_seconds = since(std::max(record.returned_at, member.check ? member.check->record.since : TimePoint{}));
      break;
  }
  return status;
}

}  // namespace headgate::upstream
