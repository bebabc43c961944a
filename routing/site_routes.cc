// SPDX-License-Identifier: Apache-2.0
#include "routing/site_routes.h"

#include <algorithm>
#include <span>
#include <stdexcept>

#include "routing/conditions.h"
#include "routing/query.h"
#include "routing/route_trace.h"

namespace headgate::routing {
namespace {

[[noreturn]] void fail(const config::Route& route, const char* key, const std::string& message) {
  std::string where;
  if (route.position.line > 0) {
    where = route.position.file.text() + ":" + std::to_string(route.position.line) + ":" +
            std::to_string(route.position.column) + ": ";
  }
  throw std::invalid_argument(where + "route " + route.name() + ": " + key + ": " + message);
}

Regex compiled(const config::Route& route, const char* key, const std::string& pattern) {
  auto regex = Regex::compile(pattern);
  if (!regex) fail(route, key, regex.error().message);
  return std::move(*regex);
}

/// The variables of a request as they may stand in a rewritten target, with the groups of the regex that has just
/// matched. Watches for the "?" of the template: one that comes in with a value is a character of the path like any
/// other, and values behind it are escaped, so that a client cannot add parameters of its own.
class TargetValues final : public Variables {
 public:
  TargetValues(const Variables& values, const Captures& captures) : values_(values), captures_(captures) {}

  void append(const Variable& variable, std::string& out) const override {
    look_for_question(out);
    append_value(variable, out);
    looked_at_ = out.size();
  }

  /// Where the query begins with its "?", once all is expanded.
  std::size_t question(const std::string& out) const {
    look_for_question(out);
    return question_;
  }

 private:
  void append_value(const Variable& variable, std::string& out) const {
    using Kind = Variable::Kind;
    if (question_ == std::string::npos) {
      append_plain(variable, out);
    } else if (variable.kind == Kind::kQuery || variable.kind == Kind::kRequestUri || variable.kind == Kind::kArg) {
      append_plain(variable, out);  // encoded as the client sent it
    } else {
      std::string value;
      append_plain(variable, value);
      append_encoded_query(value, out);
    }
  }

  void append_plain(const Variable& variable, std::string& out) const {
    if (variable.kind == Variable::Kind::kCapture) {
      out.append(captures_.group[variable.index]);
    } else {
      values_.append(variable, out);
    }
  }

  /// What was added since the last value is the template's own text.
  void look_for_question(const std::string& out) const {
    if (question_ == std::string::npos) question_ = out.find('?', looked_at_);
  }

  const Variables& values_;
  const Captures& captures_;
  mutable std::size_t looked_at_ = 0;
  mutable std::size_t question_ = std::string::npos;
};

}  // namespace

SiteRoutes::SiteRoutes(const config::Site& site) : site_(site) {
  std::vector<Listed> exact;
  std::vector<Listed> prefixes;
  for (std::uint32_t i = 0; i < site.routes.size(); ++i) {
    const auto& route = site.routes[i];
    const std::uint32_t conditional = route.conditions->empty() ? 0 : 1;
    for (const auto& path : route.paths) {
      (path.prefix ? prefixes : exact).push_back({path.text, {i & 0x7fffffffU, conditional}});
    }
    compile(route, i);
  }
  exact_ = ExactPaths<Candidates>(group(exact));
  std::vector<std::string_view> keys;
  for (const auto& [path, candidates] : group(prefixes)) {
    keys.push_back(path);
    prefix_routes_.push_back(candidates);
  }
  prefix_routes_.shrink_to_fit();
  more_.shrink_to_fit();
  prefixes_ = PrefixTree(keys);
}

void SiteRoutes::compile(const config::Route& route, std::uint32_t index) {
  if (!route.path_regex.empty()) {
    regexes_.push_back({index, !route.conditions->empty(), compiled(route, "path_regex", route.path_regex)});
  }
  if (route.rewrite) {
    auto to = Template::parse(route.rewrite->to);
    if (!to) fail(route, "rewrite.to", to.error().message);
    rewrites_.push_back({index, compiled(route, "rewrite.regex", route.rewrite->regex), std::move(*to)});
  }
}

/// Sorts by path and puts the routes of one path together.
std::vector<SiteRoutes::Group> SiteRoutes::group(std::vector<Listed>& listed) {
  std::stable_sort(listed.begin(), listed.end(), [](const Listed& a, const Listed& b) { return a.path < b.path; });
  std::vector<Group> groups;
  for (const auto& [path, candidate] : listed) {
    if (groups.empty() || groups.back().path != path) {
      groups.push_back({path, {candidate, static_cast<std::uint32_t>(more_.size()), 0}});
    } else {
      more_.push_back(candidate);
      ++groups.back().value.count;
    }
  }
  return groups;
}

bool SiteRoutes::holds(Candidate candidate, const RequestView& request) const {
  return candidate.conditional == 0 || conditions_hold(*site_.routes[candidate.route].conditions, request);
}

bool SiteRoutes::take(Candidate candidate, const RequestView& request, PathKind kind, std::string_view path,
                      RouteTracer* tracer) const {
  const bool taken = holds(candidate, request);
  if (tracer != nullptr) {
    if (taken) {
      tracer->taken(candidate.route, kind, path);
    } else {
      tracer->passed_over(candidate.route, kind, path);
    }
  }
  return taken;
}

std::size_t SiteRoutes::choose(const Candidates& candidates, const RequestView& request, PathKind kind,
                               std::string_view path, RouteTracer* tracer) const {
  if (take(candidates.first, request, kind, path, tracer)) return candidates.first.route;
  for (const auto candidate : std::span(more_).subspan(candidates.begin, candidates.count)) {
    if (take(candidate, request, kind, path, tracer)) return candidate.route;
  }
  return RouteTable::kNone;
}

std::size_t SiteRoutes::find_regex(const RequestView& request, Captures& captures, RouteTracer* tracer,
                                   bool& gave_up) const {
  for (const auto& [route, conditional, regex] : regexes_) {
    // Conditions first: they are cheaper, and a regex that gives up is of no concern when its route cannot be taken.
    if (conditional && !conditions_hold(*site_.routes[route].conditions, request)) {
      if (tracer != nullptr) tracer->passed_over(route, PathKind::kRegex, regex.pattern());
      continue;
    }
    switch (regex.search(request.path, captures)) {
      case Regex::Outcome::kMatch:
        if (tracer != nullptr) tracer->taken(route, PathKind::kRegex, regex.pattern());
        return route;
      case Regex::Outcome::kGaveUp:
        if (tracer != nullptr) tracer->gave_up(route, regex.pattern());
        gave_up = true;
        return RouteTable::kNone;
      case Regex::Outcome::kNoMatch:
        if (tracer != nullptr) tracer->no_regex_match(route, regex.pattern());
        break;
    }
  }
  return RouteTable::kNone;
}

std::size_t SiteRoutes::select(const RequestView& request, Captures& captures, RouteTracer* tracer,
                               bool& gave_up) const {
  if (const auto* found = exact_.find(request.path)) {
    const auto route = choose(*found, request, PathKind::kExact, request.path, tracer);
    if (route != RouteTable::kNone) return route;
  }
  if (!regexes_.empty()) {
    const auto route = find_regex(request, captures, tracer, gave_up);
    if (route != RouteTable::kNone || gave_up) return route;
  }
  for (auto key = prefixes_.longest(request.path); key != PrefixTree::kNone; key = prefixes_.shorter(key)) {
    const auto prefix = request.path.substr(0, prefixes_.key_size(key));
    const auto route = choose(prefix_routes_[key], request, PathKind::kPrefix, prefix, tracer);
    if (route != RouteTable::kNone) return route;
  }
  return RouteTable::kNone;
}

std::size_t SiteRoutes::find(const RequestView& request, Captures& captures, Trace* trace, bool& gave_up) const {
  if (trace == nullptr) return select(request, captures, nullptr, gave_up);
  RouteTracer tracer(*trace, site_, request, regexes_);
  const auto route = select(request, captures, &tracer, gave_up);
  tracer.explain_others();
  return route;
}

const SiteRoutes::CompiledRewrite* SiteRoutes::find_rewrite(std::size_t route) const {
  const auto found =
      std::lower_bound(rewrites_.begin(), rewrites_.end(), route,
                       [](const CompiledRewrite& entry, std::size_t wanted) { return entry.route < wanted; });
  return found == rewrites_.end() || found->route != route ? nullptr : &*found;
}

bool SiteRoutes::rewrite(std::size_t route, std::string_view path, const Variables& values, Captures& captures,
                         std::string& out, RewriteNotes& notes) const {
  const CompiledRewrite* found = find_rewrite(route);
  if (found == nullptr) return false;
  Captures groups;
  const auto outcome = found->regex.search(path, groups);
  notes.gave_up = outcome == Regex::Outcome::kGaveUp;
  if (outcome != Regex::Outcome::kMatch) return false;
  if (found->regex.group_count() > 0) {
    captures = groups;
  } else {
    captures.group[0] = groups.group[0];
  }
  out.clear();
  const TargetValues target(values, captures);
  found->to.expand(target, out);
  notes.question = target.question(out);
  return true;
}

}  // namespace headgate::routing
