// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/trial_count.h"

#include "proxy/generation.h"

namespace headgate::proxy {
namespace {

using observe::Outcome;

/// Nothing: it is not the pool's doing.
std::optional<Outcome> outcome_of(const Error& error) {
  if (error.side == Side::kDownstream) return std::nullopt;
  if (error.side == Side::kInternal && error.code == Errc::kInternal) return std::nullopt;
  switch (error.code) {
    case Errc::kCancelled:
      return std::nullopt;  // the program is stopping
    case Errc::kTimeout:
      if (error.side == Side::kInternal) return std::nullopt;  // the client's own deadline
      return Outcome::kTimeout;
    case Errc::kUnavailable:
      return Outcome::k503;
    case Errc::kRefused:
    case Errc::kUnreachable:
    case Errc::kResolve:
    case Errc::kTls:
      return Outcome::kConnectError;
    default:
      return Outcome::kReset;
  }
}

}  // namespace

TrialCount::TrialCount(Request& request, PoolChoice* choice) : request_(request), choice_(choice) {}

bool TrialCount::may_be_shielded() const {
  return is_new() && !shielding_ && request_.trial->shield && http::is_safe(request_.exchange.request.method);
}

traffic::RolloutCells::PerWorker& TrialCount::cells() const {
  return request_.trial->cells->of(request_.generation->upstreams[request_.route->upstream]->side().worker);
}

observe::ScoreCells& TrialCount::scores() const {
  return is_new() ? cells().new_pool : cells().old_pool;
}

void TrialCount::note_asked() {
  if (asked_) return;
  asked_ = true;
  begun_ = request_.exchange.loop().now();
  scores().start();
}

void TrialCount::note_reached(bool connected) {
  if (!is_new() || shielding_) return;
  if (connected) {
    request_.trial->cells->reached();
  } else {
    request_.trial->cells->not_reached();
  }
}

void TrialCount::note_beginning(int status) {
  if (ended_) return;
  until_head_ = request_.exchange.loop().now() - begun_;
  // A tunnel is an answer from the moment on that it is open.
  if (status == 101) end(Outcome::kAnswered);
}

void TrialCount::note_answer(const Attempt::Result& result) {
  if (result.client_left) return;
  const auto outcome = result.broken             ? Outcome::kReset
                       : result.call_failed != 0 ? observe::outcome_of_status(result.call_failed)
                                                 : observe::outcome_of_status(request_.exchange.status());
  if (!shielding_) return end(outcome);
  if (outcome != Outcome::kAnswered) return cells().failed.add(1);
  request_.shielded = true;
  cells().shielded.add(1);
}

void TrialCount::note_failure(const Error& error) {
  const auto outcome = outcome_of(error);
  if (!outcome) return;
  if (shielding_) return cells().failed.add(1);
  note_asked();  // there may have been nobody to ask, which counts as well
  end(*outcome);
}

void TrialCount::end(Outcome outcome) {
  if (ended_) return;
  ended_ = true;
  scores().end(request_.route->rollout_class, outcome, until_head_);
  if (is_new() && outcome != Outcome::kAnswered && !shielding_) cells().failed.add(1);
}

std::optional<std::size_t> TrialCount::shield_from(const Error& error, bool whole) {
  const auto outcome = outcome_of(error);
  return outcome ? shield_after(*outcome, whole) : std::nullopt;
}

std::optional<std::size_t> TrialCount::shield_from(int status, bool whole) {
  const bool failed = status == 500 || (status >= 502 && status <= 504);
  return failed ? shield_after(observe::outcome_of_status(status), whole) : std::nullopt;
}

std::optional<std::size_t> TrialCount::shield_after(Outcome outcome, bool whole) {
  if (!whole || !may_be_shielded() || request_.exchange.response_started()) return std::nullopt;
  const auto pool = choice_->other(*request_.trial);
  if (!pool) return std::nullopt;
  note_asked();
  shielding_ = true;
  end(outcome);
  return pool;
}

}  // namespace headgate::proxy
