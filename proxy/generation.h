// SPDX-License-Identifier: Apache-2.0
// A Generation: one configuration made ready to serve. Built whole beside the running one, checked, then put in its
// place; a request keeps the one it began with. Immutable and shared by all workers; what outlives it (connections to
// servers, cached files, sockets, ticket keys) is kept elsewhere by identity.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include "base/rare.h"
#include "compress/rules.h"
#include "config/model.h"
#include "http/exchange.h"
#include "proxy/cors.h"
#include "proxy/gate.h"
#include "proxy/handlers/static_files.h"
#include "proxy/limits.h"
#include "proxy/traffic_meter.h"
#include "routing/route_table.h"
#include "tls/certificates.h"
#include "tls/server_context.h"
#include "tls/ticket_keys.h"
#include "traffic/traffic.h"
#include "upstream/upstream.h"

namespace headgate::proxy {

class FolderChoice;
class PoolChoice;

/// header changes with their templates compiled; in the order remove, set, add.
struct HeaderRules {
  HeaderRules() = default;
  explicit HeaderRules(const config::HeaderChanges& changes);
  std::vector<std::string> remove;
  std::vector<std::pair<std::string, routing::Template>> set;
  std::vector<std::pair<std::string, routing::Template>> add;
  bool empty() const { return remove.empty() && set.empty() && add.empty(); }
};

/// What a route does to the heads of its answers.
struct ResponseRules {
  HeaderRules headers;
  CorsPolicy cors;
  enum class Cors : std::uint8_t { kOfSite, kOwn, kOff } which_cors = Cors::kOfSite;
};

/// An answer of the edge's own.
struct FixedAnswer {
  int status = 0;
  routing::Template text;  ///< a redirect's target, or a respond's body
  HeaderRules headers;
};

/// Where copies of requests go, and how many.
struct MirrorRule {
  std::uint32_t upstream = 0;  ///< index in config.upstreams
  double percent = 0;
};

/// What a route does with requests' bodies but stream them.
struct BodyRules {
  bool stored = false;  ///< all of it is taken before the upstream is asked
  std::optional<MirrorRule> mirror;
};

/// What few actions have, or need only once.
struct ActionRules {
  FixedAnswer answer;  ///< of a redirect or a respond
  BodyRules bodies;    ///< of a proxy
};

/// As config::Route, small: there may be a hundred thousand. What each request looks at lies on two cache lines, so
/// that config::Route, which most likely is in no cache, is left alone.
struct alignas(64) CompiledRoute {
  enum class Action : std::uint8_t { kNone, kProxy, kStatic, kRedirect, kRespond };

  CompiledRoute(const config::Config& whole, const config::Route& route);
  const config::Route* config;
  std::string_view strip_prefix;
  std::uint64_t max_body = 0;  ///< 0: no limit
  Rare<HeaderRules> request_headers;
  Rare<ResponseRules> response;
  std::unique_ptr<const StaticFiles> files;  ///< of a static
  /// Of a proxy: index in config.upstreams. Of a static with pools: in Generation::static_pools.
  std::uint32_t upstream = 0;
  Action action : 3 = Action::kNone;
  enum class Compress : std::uint8_t { kOff, kSite, kOwn };
  Compress compress : 2 = Compress::kOff;  ///< whose rules; compress_rules()
  bool gated : 1 = false;                  ///< CompiledSite::gates has one for it
  bool has_body_rules : 1 = false;         ///< on those two lines, where they are not
  std::uint8_t rollout_class = 0;          ///< of a proxy: which of those that use the upstream
  std::uint16_t limit_set = 0;             ///< of Generation::limit_sets, from 1 on; 0: none
  std::string name;
  config::UpstreamTimeouts timeouts;  ///< of a proxy: the route's over the upstream's
  Rare<ActionRules> rules;
};

class ErrorPages;

struct CompiledSite {
  CompiledSite(const config::Config& whole, const config::Site& site);
  const config::Site* config;
  std::vector<CompiledRoute> routes;
  Rare<HeaderRules> response_headers;
  Rare<compress::Rules> compress;
  std::map<const CompiledRoute*, compress::Rules> own_compress;  ///< of the routes that have their own
  const Gate* gate = nullptr;      ///< of what finds no route; null: everybody may come in
  std::vector<const Gate*> gates;  ///< of each route; empty where none has one
  Rare<CorsPolicy> cors;
  bool https_redirect;
  bool security_headers;
  bool any_cors;                   ///< its own, or that of some route
  std::uint32_t first_series = 0;  ///< in TrafficMeter: of what found no route; its routes follow
  std::string name;
  std::shared_ptr<const ErrorPages> error_pages;  ///< null: none
};

/// Of a route that compresses.
const compress::Rules& compress_rules(const CompiledSite& site, const CompiledRoute& route);

/// How new requests are spread over pools; views of the configuration.
struct CompiledSplit {
  CompiledSplit(const config::SplitRules& rules, std::vector<std::string_view> pools,
                std::shared_ptr<traffic::Feed> traffic);
  const config::SplitRules* rules;
  std::vector<std::string_view> pools;  ///< in the order of the configuration
  std::shared_ptr<traffic::Feed> traffic;
  std::optional<routing::Template> split_key;
};

/// A static with pools.
struct CompiledStaticPools {
  const config::Static* config;
  const CompiledSite* site;
  const CompiledRoute* route;  ///< whose files they are
  CompiledSplit split;
};

/// What of an upstream is decided once for all requests.
struct CompiledUpstream {
  CompiledUpstream(const config::Upstream& upstream, upstream::UpstreamWatch watch,
                   std::shared_ptr<traffic::Feed> traffic);

  /// Its method may be sent twice.
  bool repeats(const http::RequestHead& head) const;
  bool retries_on(config::RetryOn reason) const { return (retry_on >> static_cast<unsigned>(reason) & 1) != 0; }

  upstream::UpstreamWatch watch;
  CompiledSplit split;
  std::optional<routing::Template> balance_key;  ///< of hash(...)
  std::optional<upstream::Sticky> sticky;
  std::uint32_t retry_on = 0;                    ///< a bit for each config::RetryOn
  std::uint32_t retry_methods = 0;               ///< a bit for each http::Method
  std::vector<std::string> other_retry_methods;  ///< those that http::Method does not have
};

class Generation {
 public:
  /// Throws std::exception with a message for the operator: a certificate that cannot be used, and the like. The
  /// monitor follows its upstreams for as long as it lives.
  Generation(std::uint64_t number, config::Config config, upstream::Monitor& monitor, traffic::Traffic& traffic);
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  const std::uint64_t number;
  const config::Config config;
  const routing::RouteTable routes;
  std::vector<CompiledLimit> limits;  ///< in the order of config.rate_limits
  std::vector<LimitSet> limit_sets;   ///< each one that a route has, once
  std::vector<CompiledSite> sites;
  Gates gates;
  std::vector<CompiledUpstream> upstreams;  ///< in the order of config.upstreams
  std::vector<CompiledStaticPools> static_pools;
  std::uint32_t series_count = 1;  ///< of TrafficMeter: none, and for each site one and one for each of its routes
  http::SessionLimits session_limits;
  std::shared_ptr<tls::CertificateStore> certificates;  ///< null without a tls listener

  /// Whether a limit is counted in Redis.
  bool shares_limits() const;

  /// Null: there is no static with pools of that name.
  const CompiledStaticPools* find_static_pools(std::string_view name) const;

 private:
  void compile_limits();
  void class_routes();
  void find_error_pages();
  void compile_static_pools(traffic::Traffic& traffic);
  void check_tls() const;
};

/// A generation as one worker uses it. Loop thread only, and so counted without atomics; requests share it.
struct WorkerGeneration : boost::intrusive_ref_counter<WorkerGeneration, boost::thread_unsafe_counter> {
  ~WorkerGeneration();
  WorkerGeneration(std::shared_ptr<const Generation> generation, upstream::WorkerSide& side,
                   const std::shared_ptr<tls::TicketKeys>& tickets, observe::Metrics& metrics,
                   ratelimit::Stores& stores, ratelimit::SharedStore& shared_limits);
  std::shared_ptr<const Generation> shared;
  std::vector<std::unique_ptr<upstream::Upstream>> upstreams;  ///< in the order of config.upstreams
  std::vector<std::unique_ptr<PoolChoice>> choices;            ///< likewise; null for those of one pool
  std::vector<std::unique_ptr<FolderChoice>> static_choices;   ///< in the order of Generation::static_pools
  std::unique_ptr<tls::ServerContext> tls;                     ///< of listeners with http2; null without one
  std::unique_ptr<tls::ServerContext> tls_http1;               ///< of TLS listeners without; null without one
  TrafficMeter meter;
  RateLimiter limiter;

  /// Null for a plain listener, and for one that this generation does not have.
  tls::ServerContext* tls_of(const config::Listener& listener) const;
};

}  // namespace headgate::proxy
