// SPDX-License-Identifier: Apache-2.0
#include "proxy/overrides.h"

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "proxy/state_file.h"
#include "traffic/saved_rollouts.h"

namespace headgate::proxy {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

std::optional<std::string> text_at(const json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

std::optional<upstream::Monitor::Drains> read_drains(const json& listed) {
  if (!listed.is_array()) return std::nullopt;
  upstream::Monitor::Drains drains;
  for (const auto& one : listed) {
    auto upstream = text_at(one, "upstream");
    auto server = text_at(one, "server");
    if (!upstream || !server) return std::nullopt;
    drains.emplace_back(*std::move(upstream), *std::move(server));
  }
  return drains;
}

std::optional<std::vector<traffic::Traffic::Saved>> read_traffic(const json& listed) {
  if (!listed.is_array()) return std::nullopt;
  std::vector<traffic::Traffic::Saved> all;
  for (const auto& one : listed) {
    auto upstream = text_at(one, "upstream");
    const auto before = upstream ? traffic::read_weights(one.value("before", json::array())) : std::nullopt;
    const json release = upstream ? one.value("release", json()) : json();
    if (!before || !release.is_number_unsigned()) return std::nullopt;
    traffic::Traffic::Saved saved{*std::move(upstream), std::nullopt, *before, release.get<std::uint64_t>()};
    if (one.contains("split")) {
      saved.set = traffic::read_weights(one["split"]);
      if (!saved.set) return std::nullopt;
    }
    all.push_back(std::move(saved));
  }
  return all;
}

json closures_json(const Closures& closed) {
  json sites = json::array();
  for (const auto& [site, closure] : closed) {
    json told = {{"site", site}, {"since", closure.since}, {"allow", json::array()}, {"message", closure.message}};
    if (closure.retry_after) told["retry_after_s"] = closure.retry_after->count();
    for (const auto& network : closure.allow) told["allow"].push_back(network.to_string());
    sites.push_back(std::move(told));
  }
  return sites;
}

std::optional<Closures> read_closures(const json& listed) {
  if (!listed.is_array()) return std::nullopt;
  Closures closed;
  for (const auto& one : listed) {
    auto site = text_at(one, "site");
    const json since = site ? one.value("since", json()) : json();
    const json allow = site ? one.value("allow", json::array()) : json();
    if (!site || !since.is_number_integer() || !allow.is_array()) return std::nullopt;
    Closure closure;
    closure.since = since.get<std::int64_t>();
    closure.message = text_at(one, "message").value_or(std::string());
    if (one.contains("retry_after_s")) {
      if (!one["retry_after_s"].is_number_unsigned()) return std::nullopt;
      closure.retry_after = std::chrono::seconds(one["retry_after_s"].get<std::uint32_t>());
    }
    for (const auto& text : allow) {
      const auto network = text.is_string() ? Cidr::parse(text.get<std::string>()) : std::nullopt;
      if (!network) return std::nullopt;
      closure.allow.push_back(*network);
    }
    closed.insert_or_assign(*std::move(site), std::move(closure));
  }
  return closed;
}

}  // namespace

std::string overrides_text(const SavedOverrides& saved) {
  json document = {{"version", kVersion}, {"drained", json::array()}, {"traffic", json::array()}};
  for (const auto& [upstream, server] : saved.drains) {
    document["drained"].push_back({{"upstream", upstream}, {"server", server}});
  }
  for (const auto& one : saved.traffic) {
    json told = {{"upstream", one.upstream}, {"before", traffic::weights_json(one.before)}, {"release", one.release}};
    if (one.set) told["split"] = traffic::weights_json(*one.set);
    document["traffic"].push_back(std::move(told));
  }
  if (!saved.rollouts.empty()) document["rollouts"] = traffic::saved_rollouts_json(saved.rollouts);
  if (!saved.closed.empty()) document["maintenance"] = closures_json(saved.closed);
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::optional<SavedOverrides> read_overrides(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object() || !document.contains("version") || document["version"] != kVersion) return std::nullopt;
  auto drains = read_drains(document.value("drained", json::array()));
  auto traffic = read_traffic(document.value("traffic", json::array()));
  auto rollouts = traffic::read_saved_rollouts(document.value("rollouts", json::array()));
  auto closed = read_closures(document.value("maintenance", json::array()));
  if (!drains || !traffic || !rollouts || !closed) return std::nullopt;
  return SavedOverrides{*std::move(drains), *std::move(traffic), *std::move(rollouts), *std::move(closed)};
}

void Overrides::restore(const std::filesystem::path& folder) {
  file_ = folder / kFileName;
  std::error_code error;
  if (!std::filesystem::exists(file_, error)) return;
  const auto text = load_file(file_);
  const auto saved = text ? read_overrides(*text) : std::nullopt;
  if (!saved) {
    const auto aside = file_.string() + ".damaged";
    std::filesystem::rename(file_, aside, error);
    log::error("{}: not readable as overrides; {} {}: what operators had set is not in effect", file_.string(),
               error ? "it cannot be put aside as" : "put aside as", aside);
    return;
  }
  traffic_.restore(saved->traffic);
  rollouts_.restore(saved->rollouts, Clock::now());
  monitor_.restore(saved->drains);
  maintenance_.restore(saved->closed);
  for (const auto& [upstream, server] : saved->drains) {
    log::warn("upstream {}, server {}: drained by an operator before this start", upstream, server);
  }
}

Overrides::Outcome Overrides::drain(const std::string& upstream, const std::string& server, bool drained) {
  if (!monitor_.drain(upstream, server, drained)) return Outcome::kUnknown;
  return save() ? Outcome::kDone : Outcome::kNotSaved;
}

bool Overrides::maintain(const std::function<void(Maintenance&)>& what) {
  what(maintenance_);
  return save();
}

bool Overrides::save() {
  if (file_.empty()) return false;
  const SavedOverrides saved{monitor_.drains(), traffic_.saved(), rollouts_.saved(), maintenance_.closed()};
  return save_privately(file_, overrides_text(saved));
}

}  // namespace headgate::proxy
