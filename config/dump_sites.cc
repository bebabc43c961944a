// SPDX-License-Identifier: Apache-2.0
#include "config/dump_sites.h"

#include "config/units.h"

namespace headgate::config {
namespace {

void dump_match(YamlWriter& out, const Route& route) {
  if (route.path_regex.empty()) {
    std::vector<std::string> paths;
    for (const PathPattern& path : route.paths) paths.push_back(path.text + (path.prefix ? "*" : ""));
    out.texts("path", paths);
  } else {
    out.text("path_regex", route.path_regex);
  }
  out.texts("methods", route.conditions->methods);
  out.pairs("headers", route.conditions->headers, false);
  out.pairs("query", route.conditions->query, false);
  out.networks("client", route.conditions->client);
}

void dump_static(YamlWriter& out, const Static& files) {
  out.begin_map("static");
  if (files.pools.empty()) {
    out.text("root", files.root);
  } else {
    out.pairs("pools", files.pools, false);
    out.text("name", files.name);
    dump_split_rules(out, files);
  }
  out.texts("index", files.index);
  out.flag("autoindex", files.autoindex);
  out.texts("try_files", files.try_files, true);
  out.flag("spa", files.spa);
  out.texts("also", files.also);
  out.texts("precompressed", files.precompressed);
  out.pairs("cache_control", files.cache_control, false);
  out.word("hidden_files", files.hidden_files == Static::HiddenFiles::kAllow ? "allow" : "deny");
  out.word("follow_symlinks", files.follow_symlinks == Static::FollowSymlinks::kWithinRoot ? "within_root"
                              : files.follow_symlinks == Static::FollowSymlinks::kAlways   ? "always"
                                                                                           : "never");
  out.end_map();
}

void dump_compress(YamlWriter& out, const std::optional<Compress>& compress) {
  if (!compress) {
    out.word("compress", "off");
    return;
  }
  out.begin_map("compress");
  out.texts("encodings", compress->encodings);
  out.size("min_size", compress->min_size);
  out.texts("types", compress->types);
  out.begin_map("level");
  out.number("zstd", static_cast<std::uint64_t>(compress->level.zstd));
  out.number("br", static_cast<std::uint64_t>(compress->level.br));
  out.number("gzip", static_cast<std::uint64_t>(compress->level.gzip));
  out.end_map();
  out.end_map();
}

struct DumpAction {
  YamlWriter& out;

  void operator()(const std::monostate&) const {}
  void operator()(const Proxy& proxy) const { out.text("proxy", proxy.upstream); }
  void operator()(const Rare<Static>& files) const { dump_static(out, *files); }
  void operator()(const Redirect& redirect) const {
    out.begin_map("redirect");
    out.template_text("to", redirect.to);
    out.number("status", static_cast<std::uint64_t>(redirect.status));
    out.end_map();
  }
  void operator()(const Respond& respond) const {
    out.begin_map("respond");
    out.number("status", static_cast<std::uint64_t>(respond.status));
    out.template_text("body", respond.body);
    out.pairs("headers", respond.headers, true);
    out.end_map();
  }
};

void dump_cors(YamlWriter& out, const Cors& cors) {
  if (cors.off) {
    out.word("cors", "off");
    return;
  }
  out.begin_map("cors");
  out.texts("origins", cors.origins);
  out.texts("methods", cors.methods);
  out.texts("headers", cors.headers);
  out.texts("expose_headers", cors.expose_headers);
  out.flag("credentials", cors.credentials);
  out.duration("max_age", cors.max_age);
  out.end_map();
}

/// What a route does not set is its site's, so nothing stands for it.
void dump_who(YamlWriter& out, const Rare<Access>& access, const Rare<BasicAuth>& basic,
              const Rare<ForwardAuth>& forward) {
  if (access) {
    out.begin_map("access");
    out.networks("allow", access->allow);
    out.networks("deny", access->deny);
    out.end_map();
  }
  if (basic && basic->empty()) {
    out.word("basic_auth", "off");
  } else if (basic) {
    out.begin_map("basic_auth");
    out.text("realm", basic->realm);
    out.text("users_file", basic->users_file);
    out.end_map();
  }
  if (forward && forward->empty()) {
    out.word("forward_auth", "off");
  } else if (forward) {
    out.begin_map("forward_auth");
    if (is_proxy_url(forward->upstream)) {
      out.text("url", forward->upstream + forward->path);
    } else {
      out.text("upstream", forward->upstream);
      out.text("path", forward->path);
    }
    out.duration("timeout", forward->timeout);
    out.texts("copy_headers", forward->copy_headers);
    if (forward->request_headers) out.texts("request_headers", *forward->request_headers);
    out.end_map();
  }
}

void dump_proxy_rules(YamlWriter& out, const Route& route) {
  const RouteTimeouts& timeouts = *route.timeouts;
  out.begin_map("timeouts", !timeouts.connect && !timeouts.first_byte && !timeouts.idle);
  if (timeouts.connect) out.duration("connect", *timeouts.connect);
  if (timeouts.first_byte) out.duration("first_byte", *timeouts.first_byte);
  if (timeouts.idle) out.duration("idle", *timeouts.idle);
  out.end_map();
  out.header_changes("request_headers", *route.request_headers);
  out.word("buffering", route.buffering == Buffering::kRequest ? "request" : "off");
  out.begin_map("mirror");
  out.text("upstream", route.mirror->upstream);
  out.word("percent", number_text(route.mirror->percent));
  out.end_map();
}

void dump_rules(YamlWriter& out, const Config& config, const Route& route) {
  out.texts("rate_limit", route.rate_limit);
  out.size("max_body", route.max_body.value_or(config.limits.max_body));
  out.header_changes("response_headers", *route.response_headers);
  if (route.compress) dump_compress(out, *route.compress);
  if (route.cors) dump_cors(out, *route.cors);
  dump_who(out, route.access, route.basic_auth, route.forward_auth);
}

void dump_route(YamlWriter& out, const Config& config, const Route& route) {
  out.begin_map();
  dump_match(out, route);
  if (route.rewrite) {
    out.begin_map("rewrite");
    out.text("regex", route.rewrite->regex);
    out.template_text("to", route.rewrite->to);
    out.end_map();
  }
  // The reader refuses keys that could not do anything.
  if (!std::holds_alternative<std::monostate>(route.action)) {
    out.text("strip_prefix", route.strip_prefix);
    std::visit(DumpAction{out}, route.action);
    dump_rules(out, config, route);
  }
  if (std::holds_alternative<Proxy>(route.action)) dump_proxy_rules(out, route);
  out.end_map();
}

void dump_errors(YamlWriter& out, const Site& site) {
  out.begin_map("error_pages", site.error_pages.empty());
  for (const ErrorPage& page : site.error_pages) {
    out.text(std::to_string(page.status) + (page.status < 10 ? "xx" : ""), page.path);
  }
  out.end_map();
  out.flag("error_pages_intercept", site.error_pages_intercept);
  if (!site.maintenance) return;
  std::vector<std::string> except;
  for (const PathPattern& path : site.maintenance->except) except.push_back(path.text + (path.prefix ? "*" : ""));
  out.begin_map("maintenance");
  out.networks("allow", site.maintenance->allow);
  out.texts("except", except);
  out.duration("retry_after", site.maintenance->retry_after);
  out.text("message", site.maintenance->message);
  out.end_map();
}

void dump_site(YamlWriter& out, const Config& config, const Site& site) {
  out.begin_map();
  out.texts("hosts", site.hosts);
  std::vector<std::string> listeners;
  for (const Address& address : site.listeners) listeners.push_back(address.text);
  out.texts("listeners", listeners);
  out.word("https", site.https_redirect ? "redirect" : "off");
  out.header_changes("response_headers", site.response_headers);
  out.word("security_headers", site.strict_security_headers ? "strict" : "off");
  dump_compress(out, site.compress);
  if (site.cors) dump_cors(out, *site.cors);
  dump_errors(out, site);
  dump_who(out, site.access, site.basic_auth, site.forward_auth);
  out.begin_list("routes", site.routes.empty());
  for (const Route& route : site.routes) dump_route(out, config, route);
  out.end_list();
  out.end_map();
}

}  // namespace

void dump_split_rules(YamlWriter& out, const SplitRules& rules) {
  if (!rules.split.empty()) out.weights("split", rules.split);
  out.word("split_by", rules.split_by == SplitBy::kClient ? "client" : "request");
  out.template_text("split_key", rules.split_key);
  out.text("split_cookie", rules.split_cookie);
  out.word("at_zero_weight", rules.at_zero_weight == AtZeroWeight::kKeep ? "keep" : "release");
  if (!rules.split_override) return;
  out.begin_map("split_override");
  if (!rules.split_override->header.empty()) out.text("header", rules.split_override->header);
  if (!rules.split_override->cookie.empty()) out.text("cookie", rules.split_override->cookie);
  out.networks("allow", rules.split_override->allow);
  out.end_map();
}

void dump_sites(YamlWriter& out, const Config& config) {
  out.begin_list("sites", config.sites.empty());
  for (const Site& site : config.sites) dump_site(out, config, site);
  out.end_list();
}

}  // namespace headgate::config
