// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/forward.h"

#include <algorithm>
#include <optional>

#include <boost/container/small_vector.hpp>

#include "proxy/generation.h"
#include "proxy/handlers/affinity.h"
#include "proxy/handlers/attempt.h"
#include "proxy/handlers/mirror.h"
#include "proxy/handlers/pool_choice.h"
#include "proxy/handlers/stored_body.h"
#include "proxy/handlers/trial_count.h"
#include "proxy/serve.h"

namespace headgate::proxy {
namespace {

using config::RetryOn;
using upstream::Pool;

/// How many times a request is sent again to a server that has most likely not seen it.
constexpr unsigned kMaxStale = 3;
/// For how long a request waits while nothing is known of any server, or all their places are taken.
constexpr Duration kPatience = std::chrono::seconds(1);

constexpr Error kNoServer{Errc::kUnavailable, Side::kInternal, "no_healthy_server"};
constexpr Error kServersBusy{Errc::kUnavailable, Side::kInternal, "servers_busy"};
constexpr Error kBodyTooLarge{Errc::kTooLarge, Side::kDownstream, "body_too_large"};
constexpr Error kOutOfTime{Errc::kTimeout, Side::kInternal, "grpc_timeout"};

/// By what it declares.
bool is_too_large(const Request& request) {
  const auto& head = request.exchange.request;
  const std::uint64_t most = request.route->max_body;
  return head.body == http::BodyKind::kLength && most != 0 && head.content_length > most;
}

/// What the client is told of a failure before the answer has begun.
Task<Result<>> respond_failure(Request& request, const Error& error) {
  if (error.side == Side::kDownstream) {
    switch (error.code) {
      case Errc::kTooLarge: {
        const auto limit = std::to_string(request.exchange.body_limit());
        const auto detail = request.exchange.arena().join({"the limit is ", limit, " bytes (max_body)"});
        return request.respond_error(413, error.reason, detail);
      }
      case Errc::kBadMessage:
        return request.respond_error(400, error.reason);
      case Errc::kTimeout:
        return request.respond_error(408, error.reason);
      default:
        request.error = error.reason;
        return Result<>(error);  // the client is gone
    }
  }
  request.set_cookie = {};
  const bool stopping = error.code == Errc::kCancelled;
  return request.respond_error(status_of_upstream_failure(error), stopping ? "stopping" : error.reason);
}

/// One request on its way through the servers of its upstream: what it has tried, and what it may still do.
class Delivery final : public Retrying {
 public:
  Delivery(Request& request, upstream::Upstream& upstream, std::size_t pool)
      : Retrying(request.exchange.loop().buffers()),
        request_(request),
        upstream_(upstream),
        pool_index_(pool),
        pool_(&upstream.pool(pool)),
        rules_(request.generation->shared->upstreams[request.route->upstream]),
        attempts_(upstream.config().retry.attempts),
        active_(upstream),
        affinity_(request, rules_),
        repeatable_(rules_.repeats(request.exchange.request)),
        trial_(request, request.generation->choices[request.route->upstream].get()) {
    keep_body = (repeatable_ && attempts_ > 0) || trial_.wants_body();
  }

  TrialCount& trial() { return trial_; }
  /// The number of a server of the pool that is asked among all of the upstream's.
  std::size_t number_of(const upstream::Turn& turn) const { return upstream_.first_server(pool_index_) + turn.index(); }

  /// Whose turn it is.
  Pool::Pick pick(bool patient) {
    Pool::Ask ask;
    ask.key = affinity_.key();
    ask.token = affinity_.token();
    ask.repeatable = repeatable_;
    ask.patient = patient;
    ask.but = tried_;
    return pool_->pick(ask);
  }

  void begin(upstream::Turn& turn) {
    turn_ = &turn;
    affinity_.chosen(turn.id());
    request_.server = turn.name();
    trial_.asked();
  }

  /// How old the connection may be. What cannot be sent twice does not travel on one that may be about to be closed.
  upstream::Server::Age age() const {
    using Age = upstream::Server::Age;
    if (stale_ > 0) return Age::kNew;
    return http::is_idempotent(request_.exchange.request.method) ? Age::kAny : Age::kYoung;
  }

  /// Over a new connection, after a kept one was closed under it.
  bool may_repeat_at_once() { return stale_++ < kMaxStale; }

  /// Another server, after this one could not be reached: nothing has been sent, so this costs nobody anything.
  bool may_pass_over() {
    tried_.push_back(turn_->slot());
    return rules_.retries_on(RetryOn::kConnectError) && tried_.size() <= attempts_ && pool_->has_other(tried_);
  }

  /// Another server, after this one may have taken the request.
  bool may_retry(const Attempt::Result& result) {
    const bool timed_out = result.error.code == Errc::kTimeout;
    tried_.push_back(turn_->slot());
    if (result.error.side != Side::kUpstream || !result.whole || !repeatable_ || tried_.size() > attempts_)
      return false;
    if (!rules_.retries_on(timed_out ? RetryOn::k504 : RetryOn::kResetBeforeResponse)) return false;
    if (!pool_->has_other(tried_)) return false;
    // A server that was well and dies takes all that it has not answered with it, at one moment, and will take no more:
    // those requests are no load that retrying multiplies, and the budget would let most of them fail.
    return (result.lost && turn_->was_well()) || active_.may_retry();
  }

  /// A server's answer is the client's, whatever it says, unless another server will be asked.
  bool declines(int status, Duration until_head, bool whole) override {
    const bool failed = upstream::is_failure(status);
    if (failed) {
      turn_->failed(true);
    } else {
      turn_->succeeded(until_head);
    }
    trial_.answer_began(status);
    return (failed && may_ask_another(status, whole)) || move_to(trial_.shield(status, whole));
  }

  /// As may_retry, after all that the pool could do: a pool that takes over from one that is on trial.
  bool is_shielded(const Error& error, bool whole) { return move_to(trial_.shield(error, whole)); }

  /// Why there is nobody.
  Error nobody() const {
    const char* const missing = pool_->no_address();
    return missing != nullptr ? Error{Errc::kResolve, Side::kUpstream, missing} : kNoServer;
  }

 private:
  bool may_ask_another(int status, bool whole) {
    if (!whole || !repeatable_ || tried_.size() >= attempts_) return false;
    if (!rules_.retries_on(status == 502 ? RetryOn::k502 : status == 503 ? RetryOn::k503 : RetryOn::k504)) return false;
    tried_.push_back(turn_->slot());
    return pool_->has_other(tried_) && active_.may_retry();
  }

  bool move_to(std::optional<std::size_t> pool) {
    if (!pool) return false;
    pool_index_ = *pool;
    pool_ = &upstream_.pool(*pool);
    request_.pool = pool_->name();
    tried_.clear();
    stale_ = 0;
    return true;
  }

  Request& request_;
  upstream::Upstream& upstream_;
  std::size_t pool_index_;
  Pool* pool_;
  const CompiledUpstream& rules_;
  const std::size_t attempts_;  // after the first
  upstream::Upstream::Active active_;
  Affinity affinity_;
  const bool repeatable_;  // its method may be sent twice
  boost::container::small_vector<std::uint32_t, 8> tried_;
  upstream::Turn* turn_ = nullptr;
  unsigned stale_ = 0;
  TrialCount trial_;
};

/// Until a server that nothing is known of yet is known, or one that is full has a place.
Task<Result<upstream::Turn>> wait_for_turn(Request& request, Delivery& delivery, upstream::WorkerSide& side,
                                           Pool::Missing missing) {
  const TimePoint until = std::min(Clock::now() + kPatience, request.deadline);
  const bool busy = missing == Pool::Missing::kBusy;
  if (busy && side.changes.waiting() >= upstream::Changes::kMostWaiting) co_return kServersBusy;
  if (busy) side.monitor.want_place();
  Wake wake = Wake::kReady;
  Pool::Pick pick;
  while (wake == Wake::kReady) {
    wake = co_await side.changes.next(until);
    pick = delivery.pick(wake == Wake::kReady);
    if (pick.turn || pick.missing == Pool::Missing::kNobody) break;
  }
  if (busy) side.monitor.want_no_place();
  if (pick.turn) co_return std::move(*pick.turn);
  if (wake == Wake::kCancelled) co_return stream_error(wake, Side::kUpstream);
  co_return pick.missing == Pool::Missing::kBusy ? kServersBusy : delivery.nobody();
}

/// To one server after another until one has answered, or nothing is left that would be safe to try.
Task<Result<>> deliver(Request& request, upstream::Upstream& upstream, std::size_t pool) {
  const auto& timeouts = request.route->timeouts;
  Loop& loop = request.exchange.loop();
  Delivery delivery(request, upstream, pool);
  Error error = kNoServer;
  for (bool again = true; again;) {
    auto pick = delivery.pick(true);
    if (!pick.turn) {
      if (pick.missing == Pool::Missing::kNobody) {
        if (request.attempts == 0) error = delivery.nobody();
        if (delivery.is_shielded(error, true)) continue;
        break;
      }
      auto waited = co_await wait_for_turn(request, delivery, upstream.side(), pick.missing);
      if (!waited) {
        error = waited.error();
        if (delivery.is_shielded(error, true)) continue;
        break;
      }
      pick.turn.emplace(std::move(*waited));
    }
    auto& turn = *pick.turn;
    delivery.begin(turn);
    AttemptMeter meter(request.generation->meter.target(request.route->upstream, delivery.number_of(turn)));
    if (request.attempts++ > 0) meter.is_retry();
    const TimePoint connect_by = std::min(deadline_after(loop.now(), timeouts.connect), request.deadline);
    std::optional<ProxiedEnds> client;
    if (turn.server().introduces()) client = client_ends(request);
    auto lease = co_await turn.server().lease(connect_by, delivery.age(), client ? &*client : nullptr);
    if (lease) delivery.trial().reached();
    if (!lease) {
      const bool late = loop.now() >= request.deadline;
      error = late ? kOutOfTime : lease.error();
      meter.failed(error);
      if (!late && error.code != Errc::kCancelled) {
        turn.failed(false);
        delivery.trial().not_reached();
      }
      again = !late && (delivery.may_pass_over() || delivery.is_shielded(error, true));
      continue;
    }
    Attempt attempt(request, timeouts, *lease, delivery, meter);
    const auto result = co_await attempt.run();
    switch (result.verdict) {
      case Attempt::Verdict::kDone:
        if (result.broken) turn.failed(true);
        meter.answered(request.exchange.status(), request.upstream_time);
        delivery.trial().answered(result);
        co_return Result<>();
      case Attempt::Verdict::kDeclined:
        meter.answered(result.status, request.upstream_time);
        break;
      case Attempt::Verdict::kStale:
        // The server has closed an idle connection, or refused a stream: nothing came of it, and nothing failed.
        meter.lost_race();
        error = result.error;
        again = delivery.may_repeat_at_once() || delivery.is_shielded(error, result.whole);
        break;
      case Attempt::Verdict::kFailed:
        error = result.error;
        meter.failed(error);
        if (error.side == Side::kUpstream && error.code != Errc::kCancelled) turn.failed(true);
        again = delivery.may_retry(result) || delivery.is_shielded(error, result.whole);
        break;
    }
  }
  delivery.trial().failed(error);
  co_return co_await respond_failure(request, error);
}

/// Chooses the pool, and has it answer.
Task<Result<>> forward_now(Request& request) {
  const auto& route = *request.route;
  auto& upstream = *request.generation->upstreams[route.upstream];
  request.upstream = upstream.config().name;
  std::size_t pool = 0;
  if (auto* const choice = request.generation->choices[route.upstream].get()) {
    const auto chosen = choice->choose(request);
    pool = chosen.pool;
    if (chosen.spilled)
      request.generation->meter.target(route.upstream, upstream.first_server(pool)).pool->spilled.add(1);
  }
  request.pool = upstream.pool(pool).name();
  if (is_too_large(request)) return respond_failure(request, kBodyTooLarge);
  return deliver(request, upstream, pool);
}

/// Why the body could not be stored: the client's failure, or ours.
Task<Result<>> respond_unstored(Request& request, const Error& error) {
  if (error.side == Side::kDownstream) return respond_failure(request, error);
  const int status = error.code == Errc::kTooLarge ? 507 : error.code == Errc::kUnavailable ? 503 : 500;
  return request.respond_error(status, error.reason);
}

/// Upgrades have no body, so nothing is taken of them.
Task<Result<>> forward_by_rules(Request& request, const Surroundings& surroundings) {
  auto& exchange = request.exchange;
  const auto& config = request.generation->shared->config;
  const BodyRules& rules = request.route->rules->bodies;
  std::optional<StoredBody> stored;
  if (rules.stored && exchange.has_body()) {
    const StoredBody::Rules bounds{config.limits.body_memory, config.limits.body_buffers, config.state_dir};
    stored.emplace(exchange.loop().buffers(), surroundings.bodies, bounds);
    auto taking = take_body(exchange, *stored);
    const auto taken = co_await taking;
    if (!taken) {
      auto refusing = respond_unstored(request, taken.error());
      co_return co_await refusing;
    }
    auto& cells = request.generation->meter.stored_bodies();
    (stored->in_file() ? cells.in_file : cells.in_memory).add(1);
    request.stored = &*stored;
  }
  if (rules.mirror) request.shadow = surroundings.mirrors.copy(request, *rules.mirror);
  if (request.shadow && stored) request.shadow->add(*stored);
  auto forwarding = forward_now(request);
  forwarding.start();
  // The copy comes after what it is a copy of; with a body that streams, once all of it has passed.
  if (stored || !exchange.has_body()) Mirrors::send(request);
  const auto result = co_await forwarding;
  request.stored = nullptr;
  co_return result;
}

}  // namespace

Task<Result<>> forward(Request& request, const Surroundings& surroundings) {
  if (request.route->has_body_rules) [[unlikely]]
    return forward_by_rules(request, surroundings);
  return forward_now(request);
}

}  // namespace headgate::proxy
