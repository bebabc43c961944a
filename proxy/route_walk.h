// SPDX-License-Identifier: Apache-2.0
// From a path to a route: lookups and rewrites, as `serve` does them for a request and `explain` tells them.
#pragma once

#include <string_view>

#include "base/arena.h"
#include "config/model.h"
#include "routing/route_table.h"

namespace headgate::proxy {

/// Where a request stands on its way through rewrites.
struct RoutePlace {
  std::string_view path;     ///< decoded, normalised; rewrites change it: $uri
  std::string_view query;    ///< encoded, without "?"; rewrites may change it
  bool path_as_sent = true;  ///< the encoded path of the request still says the same as `path`
  routing::Captures captures;
};

/// Told of each step; for `explain`.
class WalkListener {
 public:
  /// `route` is RouteTable::kNone when no route takes the path.
  virtual void looked_up(std::size_t route, const routing::Trace& trace, bool gave_up) = 0;
  virtual void not_rewritten(std::size_t route, std::string_view path) = 0;
  virtual void rewritten(std::size_t route, std::string_view path, std::string_view target) = 0;

 protected:
  ~WalkListener() = default;
};

/// One site's routes, asked about one request. What it refers to must outlive it.
struct RouteWalk {
  static constexpr unsigned kMaxRewrites = 10;

  const routing::RouteTable& table;
  const config::Site& site;
  std::size_t site_index;
  const routing::Variables& values;  ///< of the request, whose $uri follows `place`
  Arena& arena;                      ///< for the paths that rewrites make
  WalkListener* listener = nullptr;

  enum class End {
    kRoute,       ///< `route` has the action
    kNone,        ///< no route takes the path: 404
    kGaveUp,      ///< a regex reached its limit: 500
    kLoop,        ///< more rewrites than kMaxRewrites: 500
    kBadRewrite,  ///< a rewrite made what is no path: 500
  };

  /// `request.path` and `request.query` are taken from `place`, which follows the rewrites.
  End run(routing::RequestView request, RoutePlace& place);
  std::size_t route = routing::RouteTable::kNone;  ///< the last one looked up

 private:
  bool look_up(const routing::RequestView& request, RoutePlace& place, bool& gave_up);
  bool adopt(std::string_view rewritten, std::size_t question, RoutePlace& place) const;
};

}  // namespace headgate::proxy
