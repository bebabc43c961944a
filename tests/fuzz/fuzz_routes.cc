// SPDX-License-Identifier: Apache-2.0
// Input, line by line: the paths of routes ("/x" or "/x*"; "~regex-number" for one of ours; "!" before it: only for
// POST), an empty line, then "METHOD PATH?QUERY". The lookup answers as a search does that reads the rule literally.
#include <cctype>
#include <string>
#include <vector>

#include "http/path.h"
#include "routing/conditions.h"
#include "routing/regex.h"
#include "routing/route_table.h"
#include "tests/fuzz/invariant.h"

using headgate::fuzz::demand;
using headgate::fuzz::take_line;
using headgate::routing::RequestView;
using headgate::routing::RouteTable;

namespace {

constexpr const char* kRegexes[] = {"^/a", "\\.php$", "^/([^/]+)/(.*)$", "^/(a+)+$"};

headgate::config::Route route_of(std::string_view line) {
  headgate::config::Route route;
  if (line.starts_with('!')) {
    route.conditions.change().methods = {"POST"};
    line.remove_prefix(1);
  }
  if (line.starts_with('~')) {
    route.path_regex = kRegexes[line.size() % std::size(kRegexes)];
    return route;
  }
  const bool prefix = line.ends_with('*');
  if (prefix) line.remove_suffix(1);
  route.paths.push_back({std::string(line), prefix});
  return route;
}

struct Answer {
  std::size_t route = RouteTable::kNone;
  bool gave_up = false;
};

Answer literally(const std::vector<headgate::config::Route>& routes, const RequestView& request) {
  for (std::size_t i = 0; i < routes.size(); ++i) {
    if (!conditions_hold(*routes[i].conditions, request)) continue;
    for (const auto& path : routes[i].paths) {
      if (!path.prefix && path.text == request.path) return {i, false};
    }
  }
  for (std::size_t i = 0; i < routes.size(); ++i) {
    if (routes[i].path_regex.empty() || !conditions_hold(*routes[i].conditions, request)) continue;
    headgate::routing::Captures captures;
    const auto regex = headgate::routing::Regex::compile(routes[i].path_regex);
    const auto outcome = regex->search(request.path, captures);
    if (outcome == headgate::routing::Regex::Outcome::kMatch) return {i, false};
    if (outcome == headgate::routing::Regex::Outcome::kGaveUp) return {RouteTable::kNone, true};
  }
  Answer best;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    if (!conditions_hold(*routes[i].conditions, request)) continue;
    for (const auto& path : routes[i].paths) {
      if (!path.prefix || !request.path.starts_with(path.text)) continue;
      if (best.route != RouteTable::kNone && path.text.size() <= longest) continue;
      best.route = i;
      longest = path.text.size();
    }
  }
  return best;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  headgate::config::Config config;
  config.sites.emplace_back();
  auto& routes = config.sites[0].routes;
  for (auto line = take_line(input); !line.empty() && routes.size() < 50; line = take_line(input)) {
    routes.push_back(route_of(line));
  }
  const auto space = input.find(' ');
  const auto method = input.substr(0, space);
  const auto target = space == std::string_view::npos ? std::string_view() : input.substr(space + 1);
  const auto question = target.find('?');
  std::string path;
  if (!headgate::http::normalise_path(target.substr(0, question), path)) return 0;

  const RouteTable table(config);
  RequestView request;
  request.method = method;
  request.path = path;
  if (question != std::string_view::npos) request.query = target.substr(question + 1);
  headgate::routing::Captures captures;
  bool gave_up = false;
  const auto found = table.find_route(0, request, captures, nullptr, &gave_up);
  const auto expected = literally(routes, request);
  demand(found == expected.route, "the lookup equals a linear search");
  demand(gave_up == expected.gave_up, "the lookup says when a regex gave up");
  for (const auto group : captures.group) {
    demand(headgate::fuzz::lies_within(group, path), "a group is a part of the path");
  }

  headgate::routing::Trace trace;
  demand(table.find_route(0, request, captures, &trace) == found, "tracing changes nothing");
  demand(trace.steps.size() == routes.size(), "the trace speaks of every route once");
  for (const auto& step : trace.steps) {
    demand(step.taken == (found != RouteTable::kNone && step.route == &routes[found]), "the trace names the one taken");
    demand(!step.why.empty(), "every step has words");
  }
  return 0;
}
