// SPDX-License-Identifier: Apache-2.0
// The configuration as plain typed values: what the reader makes of a file and the rest of the program runs on.
// Every default stands here, once. No behaviour; copies are deep. The meaning of each key is documented in
// docs/configuration.md and in the schema table of the reader.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/ip.h"
#include "base/rare.h"

namespace headgate::config {

using std::chrono::milliseconds;
using std::chrono::seconds;
using namespace std::chrono_literals;

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;

/// The name of a file, one text for all the positions in it.
class FileName {
 public:
  FileName() = default;
  FileName(std::string name) : name_(std::make_shared<const std::string>(std::move(name))) {}
  FileName(const char* name) : FileName(std::string(name)) {}
  const std::string& text() const;

 private:
  std::shared_ptr<const std::string> name_;
};

/// Where a value stood, for messages that come after reading ("FILE:LINE:COL: ..."). line 0: nowhere (a default).
struct Position {
  FileName file;
  int line = 0;
  int column = 0;
};

/// 100/s: `count` in each `per`.
struct Rate {
  std::uint64_t count = 0;
  milliseconds per{1000};
};

/// ":80", "127.0.0.1:80", "[::1]:80", "unix:/path", "app.internal:3000".
struct Address {
  enum class Kind { kAny, kIp, kName, kUnix };
  Kind kind = Kind::kAny;
  IpAddress ip;      // kIp
  std::string host;  // kName: lower case
  std::string path;  // kUnix
  std::uint16_t port = 0;
  std::string text;  // as written
};

/// Adds, sets and removes fields, in that order: remove, set, add. Values are templates.
struct HeaderChanges {
  std::vector<std::pair<std::string, std::string>> set;
  std::vector<std::pair<std::string, std::string>> add;
  std::vector<std::string> remove;
  bool empty() const { return set.empty() && add.empty() && remove.empty(); }
};

struct Log {
  std::string level = "info";
  enum class Format { kText, kJson } format = Format::kText;
  std::string output = "stderr";
};

struct AccessLog {
  enum class Format { kJson, kCombined, kOff } format = Format::kJson;
  std::string output = "stdout";
};

struct Admin {
  Address listen;  // unix:/run/headgate/admin.sock when the section is absent
  std::string token_file;
  bool configured = false;
  Position position;
};

struct Metrics {
  std::optional<Address> listen;
  std::string path = "/metrics";
};

struct Dns {
  std::vector<Address> servers;
  milliseconds min_ttl = 1s;
  milliseconds max_ttl = 5min;
  milliseconds timeout = 2s;
};

struct Redis {
  std::vector<std::string> urls;
  milliseconds timeout = 20ms;
  milliseconds connect_timeout = 500ms;
  bool share_traffic_state = false;
};

struct Listener {
  Address address;
  bool tls = false;
  bool http2 = true;  // on a tls listener
  bool h2c = false;
  bool proxy_protocol = false;
  Position position;
};

struct Certificate {
  std::string cert;
  std::string key;
  Position position;
};

enum class VerifyClient { kOff, kOptional, kRequired };

struct Tls {
  std::vector<Certificate> certificates;
  enum class Version { k12, k13 } min_version = Version::k12;
  std::string ciphers = "modern";
  bool watch = true;  // reload: watch | off
  bool ocsp_stapling = true;
  bool session_tickets = true;
  std::string client_ca;
  VerifyClient verify_client = VerifyClient::kOff;
  bool strict_sni = false;
  Position position;
};

struct Limits {
  milliseconds header_timeout = 10s;
  milliseconds body_idle_timeout = 30s;
  milliseconds keepalive_timeout = 75s;
  std::uint64_t keepalive_requests = 0;
  std::uint64_t max_header_bytes = 32 * kKiB;
  std::uint64_t max_headers = 100;
  std::uint64_t max_body = 1 * kMiB;
  std::uint64_t body_memory = 64 * kKiB;
  std::uint64_t body_buffers = 1024 * kMiB;
  std::uint64_t max_connections = 0;
  std::uint64_t max_connections_per_ip = 0;
};

struct Server {
  Address address;
  std::uint32_t weight = 1;
  bool backup = false;
  std::uint32_t max_connections = 0;
  Position position;
};

struct Pool {
  std::string name;
  std::vector<Server> servers;
  Position position;
};

enum class Scheme { kHttp, kHttps, kH2c, kH2 };
enum class SplitBy { kRequest, kClient };
enum class AtZeroWeight { kRelease, kKeep };

struct SplitOverride {
  std::string header;
  std::string cookie;
  std::vector<Cidr> allow;
};

/// How new requests are spread over pools, be they of servers or of files.
struct SplitRules {
  std::vector<std::pair<std::string, double>> split;
  SplitBy split_by = SplitBy::kRequest;
  std::string split_key;
  std::string split_cookie = "headgate_client";
  AtZeroWeight at_zero_weight = AtZeroWeight::kRelease;
  std::optional<SplitOverride> split_override;
};

struct Balance {
  enum class Kind { kRoundRobin, kLeastRequests, kRandomTwo, kPeakEwma, kHash } kind = Kind::kRoundRobin;
  std::string key;  // kHash: the template between the brackets
};

struct Sticky {
  std::string cookie;
  seconds ttl = 1h;
};

struct Health {
  std::string path;
  milliseconds interval = 5s;
  milliseconds timeout = 2s;
  std::uint32_t healthy_after = 2;
  std::uint32_t unhealthy_after = 3;
  std::vector<std::pair<int, int>> expect_status = {{200, 399}};
  std::string expect_body;
  std::string host;
};

struct Ejection {
  std::uint32_t consecutive_errors = 5;
  double error_rate = 0.5;
  milliseconds window = 10s;
  std::uint32_t min_requests = 20;
  milliseconds base_time = 10s;
  milliseconds max_time = 5min;
  double max_ejected = 0.5;
};

enum class RetryOn { kConnectError, kResetBeforeResponse, k502, k503, k504 };

struct Retry {
  std::uint32_t attempts = 2;
  std::vector<RetryOn> on = {RetryOn::kConnectError, RetryOn::kResetBeforeResponse, RetryOn::k502, RetryOn::k503,
                             RetryOn::k504};
  std::vector<std::string> methods = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
  double budget = 0.2;
};

struct UpstreamTimeouts {
  milliseconds connect = 3s;
  milliseconds first_byte = 60s;
  milliseconds idle = 60s;
};

struct UpstreamKeepalive {
  std::uint32_t idle_connections = 64;
  milliseconds idle_timeout = 60s;
  std::uint64_t max_requests = 0;
};

struct UpstreamTls {
  bool verify = true;
  std::string ca;
  std::string server_name;
  std::string cert;
  std::string key;
};

struct Rollout {
  std::vector<double> steps = {1, 5, 25, 50, 100};  // percent
  milliseconds step_time = 30s;
  std::uint64_t min_requests = 100;
  milliseconds max_step_time = 30min;
  enum class OnNoVerdict { kHold, kAbort } on_no_verdict = OnNoVerdict::kHold;
  bool shield = true;
  double error_rate_worse_by = 0.005;
  double p99_worse_by = 0.2;
  double error_rate_ceiling = 0.2;
  double false_alarm = 0.001;
  bool operator==(const Rollout&) const = default;
};

enum class ProxyProtocol : std::uint8_t { kOff, kV1, kV2 };

struct Upstream : SplitRules {
  std::string name;  // for `proxy: URL`: the URL's scheme://host:port
  Scheme scheme = Scheme::kHttp;
  std::vector<Pool> pools;  // the short form makes one, named "default"
  Balance balance;
  std::optional<Sticky> sticky;
  std::optional<Health> health;
  Ejection ejection;
  milliseconds slow_start = 0s;
  Retry retry;
  UpstreamTimeouts timeouts;
  UpstreamKeepalive keepalive;
  UpstreamTls tls;
  ProxyProtocol proxy_protocol = ProxyProtocol::kOff;
  std::optional<Rollout> rollout;
  Position position;
};

struct RateLimit {
  std::string name;
  std::string key;
  Rate rate;
  std::uint64_t burst = 0;  // 0: the count of one period
  enum class Store { kLocal, kRedis } store = Store::kLocal;
  std::optional<std::uint64_t> lease;  // nullopt: auto
  double max_overshoot = 0.05;
  int ipv6_prefix = 64;
  enum class OnStoreFailure { kLocal, kAllow, kDeny } on_store_failure = OnStoreFailure::kLocal;
  int status = 429;
  bool dry_run = false;
  bool headers = true;
  Position position;
};

// --- routes -----------------------------------------------------------------------------------------------------

struct Rewrite {
  std::string regex;
  std::string to;
};

struct Redirect {
  std::string to;  // a template
  int status = 308;
};

struct Respond {
  int status = 200;
  std::string body;  // a template
  std::vector<std::pair<std::string, std::string>> headers;
};

struct Static : SplitRules {
  std::string name;  // of its pools, among the upstreams'; never empty when there are some
  std::string root;  // empty when there are pools
  std::vector<std::string> index = {"index.html"};
  bool autoindex = false;
  std::vector<std::string> try_files;
  bool spa = false;
  std::vector<std::string> also;
  std::vector<std::string> precompressed = {"br", "gzip"};
  std::vector<std::pair<std::string, std::string>> cache_control;  // pattern -> value, in file order
  enum class HiddenFiles { kDeny, kAllow } hidden_files = HiddenFiles::kDeny;
  enum class FollowSymlinks { kWithinRoot, kAlways, kNever } follow_symlinks = FollowSymlinks::kWithinRoot;
  std::vector<std::pair<std::string, std::string>> pools;  // static pools: name -> directory
  Position position;
};

struct Proxy {
  std::string upstream;  // an Upstream's name; a URL has become one
};

struct RouteTimeouts {
  std::optional<milliseconds> connect;
  std::optional<milliseconds> first_byte;
  std::optional<milliseconds> idle;
};

struct Cors {
  std::vector<std::string> origins;  // serialised: "https://shop.example.com", "https://*.example.com"; "*": all
  std::vector<std::string> methods;  // "*": whatever is asked for; so, too, of headers
  std::vector<std::string> headers;
  std::vector<std::string> expose_headers;
  bool credentials = false;
  seconds max_age = 0s;  // 0: the browser's own
  bool off = false;      // of a route: none, whatever the site says
};

/// Of a site or a route, as the two that follow; a route's stands in place of its site's, also an empty one, which asks
/// for nothing.
struct Access {
  std::vector<Cidr> allow;
  std::vector<Cidr> deny;
  bool empty() const { return allow.empty() && deny.empty(); }
};

struct BasicAuth {
  std::string realm;
  std::string users_file;
  Position position;
  bool empty() const { return users_file.empty(); }
};

struct ForwardAuth {
  std::string upstream;  // an Upstream's name; a URL has become one
  std::string path = "/";
  milliseconds timeout = 5s;
  std::vector<std::string> copy_headers;
  std::optional<std::vector<std::string>> request_headers;  // nullopt: all that may go on
  Position position;
  bool empty() const { return upstream.empty(); }
};

struct Mirror {
  std::string upstream;
  double percent = 0;
};

/// A path of a route: "/healthz" exactly, or "/api/*" and "/merchant/admin*" as prefixes (the star is cut off).
struct PathPattern {
  std::string text;  // without the star
  bool prefix = false;
};

/// What a request must be beside its path.
struct Conditions {
  std::vector<std::string> methods;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::pair<std::string, std::string>> query;
  std::vector<Cidr> client;
  bool empty() const { return methods.empty() && headers.empty() && query.empty() && client.empty(); }
};

enum class Buffering { kOff, kRequest };

/// How answers are compressed on their way.
struct Compress {
  std::vector<std::string> encodings = {"zstd", "br", "gzip"};  // in the order of preference
  std::uint64_t min_size = 1 * kKiB;
  std::vector<std::string> types = {"text/*", "application/json", "application/javascript", "image/svg+xml"};
  struct Levels {
    int zstd = 3;
    int br = 3;
    int gzip = 5;
  } level;
};

/// There may be a hundred thousand: what few of them set is Rare.
struct Route {
  std::vector<PathPattern> paths;
  std::string path_regex;  // in place of paths
  Rare<Conditions> conditions;

  std::string strip_prefix;
  Rare<Rewrite> rewrite;
  /// monostate: none; allowed only beside a rewrite, whose path is then matched again.
  std::variant<std::monostate, Proxy, Rare<Static>, Redirect, Respond> action;

  std::vector<std::string> rate_limit;
  std::optional<std::uint64_t> max_body;
  Rare<RouteTimeouts> timeouts;
  Rare<HeaderChanges> request_headers;
  Rare<HeaderChanges> response_headers;
  Rare<std::optional<Compress>> compress;  // not set: as the site says; nothing: off
  Rare<Cors> cors;
  Rare<Access> access;
  Rare<BasicAuth> basic_auth;
  Rare<ForwardAuth> forward_auth;
  Rare<Mirror> mirror;
  Buffering buffering = Buffering::kOff;
  Position position;

  std::string name() const;  // what logs and explain call it: its paths as written, joined by ", ", or the regex
};

/// The page in place of a short answer of our own.
struct ErrorPage {
  int status = 0;  // from 400 on; 4 and 5: all of 4xx, of 5xx
  std::string path;
  Position position;
};

/// What holds while a site is closed by `headgate maintenance`.
struct Maintenance {
  std::vector<Cidr> allow;
  std::vector<PathPattern> except;
  seconds retry_after = 10min;  // 0: not told
  std::string message;
};

struct Site {
  std::vector<std::string> hosts;  // lower case; "*.example.com" is a wildcard; empty: the default site
  std::vector<Address> listeners;  // empty: all
  bool https_redirect = false;
  HeaderChanges response_headers;
  bool strict_security_headers = false;
  std::optional<Compress> compress;
  Rare<Access> access;
  Rare<BasicAuth> basic_auth;
  Rare<ForwardAuth> forward_auth;
  Rare<Cors> cors;  // of routes that say nothing
  std::vector<ErrorPage> error_pages;
  bool error_pages_intercept = false;
  Rare<Maintenance> maintenance;
  std::vector<Route> routes;
  Position position;

  std::string name() const;  // the first host, or "default"
};

struct Config {
  std::uint32_t workers = 0;  // 0: auto
  std::string user;
  std::string state_dir = "/var/lib/headgate";
  milliseconds shutdown_grace = 30s;
  Log log;
  AccessLog access_log;
  Admin admin;
  Metrics metrics;
  Dns dns;
  std::optional<Redis> redis;
  std::vector<Listener> listeners;  // never empty after reading: the default is one plain listener on :8080
  std::vector<Cidr> trusted_proxies;
  Tls tls;
  Limits limits;
  std::vector<Upstream> upstreams;
  std::vector<RateLimit> rate_limits;
  std::vector<Site> sites;
  std::vector<std::string> files;  // the file itself and all that it included
};

/// Calls each(static, site, route) for each action that has pools, in the order of the file.
template <class Each>
void each_pooled_static(const Config& config, const Each& each) {
  for (const Site& site : config.sites) {
    for (const Route& route : site.routes) {
      const auto* const files = std::get_if<Rare<Static>>(&route.action);
      if (files != nullptr && !(*files)->pools.empty()) each(**files, site, route);
    }
  }
}

}  // namespace headgate::config
