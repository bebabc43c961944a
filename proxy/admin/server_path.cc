// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/server_path.h"

namespace headgate::proxy {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::optional<std::string> decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

bool cut_end(std::string_view& text, std::string_view end) {
  if (!text.ends_with(end)) return false;
  text.remove_suffix(end.size());
  return true;
}

constexpr std::string_view kStart = "/v1/upstreams/";

}  // namespace

std::optional<ServerPath> parse_server_path(std::string_view path) {
  constexpr std::string_view kServers = "/servers/";
  if (!path.starts_with(kStart)) return std::nullopt;
  path.remove_prefix(kStart.size());
  const auto middle = path.find(kServers);
  if (middle == std::string_view::npos) return std::nullopt;
  std::string_view rest = path.substr(middle + kServers.size());
  ServerPath parsed;
  if (cut_end(rest, "/drain")) {
    parsed.action = ServerPath::Action::kDrain;
  } else if (cut_end(rest, "/undrain")) {
    parsed.action = ServerPath::Action::kUndrain;
  }
  auto upstream = decode(path.substr(0, middle));
  auto server = decode(rest);
  if (!upstream || !server || upstream->empty() || server->empty()) return std::nullopt;
  parsed.upstream = *std::move(upstream);
  parsed.server = *std::move(server);
  return parsed;
}

std::optional<UpstreamPath> parse_upstream_path(std::string_view path) {
  using Action = UpstreamPath::Action;
  if (!path.starts_with(kStart)) return std::nullopt;
  path.remove_prefix(kStart.size());
  UpstreamPath parsed;
  if (cut_end(path, "/split")) {
    parsed.action = Action::kSplit;
  } else if (cut_end(path, "/switch")) {
    parsed.action = Action::kSwitch;
  } else if (cut_end(path, "/rollback")) {
    parsed.action = Action::kRollback;
  } else if (cut_end(path, "/rollout")) {
    parsed.action = Action::kRollout;
  }
  // A URL is a name, too: "http://127.0.0.1:80" is that of `proxy: http://127.0.0.1:80`.
  auto upstream = decode(path);
  if (!upstream || upstream->empty()) return std::nullopt;
  parsed.upstream = *std::move(upstream);
  return parsed;
}

std::optional<std::string> parse_site_path(std::string_view path) {
  constexpr std::string_view kSites = "/v1/sites/";
  if (!path.starts_with(kSites) || !cut_end(path, "/maintenance")) return std::nullopt;
  if (path.size() <= kSites.size()) return std::nullopt;
  return decode(path.substr(kSites.size()));
}

}  // namespace headgate::proxy
