// SPDX-License-Identifier: Apache-2.0
#include "proxy/generation.h"

#include <algorithm>
#include <map>
#include <stdexcept>

#include "observe/scorecard.h"
#include "proxy/error_pages.h"
#include "proxy/handlers/answers.h"
#include "proxy/handlers/folder_choice.h"
#include "proxy/handlers/pool_choice.h"

namespace headgate::proxy {
namespace {

constexpr std::size_t kMostLimitSets = 65'535;

/// What a listener offers in its TLS handshakes, preferred first.
std::vector<std::string> alpn(bool http2) {
  return http2 ? std::vector<std::string>{"h2", "http/1.1"} : std::vector<std::string>{"http/1.1"};
}

bool any_tls_listener(const config::Config& config, bool http2) {
  return std::any_of(config.listeners.begin(), config.listeners.end(),
                     [&](const auto& listener) { return listener.tls && listener.http2 == http2; });
}

routing::Template compile(const std::string& text) {
  auto parsed = routing::Template::parse(text);
  if (!parsed) throw std::invalid_argument("template '" + text + "': " + parsed.error().message);
  return std::move(*parsed);
}

std::vector<std::pair<std::string, routing::Template>> compile(
    const std::vector<std::pair<std::string, std::string>>& fields) {
  std::vector<std::pair<std::string, routing::Template>> result;
  result.reserve(fields.size());
  for (const auto& [name, value] : fields) result.emplace_back(name, compile(value));
  return result;
}

std::vector<std::string_view> names_of(const std::vector<config::Pool>& pools) {
  std::vector<std::string_view> names;
  for (const auto& pool : pools) names.emplace_back(pool.name);
  return names;
}

std::uint32_t upstream_index(const config::Config& config, const std::string& name) {
  for (std::uint32_t i = 0; i < config.upstreams.size(); ++i) {
    if (config.upstreams[i].name == name) return i;
  }
  throw std::invalid_argument("unknown upstream '" + name + "'");
}

http::SessionLimits session_limits_of(const config::Limits& limits) {
  return {.header_timeout = limits.header_timeout,
          .body_idle_timeout = limits.body_idle_timeout,
          .keepalive_timeout = limits.keepalive_timeout,
          .keepalive_requests = limits.keepalive_requests,
          .max_header_bytes = limits.max_header_bytes,
          .max_headers = limits.max_headers};
}

Rare<HeaderRules> compile(const Rare<config::HeaderChanges>& changes) {
  if (!changes) return {};
  return HeaderRules(*changes);
}

void compile_body_rules(const config::Config& whole, const config::Route& route, Rare<ActionRules>& rules) {
  if (route.buffering == config::Buffering::kRequest) rules.change().bodies.stored = true;
  const auto& mirror = *route.mirror;
  if (mirror.percent > 0)
    rules.change().bodies.mirror = MirrorRule{upstream_index(whole, mirror.upstream), mirror.percent};
}

/// A route's own rules stand in place of the site's.
void compile_compress(const config::Site& site, CompiledSite& compiled) {
  using Compress = CompiledRoute::Compress;
  if (site.compress) compiled.compress = compress::Rules(*site.compress);
  for (auto& route : compiled.routes) {
    const auto& own = route.config->compress;
    if (!own) {
      route.compress = site.compress ? Compress::kSite : Compress::kOff;
    } else if (*own) {
      route.compress = Compress::kOwn;
      compiled.own_compress.emplace(&route, compress::Rules(**own));
    }
  }
}

Rare<ResponseRules> response_rules(const config::Route& route) {
  if (!route.response_headers && !route.cors) return {};
  ResponseRules rules;
  rules.headers = HeaderRules(*route.response_headers);
  if (route.cors) {
    rules.which_cors = route.cors->off ? ResponseRules::Cors::kOff : ResponseRules::Cors::kOwn;
    rules.cors = CorsPolicy(*route.cors);
  }
  return rules;
}

bool has_cors(const config::Site& site) {
  return site.cors || std::any_of(site.routes.begin(), site.routes.end(),
                                  [](const auto& route) { return route.cors && !route.cors->off; });
}

}  // namespace

HeaderRules::HeaderRules(const config::HeaderChanges& changes)
    : remove(changes.remove), set(compile(changes.set)), add(compile(changes.add)) {}

CompiledRoute::CompiledRoute(const config::Config& whole, const config::Route& route)
    : config(&route),
      strip_prefix(route.strip_prefix),
      max_body(route.max_body.value_or(whole.limits.max_body)),
      request_headers(compile(route.request_headers)),
      response(response_rules(route)),
      name(route.name()) {
  if (const auto* proxy = std::get_if<config::Proxy>(&route.action)) {
    action = Action::kProxy;
    upstream = upstream_index(whole, proxy->upstream);
    timeouts = whole.upstreams[upstream].timeouts;
    const config::RouteTimeouts& own = *route.timeouts;
    timeouts.connect = own.connect.value_or(timeouts.connect);
    timeouts.first_byte = own.first_byte.value_or(timeouts.first_byte);
    timeouts.idle = own.idle.value_or(timeouts.idle);
    compile_body_rules(whole, route, rules);
    has_body_rules = static_cast<bool>(rules);
  } else if (const auto* settings = std::get_if<Rare<config::Static>>(&route.action)) {
    action = Action::kStatic;
    files = std::make_unique<const StaticFiles>(**settings);
  } else if (const auto* redirect = std::get_if<config::Redirect>(&route.action)) {
    action = Action::kRedirect;
    rules.change().answer = FixedAnswer{redirect->status, compile(redirect->to), {}};
  } else if (const auto* respond = std::get_if<config::Respond>(&route.action)) {
    action = Action::kRespond;
    rules.change().answer = FixedAnswer{respond->status, compile(respond->body), {}};
    rules.change().answer.headers.set = compile(respond->headers);
  }
}

CompiledSite::CompiledSite(const config::Config& whole, const config::Site& site)
    : config(&site),
      https_redirect(site.https_redirect),
      security_headers(site.strict_security_headers),
      any_cors(has_cors(site)),
      name(site.name()) {
  if (site.cors) cors = CorsPolicy(*site.cors);
  if (!site.response_headers.empty()) response_headers = HeaderRules(site.response_headers);
  routes.reserve(site.routes.size());
  for (const auto& route : site.routes) routes.emplace_back(whole, route);
  compile_compress(site, *this);
}

const compress::Rules& compress_rules(const CompiledSite& site, const CompiledRoute& route) {
  return route.compress == CompiledRoute::Compress::kOwn ? site.own_compress.at(&route) : *site.compress;
}

CompiledSplit::CompiledSplit(const config::SplitRules& rules_, std::vector<std::string_view> pools_,
                             std::shared_ptr<traffic::Feed> traffic_)
    : rules(&rules_), pools(std::move(pools_)), traffic(std::move(traffic_)) {
  if (!rules->split_key.empty()) split_key = compile(rules->split_key);
}

CompiledUpstream::CompiledUpstream(const config::Upstream& upstream, upstream::UpstreamWatch watch_,
                                   std::shared_ptr<traffic::Feed> traffic)
    : watch(std::move(watch_)), split(upstream, names_of(upstream.pools), std::move(traffic)) {
  if (upstream.balance.kind == config::Balance::Kind::kHash) balance_key = compile(upstream.balance.key);
  if (upstream.sticky) sticky.emplace(upstream.name, *upstream.sticky);
  for (const auto reason : upstream.retry.on) retry_on |= 1U << static_cast<unsigned>(reason);
  for (const auto& name : upstream.retry.methods) {
    const auto method = http::method_of(name);
    if (method == http::Method::kOther)
      other_retry_methods.push_back(name);
    else
      retry_methods |= 1U << static_cast<unsigned>(method);
  }
}

bool CompiledUpstream::repeats(const http::RequestHead& head) const {
  if (head.method != http::Method::kOther) return (retry_methods >> static_cast<unsigned>(head.method) & 1) != 0;
  return std::find(other_retry_methods.begin(), other_retry_methods.end(), head.method_name) !=
         other_retry_methods.end();
}

Generation::Generation(std::uint64_t number_, config::Config config_, upstream::Monitor& monitor,
                       traffic::Traffic& traffic)
    : number(number_), config(std::move(config_)), routes(config), session_limits(session_limits_of(config.limits)) {
  sites.reserve(config.sites.size());
  for (const auto& site : config.sites) {
    sites.emplace_back(config, site).first_series = series_count;
    series_count += 1 + static_cast<std::uint32_t>(site.routes.size());
  }
  compile_limits();
  class_routes();
  gates.compile(config, sites);
  find_error_pages();
  if (any_tls_listener(config, true) || any_tls_listener(config, false)) {
    certificates = std::make_shared<tls::CertificateStore>(config.tls);
  }
  check_tls();
  compile_static_pools(traffic);
  // Last, since from here on they are followed.
  auto watches = monitor.watch(config);
  upstreams.reserve(watches.size());
  for (std::size_t i = 0; i < watches.size(); ++i) {
    upstreams.emplace_back(config.upstreams[i], std::move(watches[i]), traffic.feed(config.upstreams[i]));
  }
}

bool Generation::shares_limits() const {
  return config.redis && std::any_of(config.rate_limits.begin(), config.rate_limits.end(),
                                     [](const auto& limit) { return limit.store == config::RateLimit::Store::kRedis; });
}

void Generation::compile_static_pools(traffic::Traffic& traffic) {
  for (auto& site : sites) {
    for (auto& route : site.routes) {
      if (!route.files || route.files->pools() == 0) continue;
      route.upstream = static_cast<std::uint32_t>(static_pools.size());
      const config::Static& files = *std::get<Rare<config::Static>>(route.config->action);
      std::vector<std::string_view> names;
      for (const auto& [name, folder] : files.pools) names.emplace_back(name);
      static_pools.push_back({&files, &site, &route, {files, std::move(names), traffic.feed(files)}});
    }
  }
}

const CompiledStaticPools* Generation::find_static_pools(std::string_view name) const {
  const auto found = std::find_if(static_pools.begin(), static_pools.end(),
                                  [&](const auto& pools) { return pools.config->name == name; });
  return found == static_pools.end() ? nullptr : &*found;
}

/// As Rollouts names them.
void Generation::class_routes() {
  std::vector<std::size_t> seen(config.upstreams.size());
  for (auto& site : sites) {
    for (auto& route : site.routes) {
      if (route.action != CompiledRoute::Action::kProxy) continue;
      route.rollout_class = static_cast<std::uint8_t>(std::min(seen[route.upstream]++, observe::kMostRouteClasses - 1));
    }
  }
}

/// Few sets are shared by many routes, so a route has a number in place of a list.
void Generation::compile_limits() {
  std::map<std::string_view, std::uint16_t> by_name;
  limits.reserve(config.rate_limits.size());
  for (const auto& limit : config.rate_limits) {
    by_name.emplace(limit.name, static_cast<std::uint16_t>(limits.size()));
    limits.emplace_back(limit);
  }
  std::map<std::vector<std::string>, std::uint16_t> known;
  for (auto& site : sites) {
    for (auto& route : site.routes) {
      const auto& names = route.config->rate_limit;
      if (names.empty()) continue;
      const auto [set, fresh] = known.emplace(names, static_cast<std::uint16_t>(limit_sets.size() + 1));
      route.limit_set = set->second;
      if (!fresh) continue;
      if (limit_sets.size() >= kMostLimitSets) throw std::invalid_argument("more than 65,535 sets of rate limits");
      LimitSet& made = limit_sets.emplace_back();
      for (const auto& name : names) {
        const auto& limit = limits[made.limits.emplace_back(by_name.at(name))];
        if (!limit.config->headers || limit.config->dry_run) continue;
        made.policy += (made.policy.empty() ? "" : ", ") + limit.policy;
      }
    }
  }
}

/// Once all routes are there.
void Generation::find_error_pages() {
  if (const auto lost = lost_error_pages(config, routes); !lost.empty()) {
    throw std::invalid_argument(config::to_string(lost.front()));
  }
  for (std::size_t i = 0; i < sites.size(); ++i) {
    if (config.sites[i].error_pages.empty()) continue;
    auto pages = std::make_shared<ErrorPages>();
    pages->intercept = config.sites[i].error_pages_intercept;
    for (const auto& page : config.sites[i].error_pages) {
      const auto& route = sites[i].routes[*route_of_page(config, routes, i, page.path)];
      const auto* const answer = route.files ? nullptr : &route.rules->answer;
      pages->add(
          {page.status, route.files.get(), std::string(proxy::strip_prefix(page.path, route.strip_prefix)), answer});
    }
    sites[i].error_pages = std::move(pages);
  }
}

/// Makes once what each worker will make for itself, so that a mistake is found before any of them has changed.
void Generation::check_tls() const {
  if (certificates) tls::ServerContext(certificates, config.tls, alpn(true), std::make_shared<tls::TicketKeys>());
  for (const auto& upstream : config.upstreams) {
    const bool secure = upstream.scheme == config::Scheme::kHttps || upstream.scheme == config::Scheme::kH2;
    if (secure) tls::ClientContext(upstream.tls);
  }
}

WorkerGeneration::WorkerGeneration(std::shared_ptr<const Generation> generation, upstream::WorkerSide& side,
                                   const std::shared_ptr<tls::TicketKeys>& tickets, observe::Metrics& metrics,
                                   ratelimit::Stores& stores, ratelimit::SharedStore& shared_limits)
    : shared(std::move(generation)),
      meter(metrics, side.worker, *shared),
      limiter(*shared, stores, shared_limits, metrics, side.worker) {
  for (std::size_t i = 0; i < shared->upstreams.size(); ++i) {
    const auto& upstream = shared->config.upstreams[i];
    const auto& compiled = shared->upstreams[i];
    upstreams.push_back(std::make_unique<upstream::Upstream>(upstream, compiled.watch, side));
    const bool several = upstream.pools.size() > 1;
    choices.push_back(several ? std::make_unique<ServerPoolChoice>(*upstreams.back(), compiled) : nullptr);
  }
  for (const auto& pools : shared->static_pools) {
    static_choices.push_back(std::make_unique<FolderChoice>(*pools.route->files, pools.split, side.changes));
  }
  const config::Config& config = shared->config;
  const auto make = [&](bool http2) {
    return any_tls_listener(config, http2)
               ? std::make_unique<tls::ServerContext>(shared->certificates, config.tls, alpn(http2), tickets)
               : nullptr;
  };
  tls = make(true);
  tls_http1 = make(false);
}

WorkerGeneration::~WorkerGeneration() = default;

tls::ServerContext* WorkerGeneration::tls_of(const config::Listener& listener) const {
  if (!listener.tls) return nullptr;
  return (listener.http2 ? tls : tls_http1).get();
}

}  // namespace headgate::proxy
