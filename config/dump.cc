// SPDX-License-Identifier: Apache-2.0
// The process, listeners, upstreams and rate limits; sites are in dump_sites.cc.
#include <algorithm>

#include "config/availability.h"
#include "config/dump_sites.h"
#include "config/load.h"
#include "config/units.h"
#include "config/yaml_writer.h"

namespace headgate::config {
namespace {

// A default of a feature that is not there yet would make the dump a file that the reader refuses.
bool wanted(std::string_view path, bool is_default) {
  return !is_default || !is_unavailable(path);
}

std::vector<std::string> address_texts(const std::vector<Address>& addresses) {
  std::vector<std::string> texts;
  for (const Address& address : addresses) texts.push_back(address.text);
  return texts;
}

void dump_logs(YamlWriter& out, const Config& config) {
  out.begin_map("log");
  out.word("level", config.log.level);
  out.word("format", config.log.format == Log::Format::kJson ? "json" : "text");
  out.text("output", config.log.output);
  out.end_map();
  out.begin_map("access_log");
  const auto format = config.access_log.format;
  out.word("format", format == AccessLog::Format::kJson  ? "json"
                     : format == AccessLog::Format::kOff ? "off"
                                                         : "combined");
  out.text("output", config.access_log.output);
  out.end_map();
}

void dump_stores(YamlWriter& out, const Config& config) {
  const bool no_metrics = !config.metrics.listen && config.metrics.path == "/metrics";
  if (wanted("metrics", no_metrics)) {
    out.begin_map("metrics");
    if (config.metrics.listen) out.text("listen", config.metrics.listen->text);
    out.text("path", config.metrics.path);
    out.end_map();
  }
  const Dns& dns = config.dns;
  const Dns plain;
  const bool default_dns = dns.servers.empty() && dns.min_ttl == plain.min_ttl && dns.max_ttl == plain.max_ttl &&
                           dns.timeout == plain.timeout;
  if (wanted("dns", default_dns)) {
    out.begin_map("dns");
    out.texts("servers", address_texts(dns.servers));
    out.duration("min_ttl", dns.min_ttl);
    out.duration("max_ttl", dns.max_ttl);
    out.duration("timeout", dns.timeout);
    out.end_map();
  }
  if (config.redis) {
    out.begin_map("redis");
    out.texts("url", config.redis->urls);
    out.duration("timeout", config.redis->timeout);
    out.duration("connect_timeout", config.redis->connect_timeout);
    out.flag("share_traffic_state", config.redis->share_traffic_state);
    out.end_map();
  }
}

void dump_listeners(YamlWriter& out, const Config& config) {
  out.begin_list("listeners");
  for (const Listener& listener : config.listeners) {
    out.begin_map();
    out.text("address", listener.address.text);
    out.flag("tls", listener.tls);
    if (wanted("listeners.*.http2", listener.http2 == listener.tls)) out.flag("http2", listener.http2);
    out.flag("h2c", listener.h2c);
    out.flag("proxy_protocol", listener.proxy_protocol);
    out.end_map();
  }
  out.end_list();
}

void dump_tls(YamlWriter& out, const Tls& tls) {
  out.begin_map("tls");
  out.begin_list("certificates", tls.certificates.empty());
  for (const Certificate& certificate : tls.certificates) {
    out.begin_map();
    out.text("cert", certificate.cert);
    out.text("key", certificate.key);
    out.end_map();
  }
  out.end_list();
  out.text("min_version", tls.min_version == Tls::Version::k13 ? "1.3" : "1.2");
  out.text("ciphers", tls.ciphers);
  out.word("reload", tls.watch ? "watch" : "off");
  if (wanted("tls.ocsp_stapling", tls.ocsp_stapling)) out.flag("ocsp_stapling", tls.ocsp_stapling);
  out.flag("session_tickets", tls.session_tickets);
  out.text("client_ca", tls.client_ca);
  out.word("verify_client", tls.verify_client == VerifyClient::kOff        ? "off"
                            : tls.verify_client == VerifyClient::kOptional ? "optional"
                                                                           : "required");
  out.flag("strict_sni", tls.strict_sni);
  out.end_map();
}

void dump_limits(YamlWriter& out, const Limits& limits) {
  out.begin_map("limits");
  out.duration("header_timeout", limits.header_timeout);
  out.duration("body_idle_timeout", limits.body_idle_timeout);
  out.duration("keepalive_timeout", limits.keepalive_timeout);
  out.number("keepalive_requests", limits.keepalive_requests);
  out.size("max_header_bytes", limits.max_header_bytes);
  out.number("max_headers", limits.max_headers);
  out.size("max_body", limits.max_body);
  out.size("body_memory", limits.body_memory);
  out.size("body_buffers", limits.body_buffers);
  out.number("max_connections", limits.max_connections);
  out.number("max_connections_per_ip", limits.max_connections_per_ip);
  out.end_map();
}

void dump_pools(YamlWriter& out, const Upstream& upstream) {
  out.begin_map("pools");
  for (const Pool& pool : upstream.pools) {
    out.begin_map(pool.name);
    out.begin_list("servers");
    for (const Server& server : pool.servers) {
      out.begin_map();
      out.text("address", server.address.text);
      out.number("weight", server.weight);
      out.flag("backup", server.backup);
      out.number("max_connections", server.max_connections);
      out.end_map();
    }
    out.end_list();
    out.end_map();
  }
  out.end_map();
}

void dump_balance(YamlWriter& out, const Upstream& upstream) {
  const bool by_key = upstream.balance.kind == Balance::Kind::kHash;
  by_key ? out.template_text("balance", to_text(upstream.balance)) : out.word("balance", to_text(upstream.balance));
  if (!upstream.sticky) return;
  out.begin_map("sticky");
  out.text("cookie", upstream.sticky->cookie);
  out.duration("ttl", upstream.sticky->ttl);
  out.end_map();
}

void dump_health(YamlWriter& out, const Health& health) {
  out.begin_map("health");
  out.text("path", health.path);
  out.duration("interval", health.interval);
  out.duration("timeout", health.timeout);
  out.number("healthy_after", health.healthy_after);
  out.number("unhealthy_after", health.unhealthy_after);
  std::vector<std::string> ranges;
  for (const auto& [first, last] : health.expect_status) {
    ranges.push_back(std::to_string(first) + (first == last ? "" : "-" + std::to_string(last)));
  }
  out.texts("expect_status", ranges);
  out.text("expect_body", health.expect_body);
  out.text("host", health.host);
  out.end_map();
}

void dump_ejection(YamlWriter& out, const Ejection& ejection) {
  out.begin_map("ejection");
  out.number("consecutive_errors", ejection.consecutive_errors);
  out.percent("error_rate", ejection.error_rate);
  out.duration("window", ejection.window);
  out.number("min_requests", ejection.min_requests);
  out.duration("base_time", ejection.base_time);
  out.duration("max_time", ejection.max_time);
  out.percent("max_ejected", ejection.max_ejected);
  out.end_map();
}

std::string_view retry_word(RetryOn on) {
  switch (on) {
    case RetryOn::kConnectError:
      return "connect_error";
    case RetryOn::kResetBeforeResponse:
      return "reset_before_response";
    case RetryOn::k502:
      return "502";
    case RetryOn::k503:
      return "503";
    case RetryOn::k504:
      return "504";
  }
  return "";
}

void dump_retry(YamlWriter& out, const Retry& retry) {
  const Retry plain;
  const bool is_default = retry.attempts == plain.attempts && retry.on == plain.on && retry.methods == plain.methods &&
                          retry.budget == plain.budget;
  if (!wanted("upstreams.*.retry", is_default)) return;
  out.begin_map("retry");
  out.number("attempts", retry.attempts);
  std::vector<std::string> words;
  for (const RetryOn on : retry.on) words.emplace_back(retry_word(on));
  out.texts("on", words);
  out.texts("methods", retry.methods);
  out.percent("budget", retry.budget);
  out.end_map();
}

void dump_connections(YamlWriter& out, const Upstream& upstream) {
  out.begin_map("timeouts");
  out.duration("connect", upstream.timeouts.connect);
  out.duration("first_byte", upstream.timeouts.first_byte);
  out.duration("idle", upstream.timeouts.idle);
  out.end_map();
  out.begin_map("keepalive");
  out.number("idle_connections", upstream.keepalive.idle_connections);
  out.duration("idle_timeout", upstream.keepalive.idle_timeout);
  out.number("max_requests", upstream.keepalive.max_requests);
  out.end_map();
  out.begin_map("tls");
  out.flag("verify", upstream.tls.verify);
  out.text("ca", upstream.tls.ca);
  out.text("server_name", upstream.tls.server_name);
  out.text("cert", upstream.tls.cert);
  out.text("key", upstream.tls.key);
  out.end_map();
}

void dump_rollout(YamlWriter& out, const Rollout& rollout) {
  out.begin_map("rollout");
  std::vector<std::string> steps;
  for (const double step : rollout.steps) steps.push_back(number_text(step));
  out.texts("steps", steps);
  out.duration("step_time", rollout.step_time);
  out.number("min_requests", rollout.min_requests);
  out.duration("max_step_time", rollout.max_step_time);
  out.word("on_no_verdict", rollout.on_no_verdict == Rollout::OnNoVerdict::kAbort ? "abort" : "hold");
  out.flag("shield", rollout.shield);
  out.begin_map("abort_on");
  out.percent("error_rate_worse_by", rollout.error_rate_worse_by);
  out.percent("p99_worse_by", rollout.p99_worse_by);
  out.percent("error_rate_ceiling", rollout.error_rate_ceiling);
  out.end_map();
  out.percent("false_alarm", rollout.false_alarm);
  out.end_map();
}

void dump_upstreams(YamlWriter& out, const Config& config) {
  const bool none = std::all_of(config.upstreams.begin(), config.upstreams.end(),
                                [](const Upstream& each) { return is_proxy_url(each.name); });
  out.begin_map("upstreams", none);
  for (const Upstream& upstream : config.upstreams) {
    if (is_proxy_url(upstream.name)) continue;  // stands in its routes
    out.begin_map(upstream.name);
    const Scheme scheme = upstream.scheme;
    out.word("scheme", scheme == Scheme::kHttp    ? "http"
                       : scheme == Scheme::kHttps ? "https"
                       : scheme == Scheme::kH2c   ? "h2c"
                                                  : "h2");
    dump_pools(out, upstream);
    dump_split_rules(out, upstream);
    dump_balance(out, upstream);
    if (upstream.health) dump_health(out, *upstream.health);
    dump_ejection(out, upstream.ejection);
    out.duration("slow_start", upstream.slow_start);
    dump_retry(out, upstream.retry);
    dump_connections(out, upstream);
    out.word("proxy_protocol", upstream.proxy_protocol == ProxyProtocol::kOff  ? "off"
                               : upstream.proxy_protocol == ProxyProtocol::kV1 ? "v1"
                                                                               : "v2");
    if (upstream.rollout) dump_rollout(out, *upstream.rollout);
    out.end_map();
  }
  out.end_map();
}

void dump_rate_limits(YamlWriter& out, const Config& config) {
  out.begin_map("rate_limits", config.rate_limits.empty());
  for (const RateLimit& limit : config.rate_limits) {
    out.begin_map(limit.name);
    out.template_text("key", limit.key);
    out.word("rate", to_text(limit.rate));
    out.number("burst", limit.burst);
    out.word("store", limit.store == RateLimit::Store::kRedis ? "redis" : "local");
    out.word("lease", limit.lease ? std::to_string(*limit.lease) : "auto");
    out.percent("max_overshoot", limit.max_overshoot);
    out.number("ipv6_prefix", static_cast<std::uint64_t>(limit.ipv6_prefix));
    out.word("on_store_failure", limit.on_store_failure == RateLimit::OnStoreFailure::kLocal   ? "local"
                                 : limit.on_store_failure == RateLimit::OnStoreFailure::kAllow ? "allow"
                                                                                               : "deny");
    out.number("status", static_cast<std::uint64_t>(limit.status));
    out.flag("dry_run", limit.dry_run);
    out.flag("headers", limit.headers);
    out.end_map();
  }
  out.end_map();
}

}  // namespace

std::string dump(const Config& config) {
  YamlWriter out;
  out.word("workers", config.workers == 0 ? "auto" : std::to_string(config.workers));
  out.text("user", config.user);
  out.text("state_dir", config.state_dir);
  out.duration("shutdown_grace", config.shutdown_grace);
  dump_logs(out, config);
  out.begin_map("admin");
  out.text("listen", config.admin.listen.text);
  out.text("token_file", config.admin.token_file);
  out.end_map();
  dump_stores(out, config);
  dump_listeners(out, config);
  out.networks("trusted_proxies", config.trusted_proxies);
  dump_tls(out, config.tls);
  dump_limits(out, config.limits);
  dump_upstreams(out, config);
  dump_rate_limits(out, config);
  dump_sites(out, config);
  return out.take();
}

}  // namespace headgate::config
