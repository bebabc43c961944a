// SPDX-License-Identifier: Apache-2.0
#include "proxy/limits.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include <boost/container/small_vector.hpp>

#include "proxy/generation.h"
#include "proxy/request.h"

namespace headgate::proxy {
namespace {

using ratelimit::Nanos;

constexpr Nanos kSecond = 1'000'000'000;

std::uint64_t whole_seconds(Nanos span) {
  return static_cast<std::uint64_t>((span + kSecond - 1) / kSecond);
}

/// draft-ietf-httpapi-ratelimit-headers section 3: so many requests (q) in so many seconds (w). A burst that refills
/// within a second has no window of whole seconds, so the rate itself is told then.
std::string policy_of(const std::string& name, const config::RateLimit& limit, const ratelimit::Pace& pace) {
  std::uint64_t quota = limit.rate.count;
  auto window = static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::seconds>(limit.rate.per).count());
  if (pace.tolerance >= kSecond) {
    quota = pace.burst();
    window = whole_seconds(pace.tolerance);
  }
  return name + ";q=" + std::to_string(quota) + ";w=" + std::to_string(window);
}

/// The request's variables as they stand in a key.
class KeyVariables final : public routing::Variables {
 public:
  KeyVariables(const routing::Variables& values, const IpAddress& client, int prefix)
      : values_(values), client_(client), prefix_(prefix) {}
  void append(const routing::Variable& variable, std::string& out) const override {
    if (variable.kind != routing::Variable::Kind::kRemoteAddr || client_.is_v4()) {
      return values_.append(variable, out);
    }
    out += client_.ipv6_network(static_cast<unsigned>(prefix_)).to_string();
    out += '/';
    out += std::to_string(prefix_);
  }

 private:
  const routing::Variables& values_;
  const IpAddress& client_;
  const int prefix_;
};

char* put(char* out, std::string_view text) {
  return std::copy(text.begin(), text.end(), out);
}

char* put(char* out, std::uint64_t number) {
  return std::to_chars(out, out + 20, number).ptr;
}

struct Told {
  const CompiledLimit* limit;
  std::uint64_t remaining;
  std::uint64_t seconds;  // until the whole quota is there, or, with none left, until there is some
};

/// RateLimit (section 4 of the draft) of these limits; empty when there is none.
std::string_view state_of(const boost::container::small_vector_base<Told>& told, Arena& arena) {
  constexpr std::size_t kNumbers = 2 * 20 + 8;
  std::size_t bound = 0;
  for (const auto& one : told) bound += one.limit->name.size() + kNumbers;
  if (bound == 0) return {};
  char* const begin = arena.allocate(bound);
  char* out = begin;
  for (const auto& one : told) {
    if (out != begin) out = put(out, ", ");
    out = put(out, one.limit->name);
    out = put(put(out, ";r="), one.remaining);
    out = put(put(out, ";t="), one.seconds);
  }
  return {begin, static_cast<std::size_t>(out - begin)};
}

}  // namespace

// --- a limit --------------------------------------------------------------------------------------------------------

CompiledLimit::CompiledLimit(const config::RateLimit& limit)
    : config(&limit), pace(ratelimit::Pace::of(limit.rate, limit.burst)), name('"' + limit.name + '"') {
  auto parsed = routing::Template::parse(limit.key);
  if (!parsed) throw std::invalid_argument("template '" + limit.key + "': " + parsed.error().message);
  key = std::move(*parsed);
  by_address = limit.key == "$remote_addr" || limit.key == "${remote_addr}";
  policy = policy_of(name, limit, pace);
}

std::string CompiledLimit::key_text(const routing::Variables& values, const IpAddress& client) const {
  return key.expand(KeyVariables(values, client, config->ipv6_prefix));
}

// --- the limits of a worker -----------------------------------------------------------------------------------------

/// What one limit says of a request.
struct RateLimiter::Outcome {
  Admission admission = Admission::kPass;
  std::uint64_t remaining = 0;
  Nanos until_full = 0;
  Nanos retry_after = 0;
  bool counted = false;  // to be given back when another limit refuses
  bool local = false;    // in this process' counters
};

/// One request on its way through its limits.
class RateLimiter::Attempt {
 public:
  Attempt(const RateLimiter& limiter, Request& request)
      : limiter_(limiter), request_(request), now_(ratelimit::nanos_of(request.exchange.loop().now())) {}

  /// False: it goes no further, and what it has counted is given back.
  bool note(const Limit& limit, const ratelimit::KeyId& key, const Outcome& outcome) {
    const auto& compiled = *limit.compiled;
    if (outcome.admission == Admission::kPass) {
      if (outcome.counted) taken_.push_back({&limit, key, outcome.local});
      if (compiled.config->headers && !compiled.config->dry_run) {
        told_.push_back({&compiled, outcome.remaining, whole_seconds(outcome.until_full)});
      }
      return true;
    }
    if (outcome.admission == Admission::kRefused) refused_by_.push_back(&limit);
    if (compiled.config->dry_run && outcome.admission != Admission::kAsk) return true;
    give_back();
    if (outcome.admission != Admission::kAsk) count_refusals();
    if (outcome.admission == Admission::kRefused) tell_refusal(compiled, outcome.retry_after);
    return false;
  }

  /// No limit stands in its way.
  void passed() {
    count_refusals();
    tell();
  }

 private:
  struct Taken {
    const Limit* limit;
    ratelimit::KeyId key;
    bool local;
  };

  void tell() { request_.limit.state = state_of(told_, request_.exchange.arena()); }

  /// Also of those that only count (dry_run).
  void count_refusals() {
    for (const auto* const limit : refused_by_) {
      limit->cells->limited.add(1);
      request_.limit.limit = limit->compiled->config->name;
    }
  }

  void give_back() {
    for (const auto& [limit, key, local] : taken_) {
      if (limit->rule) {
        limiter_.shared_.give_back(*limit->rule, key, local, now_);
      } else {
        limiter_.local_.give_back(key, limit->compiled->pace, now_);
      }
    }
    taken_.clear();
  }

  void tell_refusal(const CompiledLimit& limit, Nanos retry_after) {
    auto& answer = request_.limit;
    answer.status = limit.config->status;
    if (!limit.config->headers) return;
    const std::uint64_t seconds = std::max<std::uint64_t>(whole_seconds(retry_after), 1);
    told_.clear();
    told_.push_back({&limit, 0, seconds});
    tell();
    answer.retry_after = request_.exchange.arena().copy(std::to_string(seconds));
  }

  const RateLimiter& limiter_;
  Request& request_;
  const Nanos now_;
  boost::container::small_vector<Taken, 4> taken_;
  boost::container::small_vector<Told, 4> told_;
  boost::container::small_vector<const Limit*, 2> refused_by_;
};

namespace {

/// The key's text when a store must be asked.
class RequestKeyText final : public ratelimit::KeyText {
 public:
  RequestKeyText(const CompiledLimit& limit, const Request& request) : limit_(limit), request_(request) {}
  std::string text() const override { return limit_.key_text(request_, request_.client); }

 private:
  const CompiledLimit& limit_;
  const Request& request_;
};

}  // namespace

RateLimiter::RateLimiter(const Generation& generation, ratelimit::Stores& stores, ratelimit::SharedStore& shared,
                         observe::Metrics& metrics, std::size_t worker)
    : generation_(generation), local_(stores.local()), shared_(shared) {
  limits_.reserve(generation.limits.size());
  for (const auto& limit : generation.limits) {
    const auto& config = *limit.config;
    const auto id = stores.id_of(config.name);
    auto& cells = metrics.limits.cells(worker, {config.name}, generation.number);
    const bool is_shared = config.store == config::RateLimit::Store::kRedis;
    auto rule = is_shared ? std::make_shared<const ratelimit::SharedRule>(config, id) : nullptr;
    limits_.push_back({&limit, id, &cells, std::move(rule)});
  }
}

ratelimit::KeyId RateLimiter::key_of(const Limit& limit, const Request& request) const {
  const auto& compiled = *limit.compiled;
  if (!compiled.by_address) {
    return {key_hash(limit.id.seed, compiled.key_text(request, request.client)), limit.id.owner};
  }
  const IpAddress network = request.client.ipv6_network(static_cast<unsigned>(compiled.config->ipv6_prefix));
  const auto& bytes = network.bytes();
  return {key_hash(limit.id.seed, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}), limit.id.owner};
}

namespace {

Admission admission_of(ratelimit::SharedVerdict::What what) {
  using What = ratelimit::SharedVerdict::What;
  switch (what) {
    case What::kPassed:
      return Admission::kPass;
    case What::kRefused:
      return Admission::kRefused;
    case What::kDenied:
      return Admission::kDenied;
    case What::kAsk:
      break;
  }
  return Admission::kAsk;
}

}  // namespace

RateLimiter::Outcome RateLimiter::take(const Limit& limit, const ratelimit::KeyId& key, const Request& request,
                                       Nanos now) const {
  if (!limit.rule) {
    const auto decision = local_.take(key, limit.compiled->pace, now);
    return {decision.allowed ? Admission::kPass : Admission::kRefused,
            decision.remaining,
            decision.until_full,
            decision.retry_after,
            decision.allowed,
            true};
  }
  const RequestKeyText text(*limit.compiled, request);
  return outcome_of(shared_.try_take(limit.rule, key, now, text));
}

RateLimiter::Outcome RateLimiter::outcome_of(const ratelimit::SharedVerdict& verdict) {
  return {admission_of(verdict.what), verdict.remaining, verdict.until_full,
          verdict.retry_after,        verdict.counted,   verdict.local};
}

Admission RateLimiter::check(Request& request) const {
  const LimitSet& set = generation_.limit_sets[request.route->limit_set - 1u];
  request.limit.policy = set.policy;
  const Nanos now = ratelimit::nanos_of(request.exchange.loop().now());
  Attempt attempt(*this, request);
  for (const auto index : set.limits) {
    const Limit& limit = limits_[index];
    const auto key = key_of(limit, request);
    const Outcome outcome = take(limit, key, request, now);
    if (!attempt.note(limit, key, outcome)) return outcome.admission;
  }
  attempt.passed();
  return Admission::kPass;
}

/// Those that may wait come first, so that little is held meanwhile.
Task<Admission> RateLimiter::ask(Request& request) const {
  const LimitSet& set = generation_.limit_sets[request.route->limit_set - 1u];
  Attempt attempt(*this, request);
  for (const bool waiting : {true, false}) {
    for (const auto index : set.limits) {
      const Limit& limit = limits_[index];
      if (bool(limit.rule) != waiting) continue;
      const auto key = key_of(limit, request);
      Outcome outcome = take(limit, key, request, ratelimit::nanos_of(request.exchange.loop().now()));
      if (outcome.admission == Admission::kAsk) {
        auto asking = shared_.take(limit.rule, key, limit.compiled->key_text(request, request.client));
        const auto verdict = co_await asking;
        outcome = outcome_of(verdict);
      }
      if (!attempt.note(limit, key, outcome)) co_return outcome.admission;
    }
  }
  attempt.passed();
  co_return Admission::kPass;
}

// --- the answer -----------------------------------------------------------------------------------------------------

Task<Result<>> respond_limited(Request& request) {
  // To a call of gRPC it is always RESOURCE_EXHAUSTED, whatever the status for others.
  if (request.grpc) return request.respond_error(429, "rate_limited");
  const auto& answer = request.limit;
  auto& arena = request.exchange.arena();
  http::ResponseHead head;
  head.status = answer.status;
  head.fields.add(http::FieldId::kCacheControl, "Cache-Control", "no-store");
  request.error = "rate_limited";
  const bool json = request.exchange.request.fields.list_contains(http::FieldId::kAccept, "application/json");
  head.fields.add(http::FieldId::kVary, "Vary", "Accept");
  head.fields.add(http::FieldId::kContentType, "Content-Type", json ? "application/json" : "text/plain; charset=utf-8");
  if (json) {
    const auto after =
        answer.retry_after.empty() ? std::string_view() : arena.join({", \"retry_after\": ", answer.retry_after});
    const auto body =
        arena.join({R"({"error": {"code": "rate_limited", "message": "too many requests")", after, "}}\n"});
    return request.respond_refusal(head, body);
  }
  const auto number = arena.copy(std::to_string(answer.status));
  const auto after =
      answer.retry_after.empty()
          ? std::string_view()
          : arena.join({"Try again in ", answer.retry_after, answer.retry_after == "1" ? " second.\n" : " seconds.\n"});
  return request.respond_refusal(head, arena.join({number, " ", http::reason_phrase(answer.status), "\n", after}));
}

}  // namespace headgate::proxy
