// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/maintenance_resource.h"

#include <nlohmann/json.hpp>

#include "config/nearest.h"
#include "config/units.h"
#include "proxy/admin/answer.h"
#include "proxy/instance.h"

namespace headgate::proxy {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestMessage = 1000;
constexpr std::size_t kMostNetworks = 1000;
constexpr const char* kAllow = "GET, PUT, DELETE";

struct Asked {
  std::string refusal;  ///< empty: none
  Closure closure;
};

void read_retry_after(const json& value, Asked& asked) {
  const auto duration = value.is_string() ? config::parse_duration(value.get<std::string>())
                                          : config::Parsed<config::milliseconds>(config::ParseError{});
  if (!duration || duration->count() % 1000 != 0) {
    asked.refusal = "retry_after: expected a duration in whole seconds such as \"10m\"";
    return;
  }
  asked.closure.retry_after = std::chrono::duration_cast<std::chrono::seconds>(*duration);
}

void read_allow(const json& value, Asked& asked) {
  if (!value.is_array() || value.size() > kMostNetworks) {
    asked.refusal = "allow: expected a list of networks";
    return;
  }
  for (const auto& one : value) {
    const auto network = one.is_string() ? Cidr::parse(one.get<std::string>()) : std::nullopt;
    if (!network) {
      asked.refusal = "allow: expected " + std::string(config::kCidrText);
      return;
    }
    asked.closure.allow.push_back(*network);
  }
}

/// {"retry_after": "10m", "allow": ["10.0.0.0/8"], "message": "Back at noon"}, each of them optional.
Asked read_asked(const std::string& text) {
  Asked asked;
  asked.closure.since =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  if (text.empty()) return asked;
  const json body = json::parse(text, nullptr, false);
  if (!body.is_object()) {
    asked.refusal = "expected a JSON object";
    return asked;
  }
  for (const auto& [key, value] : body.items()) {
    if (key == "retry_after") {
      read_retry_after(value, asked);
    } else if (key == "allow") {
      read_allow(value, asked);
    } else if (key == "message" && value.is_string() && http::is_field_value(value.get<std::string>()) &&
               value.get<std::string>().size() <= kLongestMessage) {
      asked.closure.message = value.get<std::string>();
    } else {
      asked.refusal = key == "message" ? "message: expected a short line" : "unknown key '" + key + "'";
    }
    if (!asked.refusal.empty()) break;
  }
  return asked;
}

/// With what the configuration adds.
json told_of(const Instance& instance, const std::string& name) {
  const auto& closed = instance.maintenance().closed();
  const auto found = closed.find(name);
  json told = {{"site", name}, {"maintenance", found != closed.end()}};
  if (found == closed.end()) return told;
  const auto& sites = instance.generation().config.sites;
  const auto site = std::find_if(sites.begin(), sites.end(), [&](const auto& one) { return one.name() == name; });
  const config::Maintenance settings = site == sites.end() ? config::Maintenance() : *site->maintenance;
  const Closure& closure = found->second;
  told["since"] = closure.since;
  told["retry_after_s"] = closure.retry_after.value_or(settings.retry_after).count();
  told["message"] = closure.message.empty() ? settings.message : closure.message;
  told["allow"] = json::array();
  for (const auto* list : {&settings.allow, &closure.allow}) {
    for (const auto& network : *list) told["allow"].push_back(network.to_string());
  }
  return told;
}

std::string unknown_site(const config::Config& config, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& site : config.sites) {
    names.push_back(site.name());
    names.insert(names.end(), site.hosts.begin(), site.hosts.end());
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  return "there is no site '" + name + "'" + config::suggestion(name, known);
}

}  // namespace

Task<> respond_maintenance(http::Exchange& exchange, Instance& instance, std::string name) {
  const auto method = exchange.request.method;
  const bool reads = method == http::Method::kGet || method == http::Method::kHead;
  const bool closes = method == http::Method::kPut;
  if (!reads && !closes && method != http::Method::kDelete) {
    co_await refuse_method(exchange, kAllow);
    co_return;
  }
  const auto text = co_await read_text(exchange);
  const auto generation = instance.shared_generation();  // a reload may come while this waits
  auto site = site_named(generation->config, name);
  // One that has left the file can still be opened.
  if (!site && !closes && instance.maintenance().closed().contains(name)) site = name;
  Asked asked;
  if (!text) {
    asked.refusal = "the body is too long";
  } else if (closes) {
    asked = read_asked(*text);
  }
  if (!site || !asked.refusal.empty()) {
    std::string error = site ? error_json("refused", asked.refusal)
                             : error_json("unknown_site", unknown_site(generation->config, name));
    co_await respond(exchange, site ? 400 : 404, std::move(error));
    co_return;
  }
  bool saved = true;
  if (!reads) {
    saved = instance.overrides().maintain([&](Maintenance& maintenance) {
      if (closes) {
        maintenance.close(*site, std::move(asked.closure));
      } else {
        maintenance.open(*site);
      }
    });
    co_await instance.workers_told();
  }
  json told = told_of(instance, *site);
  if (!reads) told["saved"] = saved;
  std::string body = to_text(told);
  co_await respond(exchange, 200, std::move(body));
}

}  // namespace headgate::proxy
