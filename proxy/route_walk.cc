// SPDX-License-Identifier: Apache-2.0
#include "proxy/route_walk.h"

#include <string>

#include "http/path.h"

namespace headgate::proxy {

bool RouteWalk::look_up(const routing::RequestView& request, RoutePlace& place, bool& gave_up) {
  if (listener == nullptr) {
    route = table.find_route(site_index, request, place.captures, nullptr, &gave_up);
  } else {
    routing::Trace trace;
    route = table.find_route(site_index, request, place.captures, &trace, &gave_up);
    listener->looked_up(route, trace, gave_up);
  }
  return route != routing::RouteTable::kNone;
}

RouteWalk::End RouteWalk::run(routing::RequestView request, RoutePlace& place) {
  for (unsigned rewrites = 0;; ++rewrites) {
    request.path = place.path;
    request.query = place.query;
    bool gave_up = false;
    if (!look_up(request, place, gave_up)) return gave_up ? End::kGaveUp : End::kNone;
    if (!table.has_rewrite(site_index, route)) return End::kRoute;
    const bool has_action = !std::holds_alternative<std::monostate>(site.routes[route].action);
    std::string rewritten;
    routing::RewriteNotes notes;
    if (!table.rewrite(site_index, route, place.path, values, place.captures, rewritten, &notes)) {
      if (listener != nullptr) listener->not_rewritten(route, place.path);
      if (notes.gave_up) return End::kGaveUp;
      return has_action ? End::kRoute : End::kNone;
    }
    if (listener != nullptr) listener->rewritten(route, place.path, rewritten);
    if (rewrites == kMaxRewrites) return End::kLoop;
    // The groups are views into the path that matched, which stays in the arena.
    if (!adopt(rewritten, notes.question, place)) return End::kBadRewrite;
    if (has_action) return End::kRoute;
  }
}

/// `question` is where the new query begins; the old one is added unless the new one ends with a question mark, as in
/// nginx. False: the result is no path.
bool RouteWalk::adopt(std::string_view rewritten, std::size_t question, RoutePlace& place) const {
  std::string encoded;
  http::append_encoded_path(rewritten.substr(0, question), encoded);
  std::string path;
  if (!http::normalise_path(encoded, path)) return false;
  if (question != std::string_view::npos) {
    auto query = rewritten.substr(question + 1);
    if (query.ends_with('?')) {
      query.remove_suffix(1);
      place.query = arena.copy(query);
    } else if (place.query.empty()) {
      place.query = arena.copy(query);
    } else if (!query.empty()) {
      place.query = arena.join({query, "&", place.query});
    }
  }
  place.path = arena.copy(path);
  place.path_as_sent = false;
  return true;
}

}  // namespace headgate::proxy
