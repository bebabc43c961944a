// SPDX-License-Identifier: Apache-2.0
// Registry: what it tells people.
#include <algorithm>

#include "upstream/registry.h"

namespace headgate::upstream {
namespace {

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

std::vector<PoolStatus> Registry::status() const {
  const TimePoint now = Clock::now();
  std::vector<PoolStatus> result;
  for (const auto& pool : pools_) {
    if (!is_current(*pool)) continue;
    const Roster roster = roster_of(*pool);
    PoolStatus status{pool->upstream->name, pool->name, roster.rotation, roster.doubtful, {}};
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

std::vector<Monitor::Ejections> Registry::ejections() const {
  std::vector<Monitor::Ejections> result;
  for (const auto& [names, count] : ejections_) {
    result.push_back({std::get<0>(names), std::get<1>(names), std::get<2>(names), count});
  }
  return result;
}

}  // namespace headgate::upstream
