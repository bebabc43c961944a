// SPDX-License-Identifier: Apache-2.0
// Which site and which route serve a request. Built once from a configuration, immutable, shared by all threads;
// a lookup allocates nothing and costs the same with one route or a hundred thousand.
//
// Order (docs/routing.md): an exact path, then path_regex in the file's order, then the longest matching prefix. A
// candidate whose further conditions (methods, headers, query, client) do not hold is passed over.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "config/model.h"
#include "http/message.h"
#include "routing/template.h"

namespace headgate::routing {

/// What a lookup may look at. `path` is decoded and normalised (http/path.h).
struct RequestView {
  std::string_view method;
  std::string_view path;
  std::string_view query;  ///< still encoded, without "?"
  const http::Fields* fields = nullptr;
  IpAddress client;
};

/// Why a candidate was or was not taken; filled only for `explain`.
struct Trace {
  struct Step {
    const config::Route* route;
    bool taken;
    std::string why;  ///< "longest prefix /api/", "method is GET, expected POST or PUT"
  };
  std::vector<Step> steps;
};

class RouteTable {
 public:
  /// `config` must outlive the table. Regexes and templates were checked by the reader; a bad one throws
  /// std::invalid_argument naming the route.
  explicit RouteTable(const config::Config& config);
  ~RouteTable();
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  /// The index in config.sites of the site that answers to `host` (lower case, no port) on `listener` (an address as
  /// the configuration writes it), or kNone: exact name, then the longest wildcard, then the default site.
  std::size_t find_site(std::string_view listener, std::string_view host, Trace* trace = nullptr) const;

  /// The index in that site's routes, or kNone. Fills `captures` for a path_regex (views into request.path).
  std::size_t find_route(std::size_t site, const RequestView& request, Captures& captures, Trace* trace = nullptr) const;

  /// Applies the route's rewrite to a path: true, the new (not yet normalised) path in `out` and the groups in
  /// `captures` (views into `path`), when its regex matches; false when it does not.
  bool rewrite(std::size_t site, std::size_t route, std::string_view path, const Variables& values, Captures& captures,
               std::string& out) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace headgate::routing
