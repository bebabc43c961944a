// SPDX-License-Identifier: Apache-2.0
// What `headgate explain` says about a lookup: who was asked and why it was not taken, and why nobody asked the others.
// Made for one lookup, on the caller's stack; it may be slow.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "routing/route_table.h"
#include "routing/site_routes.h"

namespace headgate::routing {

class RouteTracer {
 public:
  RouteTracer(Trace& trace, const config::Site& site, const RequestView& request, std::span<const RegexRoute> regexes)
      : trace_(trace), site_(site), request_(request), regexes_(regexes), seen_(site.routes.size(), false) {}

  /// The route was asked, its path matches, and it was taken.
  void taken(std::uint32_t route, PathKind kind, std::string_view path);
  /// Its path matches, its conditions do not hold.
  void passed_over(std::uint32_t route, PathKind kind, std::string_view path);
  /// Its path_regex does not match, or gave up.
  void no_regex_match(std::uint32_t route, std::string_view pattern);
  void gave_up(std::uint32_t route, std::string_view pattern);

  /// The end of the lookup: a step for every route that was not asked.
  void explain_others();

 private:
  void add(std::uint32_t route, bool was_taken, std::string why);
  std::string why_not(const config::Route& route, std::uint32_t index) const;
  std::string why_no_regex(const RegexRoute& regex) const;
  std::string shadowed(PathKind kind, std::string_view path) const;

  Trace& trace_;
  const config::Site& site_;
  const RequestView& request_;
  std::span<const RegexRoute> regexes_;
  std::vector<bool> seen_;
  bool longer_prefix_passed_ = false;
  bool stopped_ = false;  // a regex gave up
  bool has_winner_ = false;
  PathKind winner_kind_ = PathKind::kExact;
  std::string_view winner_;
};

}  // namespace headgate::routing
