// SPDX-License-Identifier: Apache-2.0
// The tables of upstreams and rate limits.
#include "config/schema.h"

namespace headgate::config::schema {
namespace {

constexpr Key kUpstreamKeys[] = {
    {"servers", "list of servers", "", "Short form: one pool, named default."},
    {"pools", "mapping of names", "", "Long form: named pools, such as blue and green, or stable and canary."},
    {"scheme", "http | https | h2c | h2", "http", "h2c is HTTP/2 in clear, h2 is HTTP/2 over TLS."},
    {"split", "mapping of pools to weights", "", "Relative shares of new requests; 0: none."},
    {"split_by", "request | client", "request",
     "request: each one is drawn anew. client: a client keeps its pool while a weight grows."},
    {"split_key", "template", "\"\"", "What a client is known by, such as $cookie_sid. Empty: a cookie of our own."},
    {"split_cookie", "cookie name", "headgate_client", "The name of that cookie: an opaque random id."},
    {"at_zero_weight", "release | keep", "release", "Whether clients leave a pool at once when its weight becomes 0."},
    {"split_override", "mapping", "", "Testers choose a pool by name."},
    {"balance", "round_robin | least_requests | random_two | peak_ewma | hash(TEMPLATE)", "round_robin",
     "Which server of the pool is next. Of more than 32 servers, random_two is the default."},
    {"sticky", "mapping", "", "Session affinity to one server."},
    {"health", "mapping", "", "Active checks."},
    {"ejection", "mapping", "", "Passive checks, on live traffic."},
    {"slow_start", "duration", "0s", "A returning server gets its share gradually."},
    {"retry", "mapping", "", "When a request is sent again."},
    {"timeouts", "mapping", "", "Each gives 504."},
    {"proxy_protocol", "off | v1 | v2", "off",
     "Each connection begins with a PROXY header that names the client, and carries one request."},
    {"keepalive", "mapping", "", "Idle connections, for each worker."},
    {"tls", "mapping", "", "For https and h2."},
    {"rollout", "mapping", "", "Automatic canary."},
};
constexpr Key kPoolKeys[] = {
    {"servers", "list of servers", "", "host:port, unix:/path, or a mapping. Required."},
};
constexpr Key kServerKeys[] = {
    {"address", "server", "", "host:port or unix:/path. Required."},
    {"weight", "1 to 1000", "1", "Its share among the pool's servers."},
    {"backup", "boolean", "false", "Used only while no other server is there."},
    {"max_connections", "number", "0", "Requests under way there, of the whole process. 0: no limit."},
};
constexpr Key kSplitOverrideKeys[] = {
    {"header", "header name", "\"\"", "The field that names the pool."},
    {"cookie", "cookie name", "\"\"", "The cookie that names the pool."},
    {"allow", "list of CIDRs", "[]", "Who may."},
};
constexpr Key kStickyKeys[] = {
    {"cookie", "cookie name", "", "Required."},
    {"ttl", "duration", "1h", "How long a browser keeps it."},
};
constexpr Key kHealthKeys[] = {
    {"path", "URL path", "\"\"", "What is asked for. Empty: that a connection can be made is enough."},
    {"interval", "duration", "5s", "Between two checks of a server."},
    {"timeout", "duration", "2s", "For one check."},
    {"healthy_after", "number", "2", "Good checks in a row."},
    {"unhealthy_after", "number", "3", "Bad checks in a row."},
    {"expect_status", "status, range, or list of them", "200-399", "Which answers are good."},
    {"expect_body", "text", "\"\"", "A part of a good answer's body."},
    {"host", "text", "\"\"", "The check's Host."},
};
constexpr Key kEjectionKeys[] = {
    {"consecutive_errors", "number", "5", "Connect errors, resets, timeouts, 502, 503, 504. 0: they do not count."},
    {"error_rate", "percentage", "50%", "Over the window. 0%: it does not count."},
    {"window", "duration", "10s", "What the rate is taken over."},
    {"min_requests", "number", "20", "Fewer than these in the window: no verdict."},
    {"base_time", "duration", "10s", "Doubles each time."},
    {"max_time", "duration", "5m", "Up to this."},
    {"max_ejected", "percentage", "50%", "Of a pool, in whole servers; never its last one."},
};
constexpr Key kRetryKeys[] = {
    {"attempts", "0 to 10", "2", "Further attempts for one request."},
    {"on", "list of connect_error, reset_before_response, 502, 503, 504",
     "[connect_error, reset_before_response, 502, 503, 504]", "What a retry follows."},
    {"methods", "list of methods", "[GET, HEAD, OPTIONS, PUT, DELETE]", "What may be sent twice."},
    {"budget", "percentage", "20%", "Requests under way that may be retries; three always may."},
};
constexpr Key kUpstreamTimeoutsKeys[] = {
    {"connect", "duration", "3s", "Until the connection stands, TLS included."},
    {"first_byte", "duration", "60s", "From the request's end to the response's first byte."},
    {"idle", "duration", "60s", "Between two reads or writes."},
};
constexpr Key kKeepaliveKeys[] = {
    {"idle_connections", "number", "64", "Kept for each server."},
    {"idle_timeout", "duration", "60s", "Then an idle connection is closed."},
    {"max_requests", "number", "0", "On one connection. 0: no limit."},
};
constexpr Key kUpstreamTlsKeys[] = {
    {"verify", "boolean", "true", "Check the server's certificate and name."},
    {"ca", "path", "\"\"", "A CA file in place of the system's."},
    {"server_name", "text", "\"\"", "For SNI and the check. Empty: the server's host name."},
    {"cert", "path", "\"\"", "A client certificate."},
    {"key", "path", "\"\"", "Its key."},
};
constexpr Key kRolloutKeys[] = {
    {"steps", "list of percents", "[1, 5, 25, 50, 100]", "Share of the new pool, growing."},
    {"step_time", "duration", "30s", "A step takes at least this long."},
    {"min_requests", "number", "100", "And until as many were seen."},
    {"max_step_time", "duration", "30m", "No verdict by then: on_no_verdict decides."},
    {"on_no_verdict", "hold | abort", "hold", "What then."},
    {"shield", "boolean", "true", "A safe request that fails on the new pool is answered by the old one."},
    {"abort_on", "mapping", "", "New pool against old."},
    {"false_alarm", "percentage", "0.1%", "Chance that a rollout as good as the old pool is aborted."},
};
constexpr Key kAbortOnKeys[] = {
    {"error_rate_worse_by", "percentage", "0.5%", "Percentage points."},
    {"p99_worse_by", "percentage", "20%", "Of the old pool's 99th percentile."},
    {"error_rate_ceiling", "percentage", "20%", "At once, from 20 requests on."},
};
constexpr Key kRateLimitKeys[] = {
    {"key", "template", "", "What is counted apart, such as $remote_addr. Required."},
    {"rate", "rate", "", "100/s, 600/m, 1000/h. Required."},
    {"burst", "number", "", "Requests at once after a rest. Default: those of one period."},
    {"store", "local | redis", "local", "Whose count."},
    {"lease", "auto or number", "auto", "Redis: tokens taken at a time. 1: exact."},
    {"max_overshoot", "percentage", "5%", "Of the burst, for all instances: what auto may cost."},
    {"ipv6_prefix", "1 to 128", "64", "Addresses of one IPv6 network share a key."},
    {"on_store_failure", "local | allow | deny", "local", "When Redis does not answer."},
    {"status", "400 to 599", "429", "The refusal."},
    {"dry_run", "boolean", "false", "Count and log, but let pass."},
    {"headers", "boolean", "true", "RateLimit, RateLimit-Policy, Retry-After."},
};

}  // namespace

const Schema kUpstream{"upstreams.*", "upstreams", "Each named upstream has either `servers` or `pools`.",
                       kUpstreamKeys};
const Schema kPool{"upstreams.*.pools.*", "upstreams.NAME.pools", "", kPoolKeys};
const Schema kServer{"upstreams.*.pools.*.servers.*", "Servers",
                     "In `servers` of an upstream or a pool, in place of the address alone:", kServerKeys};
const Schema kSplitOverride{"upstreams.*.split_override", "upstreams.NAME.split_override", "", kSplitOverrideKeys};
const Schema kSticky{"upstreams.*.sticky", "upstreams.NAME.sticky", "", kStickyKeys};
const Schema kHealth{"upstreams.*.health", "upstreams.NAME.health", "", kHealthKeys};
const Schema kEjection{"upstreams.*.ejection", "upstreams.NAME.ejection", "", kEjectionKeys};
const Schema kRetry{"upstreams.*.retry", "upstreams.NAME.retry", "", kRetryKeys};
const Schema kUpstreamTimeouts{"upstreams.*.timeouts", "upstreams.NAME.timeouts", "", kUpstreamTimeoutsKeys};
const Schema kKeepalive{"upstreams.*.keepalive", "upstreams.NAME.keepalive", "", kKeepaliveKeys};
const Schema kUpstreamTls{"upstreams.*.tls", "upstreams.NAME.tls", "", kUpstreamTlsKeys};
const Schema kRollout{"upstreams.*.rollout", "upstreams.NAME.rollout", "", kRolloutKeys};
const Schema kAbortOn{"upstreams.*.rollout.abort_on", "upstreams.NAME.rollout.abort_on", "", kAbortOnKeys};
const Schema kRateLimit{"rate_limits.*", "rate_limits", "Each named limit:", kRateLimitKeys};

}  // namespace headgate::config::schema
