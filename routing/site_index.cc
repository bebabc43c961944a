// SPDX-License-Identifier: Apache-2.0
#include "routing/site_index.h"

#include <algorithm>

namespace headgate::routing {
namespace {

constexpr std::size_t kLongestName = 255;

bool same_address(const config::Address& a, const config::Address& b) {
  return a.text == b.text ||
         (a.kind == b.kind && a.ip == b.ip && a.host == b.host && a.path == b.path && a.port == b.port && a.port != 0);
}

/// The addresses of a site as the listeners write them: "[::1]:80" and "[0:0::1]:80" are one.
std::vector<std::string_view> listeners_of(const config::Site& site, const config::Config& config) {
  std::vector<std::string_view> result;
  for (const auto& address : site.listeners) {
    bool known = false;
    for (const auto& listener : config.listeners) {
      if (!same_address(address, listener.address)) continue;
      result.push_back(listener.address.text);
      known = true;
    }
    if (!known) result.push_back(address.text);
  }
  return result;
}

std::string joined(const std::vector<std::string_view>& texts) {
  std::string out;
  for (const auto text : texts) {
    if (!out.empty()) out += ", ";
    out += text;
  }
  return out;
}

}  // namespace

SiteIndex::SiteIndex(const config::Config& config) : config_(config) {
  listeners_.reserve(config.sites.size());
  exact_.reserve(config.sites.size());
  for (std::uint32_t i = 0; i < config.sites.size(); ++i) {
    const auto& site = config.sites[i];
    listeners_.push_back(listeners_of(site, config));
    if (site.hosts.empty()) default_.push_back(i);
    for (const std::string_view host : site.hosts) {
      if (host.starts_with("*.")) {
        wildcards_[host.substr(2)].push_back(i);
        longest_wildcard_ = std::max(longest_wildcard_, host.size() - 2);
      } else {
        exact_[host].push_back(i);
      }
    }
  }
  const auto narrow_first = [this](Candidates& candidates) {
    std::stable_partition(candidates.begin(), candidates.end(),
                          [this](std::uint32_t site) { return !listeners_[site].empty(); });
  };
  for (auto& [name, candidates] : exact_) narrow_first(candidates);
  for (auto& [name, candidates] : wildcards_) narrow_first(candidates);
  narrow_first(default_);
}

bool SiteIndex::answers_on(std::uint32_t site, std::string_view listener) const {
  const auto& listeners = listeners_[site];
  return listeners.empty() || std::find(listeners.begin(), listeners.end(), listener) != listeners.end();
}

std::size_t SiteIndex::choose(const Candidates& candidates, std::string_view listener, Reason reason,
                              Trace* trace) const {
  for (const auto site : candidates) {
    const bool taken = answers_on(site, listener);
    if (trace != nullptr) {
      auto why = "site " + config_.sites[site].name() + ": " + std::string(reason.words) + std::string(reason.name);
      if (!taken) why += ", but it answers only on " + joined(listeners_[site]) + ", not on " + std::string(listener);
      trace->steps.push_back({nullptr, taken, std::move(why)});
    }
    if (taken) return site;
  }
  return RouteTable::kNone;
}

std::size_t SiteIndex::find_wildcard(std::string_view listener, std::string_view host, Trace* trace) const {
  if (wildcards_.empty()) return RouteTable::kNone;
  // From the left: the longest suffix first. A label stands before the first dot, so ".example.com" is no match.
  for (auto dot = host.find('.', 1); dot != std::string_view::npos; dot = host.find('.', dot + 1)) {
    const auto suffix = host.substr(dot + 1);
    if (suffix.size() > longest_wildcard_) continue;
    const auto found = wildcards_.find(suffix);
    if (found == wildcards_.end()) continue;
    const auto site = choose(found->second, listener, {"the name is under its wildcard *.", suffix}, trace);
    if (site != RouteTable::kNone) return site;
  }
  return RouteTable::kNone;
}

std::size_t SiteIndex::find(std::string_view listener, std::string_view host, Trace* trace) const {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() <= kLongestName) {
    if (const auto found = exact_.find(host); found != exact_.end()) {
      const auto site = choose(found->second, listener, {"the name is its host ", host}, trace);
      if (site != RouteTable::kNone) return site;
    } else if (trace != nullptr) {
      trace->steps.push_back({nullptr, false, "no site has the host \"" + std::string(host) + "\" by that very name"});
    }
    const auto site = find_wildcard(listener, host, trace);
    if (site != RouteTable::kNone) return site;
  }
  const auto site = choose(default_, listener, {"it is the default site, for every other name", {}}, trace);
  if (site == RouteTable::kNone && default_.empty() && trace != nullptr) {
    trace->steps.push_back({nullptr, false, "there is no default site (one without hosts)"});
  }
  return site;
}

}  // namespace headgate::routing
