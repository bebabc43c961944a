// SPDX-License-Identifier: Apache-2.0
// `headgate explain`: the steps of the path of a request, taken without a server and told one by one.
#include <algorithm>
#include <iostream>

#include "http/path.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/config_file.h"
#include "proxy/cli/explain_action.h"
#include "proxy/cli/explain_headers.h"
#include "proxy/cli/options.h"
#include "proxy/cli/question.h"
#include "proxy/cors.h"
#include "routing/route_table.h"

namespace headgate::cli {
namespace {

constexpr std::size_t kMostLines = 200;  // of sites, or of routes: a file may have a hundred thousand

std::string place(const config::Position& position) {
  return " (" + position.file.text() + ":" + std::to_string(position.line) + ")";
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out;
}

void print_more(std::size_t count) {
  if (count > kMostLines) print_line("", "... and " + std::to_string(count - kMostLines) + " more");
}

/// Why the sites that the lookup did not even consider are no candidates.
void print_other_sites(const config::Config& config, std::size_t found, const routing::Trace& trace,
                       const Question& question) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < config.sites.size(); ++i) {
    const config::Site& site = config.sites[i];
    const bool told = std::any_of(trace.steps.begin(), trace.steps.end(), [&](const routing::Trace::Step& step) {
      return step.why.starts_with("site " + site.name() + ":");
    });
    if (i == found || told || ++count > kMostLines) continue;
    const std::string why =
        site.hosts.empty() ? "the default site is asked last" : "'" + question.host + "' is not " + joined(site.hosts);
    print_line("", "not " + site.name() + place(site.position) + ": " + why);
  }
  print_more(count);
}

std::size_t explain_site(const config::Config& config, const routing::RouteTable& table, const Question& question) {
  routing::Trace trace;
  const std::size_t found = table.find_site(question.listener->address.text, question.host, &trace);
  const bool none = found == routing::RouteTable::kNone;
  print_line("site", none ? "none" : config.sites[found].name() + place(config.sites[found].position));
  for (const auto& step : trace.steps) print_line("", (step.taken ? "taken: " : "not: ") + step.why);
  print_other_sites(config, found, trace, question);
  if (none) {
    print_line("answer", "404, no site answers to '" + question.host + "'");
    if (question.host.empty()) print_line("", "a whole URL, or -H 'Host: NAME', names a host");
    if (question.secure) {
      print_line("", "421 when the handshake was for another name, so that the client opens a new connection");
    }
  }
  return found;
}

bool explain_path(Question& question) {
  std::string normalised;
  const auto notes = http::normalise_path(question.sent_path, normalised);
  if (!notes) {
    print_line("path", std::string(question.sent_path));
    print_line("answer", "400, " + std::string(http::to_string(notes.error())));
    return false;
  }
  question.path = question.keep(std::move(normalised));
  question.path_as_sent = !notes->dot_segments;
  const bool same = question.path == question.sent_path;
  print_line("path",
             std::string(question.path) + (same ? "" : " (normalised from " + std::string(question.sent_path) + ")"));
  return true;
}

bool explain_redirect_to_https(const config::Config& config, const config::Site& site, const Question& question) {
  if (!site.https_redirect || question.secure) return false;
  const auto secure = std::find_if(config.listeners.begin(), config.listeners.end(),
                                   [](const config::Listener& each) { return each.tls; });
  if (secure == config.listeners.end()) return false;
  const auto port = secure->address.port;
  print_line("action", "https: redirect");
  print_line("answer",
             "308 to https://" + question.host + (port == 443 ? "" : ":" + std::to_string(port)) + question.target);
  return true;
}

void print_routes(const routing::Trace& trace) {
  std::size_t count = 0;
  for (const auto& step : trace.steps) {
    if (step.route == nullptr || (!step.taken && ++count > kMostLines)) continue;
    print_line("", (step.taken ? "taken: " : "not ") + (step.taken ? "" : step.route->name() + ": ") + step.why);
  }
  print_more(count);
}

/// Prints each lookup and rewrite as it happens.
class Story final : public proxy::WalkListener {
 public:
  explicit Story(const config::Site& site) : site_(site) {}

  void looked_up(std::size_t route, const routing::Trace& trace, bool) override {
    const bool none = route == routing::RouteTable::kNone;
    print_line("route", none ? "none" : site_.routes[route].name() + place(site_.routes[route].position));
    print_routes(trace);
  }
  void not_rewritten(std::size_t route, std::string_view path) override {
    print_line("rewrite", std::string(path) + " does not match " + site_.routes[route].rewrite->regex);
  }
  void rewritten(std::size_t route, std::string_view path, std::string_view target) override {
    print_line("rewrite", std::string(path) + " -> " + std::string(target) + " (by " +
                              site_.routes[route].rewrite->regex + ")");
  }

 private:
  const config::Site& site_;
};

/// The route with an action, through all rewrites; null after the answer has been printed.
const config::Route* explain_route(const config::Config& config, const routing::RouteTable& table, std::size_t site,
                                   Question& question, Arena& arena) {
  using End = proxy::RouteWalk::End;
  Story story(config.sites[site]);
  proxy::RouteWalk walk{table, config.sites[site], site, question, arena, &story};
  switch (walk.run(question.view(), question)) {
    case End::kRoute: return &config.sites[site].routes[walk.route];
    case End::kNone: print_line("answer", "404, no route takes this path"); break;
    case End::kGaveUp: print_line("answer", "500, a regex gave up"); break;
    case End::kLoop:
      print_line("answer", "500, more than " + std::to_string(proxy::RouteWalk::kMaxRewrites) + " rewrites");
      break;
    case End::kBadRewrite: print_line("answer", "500, the rewrite gave no path"); break;
  }
  return nullptr;
}

/// As `serve` finds the route of a preflight. True: that is what the request is, and all has been told.
bool explain_if_preflight(const config::Config& config, const routing::RouteTable& table, std::size_t index,
                          Question& question, Arena& arena) {
  const config::Site& site = config.sites[index];
  const auto announced = proxy::announced_method(question.method, question.fields);
  if (!announced) return false;
  const proxy::RoutePlace before = question;
  auto view = question.view();
  view.method = *announced;
  proxy::RouteWalk walk{table, site, index, question, arena};
  walk.run(view, question);
  const bool found = walk.route != routing::RouteTable::kNone;
  const config::Route* const route = found ? &site.routes[walk.route] : nullptr;
  if (proxy::cors_of(site, route) == nullptr) {
    static_cast<proxy::RoutePlace&>(question) = before;
    return false;
  }
  const std::string name = found ? route->name() + place(route->position) : "none";
  print_line("route", name + ", as for " + std::string(*announced));
  explain_preflight(site, route, question);
  return true;
}

}  // namespace

int explain(const Options& options) {
  const auto loaded = load_or_complain(options.file);
  if (!loaded) return kFailed;
  for (const auto& each : loaded->not_available) std::cerr << config::to_string(each) << '\n';
  const config::Config& config = loaded->config;
  std::string problem;
  Question question(config, options, problem);
  if (!problem.empty()) {
    std::cerr << "headgate: " << problem << '\n';
    return kFailed;
  }
  const routing::RouteTable table(config);
  print_line("request",
             question.method + " " + question.target + (question.host.empty() ? "" : " for " + question.authority));
  print_line("client", question.client_text + (question.client == question.peer
                                                   ? ""
                                                   : " (from X-Forwarded-For of " + question.peer.to_string() + ")"));
  print_line("listener", question.listener->address.text + (question.secure ? " (tls)" : " (plain)"));
  const std::size_t site = explain_site(config, table, question);
  if (site == routing::RouteTable::kNone || !explain_path(question)) return kDone;
  if (explain_redirect_to_https(config, config.sites[site], question)) return kDone;
  BufferPool buffers;
  Arena arena(buffers);
  if (explain_if_preflight(config, table, site, question, arena)) return kDone;
  if (const config::Route* route = explain_route(config, table, site, question, arena)) {
    explain_action(config, config.sites[site], *route, question);
  } else {
    explain_response_headers(config.sites[site], nullptr, question);
    explain_errors(config.sites[site]);
  }
  return kDone;
}

}  // namespace headgate::cli
