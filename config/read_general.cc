// SPDX-License-Identifier: Apache-2.0
// The top level and the sections of the process: logs, admin, metrics, DNS, Redis.
#include <algorithm>
#include <array>

#include "config/sections.h"

namespace headgate::config {
namespace {

// stderr, stdout or a path.
void read_output(Section& section, std::string& out) {
  const Node* value = section.find("output");
  if (value == nullptr) return;
  auto line = section.reader().text(*value, section.path("output"), TextRule::kLine);
  if (!line) return;
  if (line->empty()) {
    section.reader().mismatch(*value, section.path("output"), "stderr, stdout or a path");
  } else if (*line == "stderr" || *line == "stdout") {
    out = *line;
  } else {
    out = section.reader().text(*value, section.path("output"), TextRule::kFile).value_or("");
  }
}

void read_log(Section& top) {
  const Node* node = top.find("log");
  if (node == nullptr) return;
  Log& log = top.reader().config().log;
  Section section(top.reader(), *node, schema::kLog, "log");
  section.choice<std::string>(
      "level", log.level,
      {{"trace", "trace"}, {"debug", "debug"}, {"info", "info"}, {"warn", "warn"}, {"error", "error"}});
  section.choice<Log::Format>("format", log.format, {{"text", Log::Format::kText}, {"json", Log::Format::kJson}});
  read_output(section, log.output);
  section.finish();
}

void read_access_log(Section& top) {
  const Node* node = top.find("access_log");
  if (node == nullptr) return;
  AccessLog& log = top.reader().config().access_log;
  Section section(top.reader(), *node, schema::kAccessLog, "access_log");
  section.choice<AccessLog::Format>("format", log.format,
                                    {{"json", AccessLog::Format::kJson},
                                     {"combined", AccessLog::Format::kCombined},
                                     {"off", AccessLog::Format::kOff}});
  read_output(section, log.output);
  section.finish();
}

bool is_loopback(const Address& address) {
  if (address.kind == Address::Kind::kUnix) return true;
  if (address.kind != Address::Kind::kIp) return false;
  static const auto kV4 = Cidr::parse("127.0.0.0/8");
  static const auto kV6 = Cidr::parse("::1/128");
  return kV4->contains(address.ip) || kV6->contains(address.ip);
}

void read_admin(Section& top) {
  Admin& admin = top.reader().config().admin;
  admin.listen = *parse_listen_address("unix:/run/headgate/admin.sock");
  const Node* node = top.find("admin");
  if (node == nullptr) return;
  admin.configured = true;
  admin.position = top.reader().position(*node);
  Section section(top.reader(), *node, schema::kAdmin, "admin");
  section.parse("listen", kListenText, parse_listen_address, admin.listen);
  section.text("token_file", admin.token_file, TextRule::kFile);
  if (const Node* listen = node->find("listen");
      listen != nullptr && admin.token_file.empty() && !is_loopback(admin.listen)) {
    top.reader().error(*listen, "admin.listen: expected token_file beside an address that is not loopback, got '" +
                                    admin.listen.text + "' alone");
  }
  section.finish();
}

void read_metrics(Section& top) {
  const Node* node = top.find("metrics");
  if (node == nullptr) return;
  Metrics& metrics = top.reader().config().metrics;
  Section section(top.reader(), *node, schema::kMetrics, "metrics");
  section.parse("listen", kListenText, parse_listen_address, metrics.listen);
  section.text("path", metrics.path);
  if (!metrics.path.starts_with('/')) {
    top.reader().mismatch(*node->find("path"), "metrics.path", "a path that begins with a slash");
  }
  section.finish();
}

void read_dns(Section& top) {
  const Node* node = top.find("dns");
  if (node == nullptr) return;
  Dns& dns = top.reader().config().dns;
  Section section(top.reader(), *node, schema::kDns, "dns");
  section.list("servers", kResolverText, parse_resolver_address, dns.servers);
  section.duration("min_ttl", dns.min_ttl, 100ms);  // a server that says 0 would be asked without a pause
  section.duration("max_ttl", dns.max_ttl);
  section.duration("timeout", dns.timeout, 1ms);
  if (dns.min_ttl > dns.max_ttl) top.reader().error(*node, "dns: expected min_ttl not to be longer than max_ttl");
  section.finish();
}

Parsed<std::string> parse_redis_url(std::string_view text) {
  constexpr std::string_view kWhat = "a URL such as redis://127.0.0.1:6379/0, or unix:/path";
  if (text.starts_with("unix:")) {
    if (!parse_server_address(text)) return expected(kWhat, text);
    return std::string(text);
  }
  if (!text.starts_with("redis://")) return expected(kWhat, text);
  std::string_view rest = text.substr(8);
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) rest = rest.substr(at + 1);
  const auto slash = rest.find('/');
  if (slash != std::string_view::npos) {
    const std::string_view database = rest.substr(slash + 1);
    if (!database.empty() && !parse_integer(database, 0, 1'000'000)) return expected(kWhat, text);
  }
  if (!parse_server_address(rest.substr(0, slash))) return expected(kWhat, text);
  return std::string(text);
}

void read_redis(Section& top) {
  const Node* node = top.find("redis");
  if (node == nullptr) return;
  Redis& redis = top.reader().config().redis.emplace();
  Section section(top.reader(), *node, schema::kRedis, "redis");
  section.list("url", "a URL such as redis://127.0.0.1:6379/0", parse_redis_url, redis.urls);
  if (!section.has("url")) section.require("url");
  section.duration("timeout", redis.timeout, 1ms);
  section.duration("connect_timeout", redis.connect_timeout, 1ms);
  section.boolean("share_traffic_state", redis.share_traffic_state);
  section.finish();
}

Parsed<std::uint64_t> parse_workers(std::string_view text) {
  if (text == "auto") return std::uint64_t{0};
  if (auto count = parse_integer(text, 1, 1024)) return count;
  return expected("auto or a whole number from 1 to 1024", text);
}

}  // namespace

void read_main(Reader& reader, const Node& root) {
  Section top(reader, root, schema::kTop, "");
  Config& config = reader.config();
  top.find("include");
  top.parse("workers", "auto or a whole number", parse_workers, config.workers);
  top.text("user", config.user);
  top.text("state_dir", config.state_dir, TextRule::kFile);
  top.duration("shutdown_grace", config.shutdown_grace);
  read_log(top);
  read_access_log(top);
  read_admin(top);
  read_metrics(top);
  read_dns(top);
  read_redis(top);
  read_listeners(top);
  top.list("trusted_proxies", kCidrText, parse_network, config.trusted_proxies);
  read_tls(top);
  read_limits(top);
  read_upstreams(top);
  read_rate_limits(top);
  read_sites(top);
  top.finish();
}

void read_included(Reader& reader, const Node& root) {
  Section top(reader, root, schema::kIncluded, "");
  read_upstreams(top);
  read_rate_limits(top);
  read_sites(top);
  top.finish();
}

}  // namespace headgate::config
