// SPDX-License-Identifier: Apache-2.0
// What the Monitor knows: the addresses of all followed pools, how their checks fare, who is ejected, who is drained;
// and what follows from each piece of news. One loop's thread, the Monitor's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "observe/events.h"
#include "upstream/health_check.h"
#include "upstream/monitor.h"
#include "upstream/name_resolver.h"
#include "upstream/names.h"
#include "upstream/server_set.h"

namespace headgate::upstream {

class Registry {
 public:
  /// `changed` is called when some roster is another one.
  Registry(Loop& loop, std::size_t workers, const config::Dns& dns, observe::Events& events,
           std::function<void()> changed);
  ~Registry();

  // As the Monitor's of the same names.
  std::vector<UpstreamWatch> watch(const config::Config& config);
  void configure(const config::Dns& dns);
  bool drain(const std::string& upstream, const std::string& server, bool drained);
  Monitor::Drains drains() const;
  void restore(const Monitor::Drains& drains);
  std::vector<PoolStatus> status() const;
  std::vector<Monitor::Ejections> ejections() const;
  void grounds_to_eject(Endpoint& endpoint, const Endpoint::Grounds& grounds, const config::Ejection& rules);
  void alive(Endpoint& endpoint);
  void trial_failed(Endpoint& endpoint, const config::Ejection& rules);
  void unreachable(Endpoint& endpoint);

  /// Ends checks and lookups; returns when nothing runs any more.
  Task<> stop();

 private:
  /// A server is asked by one schedule, however many pools want to know.
  struct Check {
    Check(Loop& loop, config::Health r, std::string h, ServerRef s)
        : rules(std::move(r)), host(std::move(h)), server(std::move(s)), alarm(loop) {}
    const config::Health rules;
    const std::string host;
    const ServerRef server;
    HealthRecord record;
    Event alarm;
  };
  /// One address of a server of a pool.
  struct Member {
    std::shared_ptr<Endpoint> endpoint;
    std::shared_ptr<Check> check;  // null: unchecked
  };
  struct FollowedServer {
    const config::Server* config = nullptr;
    NameRef name;  // null: it has an address of its own
    std::vector<Member> members;
  };
  struct FollowedPool {
    std::weak_ptr<PoolWatch> watch;
    std::shared_ptr<const config::Upstream> upstream;  // what of the generation is needed outlives it here
    std::string name;
    std::uint64_t watched = 0;  // the number of the call that began it
    std::vector<FollowedServer> servers;
    Rotation rotation = Rotation::kNone;
  };
  using ServerName = std::pair<std::string, std::string>;  // upstream, server

  void follow(const std::shared_ptr<const config::Upstream>& upstream, const config::Pool& pool,
              const std::shared_ptr<PoolWatch>& watch);
  void find_members(FollowedPool& pool, FollowedServer& server);
  std::shared_ptr<Endpoint> endpoint_of(const config::Upstream& upstream, const SocketAddress& address);
  std::shared_ptr<Check> check_of(const config::Upstream& upstream, const config::Server& server,
                                  const Endpoint& endpoint);
  Task<> run_check(std::shared_ptr<Check> check);
  void checked(const std::shared_ptr<Check>& check, const CheckResult& result);
  bool is_current(const FollowedPool& pool) const;
  static bool has(const FollowedServer& server, const Endpoint& endpoint);
  Facts facts_of(const FollowedPool& pool, const FollowedServer& server, const Member& member) const;
  std::vector<Facts> facts_of(const FollowedPool& pool) const;
  Roster roster_of(const FollowedPool& pool) const;
  void publish(FollowedPool& pool);
  void publish_those(const std::function<bool(const Member&)>& which);
  void publish_with(const Endpoint& endpoint);
  bool may_eject(const Endpoint& endpoint) const;
  void eject(Endpoint& endpoint, const config::Ejection& rules, std::string why);
  void take_back(Endpoint& endpoint, const char* why);
  void tell(const char* type, const Endpoint& endpoint, std::string why);
  void name_changed(const Name& name);
  Task<> keep_time();
  void forget_unused();
  void end_ejections(TimePoint now);
  ServerStatus status_of(const FollowedPool& pool, const FollowedServer& server, const Member& member,
                         const Verdict& verdict, TimePoint now) const;

  Loop& loop_;
  const std::size_t workers_;
  observe::Events& events_;
  const std::function<void()> changed_;
  ServerSet servers_;  // for checks
  NameResolver resolver_;
  Names names_;
  std::map<std::string, std::shared_ptr<Endpoint>> endpoints_;
  std::map<std::string, std::shared_ptr<Check>> checks_;
  std::map<std::string, std::weak_ptr<RetryBudget>> budgets_;  // by upstream
  std::vector<std::unique_ptr<FollowedPool>> pools_;
  std::set<ServerName> drained_;
  std::map<std::tuple<std::string, std::string, std::string>, std::uint64_t> ejections_;
  std::uint64_t watched_ = 0;
  bool stopping_ = false;
  Event alarm_;
  TaskGroup tasks_;
};

}  // namespace headgate::upstream
