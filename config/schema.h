// SPDX-License-Identifier: Apache-2.0
// Every key of the configuration as data: its name, type, default and what it is for. The readers take the known keys
// from here, and docs/configuration.md is printed from here, so that neither can forget one.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headgate::config {

struct Key {
  std::string_view name;
  std::string_view type;      ///< in words: "duration", "list of CIDRs", "json | combined | off"
  std::string_view fallback;  ///< the default as YAML; empty: none (see the text)
  std::string_view text;
};

struct Schema {
  std::string_view path;   ///< "upstreams.*.health"; a star stands for a name or a list's element; empty: the top
  std::string_view title;  ///< heading and introduction in the manual
  std::string_view text;
  std::span<const Key> keys;
};

namespace schema {
extern const Schema kTop, kIncluded, kLog, kAccessLog, kAdmin, kMetrics, kDns, kRedis, kListener, kTls, kCertificate,
    kLimits;
extern const Schema kUpstream, kPool, kServer, kSplitOverride, kSticky, kHealth, kEjection, kRetry, kUpstreamTimeouts,
    kKeepalive, kUpstreamTls, kRollout, kAbortOn, kRateLimit;
extern const Schema kSite, kHeaderChanges, kCompress, kCompressLevel, kRoute, kRewrite, kRedirect, kRespond, kStatic,
    kRouteTimeouts, kCors, kAccess, kBasicAuth, kForwardAuth, kMirror, kMaintenance;
}  // namespace schema

/// All of them, in the order of the manual.
std::span<const Schema* const> all_schemas();

/// docs/configuration.md.
std::string schema_markdown();

}  // namespace headgate::config
