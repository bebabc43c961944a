// SPDX-License-Identifier: Apache-2.0
// Which of an upstream's pools a request goes to: a tester's wish, else the split, by request or by client; past pools
// that have no server that is well.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/generation.h"
#include "proxy/request.h"
#include "proxy/traffic_plan.h"

namespace headgate::proxy {

/// One for each upstream of several pools, generation and worker. Loop thread only; `upstream` and `compiled` outlive
/// it.
class PoolChoice {
 public:
  PoolChoice(upstream::Upstream& upstream, const CompiledUpstream& compiled);

  struct Chosen {
    std::size_t pool = 0;
    bool spilled = false;  ///< it should have gone to another one, which has no server that is well
  };
  /// Fills request.split_cookie when the client is to be given one, and request.trial when it counts in a rollout.
  Chosen choose(Request& request);
  /// One of those that a rollout's new pool is compared with, which has a server that is well.
  std::optional<std::size_t> other(const Trial& trial);

 private:
  Chosen draw(Request& request);
  void join_trial(Request& request, std::size_t pool) const;
  void follow();
  routing::Split::Usable usable();
  std::optional<std::size_t> wish(const Request& request) const;
  std::optional<std::size_t> pool_named(std::string_view name) const;
  Chosen by_client(Request& request, routing::Split::Usable usable);
  void tell(Request& request, std::string_view id, std::size_t pool) const;

  upstream::Upstream& upstream_;
  const CompiledUpstream& compiled_;
  std::uint64_t seen_ = 0;  // of the worker's changes
  std::shared_ptr<const TrafficPlan> plan_;
  std::vector<std::size_t> pools_;  // of this generation, by their place in the plan; kNone: not there
  std::uint64_t drawn_;
};

}  // namespace headgate::proxy
