// SPDX-License-Identifier: Apache-2.0
// The traffic switch: which share of the requests each pool of an upstream, or of a static, gets. The configuration
// says it at first; an operator's split, switch and rollback stand over that, until they are reset. Upstreams and
// statics with pools have one space of names.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/model.h"
#include "observe/events.h"
#include "traffic/plan.h"

namespace headgate::traffic {

/// Pools by name, in the order of the configuration; weights are relative.
using Weights = std::vector<std::pair<std::string, double>>;

/// The weights that the configuration gives an upstream's pools: its split, in which a pool that is not named gets
/// nothing, or everything for the first pool.
Weights configured_weights(const config::Upstream& upstream);
Weights configured_weights(const config::Static& files);

/// Main thread.
class Traffic {
 public:
  /// `changed` is called when some plan is another one.
  Traffic(observe::Events& events, std::function<void()> changed) : events_(events), changed_(std::move(changed)) {}

  /// The feed of an upstream or of a static with pools, made when it is not known yet.
  std::shared_ptr<Feed> feed(const config::Upstream& upstream);
  std::shared_ptr<Feed> feed(const config::Static& files);

  /// From now on this is the configuration. What operators have set stays, for the pools that are still there.
  void adopt(const config::Config& config);

  /// Why a change was not made; nothing: it was.
  using Refusal = std::optional<std::string>;
  /// With all pools named, their relative weights; else percents of those that are, the others sharing the rest as
  /// before.
  Refusal split(const std::string& upstream, const Weights& weights);
  Refusal switch_to(const std::string& upstream, const std::string& pool);
  /// Back to what it was before the last change.
  Refusal rollback(const std::string& upstream);
  /// Back to the configuration's.
  Refusal reset(const std::string& upstream);

  struct Status {
    Weights weights;
    bool override = false;  ///< an operator's, in place of the file's
    std::uint64_t release = 0;
  };
  std::optional<Status> status(const std::string& upstream) const;

  /// A rollout gives one pool a share; the others have the rest by these weights, in which it has none. Nobody else
  /// changes the split meanwhile.
  struct Rolling {
    std::string pool;
    double percent = 0;
    Weights others;
    std::shared_ptr<RolloutCells> cells;
    bool shield = false;
  };
  /// `new_release`: other clients are drawn than before. The upstream must be in the configuration.
  void begin_rollout(const std::string& upstream, Rolling rolling, bool new_release);
  /// Counted anew from here on, since the routes or the rules are others.
  void measure_rollout(const std::string& upstream, std::shared_ptr<RolloutCells> cells, bool shield);
  void share(const std::string& upstream, double percent);
  /// Promoted, the pool has everything, as an operator's override; else it has nothing, and the others what they had.
  void end_rollout(const std::string& upstream, bool promoted);

  /// What a restart must not forget, of upstreams that are not in the configuration, too.
  struct Saved {
    std::string upstream;
    std::optional<Weights> set;
    Weights before;
    std::uint64_t release = 0;
    bool operator==(const Saved&) const = default;
  };
  std::vector<Saved> saved() const;
  void restore(const std::vector<Saved>& saved);

  // --- a fleet ------------------------------------------------------------------------------------------------------

  /// Those of several pools that are in the configuration: what there is to share.
  std::vector<std::string> switchable() const;
  /// What an operator has set there, or nobody; nothing: it is not in the configuration.
  std::optional<Saved> saved(const std::string& upstream) const;
  /// As another instance, `by`, has it. What is under way as a rollout stays.
  void follow(const Saved& shared, const std::string& by);
  /// The rollout is over for another instance; what comes of it is followed by itself.
  void leave_rollout(const std::string& upstream);

 private:
  struct State {
    const char* kind = "upstream";  ///< what operators call it: that, or "static"
    std::shared_ptr<Feed> feed;
    Weights file;                ///< empty: not in the configuration
    std::optional<Weights> set;  ///< by an operator
    Weights before;              ///< the last change
    std::uint64_t release = 0;   ///< draws other clients each time
    std::optional<Rolling> rolling;
  };

  std::shared_ptr<Feed> feed(const std::string& name, const Weights& file);
  Weights at_rest(const State& state) const;
  Weights effective(const State& state) const;
  void change(const std::string& name, State& state, Weights to, std::optional<Weights> set, const char* type);
  void publish(const std::string& name, State& state);
  Refusal find(const std::string& upstream, State*& state);
  Refusal find_to_change(const std::string& upstream, State*& state);

  observe::Events& events_;
  const std::function<void()> changed_;
  std::map<std::string, State> states_;
};

/// 0 for one that is not named.
double weight_of(const Weights& weights, std::string_view pool);

/// Whether each pool gets the same share.
bool same_shares(const Weights& a, const Weights& b);

/// "blue 95, green 5"
std::string text_of(const Weights& weights);

}  // namespace headgate::traffic
