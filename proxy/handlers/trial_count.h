// SPDX-License-Identifier: Apache-2.0
// One request during a rollout: counted for the pool it was sent to, and answered by another one when the new pool
// fails a request that may be repeated.
#pragma once

#include <optional>

#include "observe/scorecard.h"
#include "proxy/handlers/attempt.h"
#include "proxy/handlers/pool_choice.h"
#include "proxy/request.h"

namespace headgate::proxy {

/// Lives beside the attempts of its request, on the exchange's loop. Without a rollout, or for who is not counted (a
/// tester), it does nothing.
class TrialCount {
 public:
  /// `choice`: null for an upstream of one pool.
  TrialCount(Request& request, PoolChoice* choice);

  /// All of a request's body should be kept, as far as that goes: the shield may need it.
  bool wants_body() const { return request_.trial && may_be_shielded(); }

  // What becomes of it in the pool, whose own retries are part of it.
  // Without a rollout each costs a look at a null pointer.
  void asked() {  ///< an attempt begins
    if (request_.trial) note_asked();
  }
  void reached() {
    if (request_.trial) note_reached(true);
  }
  void not_reached() {
    if (request_.trial) note_reached(false);
  }
  void answer_began(int status) {
    if (request_.trial) note_beginning(status);
  }
  void answered(const Attempt::Result& result) {  ///< the client has it, or has left
    if (request_.trial) note_answer(result);
  }
  void failed(const Error& error) {  ///< the client will be told so
    if (request_.trial) note_failure(error);
  }

  /// The pool that answers instead of this one, which has failed; nothing: none should. From then on that pool's.
  /// `whole`: the request can be sent again.
  std::optional<std::size_t> shield(const Error& error, bool whole) {
    return request_.trial ? shield_from(error, whole) : std::nullopt;
  }
  std::optional<std::size_t> shield(int status, bool whole) {
    return request_.trial ? shield_from(status, whole) : std::nullopt;
  }

 private:
  bool is_new() const { return request_.trial_is_new; }
  void note_asked();
  void note_reached(bool connected);
  void note_beginning(int status);
  void note_answer(const Attempt::Result& result);
  void note_failure(const Error& error);
  std::optional<std::size_t> shield_from(const Error& error, bool whole);
  std::optional<std::size_t> shield_from(int status, bool whole);
  bool may_be_shielded() const;
  std::optional<std::size_t> shield_after(observe::Outcome outcome, bool whole);
  void end(observe::Outcome outcome);
  traffic::RolloutCells::PerWorker& cells() const;
  observe::ScoreCells& scores() const;

  Request& request_;
  PoolChoice* const choice_;
  TimePoint begun_{};
  Duration until_head_{};
  bool asked_ = false;
  bool ended_ = false;
  bool shielding_ = false;  // another pool was asked
};

}  // namespace headgate::proxy
