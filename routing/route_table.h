// SPDX-License-Identifier: Apache-2.0
// Which site and which route serve a request. Built once from a configuration, immutable, shared by all threads;
// a lookup allocates nothing and costs the same with one route or a hundred thousand.
//
// Order (docs/routing.md): an exact path, then path_regex in the file's order, then the longest matching prefix. A
// candidate whose further conditions (methods, headers, query, client) do not hold is passed over. Among equals the one
// that stands first in the file is asked first.
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

/// Why a candidate was or was not taken; filled only for `explain`. First the candidates in the order in which they
/// were asked, then the routes that could not be one.
struct Trace {
  struct Step {
    const config::Route* route;  ///< null in the steps of find_site
    bool taken;
    std::string why;  ///< "longest prefix /api/", "method is GET, expected POST or PUT"
  };
  std::vector<Step> steps;
};

/// What a rewrite tells beside its result.
struct RewriteNotes {
  std::size_t question = std::string::npos;  ///< where the template's "?" stands in the new target; npos: no new query
  bool gave_up = false;                      ///< as in find_route: the request must not go on unrewritten
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
  /// the configuration writes it), or kNone: exact name, then the longest wildcard, then the default site. A wildcard
  /// stands for any number of labels, but at least one: "*.example.com" is not example.com. A site that names its
  /// listeners is asked before one of the same name that answers on all.
  std::size_t find_site(std::string_view listener, std::string_view host, Trace* trace = nullptr) const;

  /// The index in that site's routes, or kNone. Fills `captures` for a path_regex (views into request.path) and leaves
  /// them alone otherwise. When a path_regex gives up (regex.h) the answer is kNone and `gave_up` is set: going on to
  /// the next route would let a client walk around this one. Answer 500 with that reason.
  std::size_t find_route(std::size_t site, const RequestView& request, Captures& captures, Trace* trace = nullptr,
                         bool* gave_up = nullptr) const;

  /// Whether the route has one, for the next.
  bool has_rewrite(std::size_t site, std::size_t route) const;

  /// Applies the route's rewrite to a path: true, the new target in `out`, which is replaced, and the groups in
  /// `captures` (views into `path`), when its regex matches; false when it does not. The regex is searched, not
  /// anchored, and the result is the whole new path, as in nginx. A regex without groups of its own leaves those of a
  /// path_regex in `captures`.
  ///
  /// `out` is a decoded path, not yet normalised. Where the template has a "?" (notes->question) a new query follows,
  /// as it stands on the wire; the caller appends the old query with "&" unless `out` ends with "?". Do not search for
  /// that
  /// "?": the path of a client may contain one.
  bool rewrite(std::size_t site, std::size_t route, std::string_view path, const Variables& values, Captures& captures,
               std::string& out, RewriteNotes* notes = nullptr) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace headgate::routing
