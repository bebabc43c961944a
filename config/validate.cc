// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "config/nearest.h"
#include "config/sections.h"

namespace headgate::config {
namespace {

std::string line_of(const Position& position) {
  return position.file.text() + ":" + std::to_string(position.line);
}

// "unknown upstream 'aip'; did you mean 'api'?"
void check_references(const std::vector<Reference>& references, const std::vector<std::string_view>& known,
                      const char* what, Loaded& out) {
  const std::set<std::string_view> names(known.begin(), known.end());
  for (const Reference& reference : references) {
    if (names.contains(reference.name)) continue;
    std::string message = reference.path + ": unknown " + what + " '" + reference.name + "'";
    message += known.empty() ? "; none is defined" : suggestion(reference.name, known);
    out.errors.push_back({reference.where, std::move(message)});
  }
}

// Names are unique in a file by YAML's rule; a second file may bring them again.
template <class T>
void check_unique(const std::vector<T>& all, const char* what, Loaded& out) {
  std::map<std::string_view, const T*> seen;
  for (const T& each : all) {
    const auto [first, fresh] = seen.emplace(each.name, &each);
    if (!fresh) {
      out.errors.push_back({each.position, std::string("duplicate ") + what + " '" + each.name +
                                               "'; the first one is at " + line_of(first->second->position)});
    }
  }
}

void check_listeners(Loaded& out) {
  const Config& config = out.config;
  std::map<std::string_view, const Listener*> seen;
  for (const Listener& listener : config.listeners) {
    if (listener.tls && config.tls.certificates.empty()) {
      out.errors.push_back({listener.position, "tls: true needs a certificate: expected tls.certificates"});
    }
    if (listener.proxy_protocol && config.trusted_proxies.empty() && listener.address.kind != Address::Kind::kUnix) {
      out.errors.push_back(
          {listener.position, "proxy_protocol: true needs somebody to believe: expected trusted_proxies"});
    }
    // Two listeners on port 0 are two ports.
    if (listener.address.kind != Address::Kind::kUnix && listener.address.port == 0) continue;
    const auto [first, fresh] = seen.emplace(listener.address.text, &listener);
    if (!fresh) {
      out.errors.push_back({listener.position, "duplicate listener '" + listener.address.text +
                                                   "'; the first one is at " + line_of(first->second->position)});
    }
  }
}

// The addresses that a site names; one empty text when it names none. A site that names some is asked before one that
// answers on all, so the two do not collide.
std::vector<std::string> listener_texts(const Site& site) {
  std::vector<std::string> texts;
  for (const Address& address : site.listeners) texts.push_back(address.text);
  if (texts.empty()) texts.emplace_back();
  return texts;
}

void check_hosts(Loaded& out) {
  std::map<std::pair<std::string, std::string>, const Site*> seen;  // listener, host
  for (const Site& site : out.config.sites) {
    std::vector<std::string> hosts = site.hosts;
    if (hosts.empty()) hosts.emplace_back();
    for (const std::string& host : hosts) {
      for (const std::string& listener : listener_texts(site)) {
        const auto [first, fresh] = seen.emplace(std::pair(listener, host), &site);
        if (fresh || first->second == &site) continue;
        const std::string what = host.empty() ? "a second site without hosts" : "duplicate host '" + host + "'";
        out.errors.push_back({site.position, what + "; the first site is at " + line_of(first->second->position)});
        break;
      }
    }
  }
}

void check_routes(const Site& site, Loaded& out) {
  std::map<std::pair<std::string_view, bool>, const Route*> taken;  // path, prefix
  for (const Route& route : site.routes) {
    for (const PathPattern& path : route.paths) {
      const auto found = taken.find({path.text, path.prefix});
      if (found != taken.end()) {
        const std::string text = path.text + (path.prefix ? "*" : "");
        out.errors.push_back({route.position, "duplicate path '" + text + "': the route at " +
                                                  line_of(found->second->position) + " takes all its requests"});
      } else if (route.conditions->empty()) {
        taken.emplace(std::pair(std::string_view(path.text), path.prefix), &route);
      }
    }
  }
}

/// The service is asked by each request alike: there is no client that a pool could be chosen for.
void check_auth_service(const Config& config, const ForwardAuth& auth, Loaded& out) {
  const auto found = std::find_if(config.upstreams.begin(), config.upstreams.end(),
                                  [&](const Upstream& each) { return each.name == auth.upstream; });
  if (found == config.upstreams.end() || found->pools.size() == 1) return;
  out.errors.push_back({auth.position, "forward_auth.upstream: '" + auth.upstream + "' has " +
                                           std::to_string(found->pools.size()) + " pools, expected one"});
}

void check_auth_services(Loaded& out) {
  for (const Site& site : out.config.sites) {
    if (site.forward_auth) check_auth_service(out.config, *site.forward_auth, out);
    for (const Route& route : site.routes) {
      if (route.forward_auth) check_auth_service(out.config, *route.forward_auth, out);
    }
  }
}

/// What commands call the pools of a static: they share one space of names with the upstreams.
void name_static_pools(Site& site, std::map<std::string, std::pair<std::string, Position>>& taken, Loaded& out) {
  const Static* unnamed = nullptr;
  for (Route& route : site.routes) {
    auto* const rare = std::get_if<Rare<Static>>(&route.action);
    if (rare == nullptr || (*rare)->pools.empty()) continue;
    Static& files = rare->change();
    if (files.name.empty()) {
      const std::string host = site.name();
      files.name = host.starts_with("*.") ? host.substr(2) : host;
      if (!parse_name(files.name)) {
        out.errors.push_back(
            {files.position, "static.pools: expected the key 'name' beside it, since the site's host '" + host +
                                 "' is no name for them"});
        continue;
      }
      if (unnamed != nullptr) {
        out.errors.push_back({files.position, "static.pools: expected the key 'name' beside it: the pools at " +
                                                  line_of(unnamed->position) + " have the site's name already"});
        continue;
      }
      unnamed = &files;
    }
    const auto [first, fresh] = taken.emplace(files.name, std::pair("static", files.position));
    if (fresh) continue;
    out.errors.push_back({files.position, "static.pools: the name '" + files.name + "' is that of the " +
                                              first->second.first + " at " + line_of(first->second.second) +
                                              ", too; expected another one in the key 'name'"});
  }
}

void name_static_pools(Loaded& out) {
  std::map<std::string, std::pair<std::string, Position>> taken;
  for (const Upstream& upstream : out.config.upstreams) {
    taken.emplace(upstream.name, std::pair("upstream", upstream.position));
  }
  for (Site& site : out.config.sites) name_static_pools(site, taken, out);
}

// Who takes a whole body before anything is asked must know how long it may be.
void check_bodies(const std::vector<BoundedBody>& routes, Loaded& out) {
  const Limits& limits = out.config.limits;
  for (const BoundedBody& route : routes) {
    const std::uint64_t most = route.max_body.value_or(limits.max_body);
    if (most == 0) {
      out.errors.push_back({route.where, route.path + ": request needs an end: expected a max_body above 0"});
    } else if (most > limits.body_buffers) {
      out.errors.push_back({route.where, route.path + ": expected max_body to be at most limits.body_buffers (" +
                                             size_text(limits.body_buffers) + "), got '" + size_text(most) + "'"});
    }
  }
}

void warn_doubtful(Loaded& out) {
  const Config& config = out.config;
  if (config.sites.empty() && !config.files.empty()) {
    out.warnings.push_back({{config.files.front(), 0, 0}, "no site is defined: every request is answered with 404"});
  }
  const bool has_tls =
      std::any_of(config.listeners.begin(), config.listeners.end(), [](const Listener& each) { return each.tls; });
  for (const Site& site : config.sites) {
    if (site.https_redirect && !has_tls) {
      out.warnings.push_back({site.position, "https: redirect leads nowhere: no listener has tls: true"});
    }
  }
}

}  // namespace

void validate(Loaded& out, Pending& pending) {
  Config& config = out.config;
  std::vector<std::string_view> upstreams;
  for (const Upstream& upstream : config.upstreams) upstreams.push_back(upstream.name);
  std::vector<std::string_view> limits;
  for (const RateLimit& limit : config.rate_limits) limits.push_back(limit.name);
  std::vector<std::string_view> listeners;
  for (const Listener& listener : config.listeners) listeners.push_back(listener.address.text);

  check_references(pending.upstreams, upstreams, "upstream", out);
  check_references(pending.rate_limits, limits, "rate limit", out);
  check_references(pending.listeners, listeners, "listener", out);
  check_bodies(pending.bounded_bodies, out);
  check_unique(config.upstreams, "upstream", out);
  check_unique(config.rate_limits, "rate limit", out);
  check_listeners(out);
  check_hosts(out);
  check_auth_services(out);
  for (const Site& site : config.sites) check_routes(site, out);
  for (const RateLimit& limit : config.rate_limits) {
    if (limit.store == RateLimit::Store::kRedis && !config.redis) {
      out.errors.push_back(
          {limit.position, "rate_limits." + limit.name + ".store: expected a redis section for store: redis"});
    }
  }
  name_static_pools(out);
  warn_doubtful(out);
  std::move(pending.anonymous.begin(), pending.anonymous.end(), std::back_inserter(config.upstreams));
}

}  // namespace headgate::config
