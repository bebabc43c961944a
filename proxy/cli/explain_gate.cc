// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/explain_gate.h"

#include "auth/users_file.h"
#include "config/units.h"
#include "proxy/cli/explain_action.h"
#include "routing/access_rules.h"

namespace headgate::cli {
namespace {

/// What holds for the route, and whose it is.
template <class Rule>
struct InForce {
  InForce(const Rare<Rule>& site, const Rare<Rule>& route)
      : rule(route ? *route : *site), of(route ? "route" : "site") {}
  const Rule& rule;
  const char* of;
};

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

std::string state_of(const std::string& path) {
  const auto reading = auth::UsersReading::of_file(path);
  if (reading.problems.empty()) return std::to_string(reading.users->size()) + " users";
  const auto& problem = reading.problems.front();
  return problem.line == 0 ? problem.what : "line " + std::to_string(problem.line) + ": " + problem.what;
}

}  // namespace

void explain_access(const config::Site& site, const config::Route& route, const Question& question) {
  const InForce<config::Access> access(site.access, route.access);
  if (access.rule.empty()) return;
  const auto verdict = routing::AccessRules(access.rule).judge(question.client);
  const std::string why = verdict.network != nullptr  ? "is in " + verdict.network->to_string()
                          : access.rule.allow.empty() ? "is in no network of deny"
                                                      : "is in no network of allow";
  print_line("access", question.client_text + " " + why + ": " +
                           (verdict.admitted ? "may come in" : "403, access_denied") + " (of the " + access.of + ")");
}

void explain_proof(const config::Site& site, const config::Route& route) {
  const InForce<config::BasicAuth> basic(site.basic_auth, route.basic_auth);
  if (!basic.rule.empty()) {
    print_line("basic auth", "the password of one of " + basic.rule.users_file + " (" +
                                 state_of(basic.rule.users_file) + "), else 401 (of the " + basic.of + ")");
  }
  const InForce<config::ForwardAuth> forward(site.forward_auth, route.forward_auth);
  const auto& rule = forward.rule;
  if (rule.empty()) return;
  print_line("fwd auth", "GET " + rule.path + " of upstream " + rule.upstream + " within " +
                             config::to_text(rule.timeout) + ", else 502 (of the " + forward.of + ")");
  if (!rule.copy_headers.empty())
    print_line("", "its answer's " + joined(rule.copy_headers) + " in place of the client's");
  if (rule.request_headers) print_line("", "it gets of the client's fields " + joined(*rule.request_headers));
}

}  // namespace headgate::cli
