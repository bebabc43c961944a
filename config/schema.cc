// SPDX-License-Identifier: Apache-2.0
// The top level and the sections of the process. The other tables: schema_upstreams.cc, schema_sites.cc.
#include "config/schema.h"

#include <array>

namespace headgate::config {
namespace schema {
namespace {

constexpr Key kTopKeys[] = {
    {"include", "list of file patterns", "[]",
     "Further files, relative to this one, read in the order of their names. They may hold `upstreams`, `rate_limits` "
     "and `sites`."},
    {"workers", "auto or 1 to 1024", "auto", "Event-loop threads. auto: the CPUs that this process may use."},
    {"user", "text", "\"\"", "The user to become after binding, when started as root."},
    {"state_dir", "path", "/var/lib/headgate",
     "What must survive a restart. Made, readable by its owner alone, if missing."},
    {"shutdown_grace", "duration", "30s", "How long requests in flight may take after SIGTERM, SIGINT or SIGQUIT."},
    {"log", "mapping", "", "The program's own log."},
    {"access_log", "mapping", "", "One line for each request."},
    {"admin", "mapping", "", "The control API."},
    {"metrics", "mapping", "", "Counters in Prometheus' text format."},
    {"dns", "mapping", "", "How upstream names are resolved."},
    {"redis", "mapping", "", "A store shared by several instances."},
    {"listeners", "list of mappings", "[{ address: \":8080\" }]", "Where requests come in."},
    {"trusted_proxies", "list of CIDRs", "[]",
     "Peers whose X-Forwarded-For and PROXY header are believed when the client's address is looked for."},
    {"tls", "mapping", "", "Certificates and rules for all TLS listeners."},
    {"limits", "mapping", "", "What one client may cost."},
    {"upstreams", "mapping of names", "{}", "The servers behind, by name."},
    {"rate_limits", "mapping of names", "{}", "Limits by name, for use in routes."},
    {"sites", "list of mappings", "[]", "What is served, by host name."},
};
constexpr Key kLogKeys[] = {
    {"level", "trace | debug | info | warn | error", "info", "The least important lines that are written."},
    {"format", "text | json", "text", "One line a message in either format."},
    {"output", "stderr | stdout | path", "stderr", "Opened again on SIGUSR1."},
};
constexpr Key kAccessLogKeys[] = {
    {"format", "json | combined | off", "json", "combined is Apache's format."},
    {"output", "stdout | stderr | path", "stdout", "Opened again on SIGUSR1."},
};
constexpr Key kAdminKeys[] = {
    {"listen", "address", "unix:/run/headgate/admin.sock", "A unix socket, or IP:PORT."},
    {"token_file", "path", "\"\"",
     "A file whose first line is the bearer token; required unless `listen` is a unix socket or loopback."},
};
constexpr Key kMetricsKeys[] = {
    {"listen", "address", "", "A listener of its own. Without it the metrics are on the admin listener only."},
    {"path", "URL path", "/metrics", "Where they are found."},
};
constexpr Key kDnsKeys[] = {
    {"servers", "list of IP:PORT", "[]",
     "Name servers; the port may be left out (53). Empty: those of /etc/resolv.conf."},
    {"min_ttl", "duration", "1s", "An answer is kept at least this long, whatever its TTL; at least 100ms."},
    {"max_ttl", "duration", "5m", "And at most this long."},
    {"timeout", "duration", "2s", "For a whole lookup, every try of every server included."},
};
constexpr Key kRedisKeys[] = {
    {"url", "URL or list of them", "",
     "redis://[user:password@]host:port/db or unix:/path; several: one for each shard. Required."},
    {"timeout", "duration", "20ms", "For one command; past it the limit's `on_store_failure` decides."},
    {"connect_timeout", "duration", "500ms", "For a connection."},
    {"share_traffic_state", "boolean", "false", "Every instance on this Redis follows the same split and rollout."},
};
constexpr Key kListenerKeys[] = {
    {"address", "address", "",
     "\":80\" (IPv4 and IPv6), 127.0.0.1:80, \"[::1]:80\" or unix:/path; port 0 lets the system choose. Required."},
    {"tls", "boolean", "false", "TLS with the certificates of `tls`, chosen by the name that the client asks for."},
    {"http2", "boolean", "", "HTTP/2 by ALPN; on a TLS listener the default is true."},
    {"h2c", "boolean", "false", "HTTP/2 in clear, by prior knowledge."},
    {"proxy_protocol", "boolean", "false", "A peer of trusted_proxies begins with a PROXY header, v1 or v2."},
};
constexpr Key kTlsKeys[] = {
    {"certificates", "list of mappings", "[]",
     "Pairs of certificate chain and key. The first one serves names that none matches."},
    {"min_version", "\"1.2\" | \"1.3\"", "\"1.2\"", "The oldest TLS version that is accepted."},
    {"ciphers", "modern | intermediate | text", "modern", "Mozilla's names, or a list in OpenSSL's format."},
    {"reload", "watch | off", "watch",
     "Changed files are loaded without dropping a connection; a bad pair keeps the old one."},
    {"ocsp_stapling", "boolean", "true", "Send the certificate's OCSP response along."},
    {"session_tickets", "boolean", "true", "Resumption; the keys rotate and are shared by all workers."},
    {"client_ca", "path", "\"\"", "The CA file that client certificates are checked against."},
    {"verify_client", "off | optional | required", "off", "Whether a client certificate is asked for, or demanded."},
    {"strict_sni", "boolean", "false", "No certificate for the name: no handshake."},
};
constexpr Key kCertificateKeys[] = {
    {"cert", "path", "", "PEM: the certificate, then its intermediates. Required."},
    {"key", "path", "", "PEM: its private key. Required."},
};
constexpr Key kLimitsKeys[] = {
    {"header_timeout", "duration", "10s", "For a whole request head; then 408."},
    {"body_idle_timeout", "duration", "30s", "Between two reads of a body."},
    {"keepalive_timeout", "duration", "75s", "Between two requests on a connection."},
    {"keepalive_requests", "number", "0", "Requests on one connection. 0: no limit."},
    {"max_header_bytes", "size", "32KiB", "Of a request head; then 431."},
    {"max_headers", "number", "100", "Fields of a request head; then 431."},
    {"max_body", "size", "1MiB", "Of a request's body; then 413. A route can set its own. 0: no limit."},
    {"body_memory", "size", "64KiB",
     "A body with `buffering: request` is kept in memory up to this size; a longer one in a file in state_dir. At most "
     "1MiB."},
    {"body_buffers", "size", "1GiB", "Of all such bodies together, in memory and in files; then 503."},
    {"max_connections", "number", "0", "Of all clients. 0: what the descriptor limit allows."},
    {"max_connections_per_ip", "number", "0", "Of one peer address. 0: no limit."},
};

}  // namespace

const Schema kTop{"", "The top level", "Every key is optional.", kTopKeys};
// upstreams, rate_limits, sites
const Schema kIncluded{"", "Included files", "", std::span(kTopKeys).last(3)};
const Schema kLog{"log", "log", "", kLogKeys};
const Schema kAccessLog{"access_log", "access_log", "", kAccessLogKeys};
const Schema kAdmin{"admin", "admin", "Never open this to the public.", kAdminKeys};
const Schema kMetrics{"metrics", "metrics", "", kMetricsKeys};
const Schema kDns{"dns", "dns", "", kDnsKeys};
const Schema kRedis{"redis", "redis", "", kRedisKeys};
const Schema kListener{"listeners.*", "listeners", "Each element of the list:", kListenerKeys};
const Schema kTls{"tls", "tls", "", kTlsKeys};
const Schema kCertificate{"tls.certificates.*", "tls.certificates", "Each element of the list:", kCertificateKeys};
const Schema kLimits{"limits", "limits", "", kLimitsKeys};

}  // namespace schema

std::span<const Schema* const> all_schemas() {
  using namespace schema;
  static constexpr std::array kAll{&kTop,       &kLog,           &kAccessLog, &kAdmin,         &kMetrics,
                                   &kDns,       &kRedis,         &kListener,  &kTls,           &kCertificate,
                                   &kLimits,    &kUpstream,      &kPool,      &kServer,        &kSplitOverride,
                                   &kSticky,    &kHealth,        &kEjection,  &kRetry,         &kUpstreamTimeouts,
                                   &kKeepalive, &kUpstreamTls,   &kRollout,   &kAbortOn,       &kRateLimit,
                                   &kSite,      &kHeaderChanges, &kCompress,  &kCompressLevel, &kRoute,
                                   &kRewrite,   &kRedirect,      &kRespond,   &kStatic,        &kRouteTimeouts,
                                   &kCors,      &kAccess,        &kBasicAuth, &kForwardAuth,   &kMirror,
                                   &kMaintenance};
  return kAll;
}

}  // namespace headgate::config
