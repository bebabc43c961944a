// SPDX-License-Identifier: Apache-2.0
#include "proxy/maintenance.h"

#include <algorithm>

#include "base/log.h"
#include "config/units.h"
#include "proxy/generation.h"

namespace headgate::proxy {
namespace {

bool contains(const std::vector<Cidr>& networks, const IpAddress& address) {
  return std::any_of(networks.begin(), networks.end(), [&](const Cidr& one) { return one.contains(address); });
}

bool matches(const config::PathPattern& pattern, std::string_view path) {
  return pattern.prefix ? path.starts_with(pattern.text) : path == pattern.text;
}

std::string text_of(const std::vector<Cidr>& networks) {
  std::string text;
  for (const auto& network : networks) text += (text.empty() ? "" : ", ") + network.to_string();
  return text;
}

}  // namespace

std::optional<std::string> site_named(const config::Config& config, std::string_view name) {
  const auto& sites = config.sites;
  auto found = std::find_if(sites.begin(), sites.end(), [&](const auto& site) { return site.name() == name; });
  if (found == sites.end()) {
    found = std::find_if(sites.begin(), sites.end(), [&](const auto& site) {
      return std::find(site.hosts.begin(), site.hosts.end(), name) != site.hosts.end();
    });
  }
  return found == sites.end() ? std::nullopt : std::optional(found->name());
}

// --- the switch -----------------------------------------------------------------------------------------------------

void Maintenance::changed() {
  plan_ = closed_.empty() ? nullptr : std::make_shared<const Closures>(closed_);
  publish_(plan_);
}

void Maintenance::close(const std::string& site, Closure closure) {
  log::warn("site {}: in maintenance, by an operator", site);
  events_.add("maintenance_on", {{"site", site}, {"allow", text_of(closure.allow)}, {"message", closure.message}});
  closed_[site] = std::move(closure);
  changed();
}

bool Maintenance::open(const std::string& site) {
  if (closed_.erase(site) == 0) return false;
  log::info("site {}: open again", site);
  events_.add("maintenance_off", {{"site", site}});
  changed();
  return true;
}

void Maintenance::restore(Closures closed) {
  closed_ = std::move(closed);
  for (const auto& [site, closure] : closed_) log::warn("site {}: in maintenance since before this start", site);
  changed();
}

// --- requests -------------------------------------------------------------------------------------------------------

const Closure* closure_for(const Closures& closed, const Request& request) {
  const auto found = closed.find(request.site->name);
  if (found == closed.end()) return nullptr;
  const config::Maintenance& settings = *request.site->config->maintenance;
  if (contains(found->second.allow, request.client) || contains(settings.allow, request.client)) return nullptr;
  const bool excepted = std::any_of(settings.except.begin(), settings.except.end(),
                                    [&](const auto& pattern) { return matches(pattern, request.path); });
  return excepted ? nullptr : &found->second;
}

Task<Result<>> respond_closed(Request& request, const Closure& closure) {
  const config::Maintenance& settings = *request.site->config->maintenance;
  const auto retry_after = closure.retry_after.value_or(settings.retry_after);
  http::ResponseHead head;
  head.status = 503;
  if (retry_after.count() > 0) {
    head.fields.add(http::FieldId::kRetryAfter, "Retry-After",
                    request.exchange.arena().copy(std::to_string(retry_after.count())));
  }
  return request.respond_error(head, "maintenance", closure.message.empty() ? settings.message : closure.message);
}

}  // namespace headgate::proxy
