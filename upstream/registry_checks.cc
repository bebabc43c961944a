// SPDX-License-Identifier: Apache-2.0
// Registry: active checks.
#include <algorithm>
#include <random>

#include <fmt/format.h>

#include "upstream/health_check.h"
#include "upstream/registry.h"

namespace headgate::upstream {
namespace {

/// A server of which nothing is known yet is asked in quick succession: until then it gets no requests.
constexpr Duration kUnknownInterval = std::chrono::milliseconds(100);
constexpr double kJitter = 0.1;  // of the interval, to either side

Duration jittered(Duration interval) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_real_distribution<double> factor(1 - kJitter, 1 + kJitter);
  return std::chrono::duration_cast<Duration>(interval * factor(random));
}

/// The same server asked the same questions in the same way.
std::string identity_of(const Server::Settings& server, const config::Health& rules, const std::string& host) {
  std::string id = server.identity();
  id += fmt::format("\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", host, rules.path, rules.host, rules.expect_body,
                    rules.interval.count(), rules.timeout.count(), rules.healthy_after, rules.unhealthy_after);
  for (const auto& [low, high] : rules.expect_status) id += fmt::format("\n{}-{}", low, high);
  return id;
}

}  // namespace

std::shared_ptr<Registry::Check> Registry::check_of(const config::Upstream& upstream, const config::Server& server,
                                                    const Endpoint& endpoint) {
  auto settings = settings_of(upstream, server, endpoint.address);
  settings.keepalive = {};  // however requests keep their connections: it is the same check
  const bool local = server.address.kind == config::Address::Kind::kUnix;
  const std::string host = local ? "localhost" : server.address.text;
  auto& known = checks_[identity_of(settings, *upstream.health, host)];
  if (!known) {
    known = std::make_shared<Check>(loop_, *upstream.health, host, servers_.get(settings));
    tasks_.spawn(run_check(known));
  }
  return known;
}

/// Until it is cancelled. The first check comes at once.
Task<> Registry::run_check(std::shared_ptr<Check> check) {
  while (!check->alarm.cancelled()) {
    const auto result = co_await check_health(loop_, *check->server, check->rules, check->host);
    if (check->alarm.cancelled()) break;
    checked(check, result);
    const Duration interval = check->rules.interval;
    const bool unknown = check->record.health == Health::kUnknown;
    const Duration wait = unknown ? std::min(interval, kUnknownInterval) : jittered(interval);
    co_await check->alarm.wait(Clock::now() + wait);
  }
}

void Registry::checked(const std::shared_ptr<Check>& check, const CheckResult& result) {
  const Health before = check->record.health;
  if (!check->record.note(result.passed, result.found, Clock::now(), check->rules)) return;
  for (const auto& [identity, endpoint] : endpoints_) {
    if (endpoint->name != check->server->name()) continue;
    // A server that its checks found well again has most likely been restarted: it begins anew.
    const bool well_again = result.passed && before == Health::kUnhealthy;
    if (well_again && endpoint->record.passive != Passive::kIn) take_back(*endpoint, "its checks pass again");
    if (before != Health::kUnknown || !result.passed) {
      tell(result.passed ? "healthy" : "unhealthy", *endpoint, result.found);
    }
  }
  publish_those([&](const Member& member) { return member.check == check; });
}

}  // namespace headgate::upstream
