// SPDX-License-Identifier: Apache-2.0
#include "proxy/gate.h"

#include <optional>
#include <stdexcept>
#include <utility>

#include "proxy/generation.h"
#include "proxy/request.h"

namespace headgate::proxy {
namespace {

using observe::Denial;

constexpr const char* kRealm = "restricted";  // where the configuration gives none

/// Makes the rules, each users file once.
class Maker {
 public:
  Maker(Gates& gates, const config::Config& config) : gates_(gates), config_(config) {}

  /// What `site` has, and in its place what `own` (of a route) sets.
  template <class Settings>
  Gate make(const Gate& site, const Settings& own) {
    Gate gate = site;
    if (own.access) gate.access = own.access->empty() ? nullptr : std::make_shared<routing::AccessRules>(*own.access);
    if (own.basic_auth) gate.basic_auth = own.basic_auth->empty() ? nullptr : rule_of(*own.basic_auth);
    if (own.forward_auth) {
      gate.forward_auth =
          own.forward_auth->empty() ? nullptr : std::make_shared<ForwardAuthRule>(config_, *own.forward_auth);
    }
    return gate;
  }

  const Gate* keep(Gate gate) {
    if (gate.open()) return nullptr;
    return gates_.all.emplace_back(std::make_unique<const Gate>(std::move(gate))).get();
  }

 private:
  std::shared_ptr<const BasicAuthRule> rule_of(const config::BasicAuth& settings) {
    auto rule = std::make_shared<BasicAuthRule>();
    rule->challenge = auth::basic_challenge(settings.realm.empty() ? std::string_view(kRealm) : settings.realm);
    rule->users = users_of(settings);
    return rule;
  }

  std::shared_ptr<auth::UsersFile> users_of(const config::BasicAuth& settings) {
    for (const auto& known : gates_.users_files) {
      if (known->path() == settings.users_file) return known;
    }
    try {
      return gates_.users_files.emplace_back(std::make_shared<auth::UsersFile>(settings.users_file));
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(config::to_string({settings.position, std::string("users_file: ") + error.what()}));
    }
  }

  Gates& gates_;
  const config::Config& config_;
};

int status_of(Denial why) {
  switch (why) {
    case Denial::kNoCredentials:
    case Denial::kBadCredentials:
      return 401;
    case Denial::kBusy:
      return 503;
    case Denial::kServiceFailed:
    case Denial::kServiceTimeout:
      return 502;
    case Denial::kAddress:
    case Denial::kService:
      break;
  }
  return 403;
}

/// Nothing: the request has brought the password of one of the users, who is noted.
Task<std::optional<Denial>> check_password(Request& request, const BasicAuthRule& rule, auth::Verifier& verifier) {
  const auto& fields = request.exchange.request.fields;
  const std::size_t count = fields.count(http::FieldId::kAuthorization);
  if (count == 0) co_return Denial::kNoCredentials;
  // Of several we would look at one, and an application perhaps at another.
  if (count > 1) co_return Denial::kBadCredentials;
  auto credentials = auth::parse_basic(*fields.get(http::FieldId::kAuthorization));
  if (!credentials) co_return Denial::kBadCredentials;
  const auto user = request.exchange.arena().copy(credentials->user);
  const auto users = rule.users->current();
  auto verifying = verifier.verify(*users, *std::move(credentials), request.client);
  const auto verdict = co_await verifying;
  if (verdict == auth::Verdict::kBusy) co_return Denial::kBusy;
  if (verdict == auth::Verdict::kWrong) co_return Denial::kBadCredentials;
  request.user = user;
  co_return std::nullopt;
}

}  // namespace

void Gates::compile(const config::Config& config, std::vector<CompiledSite>& sites) {
  Maker maker(*this, config);
  for (auto& site : sites) {
    const Gate own = maker.make(Gate(), *site.config);
    site.gate = maker.keep(own);
    for (std::size_t i = 0; i < site.routes.size(); ++i) {
      auto& route = site.routes[i];
      const auto& settings = *route.config;
      const bool sets = settings.access || settings.basic_auth || settings.forward_auth;
      const Gate* const gate = sets ? maker.keep(maker.make(own, settings)) : site.gate;
      if (gate == nullptr) continue;
      route.gated = true;
      site.gates.resize(site.routes.size());
      site.gates[i] = gate;
    }
  }
}

bool admits(const Request& request, const Gate& gate) {
  return !gate.access || gate.access->admits(request.client);
}

Task<Result<bool>> prove(Request& request, const Gate& gate, auth::Verifier& verifier) {
  if (gate.basic_auth) {
    auto checking = check_password(request, *gate.basic_auth, verifier);
    const auto denial = co_await checking;
    if (denial) {
      if (*denial != Denial::kBusy) request.challenge = gate.basic_auth->challenge;
      auto denying = deny(request, *denial);
      const auto sent = co_await denying;
      if (!sent) co_return sent.error();
      co_return false;
    }
  }
  if (!gate.forward_auth) co_return true;
  auto asking = ask_service(request, *gate.forward_auth);
  co_return co_await asking;
}

Task<Result<>> deny(Request& request, Denial why) {
  request.generation->meter.count_denial(request, why);
  return request.respond_error(status_of(why), observe::reason_of(why));
}

}  // namespace headgate::proxy
