// SPDX-License-Identifier: Apache-2.0
// The paths below /v1/upstreams/ and /v1/sites/, as clients may write them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace headgate::proxy {

/// /v1/upstreams/NAME/servers/ADDR[/ACTION]
struct ServerPath {
  std::string upstream;
  std::string server;
  enum class Action { kNone, kDrain, kUndrain } action = Action::kNone;
};

/// Nothing: it is another resource, or an escape is not one. NAME and ADDR are percent-encoded (RFC 3986 section 2.1)
/// where they have to be; a slash in ADDR, as in unix:/path, may also stand as it is. Pure.
std::optional<ServerPath> parse_server_path(std::string_view path);

/// /v1/upstreams/NAME[/ACTION]
struct UpstreamPath {
  std::string upstream;
  enum class Action { kNone, kSplit, kSwitch, kRollback, kRollout } action = Action::kNone;
};
/// As above.
std::optional<UpstreamPath> parse_upstream_path(std::string_view path);

/// The NAME of /v1/sites/NAME/maintenance.
std::optional<std::string> parse_site_path(std::string_view path);

}  // namespace headgate::proxy
