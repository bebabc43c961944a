// SPDX-License-Identifier: Apache-2.0
// Building configurations and asking a route table in a line or two.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routing/route_table.h"

namespace headgate::routing {

/// As the configuration writes it: "/x" exactly, "/x*" as a prefix.
inline config::PathPattern pattern(std::string_view text) {
  const bool prefix = text.ends_with('*');
  return {std::string(text.substr(0, text.size() - (prefix ? 1 : 0))), prefix};
}

inline config::Route route(std::vector<std::string_view> paths) {
  config::Route result;
  for (const auto path : paths) result.paths.push_back(pattern(path));
  return result;
}

inline config::Route regex_route(std::string_view regex) {
  config::Route result;
  result.path_regex = regex;
  return result;
}

inline config::Address address(std::string_view text, std::uint16_t port) {
  config::Address result;
  result.text = text;
  result.port = port;
  return result;
}

inline config::Site site(std::vector<std::string> hosts, std::vector<config::Route> routes = {}) {
  config::Site result;
  result.hosts = std::move(hosts);
  result.routes = std::move(routes);
  return result;
}

/// A table of one default site.
class OneSite {
 public:
  explicit OneSite(std::vector<config::Route> routes) {
    config_.sites.push_back(site({}, std::move(routes)));
    table_ = std::make_unique<RouteTable>(config_);
  }

  const RouteTable& table() const { return *table_; }
  const config::Site& site_config() const { return config_.sites[0]; }

  static RequestView get(std::string_view path) {
    RequestView request;
    request.method = "GET";
    request.path = path;
    return request;
  }

  /// The index of the route, or -1.
  int find(const RequestView& request) {
    gave_up = false;
    const auto found = table_->find_route(0, request, captures, nullptr, &gave_up);
    return found == RouteTable::kNone ? -1 : static_cast<int>(found);
  }
  int find(std::string_view path) { return find(get(path)); }

  Captures captures;
  bool gave_up = false;

 private:
  config::Config config_;
  std::unique_ptr<RouteTable> table_;
};

/// Variables whose value is their own name, so that an expansion shows which one was asked for.
class Echo final : public Variables {
 public:
  void append(const Variable& variable, std::string& out) const override {
    using Kind = Variable::Kind;
    static constexpr std::string_view kNames[] = {
        "remote_addr", "host",        "scheme",     "method", "uri",  "request_uri", "query",  "arg",  "http",
        "cookie",      "server_port", "request_id", "tls",    "pool", "upstream",    "status", "user", "capture"};
    out += "<";
    out += kNames[static_cast<std::size_t>(variable.kind)];
    if (!variable.name.empty()) out += " " + variable.name;
    if (variable.kind == Kind::kCapture) out += " " + std::to_string(variable.index);
    out += ">";
  }
};

}  // namespace headgate::routing
