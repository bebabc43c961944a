// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/explain_action.h"

#include <algorithm>
#include <iostream>

#include <fmt/format.h>

#include "config/units.h"
#include "http/message.h"
#include "http/path.h"
#include "proxy/cli/explain_compress.h"
#include "proxy/cli/explain_gate.h"
#include "proxy/cli/explain_headers.h"
#include "proxy/cli/explain_static.h"
#include "proxy/handlers/answers.h"
#include "proxy/handlers/mirror.h"
#include "proxy/limits.h"

namespace headgate::cli {
namespace {

std::string_view scheme_name(config::Scheme scheme) {
  switch (scheme) {
    case config::Scheme::kHttp:
      return "http";
    case config::Scheme::kHttps:
      return "https";
    case config::Scheme::kH2c:
      return "h2c";
    case config::Scheme::kH2:
      return "h2";
  }
  return "";
}

/// What the upstream is asked for: as the client spelled it where that still says the same.
std::string upstream_target(const config::Route& route, const Question& question) {
  std::string out;
  if (question.path_as_sent) {
    out = proxy::strip_prefix(question.sent_path, route.strip_prefix);
    const bool stripped = out.size() != question.sent_path.size();
    const bool should = proxy::strip_prefix(question.path, route.strip_prefix).size() != question.path.size();
    if (stripped != should) out.clear();
  }
  if (out.empty()) http::append_encoded_path(proxy::strip_prefix(question.path, route.strip_prefix), out);
  if (!question.query.empty()) out += "?" + std::string(question.query);
  return out;
}

void print_servers(const config::Upstream& upstream) {
  double sum = 0;
  for (const auto& [pool, weight] : upstream.split) sum += weight;
  for (const config::Pool& pool : upstream.pools) {
    std::string text = "pool " + pool.name;
    for (const auto& [name, weight] : upstream.split) {
      if (name == pool.name) text += ", " + config::percent_text(weight / sum) + " of new requests";
    }
    print_line("", text);
    for (const config::Server& server : pool.servers) {
      std::string line = "  server " + server.address.text;
      if (server.weight != 1) line += ", weight " + std::to_string(server.weight);
      if (server.backup) line += ", backup";
      if (server.max_connections != 0) line += ", at most " + std::to_string(server.max_connections) + " requests";
      print_line("", line);
    }
  }
}

/// Which server of a pool it would be, and when another one is asked.
void print_choice(const config::Upstream& upstream, const Question& question) {
  std::string balance = config::to_text(upstream.balance);
  if (upstream.balance.kind == config::Balance::Kind::kHash) {
    balance += ", here of '" + question.expand(upstream.balance.key) + "'";
  }
  if (upstream.sticky) balance += "; a client with the cookie " + upstream.sticky->cookie + " keeps its server";
  print_line("balance", balance);
  const auto& methods = upstream.retry.methods;
  const bool repeatable = std::find(methods.begin(), methods.end(), question.method) != methods.end();
  const std::string attempts = std::to_string(upstream.retry.attempts);
  print_line("retry", upstream.retry.attempts == 0 ? "none"
                      : repeatable                 ? "up to " + attempts + " other servers"
                                   : "up to " + attempts + " other servers, only where none has taken the request");
}

/// What a rollout would do with such a request. Whether one is under way the file does not say.
void print_rollout(const config::Upstream& upstream, const Question& question) {
  if (upstream.pools.size() < 2 || !upstream.rollout) return;
  std::string steps;
  for (const double step : upstream.rollout->steps) steps += fmt::format("{}{:g}", steps.empty() ? "" : ", ", step);
  const bool shielded = upstream.rollout->shield && http::is_safe(http::method_of(question.method));
  print_line("rollout", "to a new pool in steps of " + steps + " %; " +
                            (shielded ? "what fails there is answered by the old one" : "not shielded"));
}

/// What becomes of the request's body but streaming, and who else gets it.
void print_body_rules(const config::Config& config, const config::Route& route) {
  if (route.buffering == config::Buffering::kRequest) {
    print_line("body", "taken whole before the upstream is asked, with Content-Length; beyond " +
                           config::size_text(config.limits.body_memory) + " in a file in " + config.state_dir);
  }
  if (route.mirror->percent > 0) {
    print_line("mirror",
               fmt::format("{:g} % of requests also to upstream {}, with {}: 1; bodies up to {}", route.mirror->percent,
                           route.mirror->upstream, proxy::kMirrorField, config::size_text(proxy::BodyCopy::kMax)));
  }
}

void print_changes(std::string_view name, const char* whose, const config::HeaderChanges& changes,
                   const Question& question) {
  const auto from_template = [&](const std::string& text) {
    const std::string filled = question.expand(text);
    return filled == text ? text : text + " -> " + filled;
  };
  const std::string from = std::string(" (of the ") + whose + ")";
  for (const std::string& field : changes.remove) print_line(name, "remove " + field + from);
  for (const auto& [field, value] : changes.set) print_line(name, "set " + field + ": " + from_template(value) + from);
  for (const auto& [field, value] : changes.add) print_line(name, "add " + field + ": " + from_template(value) + from);
}

void explain_proxy(const config::Config& config, const config::Route& route, const config::Proxy& proxy,
                   Question& question) {
  const auto found = std::find_if(config.upstreams.begin(), config.upstreams.end(),
                                  [&](const config::Upstream& each) { return each.name == proxy.upstream; });
  if (found == config.upstreams.end()) return;  // the reader has checked the name
  const config::Upstream& upstream = *found;
  print_line("action", "proxy to upstream " + upstream.name + " by " + std::string(scheme_name(upstream.scheme)));
  print_servers(upstream);
  print_choice(upstream, question);
  if (upstream.proxy_protocol != config::ProxyProtocol::kOff) {
    const bool first = upstream.proxy_protocol == config::ProxyProtocol::kV1;
    print_line("", std::string("each connection begins with a PROXY header, version ") + (first ? "1" : "2") +
                       ", of " + question.client.to_string());
  }
  print_rollout(upstream, question);
  if (!route.strip_prefix.empty()) print_line("", "strip_prefix " + route.strip_prefix);
  print_line("sends", question.method + " " + upstream_target(route, question));
  const auto& own = *route.timeouts;
  print_line("timeouts", "connect " + config::to_text(own.connect.value_or(upstream.timeouts.connect)) +
                             ", first byte " + config::to_text(own.first_byte.value_or(upstream.timeouts.first_byte)) +
                             ", idle " + config::to_text(own.idle.value_or(upstream.timeouts.idle)));
  const auto& changes = *route.request_headers;
  const bool own_host = std::any_of(changes.set.begin(), changes.set.end(),
                                    [](const auto& each) { return http::iequals(each.first, "host"); });
  if (!own_host) print_line("request", "Host: " + (question.authority.empty() ? "(none)" : question.authority));
  print_line("request", "X-Forwarded-For ends with " + question.peer.to_string() +
                            ", X-Forwarded-Proto: " + question.scheme() + ", X-Forwarded-Host, X-Request-Id");
  print_changes("request", "route", changes, question);
  print_body_rules(config, route);
}

/// The rule in words, and whose count this request would be.
void explain_rate_limit(const config::RateLimit& limit, const Question& question) {
  const proxy::CompiledLimit compiled(limit);
  print_line("rate limit", limit.name + ": " + config::to_text(limit.rate) + ", burst " + std::to_string(limit.burst) +
                               (limit.store == config::RateLimit::Store::kRedis ? ", counted in redis" : "") + ", " +
                               std::to_string(limit.status) + (limit.dry_run ? " (dry run: lets pass)" : ""));
  print_line("", "key " + limit.key + " -> " + compiled.key_text(question, question.client));
}

void explain_rate_limits(const config::Config& config, const config::Route& route, const Question& question) {
  for (const std::string& name : route.rate_limit) {
    const auto found = std::find_if(config.rate_limits.begin(), config.rate_limits.end(),
                                    [&](const config::RateLimit& each) { return each.name == name; });
    if (found != config.rate_limits.end()) explain_rate_limit(*found, question);
  }
}

}  // namespace

void print_line(std::string_view name, const std::string& text) {
  constexpr std::size_t kColumn = 11;
  std::cout << name << std::string(kColumn - std::min(kColumn, name.size()), ' ') << text << '\n';
}

void explain_action(const config::Config& config, const config::Site& site, const config::Route& route,
                    Question& question) {
  print_line("limits", "body " +
                           (route.max_body.value_or(config.limits.max_body) == 0
                                ? std::string("of any size")
                                : config::size_text(route.max_body.value_or(config.limits.max_body)) + " (413)") +
                           ", head " + config::size_text(config.limits.max_header_bytes) + " (431) within " +
                           config::to_text(config.limits.header_timeout) + " (408), body idle " +
                           config::to_text(config.limits.body_idle_timeout));
  explain_access(site, route, question);
  explain_rate_limits(config, route, question);
  explain_proof(site, route);
  if (const auto* proxy = std::get_if<config::Proxy>(&route.action)) {
    explain_proxy(config, route, *proxy, question);
  } else if (const auto* files = std::get_if<Rare<config::Static>>(&route.action)) {
    explain_static(route, **files, question);
  } else if (const auto* redirect = std::get_if<config::Redirect>(&route.action)) {
    print_line("action", "redirect");
    print_line("answer", std::to_string(redirect->status) + " to " + question.expand_url(redirect->to));
  } else if (const auto* respond = std::get_if<config::Respond>(&route.action)) {
    print_line("action", "respond");
    const std::string body = question.expand(respond->body);
    print_line("answer", std::to_string(respond->status) + ", a body of " + std::to_string(body.size()) + " bytes");
    for (const auto& [name, value] : respond->headers) print_line("", name + ": " + question.expand(value));
  }
  explain_compress(site, route);
  explain_response_headers(site, &route, question);
  explain_errors(site);
}

}  // namespace headgate::cli
