// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/rollout_resource.h"

#include <functional>

#include <nlohmann/json.hpp>

#include "proxy/admin/answer.h"
#include "proxy/admin/fleet_words.h"
#include "proxy/admin/pool_health.h"
#include "proxy/admin/rollout_json.h"
#include "proxy/instance.h"

namespace headgate::proxy {
namespace {

using nlohmann::json;

struct Asked {
  std::string action;
  std::string pool;
};

/// {"action": "start", "pool": "green"}; the pool alone means start.
Asked read_asked(const std::string& text) {
  const json body = json::parse(text, nullptr, false);
  const auto text_at = [&](const char* key) {
    const json value = body.is_object() ? body.value(key, json()) : json();
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  Asked asked{text_at("action"), text_at("pool")};
  if (asked.action.empty() && !asked.pool.empty()) asked.action = "start";
  return asked;
}

/// What became of it: a status and the error's code, or 200.
struct Answer {
  int status = 200;
  const char* code = "";
  std::string message;
  bool saved = true;
  bool alone = false;
};

/// Of files there is nothing to compare: they do not fail, nor get slower with what is in them.
std::optional<Answer> refuse_static(Instance& instance, const std::string& name) {
  if (instance.generation().find_static_pools(name) == nullptr) return std::nullopt;
  return Answer{409, "refused",
                "'" + name +
                    "' is a static: its pools are files, which a rollout could not tell apart by their "
                    "failures; use split, switch and rollback"};
}

bool is_known(const Asked& asked) {
  if (asked.action == "start") return !asked.pool.empty();
  return asked.action == "pause" || asked.action == "resume" || asked.action == "promote" || asked.action == "abort";
}

traffic::Rollouts::Refused apply(traffic::Rollouts& rollouts, const std::string& upstream, const Asked& asked) {
  if (asked.action == "start") return rollouts.start(upstream, asked.pool, Clock::now());
  if (asked.action == "pause") return rollouts.pause(upstream);
  if (asked.action == "resume") return rollouts.resume(upstream);
  if (asked.action == "promote") return rollouts.promote(upstream);
  return rollouts.abort(upstream);
}

Task<Answer> carry_out(Instance& instance, const std::string& upstream, const Asked& asked) {
  if (!is_known(asked)) {
    co_return Answer{400, "refused",
                     "expected {\"action\": \"start\", \"pool\": NAME}, or the action pause, resume, promote or abort"};
  }
  if (asked.action == "start" && !instance.rollouts().running(upstream)) {
    if (auto refusal = why_not_well(instance, upstream, asked.pool)) {
      co_return Answer{409, "no_healthy_server", *std::move(refusal)};
    }
    if (instance.fleet().on() && !instance.fleet().up()) co_return Answer{409, "fleet_away", kNoStartRefusal};
  }
  traffic::Rollouts::Refused refusal;
  std::function<bool(traffic::Traffic&, traffic::Rollouts&)> what = [&](traffic::Traffic&,
                                                                        traffic::Rollouts& rollouts) {
    refusal = apply(rollouts, upstream, asked);
    return !refusal;
  };
  auto changing = instance.change_traffic(upstream, asked.action == "abort", std::move(what));
  const auto changed = co_await changing;
  if (changed.fleet.raced) co_return Answer{409, "raced", kRacedRefusal};
  if (!refusal) co_return Answer{200, "", {}, changed.saved, changed.fleet.alone};
  const bool unknown = refusal->kind == traffic::Rollouts::Refusal::Kind::kUnknown;
  co_return Answer{unknown ? 404 : 409, unknown ? "unknown" : "refused", refusal->message};
}

Answer no_rollout(Instance& instance, const std::string& upstream) {
  const bool there = instance.traffic().status(upstream).has_value();
  return {404, there ? "no_rollout" : "unknown",
          there ? "upstream '" + upstream + "' has had no rollout since the start of the program"
                : "there is no upstream '" + upstream + "'"};
}

}  // namespace

Task<> respond_rollout(http::Exchange& exchange, Instance& instance, const UpstreamPath& path) {
  const std::string method(exchange.request.method_name);
  if (method != "GET" && method != "POST" && method != "DELETE") {
    co_await refuse_method(exchange, "GET, POST, DELETE");
    co_return;
  }
  auto reading = read_text(exchange);
  const auto text = co_await reading;
  Answer answer;
  if (!text) {
    answer = {400, "refused", "the body is too long"};
  } else if (const auto refused = refuse_static(instance, path.upstream)) {
    answer = *refused;
  } else if (method != "GET") {
    const Asked asked = method == "DELETE" ? Asked{"abort", {}} : read_asked(*text);
    auto carrying = carry_out(instance, path.upstream, asked);
    answer = co_await carrying;
  }
  if (answer.status == 200 && method != "GET") co_await instance.workers_told();
  const auto status = instance.rollouts().status(path.upstream);
  if (answer.status == 200 && !status) answer = no_rollout(instance, path.upstream);
  std::string body;
  if (answer.status == 200) {
    json told = rollout_json(*status);
    if (method != "GET") told["saved"] = answer.saved;
    if (answer.alone) told["warning"] = kAloneWarning;
    body = to_text(told);
  } else {
    body = error_json(answer.code, answer.message);
  }
  co_await respond(exchange, answer.status, std::move(body));
}

}  // namespace headgate::proxy
