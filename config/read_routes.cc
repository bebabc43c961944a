// SPDX-License-Identifier: Apache-2.0
// One route: what it matches, its action, and the rules around it.
#include <algorithm>

#include "config/sections.h"

namespace headgate::config {
namespace {

void read_match(Section& section, Route& route) {
  Reader& reader = section.reader();
  section.list("path", "a path such as /api/*", parse_path_pattern, route.paths);
  section.text("path_regex", route.path_regex, TextRule::kRegex);
  const bool has_path = section.has("path");
  const bool has_regex = section.has("path_regex");
  if (has_path == has_regex && section.node().kind == Node::Kind::kMap) {
    reader.error(section.node(),
                 section.path() + ": expected either path or path_regex, got " + (has_path ? "both" : "neither"));
  } else if (has_regex && section.node().find("path_regex")->kind == Node::Kind::kScalar &&
             section.node().find("path_regex")->text.empty()) {
    reader.mismatch(*section.node().find("path_regex"), section.path("path_regex"), "a regular expression");
  } else if (has_path && section.node().find("path")->kind != Node::Kind::kScalar &&
             section.node().find("path")->items.empty()) {
    reader.mismatch(*section.node().find("path"), section.path("path"), "at least one path");
  }
  Conditions conditions;
  section.list("methods", "a method such as GET", parse_method, conditions.methods);
  section.pairs("headers", conditions.headers, TextRule::kLine, true);
  section.pairs("query", conditions.query, TextRule::kLine);
  section.list("client", kCidrText, parse_network, conditions.client);
  if (!conditions.empty()) route.conditions = std::move(conditions);
}

void read_path_changes(Section& section, Route& route) {
  Reader& reader = section.reader();
  section.text("strip_prefix", route.strip_prefix);
  if (!route.strip_prefix.empty() && route.strip_prefix.front() != '/') {
    reader.mismatch(*section.node().find("strip_prefix"), section.path("strip_prefix"),
                    "a path that begins with a slash");
  }
  if (const Node* node = section.find("rewrite")) {
    Rewrite& rewrite = route.rewrite.change();
    Section inner(reader, *node, schema::kRewrite, section.path("rewrite"));
    inner.required_text("regex", rewrite.regex, TextRule::kRegex);
    inner.required_text("to", rewrite.to, TextRule::kTemplate);
    inner.finish();
  }
}

std::optional<Proxy> read_proxy(Section& section) {
  const Node* node = section.find("proxy");
  if (node == nullptr) return std::nullopt;
  Reader& reader = section.reader();
  const std::string path = section.path("proxy");
  Proxy proxy;
  const auto text = reader.text(*node, path, TextRule::kLine, kProxyText);
  if (!text) return proxy;
  if (!is_proxy_url(*text)) {
    proxy.upstream = *text;
    reader.pending().upstreams.push_back({reader.position(*node), path, *text});
    return proxy;
  }
  if (auto name = read_upstream_url(reader, *node, path, *text)) proxy.upstream = *std::move(name);
  return proxy;
}

Parsed<std::uint64_t> parse_redirect_status(std::string_view text) {
  const auto status = parse_integer(text, 301, 308);
  if (status && (*status <= 303 || *status >= 307)) return *status;
  return expected("301, 302, 303, 307 or 308", text);
}

Redirect read_redirect(Section& parent, const Node& node) {
  Redirect redirect;
  Section section(parent.reader(), node, schema::kRedirect, parent.path("redirect"));
  section.required_text("to", redirect.to, TextRule::kTemplate);
  section.parse("status", "301, 302, 303, 307 or 308", parse_redirect_status, redirect.status);
  section.finish();
  return redirect;
}

Respond read_respond(Section& parent, const Node& node) {
  Respond respond;
  Section section(parent.reader(), node, schema::kRespond, parent.path("respond"));
  section.integer("status", respond.status, 200, 599);
  section.text("body", respond.body, TextRule::kBody);
  section.pairs("headers", respond.headers, TextRule::kTemplate, true);
  section.finish();
  return respond;
}

void read_action(Section& section, Route& route) {
  std::vector<std::string_view> actions;
  if (auto proxy = read_proxy(section)) {
    actions.push_back("proxy");
    route.action = *std::move(proxy);
  }
  if (const Node* node = section.find("static")) {
    actions.push_back("static");
    route.action = read_static(section, *node);
  }
  if (const Node* node = section.find("redirect")) {
    actions.push_back("redirect");
    route.action = read_redirect(section, *node);
  }
  if (const Node* node = section.find("respond")) {
    actions.push_back("respond");
    route.action = read_respond(section, *node);
  }
  if (actions.size() > 1) {
    std::string names;
    for (std::size_t i = 0; i < actions.size(); ++i) names += (i == 0 ? "" : " and ") + std::string(actions[i]);
    section.reader().error(section.node(),
                           section.path() + ": expected exactly one of proxy, static, redirect, respond, got " + names);
  }
  if (actions.empty() && !route.rewrite && section.node().kind == Node::Kind::kMap) {
    section.reader().error(section.node(),
                           section.path() + ": expected one of proxy, static, redirect, respond or rewrite");
  }
}

Parsed<double> parse_mirror_percent(std::string_view text) {
  const std::string_view number = text.ends_with('%') ? text.substr(0, text.size() - 1) : text;
  const auto value = parse_weight(number);
  if (!value || *value > 100) return expected("a percent from 0 to 100", text);
  return *value;
}

void read_mirror(Section& section, Route& route) {
  const Node* node = section.find("mirror");
  if (node == nullptr) return;
  Reader& reader = section.reader();
  Section inner(reader, *node, schema::kMirror, section.path("mirror"));
  Mirror& mirror = route.mirror.change();
  inner.text("upstream", mirror.upstream);
  inner.parse("percent", "a percent from 0 to 100", parse_mirror_percent, mirror.percent);
  if (!mirror.upstream.empty()) {
    reader.pending().upstreams.push_back(
        {reader.position(*node->find("upstream")), inner.path("upstream"), mirror.upstream});
  } else if (mirror.percent > 0) {
    reader.error(*node, inner.path() + ": expected upstream beside percent");
  }
  inner.finish();
}

void read_rules(Section& section, Route& route) {
  Reader& reader = section.reader();
  if (const Node* node = section.find("rate_limit")) {
    std::size_t index = 0;
    for (const Node* item : reader.elements(*node, section.path("rate_limit"), "a list of rate limits")) {
      const std::string at = element(section.path("rate_limit"), index++);
      auto name = reader.text(*item, at, TextRule::kLine, "a rate limit's name");
      if (!name) continue;
      reader.pending().rate_limits.push_back({reader.position(*item), at, *name});
      route.rate_limit.push_back(*std::move(name));
    }
  }
  section.parse("max_body", kSizeText, parse_size, route.max_body);
  if (const Node* node = section.find("timeouts")) {
    Section inner(reader, *node, schema::kRouteTimeouts, section.path("timeouts"));
    RouteTimeouts& timeouts = route.timeouts.change();
    inner.duration("connect", timeouts.connect, 1ms);
    inner.duration("first_byte", timeouts.first_byte, 1ms);
    inner.duration("idle", timeouts.idle, 1ms);
    inner.finish();
  }
  auto request_headers = read_header_changes(section, "request_headers");
  if (!request_headers.empty()) route.request_headers = std::move(request_headers);
  auto response_headers = read_header_changes(section, "response_headers");
  if (!response_headers.empty()) route.response_headers = std::move(response_headers);
  if (auto compress = read_compress(section)) route.compress = *std::move(compress);
  route.cors = read_cors(section);
  read_who(section, route.access, route.basic_auth, route.forward_auth);
  section.choice<Buffering>("buffering", route.buffering, {{"off", Buffering::kOff}, {"request", Buffering::kRequest}});
  if (route.buffering == Buffering::kRequest) {
    const Node& node = *section.node().find("buffering");
    reader.pending().bounded_bodies.push_back({reader.position(node), section.path("buffering"), route.max_body});
  }
  read_mirror(section, route);
}

// A key that could not do anything is a misunderstanding, and better said than left to be found out.
void check_effect(Section& section, const Route& route) {
  const bool has_action = !std::holds_alternative<std::monostate>(route.action);
  constexpr std::string_view kForProxy[] = {"timeouts", "request_headers", "buffering", "mirror"};
  constexpr std::string_view kForAction[] = {"rate_limit", "max_body",   "response_headers", "cors",
                                             "access",     "basic_auth", "forward_auth",     "strip_prefix",
                                             "compress"};
  const auto complain = [&](std::string_view key, const char* why) {
    if (const Node* node = section.node().find(key)) {
      section.reader().error(*node, section.path(key) + ": has no effect " + why);
    }
  };
  if (!has_action && !route.rewrite) return;  // said already
  if (!has_action) {
    constexpr auto kWhy = "on a route without an action: the one that the new path finds decides";
    for (const auto key : kForAction) complain(key, kWhy);
    for (const auto key : kForProxy) complain(key, kWhy);
  } else if (!std::holds_alternative<Proxy>(route.action)) {
    for (const auto key : kForProxy) complain(key, "on a route without proxy");
  }
}

}  // namespace

std::optional<std::string> read_upstream_url(Reader& reader, const Node& node, const std::string& path,
                                             const std::string& text) {
  auto target = parse_proxy_url(text);
  if (!target) {
    reader.error(node, path + ": " + target.error().message);
    return std::nullopt;
  }
  ProxyTarget to = *std::move(target);
  if (!reader.settle(node, path, to.server)) return std::nullopt;
  if (to.server.kind == Address::Kind::kUnix) to.name = to.server.text;
  if (!reader.pending().anonymous_names.insert(to.name).second) return to.name;
  Upstream upstream;
  upstream.name = to.name;
  upstream.scheme = to.scheme;
  upstream.position = reader.position(node);
  Pool pool;
  pool.name = "default";
  pool.position = upstream.position;
  Server server;
  server.address = to.server;
  server.position = upstream.position;
  pool.servers.push_back(std::move(server));
  upstream.pools.push_back(std::move(pool));
  reader.pending().anonymous.push_back(std::move(upstream));
  return to.name;
}

Route read_route(Reader& reader, const Node& node, const std::string& path) {
  Route route;
  route.position = reader.position(node);
  Section section(reader, node, schema::kRoute, path);
  read_match(section, route);
  read_path_changes(section, route);
  read_action(section, route);
  read_rules(section, route);
  check_effect(section, route);
  section.finish();
  return route;
}

}  // namespace headgate::config
