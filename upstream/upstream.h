// SPDX-License-Identifier: Apache-2.0
// An upstream of the configuration as one worker uses it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "upstream/pool.h"

namespace headgate::upstream {

/// One per generation and worker. Loop thread only. `config` and `side` outlive it.
class Upstream {
 public:
  /// Throws std::runtime_error when a CA or client certificate of its tls section cannot be loaded.
  Upstream(const config::Upstream& config, const UpstreamWatch& watch, WorkerSide& side);

  const config::Upstream& config() const { return config_; }
  WorkerSide& side() { return side_; }
  std::size_t pool_count() const { return pools_.size(); }
  Pool& pool(std::size_t index) { return *pools_[index]; }
  /// The number of a pool's first server among all of the upstream's, in the order of the configuration.
  std::size_t first_server(std::size_t index) const { return first_servers_[index]; }

  /// A request of it is under way for as long as this lives.
  class Active {
   public:
    explicit Active(Upstream& upstream) : upstream_(upstream) { upstream.budget_->begin(upstream.side_.worker); }
    ~Active() {
      if (retrying_) upstream_.budget_->retry_ended();
      upstream_.budget_->end(upstream_.side_.worker);
    }
    Active(const Active&) = delete;
    Active& operator=(const Active&) = delete;

    /// Once the request is a retry it stays one for the budget until it has ended.
    bool may_retry() {
      if (!retrying_) retrying_ = upstream_.budget_->may_retry(upstream_.config_.retry.budget);
      return retrying_;
    }

   private:
    Upstream& upstream_;
    bool retrying_ = false;
  };

 private:
  const config::Upstream& config_;
  WorkerSide& side_;
  const std::shared_ptr<RetryBudget> budget_;
  std::vector<std::unique_ptr<Pool>> pools_;  // in the order of the configuration
  std::vector<std::size_t> first_servers_;
};

}  // namespace headgate::upstream
