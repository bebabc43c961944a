// SPDX-License-Identifier: Apache-2.0
#include "proxy/overrides.h"

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "proxy/state_file.h"

namespace headgate::proxy {
namespace {

using nlohmann::json;
using Drains = upstream::Monitor::Drains;

constexpr int kVersion = 1;

std::optional<std::string> text_at(const json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

}  // namespace

std::string overrides_text(const Drains& drains) {
  json document = {{"version", kVersion}, {"drained", json::array()}};
  for (const auto& [upstream, server] : drains) {
    document["drained"].push_back({{"upstream", upstream}, {"server", server}});
  }
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::optional<Drains> read_overrides(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  if (!document.is_object() || !document.contains("version") || document["version"] != kVersion) return std::nullopt;
  const json listed = document.value("drained", json::array());
  if (!listed.is_array()) return std::nullopt;
  Drains drains;
  for (const auto& one : listed) {
    auto upstream = text_at(one, "upstream");
    auto server = text_at(one, "server");
    if (!upstream || !server) return std::nullopt;
    drains.emplace_back(*std::move(upstream), *std::move(server));
  }
  return drains;
}

void Overrides::restore(const std::filesystem::path& folder) {
  file_ = folder / kFileName;
  std::error_code error;
  if (!std::filesystem::exists(file_, error)) return;
  const auto text = load_file(file_);
  const auto drains = text ? read_overrides(*text) : std::nullopt;
  if (!drains) {
    const auto aside = file_.string() + ".damaged";
    std::filesystem::rename(file_, aside, error);
    log::error("{}: not readable as overrides; {} {}: what operators had set is not in effect", file_.string(),
               error ? "it cannot be put aside as" : "put aside as", aside);
    return;
  }
  monitor_.restore(*drains);
  for (const auto& [upstream, server] : *drains) {
    log::warn("upstream {}, server {}: drained by an operator before this start", upstream, server);
  }
}

Overrides::Outcome Overrides::drain(const std::string& upstream, const std::string& server, bool drained) {
  if (!monitor_.drain(upstream, server, drained)) return Outcome::kUnknown;
  if (file_.empty()) return Outcome::kNotSaved;
  return save_privately(file_, overrides_text(monitor_.drains())) ? Outcome::kDone : Outcome::kNotSaved;
}

}  // namespace headgate::proxy
