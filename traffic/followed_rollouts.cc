// SPDX-License-Identifier: Apache-2.0
// Rollouts of a fleet: what this instance tells of its own, and follows of another one's.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "traffic/rollouts.h"

namespace headgate::traffic {

using routing::RolloutRecord;
using routing::RolloutState;

std::optional<Rollouts::Shared> Rollouts::shared(const std::string& upstream) const {
  const auto found = entries_.find(upstream);
  if (found == entries_.end()) return std::nullopt;
  const Entry& entry = *found->second;
  const auto first = entry.told.size() - std::min(entry.told.size(), kToldShared);
  return Shared{saved_of(entry), entry.id,
                std::vector<Told>(entry.told.begin() + static_cast<std::ptrdiff_t>(first), entry.told.end())};
}

const RolloutCells* Rollouts::cells(const std::string& upstream) const {
  const auto found = entries_.find(upstream);
  return found == entries_.end() || found->second->rollout.over() ? nullptr : found->second->cells.get();
}

bool Rollouts::follow(const std::string& upstream, const Shared* shared, const std::string& by, TimePoint now) {
  const auto found = entries_.find(upstream);
  Entry* entry = found == entries_.end() ? nullptr : found->second.get();
  const bool same =
      entry != nullptr && shared != nullptr && entry->id == shared->id && entry->pool == shared->saved.pool;
  if (entry != nullptr && !same && !entry->rollout.over()) {
    // How it ended was said while nobody here could hear it.
    log::info("upstream {}: the rollout of {} is not the fleet's any more", upstream, entry->pool);
    traffic_.leave_rollout(upstream);
    earlier_[upstream] += totals_of(*entry);
    entries_.erase(found);
    entry = nullptr;
  }
  if (shared == nullptr) return true;
  const bool over = shared->saved.record.over();
  if (same && (over || !entry->rollout.over())) {
    if (!entry->rollout.over()) go_on_with(*entry, *shared, now);
    take_told(*entry, shared->told, by);
    return true;
  }
  if (over) return true;
  if (!possible(shared->saved)) return false;
  const Known& known = known_.at(upstream);
  auto begun = make(upstream, shared->saved.pool, shared->saved.others,
                    routing::Rollout::restored(known.settings, known.routes.size(), now, shared->saved.record));
  begun->started_at = std::chrono::system_clock::time_point(std::chrono::seconds(shared->saved.started_at));
  Entry& fresh = *begun;
  begin(std::move(begun), false);
  take_told(fresh, shared->told, by);
  return true;
}

/// What was collected here stays, where the step is the same.
void Rollouts::go_on_with(Entry& entry, const Shared& shared, TimePoint now) {
  const RolloutRecord& record = shared.saved.record;
  const bool same_step = record.step == entry.rollout.step();
  const auto state = entry.rollout.state();
  const bool pauses = same_step && record.state == RolloutState::kPaused && state != RolloutState::kPaused;
  const bool resumes = same_step && record.state == RolloutState::kRunning && state == RolloutState::kPaused;
  if (pauses) {
    entry.rollout.pause();
  } else if (resumes) {
    entry.rollout.resume();
  } else if (!same_step || record.state != state) {
    entry.rollout = routing::Rollout::restored(entry.settings, entry.routes.size(), now, record);
  }
  entry.rollout.take_decisions();  // another instance's, which it tells itself
  if (record.over()) {
    traffic_.leave_rollout(entry.upstream);
  } else if (const double percent = entry.rollout.percent(); percent != entry.percent) {
    entry.percent = percent;
    traffic_.share(entry.upstream, percent);
  }
}

void Rollouts::take_told(Entry& entry, const std::vector<Told>& told, const std::string& by) {
  if (told.empty()) return;
  for (const Told& one : told) {
    // Of a rollout that is met under way the latest will do.
    if (one.number <= entry.number || (entry.number == 0 && one.number != told.back().number)) continue;
    log::info("upstream {}: {} (instance {})", entry.upstream, one.sentence, by);
    events_.add("rollout", {{"upstream", entry.upstream},
                            {"pool", entry.pool},
                            {"decision", std::string(routing::name_of(one.decision.kind))},
                            {"reason", std::string(routing::name_of(one.decision.reason))},
                            {"sentence", one.sentence},
                            {"step", std::to_string(one.decision.step + 1)},
                            {"percent", fmt::format("{:g}", one.decision.percent)},
                            {"by", by}});
  }
  std::erase_if(entry.told, [&](const Told& one) { return one.number >= told.front().number; });
  entry.told.insert(entry.told.end(), told.begin(), told.end());
  while (entry.told.size() > kToldKept) entry.told.pop_front();
  entry.number = told.back().number;
}

}  // namespace headgate::traffic
