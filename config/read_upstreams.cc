// SPDX-License-Identifier: Apache-2.0
// Upstreams with their pools.
#include <algorithm>
#include <numeric>
#include <set>

#include "config/nearest.h"
#include "config/sections.h"

namespace headgate::config {
namespace {

/// Without a word about it, pools of more servers are balanced by random_two: in turn, each worker would come by each
/// server too seldom to keep its connections.
constexpr std::size_t kManyServers = 32;

Server read_server(Reader& reader, const Node& node, const std::string& path) {
  Server server;
  server.position = reader.position(node);
  if (node.kind == Node::Kind::kScalar) {
    reader.parse(node, path, kServerText, parse_server_address, server.address);
    return server;
  }
  Section section(reader, node, schema::kServer, path);
  if (const Node* address = section.require("address")) {
    reader.parse(*address, section.path("address"), kServerText, parse_server_address, server.address);
  }
  section.integer("weight", server.weight, 1, 1000);
  section.boolean("backup", server.backup);
  section.integer("max_connections", server.max_connections);
  section.finish();
  return server;
}

// `section` is an upstream in the short form, or a pool.
Pool read_servers(Section& section, std::string name) {
  Pool pool;
  pool.name = std::move(name);
  pool.position = section.reader().position(section.node());
  const Node* node = section.require("servers");
  if (node == nullptr) return pool;
  Reader& reader = section.reader();
  std::set<std::string> seen;
  std::size_t index = 0;
  const auto items = reader.elements(*node, section.path("servers"), "a list of servers");
  for (const Node* item : items) {
    const std::string at = element(section.path("servers"), index++);
    Server server = read_server(reader, *item, at);
    if (!server.address.text.empty() && !seen.insert(server.address.text).second) {
      reader.error(*item, at + ": duplicate server '" + server.address.text + "'; weight gives one a larger share");
      continue;
    }
    pool.servers.push_back(std::move(server));
  }
  if (items.empty() && node->kind != Node::Kind::kMap)
    reader.mismatch(*node, section.path("servers"), "at least one server");
  return pool;
}

void read_pools(Section& section, Upstream& upstream) {
  Reader& reader = section.reader();
  const bool has_pools = section.has("pools");
  const bool has_servers = section.has("servers");
  const auto& entries = section.entries("pools", "a mapping of pool names");
  if (has_pools == has_servers) {
    section.find("servers");
    const char* got = has_pools ? "both" : "neither";
    reader.error(section.node(), section.path() + ": expected either servers or pools, got " + got);
    return;
  }
  if (has_servers) {
    upstream.pools.push_back(read_servers(section, "default"));
    return;
  }
  section.find("servers");
  for (const Node::Entry& entry : entries) {
    const std::string at = join(section.path("pools"), entry.key);
    if (const auto name = parse_name(entry.key); !name) {
      reader.error(*entry.value, section.path("pools") + ": " + name.error().message);
    }
    Section pool(reader, *entry.value, schema::kPool, at);
    upstream.pools.push_back(read_servers(pool, entry.key));
    pool.finish();
  }
  if (entries.empty()) reader.mismatch(section.node(), section.path("pools"), "at least one pool");
}

void read_proxy_protocol(Section& section, Upstream& upstream) {
  section.choice<ProxyProtocol>("proxy_protocol", upstream.proxy_protocol,
                                {{"off", ProxyProtocol::kOff}, {"v1", ProxyProtocol::kV1}, {"v2", ProxyProtocol::kV2}});
  const bool shared = upstream.scheme == Scheme::kH2 || upstream.scheme == Scheme::kH2c;
  if (upstream.proxy_protocol == ProxyProtocol::kOff || !shared) return;
  section.reader().error(
      *section.find("proxy_protocol"),
      section.path("proxy_protocol") +
          ": expected scheme http or https beside it: connections of HTTP/2 are those of many clients");
}

void read_balance(Section& section, Upstream& upstream) {
  const Node* node = section.find("balance");
  if (node == nullptr) {
    const auto many = [](const Pool& pool) { return pool.servers.size() > kManyServers; };
    if (std::any_of(upstream.pools.begin(), upstream.pools.end(), many))
      upstream.balance.kind = Balance::Kind::kRandomTwo;
    return;
  }
  Reader& reader = section.reader();
  const std::string path = section.path("balance");
  const auto text = reader.text(*node, path, TextRule::kTemplate, "a way to balance such as round_robin");
  if (!text) return;
  auto balance = parse_balance(*text);
  if (!balance) {
    reader.error(*node, path + ": " + balance.error().message);
    return;
  }
  upstream.balance = *std::move(balance);
}

void read_sticky(Section& section, Upstream& upstream) {
  const Node* node = section.find("sticky");
  if (node == nullptr) return;
  Sticky& sticky = upstream.sticky.emplace();
  Section inner(section.reader(), *node, schema::kSticky, section.path("sticky"));
  if (const Node* cookie = inner.require("cookie")) {
    section.reader().parse(*cookie, inner.path("cookie"), "a cookie's name", parse_token, sticky.cookie);
  }
  inner.duration("ttl", sticky.ttl);
  inner.finish();
}

void read_health(Section& section, Upstream& upstream) {
  const Node* node = section.find("health");
  if (node == nullptr) return;
  Health& health = upstream.health.emplace();
  Section inner(section.reader(), *node, schema::kHealth, section.path("health"));
  inner.text("path", health.path);
  if (!health.path.empty() && health.path.front() != '/') {
    section.reader().mismatch(*node->find("path"), inner.path("path"), "a path that begins with a slash");
  }
  inner.duration("interval", health.interval, 10ms);
  inner.duration("timeout", health.timeout, 1ms);
  inner.integer("healthy_after", health.healthy_after, 1, 1000);
  inner.integer("unhealthy_after", health.unhealthy_after, 1, 1000);
  inner.list("expect_status", kStatusRangeText, parse_status_range, health.expect_status);
  inner.text("expect_body", health.expect_body);
  inner.text("host", health.host);
  inner.finish();
}

void read_ejection(Section& section, Upstream& upstream) {
  const Node* node = section.find("ejection");
  if (node == nullptr) return;
  Ejection& ejection = upstream.ejection;
  Section inner(section.reader(), *node, schema::kEjection, section.path("ejection"));
  inner.integer("consecutive_errors", ejection.consecutive_errors);
  inner.percent("error_rate", ejection.error_rate);
  inner.duration("window", ejection.window, 100ms);
  inner.integer("min_requests", ejection.min_requests, 1);
  inner.duration("base_time", ejection.base_time, 1ms);
  inner.duration("max_time", ejection.max_time, 1ms);
  inner.percent("max_ejected", ejection.max_ejected);
  if (ejection.base_time > ejection.max_time) {
    section.reader().error(*node, inner.path() + ": expected base_time not to be longer than max_time");
  }
  inner.finish();
}

Parsed<RetryOn> parse_retry_on(std::string_view text) {
  if (text == "connect_error") return RetryOn::kConnectError;
  if (text == "reset_before_response") return RetryOn::kResetBeforeResponse;
  if (text == "502") return RetryOn::k502;
  if (text == "503") return RetryOn::k503;
  if (text == "504") return RetryOn::k504;
  return expected("connect_error, reset_before_response, 502, 503 or 504", text);
}

void read_retry(Section& section, Upstream& upstream) {
  const Node* node = section.find("retry");
  if (node == nullptr) return;
  Retry& retry = upstream.retry;
  Section inner(section.reader(), *node, schema::kRetry, section.path("retry"));
  inner.integer("attempts", retry.attempts, 0, 10);
  inner.list("on", "what a retry follows, such as connect_error", parse_retry_on, retry.on);
  inner.list("methods", "a method", parse_method, retry.methods);
  inner.percent("budget", retry.budget);
  inner.finish();
}

void read_connections(Section& section, Upstream& upstream) {
  if (const Node* node = section.find("timeouts")) {
    Section inner(section.reader(), *node, schema::kUpstreamTimeouts, section.path("timeouts"));
    inner.duration("connect", upstream.timeouts.connect, 1ms);
    inner.duration("first_byte", upstream.timeouts.first_byte, 1ms);
    inner.duration("idle", upstream.timeouts.idle, 1ms);
    inner.finish();
  }
  if (const Node* node = section.find("keepalive")) {
    Section inner(section.reader(), *node, schema::kKeepalive, section.path("keepalive"));
    inner.integer("idle_connections", upstream.keepalive.idle_connections, 0, 100'000);
    inner.duration("idle_timeout", upstream.keepalive.idle_timeout, 1ms);
    inner.integer("max_requests", upstream.keepalive.max_requests);
    inner.finish();
  }
  if (const Node* node = section.find("tls")) {
    Section inner(section.reader(), *node, schema::kUpstreamTls, section.path("tls"));
    inner.boolean("verify", upstream.tls.verify);
    inner.text("ca", upstream.tls.ca, TextRule::kFile);
    inner.text("server_name", upstream.tls.server_name);
    inner.text("cert", upstream.tls.cert, TextRule::kFile);
    inner.text("key", upstream.tls.key, TextRule::kFile);
    if (upstream.tls.cert.empty() != upstream.tls.key.empty()) {
      section.reader().error(*node, inner.path() + ": expected cert and key together");
    }
    inner.finish();
  }
}

void read_steps(Section& section, std::vector<double>& out) {
  const Node* node = section.find("steps");
  if (node == nullptr) return;
  out.clear();
  std::size_t index = 0;
  for (const Node* item : section.reader().elements(*node, section.path("steps"), "a list of percents")) {
    const std::string at = element(section.path("steps"), index++);
    double step = 0;
    if (!section.reader().parse(*item, at, "a percent from 0 to 100", parse_weight, step)) continue;
    if (step <= 0 || step > 100 || (!out.empty() && step <= out.back())) {
      section.reader().mismatch(*item, at, "a growing percent up to 100");
    }
    out.push_back(step);
  }
}

void read_rollout(Section& section, Upstream& upstream) {
  const Node* node = section.find("rollout");
  if (node == nullptr) return;
  Rollout& rollout = upstream.rollout.emplace();
  Section inner(section.reader(), *node, schema::kRollout, section.path("rollout"));
  read_steps(inner, rollout.steps);
  inner.duration("step_time", rollout.step_time, 1ms);
  inner.integer("min_requests", rollout.min_requests, 1);
  inner.duration("max_step_time", rollout.max_step_time, 1ms);
  if (rollout.step_time > rollout.max_step_time) {
    section.reader().error(*node, inner.path() + ": expected step_time not to be longer than max_step_time");
  }
  inner.choice<Rollout::OnNoVerdict>("on_no_verdict", rollout.on_no_verdict,
                                     {{"hold", Rollout::OnNoVerdict::kHold}, {"abort", Rollout::OnNoVerdict::kAbort}});
  inner.boolean("shield", rollout.shield);
  if (const Node* abort_on = inner.find("abort_on")) {
    Section rules(section.reader(), *abort_on, schema::kAbortOn, inner.path("abort_on"));
    rules.percent("error_rate_worse_by", rollout.error_rate_worse_by);
    rules.percent("p99_worse_by", rollout.p99_worse_by, 10'000);
    rules.percent("error_rate_ceiling", rollout.error_rate_ceiling);
    rules.finish();
  }
  inner.percent("false_alarm", rollout.false_alarm);
  if (upstream.pools.size() == 1) {
    section.reader().warn(*node, inner.path() + ": has no effect, since the upstream has but one pool");
  }
  inner.finish();
}

Upstream read_upstream(Reader& reader, const std::string& name, const Node& node) {
  Upstream upstream;
  upstream.name = name;
  upstream.position = reader.position(node);
  Section section(reader, node, schema::kUpstream, join("upstreams", name));
  section.choice<Scheme>(
      "scheme", upstream.scheme,
      {{"http", Scheme::kHttp}, {"https", Scheme::kHttps}, {"h2c", Scheme::kH2c}, {"h2", Scheme::kH2}});
  read_pools(section, upstream);
  std::vector<std::string_view> pools;
  for (const Pool& pool : upstream.pools) pools.push_back(pool.name);
  read_split_rules(section, pools, upstream);
  read_balance(section, upstream);
  read_sticky(section, upstream);
  read_health(section, upstream);
  read_ejection(section, upstream);
  section.duration("slow_start", upstream.slow_start);
  read_retry(section, upstream);
  read_connections(section, upstream);
  read_proxy_protocol(section, upstream);
  read_rollout(section, upstream);
  section.finish();
  return upstream;
}

}  // namespace

void read_upstreams(Section& top) {
  Reader& reader = top.reader();
  auto& upstreams = reader.config().upstreams;
  for (const Node::Entry& entry : top.entries("upstreams", "a mapping of names to upstreams")) {
    if (const auto name = parse_name(entry.key); !name) {
      reader.out().errors.push_back({{reader.file(), entry.line, entry.column}, "upstreams: " + name.error().message});
    }
    upstreams.push_back(read_upstream(reader, entry.key, *entry.value));
  }
}

}  // namespace headgate::config
