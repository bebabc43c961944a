// SPDX-License-Identifier: Apache-2.0
// The routes of one site, arranged for lookup: a hash of exact paths, a list of regexes, a tree of prefixes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "routing/exact_paths.h"
#include "routing/prefix_tree.h"
#include "routing/regex.h"
#include "routing/route_table.h"
#include "routing/template.h"

namespace headgate::routing {

class RouteTracer;

/// How the path of a route is written.
enum class PathKind : std::uint8_t { kExact, kRegex, kPrefix };

/// A route with a path_regex.
struct RegexRoute {
  std::uint32_t route;
  bool conditional;
  Regex regex;
};

/// Immutable; shared by all threads. Keeps views into the site, which outlives it.
class SiteRoutes {
 public:
  /// Throws std::invalid_argument naming the route when a regex or a template of it is bad.
  explicit SiteRoutes(const config::Site& site);

  /// See RouteTable::find_route and rewrite.
  std::size_t find(const RequestView& request, Captures& captures, Trace* trace, bool& gave_up) const;
  bool has_rewrite(std::size_t route) const { return find_rewrite(route) != nullptr; }
  bool rewrite(std::size_t route, std::string_view path, const Variables& values, Captures& captures, std::string& out,
               RewriteNotes& notes) const;

 private:
  struct Candidate {
    std::uint32_t route : 31;
    std::uint32_t conditional : 1;  // has more conditions than its path
  };
  /// Routes with the same path, in the order of the file. The first, nearly always the only one, stands here, the
  /// others are a part of more_.
  struct Candidates {
    Candidate first;
    std::uint32_t begin;
    std::uint32_t count;
  };
  using Group = ExactPaths<Candidates>::Entry;
  struct CompiledRewrite {
    std::uint32_t route;
    Regex regex;
    Template to;
  };
  struct Listed {
    std::string_view path;
    Candidate candidate;
  };

  void compile(const config::Route& route, std::uint32_t index);
  std::vector<Group> group(std::vector<Listed>& listed);

  const CompiledRewrite* find_rewrite(std::size_t route) const;
  bool holds(Candidate candidate, const RequestView& request) const;
  bool take(Candidate candidate, const RequestView& request, PathKind kind, std::string_view path,
            RouteTracer* tracer) const;
  std::size_t choose(const Candidates& candidates, const RequestView& request, PathKind kind, std::string_view path,
                     RouteTracer* tracer) const;
  std::size_t find_regex(const RequestView& request, Captures& captures, RouteTracer* tracer, bool& gave_up) const;
  std::size_t select(const RequestView& request, Captures& captures, RouteTracer* tracer, bool& gave_up) const;

  // In the order in which a lookup needs them.
  ExactPaths<Candidates> exact_;
  std::vector<CompiledRewrite> rewrites_;  // ascending by route
  std::vector<RegexRoute> regexes_;
  PrefixTree prefixes_;
  std::vector<Candidates> prefix_routes_;  // by key of prefixes_
  std::vector<Candidate> more_;
  const config::Site& site_;
};

}  // namespace headgate::routing
