// SPDX-License-Identifier: Apache-2.0
// Which pool a request goes to: a tester's wish, else the split, by request or by client; past pools that are not well.
// The same for upstreams, whose pools are servers, and for statics, whose pools are folders.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/generation.h"
#include "proxy/request.h"
#include "traffic/plan.h"

namespace headgate::proxy {

/// One for each that has several pools, generation and worker. Loop thread only; `changes` and `compiled` outlive it.
class PoolChoice {
 public:
  PoolChoice(const CompiledSplit& compiled, const upstream::Changes& changes);
  PoolChoice(const PoolChoice&) = delete;
  PoolChoice& operator=(const PoolChoice&) = delete;
  virtual ~PoolChoice() = default;

  struct Chosen {
    std::size_t pool = 0;
    bool spilled = false;  ///< it should have gone to another one, which is not well
  };
  /// Fills request.split_cookie when the client is to be given one, and request.trial when it counts in a rollout.
  Chosen choose(Request& request);
  /// For a copy of a request, whose answer nobody gets: drawn anew each time, by the weights alone.
  std::size_t draw_for_nobody();
  /// One of those that a rollout's new pool is compared with, which is well.
  std::optional<std::size_t> other(const traffic::Trial& trial);

 private:
  /// Whether the pool of this number can answer.
  virtual bool well(std::size_t pool) = 0;

  Chosen draw(Request& request);
  Chosen draw_anew(routing::Split::Usable usable);
  void join_trial(Request& request, std::size_t pool) const;
  void follow();
  routing::Split::Usable usable();
  std::optional<std::size_t> wish(const Request& request) const;
  std::optional<std::size_t> pool_named(std::string_view name) const;
  Chosen by_client(Request& request, routing::Split::Usable usable);
  void tell(Request& request, std::string_view id, std::size_t pool) const;

  const CompiledSplit& compiled_;
  const config::SplitRules& rules_;
  const upstream::Changes& changes_;
  std::uint64_t seen_ = 0;  // of the worker's changes
  std::shared_ptr<const traffic::Plan> plan_;
  std::vector<std::size_t> pools_;  // of this generation, by their place in the plan; kNone: not there
  std::uint64_t drawn_;
};

/// Among pools of servers: well is one that has a server that is.
class ServerPoolChoice final : public PoolChoice {
 public:
  ServerPoolChoice(upstream::Upstream& upstream, const CompiledUpstream& compiled)
      : PoolChoice(compiled.split, upstream.side().changes), upstream_(upstream) {}

 private:
  bool well(std::size_t pool) override { return upstream_.pool(pool).serving(); }

  upstream::Upstream& upstream_;
};

}  // namespace headgate::proxy
