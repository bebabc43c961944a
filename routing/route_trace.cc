// SPDX-License-Identifier: Apache-2.0
#include "routing/route_trace.h"

#include "routing/conditions.h"

namespace headgate::routing {
namespace {

/// "exact path /x", "path_regex ^/x$", "prefix /api/*".
std::string described(PathKind kind, std::string_view path) {
  switch (kind) {
    case PathKind::kExact:
      return "exact path " + std::string(path);
    case PathKind::kRegex:
      return "path_regex " + std::string(path);
    case PathKind::kPrefix:
      break;
  }
  return "prefix " + std::string(path) + "*";
}

}  // namespace

void RouteTracer::add(std::uint32_t route, bool was_taken, std::string why) {
  // A route with several paths may be asked again by a shorter one: the answer is the same.
  if (seen_[route]) return;
  seen_[route] = true;
  trace_.steps.push_back({&site_.routes[route], was_taken, std::move(why)});
}

void RouteTracer::taken(std::uint32_t route, PathKind kind, std::string_view path) {
  has_winner_ = true;
  winner_kind_ = kind;
  winner_ = path;
  std::string why = described(kind, path);
  if (kind == PathKind::kPrefix) why = (longer_prefix_passed_ ? "next shorter " : "longest ") + why;
  if (!site_.routes[route].conditions->empty()) why += ", and its conditions hold";
  add(route, true, std::move(why));
}

void RouteTracer::passed_over(std::uint32_t route, PathKind kind, std::string_view path) {
  if (kind == PathKind::kPrefix) longer_prefix_passed_ = true;
  const auto failing = failing_condition(*site_.routes[route].conditions, request_);
  if (kind == PathKind::kRegex) {
    add(route, false, described(kind, path) + " was not tried: " + failing);
  } else {
    add(route, false, described(kind, path) + " matches, but " + failing);
  }
}

void RouteTracer::no_regex_match(std::uint32_t route, std::string_view pattern) {
  add(route, false, "path " + std::string(request_.path) + " does not match " + std::string(pattern));
}

void RouteTracer::gave_up(std::uint32_t route, std::string_view pattern) {
  stopped_ = true;
  add(route, false,
      described(PathKind::kRegex, pattern) +
          " gave up: the path is too long or takes too many steps; the request fails");
}

/// Why a route whose path matches too was not asked.
std::string RouteTracer::shadowed(PathKind kind, std::string_view path) const {
  if (stopped_) return described(kind, path) + " was not asked: a path_regex before it gave up";
  if (kind == winner_kind_ && path == winner_) {
    return "shadowed by an earlier route with the same " + described(kind, path);
  }
  const std::string by = "shadowed by the ";
  if (winner_kind_ == PathKind::kPrefix) return by + "longer " + described(winner_kind_, winner_);
  if (winner_kind_ == PathKind::kRegex && kind == PathKind::kRegex)
    return by + "earlier " + described(winner_kind_, winner_);
  return by + described(winner_kind_, winner_);
}

std::string RouteTracer::why_no_regex(const RegexRoute& regex) const {
  const auto& pattern = regex.regex.pattern();
  if (stopped_) return shadowed(PathKind::kRegex, pattern);
  Captures ignored;
  switch (regex.regex.search(request_.path, ignored)) {
    case Regex::Outcome::kMatch:
      return shadowed(PathKind::kRegex, pattern);
    case Regex::Outcome::kGaveUp:
      return described(PathKind::kRegex, pattern) + " was not asked, and would give up";
    case Regex::Outcome::kNoMatch:
      break;
  }
  return "path " + std::string(request_.path) + " does not match " + pattern;
}

std::string RouteTracer::why_not(const config::Route& route, std::uint32_t index) const {
  for (const auto& regex : regexes_) {
    if (regex.route == index) return why_no_regex(regex);
  }
  std::string why;
  for (const auto& pattern : route.paths) {
    const bool exact = !pattern.prefix && request_.path == pattern.text;
    const bool prefix = pattern.prefix && request_.path.starts_with(pattern.text);
    if (exact || prefix) return shadowed(prefix ? PathKind::kPrefix : PathKind::kExact, pattern.text);
    why += why.empty() ? "path " + std::string(request_.path) : std::string(",");
    why += (pattern.prefix ? " does not begin with " : " is not ") + pattern.text;
  }
  return why;
}

void RouteTracer::explain_others() {
  for (std::uint32_t i = 0; i < site_.routes.size(); ++i) {
    if (!seen_[i]) add(i, false, why_not(site_.routes[i], i));
  }
}

}  // namespace headgate::routing
