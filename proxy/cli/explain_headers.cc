// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/explain_headers.h"

#include <algorithm>
#include <string>
#include <vector>

#include "config/units.h"
#include "proxy/cli/explain_action.h"
#include "proxy/cors.h"
#include "proxy/security_headers.h"

namespace headgate::cli {
namespace {

/// A field that goes out, or does not any more.
struct Told {
  std::string name;
  std::string value;
  std::string from;
  bool removed = false;
};

/// Does with a list what `Request::start` does with the fields of an answer of which nothing else is known.
class EffectiveHead {
 public:
  explicit EffectiveHead(const Question& question) : question_(question) {}

  void add(std::string name, std::string value, std::string from) {
    list_.push_back({std::move(name), std::move(value), std::move(from)});
  }

  /// In the order of proxy::HeaderRules.
  void apply(const config::HeaderChanges& changes, const std::string& whose) {
    for (const auto& name : changes.remove) {
      take_out(name);
      list_.push_back({name, "", "removed by the " + whose, true});
    }
    for (const auto& [name, value] : changes.set) {
      const std::string before = take_out(name);
      add(name, filled(value), "the " + whose + (before.empty() ? "" : ", in place of " + before));
    }
    for (const auto& [name, value] : changes.add) add(name, filled(value), "added by the " + whose);
  }

  const std::vector<Told>& list() const { return list_; }

 private:
  std::string filled(const std::string& text) const {
    const std::string value = question_.expand(text);
    return value == text ? text : value + " <- " + text;
  }

  /// Who had said something of it.
  std::string take_out(const std::string& name) {
    std::string from;
    for (const auto& one : list_) {
      if (http::iequals(one.name, name)) from = one.from.substr(0, one.from.find(','));
    }
    std::erase_if(list_, [&](const Told& one) { return http::iequals(one.name, name); });
    return from;
  }

  const Question& question_;
  std::vector<Told> list_;
};

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out;
}

/// The rules themselves, and what they say of this request's origin.
void print_cors(const config::Cors& cors, const Question& question, bool of_route) {
  print_line("cors", "origins " + joined(cors.origins) + (cors.credentials ? ", with credentials" : "") +
                         (of_route ? " (of the route)" : " (of the site)"));
  const auto origin = question.fields.get(http::FieldId::kOrigin);
  if (!origin) {
    print_line("", "no Origin: -H 'Origin: https://...' asks for one");
    return;
  }
  const bool allowed = proxy::CorsPolicy(cors).allows(question.fields);
  print_line("", "the origin " + std::string(*origin) + (allowed ? " is allowed" : " is not allowed"));
}

void add_cors(const config::Cors& cors, const Question& question, EffectiveHead& head) {
  BufferPool buffers;
  Arena arena(buffers);
  http::Fields fields;
  const proxy::CorsPolicy policy(cors);
  policy.apply(question.fields, fields, arena);
  for (const auto& field : fields) head.add(std::string(field.name), std::string(field.value), "cors");
}

void add_and_print(const config::Site& site, const config::Route* route, const Question& question,
                   EffectiveHead& head) {
  if (site.strict_security_headers) {
    for (const auto& [name, value, over_tls] : proxy::kStrictHeaders) {
      if (question.secure || !over_tls) head.add(std::string(name), std::string(value), "security_headers");
    }
  }
  head.apply(site.response_headers, "site");
  if (route != nullptr) head.apply(*route->response_headers, "route");
  for (const auto& one : head.list()) {
    print_line("response", (one.removed ? "no " + one.name : one.name + ": " + one.value) + " (" + one.from + ")");
  }
}

}  // namespace

void explain_response_headers(const config::Site& site, const config::Route* route, const Question& question) {
  EffectiveHead head(question);
  if (const auto* const cors = proxy::cors_of(site, route)) {
    print_cors(*cors, question, route != nullptr && route->cors);
    add_cors(*cors, question, head);
  }
  add_and_print(site, route, question, head);
}

void explain_preflight(const config::Site& site, const config::Route* route, const Question& question) {
  const auto& cors = *proxy::cors_of(site, route);
  print_cors(cors, question, route != nullptr && route->cors);
  print_line("answer", "204, a preflight is answered here: before limits and before the upstream");
  BufferPool buffers;
  Arena arena(buffers);
  http::Fields fields;
  const proxy::CorsPolicy policy(cors);
  policy.answer_preflight(question.fields, fields, arena);
  EffectiveHead head(question);
  for (const auto& field : fields) head.add(std::string(field.name), std::string(field.value), "cors");
  add_and_print(site, route, question, head);
}

void explain_errors(const config::Site& site) {
  std::string pages;
  for (const auto& page : site.error_pages) {
    pages += (pages.empty() ? "" : ", ") + std::to_string(page.status) + (page.status < 10 ? "xx " : " ") + page.path;
  }
  if (!pages.empty()) {
    print_line("errors", pages + (site.error_pages_intercept ? "; also those of an upstream" : ""));
  }
  if (!site.maintenance) return;
  std::string text = "when it is switched on: 503";
  if (site.maintenance->retry_after.count() > 0) {
    text += ", Retry-After " + std::to_string(site.maintenance->retry_after.count());
  }
  for (const auto& network : site.maintenance->allow) text += ", but not for " + network.to_string();
  for (const auto& path : site.maintenance->except) text += ", but not " + path.text + (path.prefix ? "*" : "");
  print_line("closed", text);
}

}  // namespace headgate::cli
