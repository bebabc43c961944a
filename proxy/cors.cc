// SPDX-License-Identifier: Apache-2.0
#include "proxy/cors.h"

#include <algorithm>

namespace headgate::proxy {
namespace {

using http::FieldId;

constexpr std::string_view kAllowOrigin = "Access-Control-Allow-Origin";

/// What may stand for the star: whole labels. Neither a port, nor a user name, nor the end of another host.
bool are_labels(std::string_view text) {
  if (text.empty() || text.front() == '.' || text.back() == '.') return false;
  return text.find("..") == std::string_view::npos && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
         });
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

bool has_star(const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), "*") != names.end();
}

/// The one origin of a request; empty when there is none, or more than one.
std::string_view origin_of(const http::Fields& asked) {
  const auto origin = asked.get(FieldId::kOrigin);
  return origin && asked.count(FieldId::kOrigin) == 1 ? *origin : std::string_view();
}

/// Of several only the first stays.
void keep_first(http::Fields& answer, FieldId id) {
  bool seen = false;
  auto& list = answer.list();
  const auto again = [&](const http::Field& field) { return field.id == id && std::exchange(seen, true); };
  list.erase(std::remove_if(list.begin(), list.end(), again), list.end());
}

}  // namespace

// --- origins --------------------------------------------------------------------------------------------------------

OriginList::OriginList(const std::vector<std::string>& origins) {
  for (const auto& origin : origins) {
    const auto star = origin.find('*');
    if (origin == "*") {
      everyone_ = true;
    } else if (star != std::string::npos) {
      wildcards_.push_back({origin.substr(0, star), origin.substr(star + 1)});
    } else {
      exact_.push_back(origin);
    }
  }
  std::sort(exact_.begin(), exact_.end());
}

bool OriginList::allows(std::string_view origin) const {
  if (everyone_) return true;
  if (std::binary_search(exact_.begin(), exact_.end(), origin)) return true;
  return std::any_of(wildcards_.begin(), wildcards_.end(), [&](const Wildcard& one) {
    return origin.size() > one.before.size() + one.after.size() && origin.starts_with(one.before) &&
           origin.ends_with(one.after) &&
           are_labels(origin.substr(one.before.size(), origin.size() - one.before.size() - one.after.size()));
  });
}

// --- answers --------------------------------------------------------------------------------------------------------

CorsPolicy::CorsPolicy(const config::Cors& settings)
    : origins_(settings.origins),
      methods_(settings.methods.empty() ? "GET, HEAD, POST" : joined(settings.methods)),
      headers_(joined(settings.headers)),
      expose_headers_(joined(settings.expose_headers)),
      any_method_(has_star(settings.methods)),
      any_header_(has_star(settings.headers)),
      credentials_(settings.credentials) {
  if (settings.max_age.count() > 0) max_age_ = std::to_string(settings.max_age.count());
}

bool CorsPolicy::allows(const http::Fields& asked) const {
  if (origins_.everyone()) return true;
  const auto origin = origin_of(asked);
  return !origin.empty() && origins_.allows(origin);
}

void CorsPolicy::allow_origin(const http::Fields& asked, http::Fields& answer) const {
  answer.add(FieldId::kAccessControlAllowOrigin, kAllowOrigin, origins_.everyone() ? "*" : origin_of(asked));
  if (credentials_) answer.add(FieldId::kOther, "Access-Control-Allow-Credentials", "true");
}

void CorsPolicy::apply(const http::Fields& asked, http::Fields& answer, Arena& arena) const {
  if (answer.has(FieldId::kAccessControlAllowOrigin)) {
    keep_first(answer, FieldId::kAccessControlAllowOrigin);
    return;
  }
  // Without an origin in the request, too: a cache must not give that answer to one that has some.
  if (!origins_.everyone()) add_to_vary(answer, "Origin", arena);
  if (!allows(asked)) return;
  allow_origin(asked, answer);
  if (!expose_headers_.empty()) answer.add(FieldId::kOther, "Access-Control-Expose-Headers", expose_headers_);
}

void CorsPolicy::answer_preflight(const http::Fields& asked, http::Fields& answer, Arena& arena) const {
  for (const std::string_view name : {"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"}) {
    add_to_vary(answer, name, arena);
  }
  if (!allows(asked)) return;
  allow_origin(asked, answer);
  const auto method = asked.get("access-control-request-method").value_or(std::string_view());
  const auto headers = asked.get("access-control-request-headers").value_or(std::string_view());
  answer.add(FieldId::kOther, "Access-Control-Allow-Methods", any_method_ ? method : std::string_view(methods_));
  const auto allowed = any_header_ ? headers : std::string_view(headers_);
  if (!allowed.empty()) answer.add(FieldId::kOther, "Access-Control-Allow-Headers", allowed);
  if (!max_age_.empty()) answer.add(FieldId::kOther, "Access-Control-Max-Age", max_age_);
}

std::optional<std::string_view> announced_method(std::string_view method, const http::Fields& fields) {
  if (method != "OPTIONS" || !fields.has(FieldId::kOrigin)) return std::nullopt;
  return fields.get("access-control-request-method");
}

const config::Cors* cors_of(const config::Site& site, const config::Route* route) {
  if (route != nullptr && route->cors) return route->cors->off ? nullptr : &*route->cors;
  return site.cors ? &*site.cors : nullptr;
}

void add_to_vary(http::Fields& fields, std::string_view name, Arena& arena) {
  if (!fields.has(FieldId::kVary)) {
    fields.add(FieldId::kVary, "Vary", name);
    return;
  }
  if (fields.list_contains(FieldId::kVary, name) || fields.list_contains(FieldId::kVary, "*")) return;
  for (auto& field : fields.list()) {
    if (field.id != FieldId::kVary) continue;
    field.value = field.value.empty() ? name : arena.join({field.value, ", ", name});
    return;
  }
}

}  // namespace headgate::proxy
