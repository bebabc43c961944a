// SPDX-License-Identifier: Apache-2.0
#include "routing/route_table.h"

#include "routing/site_index.h"
#include "routing/site_routes.h"

namespace headgate::routing {

struct RouteTable::State {
  explicit State(const config::Config& config) : index(config) {
    sites.reserve(config.sites.size());
    for (const auto& site : config.sites) sites.emplace_back(site);
  }

  SiteIndex index;
  std::vector<SiteRoutes> sites;
};

RouteTable::RouteTable(const config::Config& config) : state_(std::make_unique<State>(config)) {}
RouteTable::~RouteTable() = default;

std::size_t RouteTable::find_site(std::string_view listener, std::string_view host, Trace* trace) const {
  return state_->index.find(listener, host, trace);
}

std::size_t RouteTable::find_route(std::size_t site, const RequestView& request, Captures& captures, Trace* trace,
                                   bool* gave_up) const {
  bool limit_reached = false;
  const auto route = state_->sites[site].find(request, captures, trace, limit_reached);
  if (gave_up != nullptr) *gave_up = limit_reached;
  return route;
}

bool RouteTable::has_rewrite(std::size_t site, std::size_t route) const {
  return state_->sites[site].has_rewrite(route);
}

bool RouteTable::rewrite(std::size_t site, std::size_t route, std::string_view path, const Variables& values,
                         Captures& captures, std::string& out, RewriteNotes* notes) const {
  RewriteNotes ignored;
  return state_->sites[site].rewrite(route, path, values, captures, out, notes != nullptr ? *notes : ignored);
}

}  // namespace headgate::routing
