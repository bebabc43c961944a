// SPDX-License-Identifier: Apache-2.0
#include "traffic/fleet.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace headgate::traffic {
namespace {

using namespace std::chrono_literals;
using routing::RolloutState;
using Written = FleetStore::Written;

constexpr std::size_t kBatch = 100;
constexpr int kAttempts = 3;
/// When the store has lost its memory, those who have something new to say come first.
constexpr Duration kRetell = 1s;
/// A leader that has not heard of the others for longer does not advance, though it still leads.
constexpr Duration kStale = 1s;
/// A connection takes a moment at the start; that is nothing to tell of.
constexpr Duration kFirstMeeting = 1s;

std::int64_t milliseconds_since_1970() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// Something that the configuration would not say by itself.
bool worth_telling(const SharedTraffic& state) {
  return state.traffic.set.has_value() || (state.rollout && !state.rollout->saved.record.over());
}

}  // namespace

const char* to_string(Fleet::Role role) {
  switch (role) {
    case Fleet::Role::kAway:
      return "away";
    case Fleet::Role::kInStep:
      return "in_step";
    case Fleet::Role::kFollower:
      return "follower";
    case Fleet::Role::kLeader:
      break;
  }
  return "leader";
}

void Fleet::use(std::shared_ptr<FleetStore> store, std::string instance) {
  if (link_) {
    link_->store->stop();
    link_->alarm.cancel();
  }
  link_ = store ? std::make_shared<Link>(loop_, std::move(store)) : nullptr;
  instance_ = std::move(instance);
  entries_.clear();
  met_.clear();
  since_ = loop_.now();
  up_ = told_away_ = false;
}

void Fleet::wake() {
  if (link_) link_->alarm.set();
}

Task<> Fleet::met(TimePoint deadline) {
  co_await met_.wait(deadline);
}

Task<> Fleet::run() {
  const auto link = link_;
  while (link && link == link_) {
    auto looking = round();
    const bool seen = co_await looking;
    if (seen && link == link_) met_.set();
    const Wake wake = co_await link->alarm.wait(loop_.now() + kPoll);
    if (wake == Wake::kCancelled) co_return;
    link->alarm.clear();
  }
}

Task<bool> Fleet::round() {
  const auto link = link_;
  if (!link) co_return false;
  const Names names = traffic_.switchable();
  std::erase_if(entries_, [&](const auto& item) {
    return item.second.changing == 0 && std::find(names.begin(), names.end(), item.first) == names.end();
  });
  for (std::size_t first = 0; first < std::max<std::size_t>(names.size(), 1); first += kBatch) {
    const auto begin = names.begin() + static_cast<std::ptrdiff_t>(first);
    Names batch(begin, begin + static_cast<std::ptrdiff_t>(std::min(kBatch, names.size() - first)));
    auto looking = look_at(std::move(batch), false);
    const bool seen = co_await looking;
    if (!seen) co_return false;
  }
  came_back();
  for (const auto& name : names) {
    const auto found = entries_.find(name);
    if (found == entries_.end() || found->second.changing != 0 || !traffic_.saved(name)) continue;
    const bool retells = found->second.retell && loop_.now() >= *found->second.retell;
    if (retells || differs(name, found->second)) {
      auto writing = write(name);
      const auto written = co_await writing;
      if (written == Written::kLost) co_return false;
    }
    auto turning = take_turn(name);
    const bool turned = co_await turning;
    if (!turned) co_return false;
  }
  co_return link == link_;
}

// --- what is so -----------------------------------------------------------------------------------------------------

SharedTraffic Fleet::here(const std::string& upstream) const {
  SharedTraffic state;
  state.writer = instance_;
  state.traffic = traffic_.saved(upstream).value_or(Traffic::Saved{upstream, std::nullopt, {}, 0});
  state.rollout = rollouts_.shared(upstream);
  return state;
}

bool Fleet::differs(const std::string& upstream, const Entry& entry) const {
  return entry.met && essence_of(here(upstream)) != entry.essence;
}

/// Whoever has seen a new version fail outweighs those who went on with it meanwhile.
bool Fleet::stops(const std::string& upstream, const SharedTraffic& state) const {
  const auto local = rollouts_.shared(upstream);
  return local && state.rollout && local->id == state.rollout->id &&
         local->saved.record.state == RolloutState::kRolledBack && !state.rollout->saved.record.over();
}

/// `racing`: what is different here is a change that its maker makes anew.
void Fleet::take(const std::string& upstream, Entry& entry, const std::optional<std::string>& text, bool racing) {
  const bool first = !std::exchange(entry.met, true);
  if (first) entry.essence = essence_of(here(upstream));
  entry.there = text ? version_of(*text) : 0;
  if (!text) {
    const bool lost = entry.version > 0 || (first && worth_telling(here(upstream)));
    if (lost && !entry.retell) entry.retell = loop_.now() + kRetell;
    return;
  }
  if (*text == entry.text) {
    entry.retell.reset();
    return;
  }
  const auto state = read_shared_traffic(upstream, *text);
  if (!state) {
    if (entry.ignored == *text) return;
    entry.ignored = *text;
    log::warn("upstream {}: what the fleet's store has of its traffic cannot be read, and is ignored", upstream);
    return;
  }
  if (*text == entry.sent) {  // the answer was lost, the change was not
    entry.version = state->version;
    entry.text = *text;
    entry.essence = essence_of(*state);
    entry.sent.clear();
    return;
  }
  if (state->version < entry.version) {
    entry.retell = loop_.now();  // the store has come back with an older memory
    return;
  }
  if (differs(upstream, entry) && !racing) {
    if (stops(upstream, *state)) {
      entry.version = state->version;
      entry.text = *text;
      return;
    }
    log::warn("upstream {}: what was decided here gives way to the fleet's state, which has changed meanwhile",
              upstream);
    events_.add("fleet_overruled", {{"upstream", upstream}, {"by", state->writer}});
  }
  adopt(upstream, entry, *state, *text);
}

void Fleet::adopt(const std::string& upstream, Entry& entry, const SharedTraffic& state, const std::string& text) {
  traffic_.follow(state.traffic, state.writer);
  const bool followed =
      rollouts_.follow(upstream, state.rollout ? &*state.rollout : nullptr, state.writer, loop_.now());
  if (!followed) {
    log::warn("upstream {}: the fleet's rollout of {} is not followed: the configuration does not have its pools",
              upstream, state.rollout->saved.pool);
  }
  entry.version = state.version;
  entry.text = text;
  entry.essence = essence_of(here(upstream));
  entry.retell.reset();
  entry.sent.clear();
  adopted_();
}

Task<bool> Fleet::look_at(Names upstreams, bool racing) {
  const auto link = link_;
  std::vector<std::uint64_t> writes;
  for (const auto& upstream : upstreams) writes.push_back(entries_[upstream].writes);
  auto reading = link->store->read(upstreams);
  const auto texts = co_await reading;
  if (link != link_) co_return false;
  if (!texts) {
    went_away();
    co_return false;
  }
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    const auto found = entries_.find(upstreams[i]);
    if (found == entries_.end() || !traffic_.saved(upstreams[i])) continue;
    // What was read before a change of our own says nothing about it.
    if (found->second.writes != writes[i] || (found->second.changing != 0 && !racing)) continue;
    take(upstreams[i], found->second, (*texts)[i], racing);
  }
  co_return true;
}

Task<Written> Fleet::write(std::string upstream) {
  const auto link = link_;
  SharedTraffic state = here(upstream);
  std::string essence = essence_of(state);
  std::uint64_t expected = 0;
  {
    const Entry& entry = entries_[upstream];
    expected = entry.there;
    state.version = std::max(entry.version, entry.there) + 1;
  }
  state.written_at = milliseconds_since_1970();
  std::string text = shared_traffic_text(state);
  entries_[upstream].sent = text;
  auto writing = link->store->replace(upstream, expected, text);
  const auto written = co_await writing;
  if (link != link_) co_return Written::kLost;
  Entry& entry = entries_[upstream];
  ++entry.writes;
  if (written == Written::kLost) {
    went_away();
    co_return written;
  }
  if (entry.sent == text) entry.sent.clear();
  if (written == Written::kDone) {
    entry.version = entry.there = state.version;
    entry.text = std::move(text);
    entry.essence = std::move(essence);
    entry.retell.reset();
  }
  co_return written;
}

// --- operators ------------------------------------------------------------------------------------------------------

Task<Fleet::Changed> Fleet::change(std::string upstream, bool at_once, std::function<bool()> apply) {
  if (!link_ || !traffic_.saved(upstream)) co_return Changed{apply(), false, false};
  ++entries_[upstream].changing;
  const auto link = link_;
  auto trying = try_change(upstream, at_once, apply);
  const Changed changed = co_await trying;
  if (link == link_) --entries_[upstream].changing;
  wake();
  co_return changed;
}

Task<Fleet::Changed> Fleet::try_change(std::string upstream, bool at_once, const std::function<bool()>& apply) {
  const auto link = link_;
  bool done = at_once && apply();
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (!done) {
      bool seen = up_;
      if (seen) {
        auto looking = look_at({upstream}, true);
        seen = co_await looking;
      }
      done = apply();
      if (!done) co_return Changed{};
      if (!seen || link != link_) co_return Changed{true, true, false};
    }
    if (!up_) co_return Changed{true, true, false};
    if (!differs(upstream, entries_[upstream])) co_return Changed{true, false, false};
    auto writing = write(upstream);
    const auto written = co_await writing;
    if (written == Written::kDone) co_return Changed{true, false, false};
    if (written == Written::kLost) co_return Changed{true, true, false};
    done = false;
  }
  auto looking = look_at({upstream}, true);
  co_await looking;
  co_return Changed{false, false, true};
}

// --- rollouts -------------------------------------------------------------------------------------------------------

Task<bool> Fleet::take_turn(std::string upstream) {
  const auto link = link_;
  const auto* const cells = rollouts_.cells(upstream);
  if (cells == nullptr || retired_) co_return true;
  const std::uint64_t rollout = rollouts_.shared(upstream)->id;
  {
    Entry& entry = entries_[upstream];
    if (std::exchange(entry.rollout, rollout) != rollout) {
      entry.turned_at.reset();
      entry.leads_until = {};
      entry.turn_due = {};
      entry.others = {};
    }
    if (loop_.now() < entry.turn_due) co_return true;
    entry.turn_due = loop_.now() + kTurn;
  }
  const TimePoint asked = loop_.now();
  std::string scores = scores_text(cells->scores());
  auto turning = link->store->take_turn(upstream, rollout, instance_, std::move(scores));
  const auto turn = co_await turning;
  if (link != link_) co_return false;
  if (!turn) {
    went_away();
    co_return false;
  }
  Entry& entry = entries_[upstream];
  if (entry.rollout != rollout) co_return true;
  const bool led = entry.leads_until > asked;
  entry.turned_at = asked;
  entry.leads_until = turn->leads ? asked + FleetStore::kLease : TimePoint{};
  if (turn->leads) take_members(upstream, entry, turn->members);
  if (turn->leads && !led) {
    log::info("upstream {}: this instance leads the rollout", upstream);
    events_.add("fleet_leader", {{"upstream", upstream}, {"instance", instance_}});
  }
  co_return true;
}

void Fleet::take_members(const std::string& upstream, Entry& entry, const std::vector<FleetStore::Member>& members) {
  RolloutScores others;
  bool complete = true;
  for (const auto& member : members) {
    if (member.instance == instance_) continue;
    if (member.silent > kUnseen && member.silent <= kGone) complete = false;
    const auto scores = read_scores(member.scores);
    if (scores) {
      others += *scores;
    } else if (member.silent <= kGone) {
      if (entry.complete) log::warn("upstream {}: what an instance tells of the rollout cannot be read", upstream);
      complete = false;
    }
  }
  entry.others = std::move(others);
  entry.complete = complete;
}

Rollouts::Sight Fleet::look(const Rollouts::Place& place, Rollouts::Sight own) const {
  using Judge = Rollouts::Sight::Judge;
  if (!link_) return own;
  own.may_advance = false;
  if (!up_) return own;
  const auto found = entries_.find(place.upstream);
  own.judge = Judge::kUnknown;
  if (found == entries_.end()) return own;
  const Entry& entry = found->second;
  if (entry.rollout != place.id || !entry.turned_at) return own;
  const TimePoint now = loop_.now();
  own.judge = entry.leads_until > now ? Judge::kForAll : Judge::kOther;
  if (own.judge == Judge::kOther) return own;
  own.may_advance = entry.complete && now - *entry.turned_at < kStale;
  own.own = own.scores;
  own.scores += entry.others;
  return own;
}

Fleet::Role Fleet::role(const std::string& upstream) const {
  if (!up_) return Role::kAway;
  if (rollouts_.cells(upstream) == nullptr) return Role::kInStep;
  const auto found = entries_.find(upstream);
  return found != entries_.end() && found->second.leads_until > loop_.now() ? Role::kLeader : Role::kFollower;
}

// --- the store ------------------------------------------------------------------------------------------------------

void Fleet::went_away() {
  const bool was_up = std::exchange(up_, false);
  for (auto& [upstream, entry] : entries_) {
    entry.turned_at.reset();
    entry.leads_until = {};
    entry.turn_due = {};
  }
  if (told_away_ || (!was_up && loop_.now() - since_ < kFirstMeeting)) return;
  told_away_ = true;
  const std::string why = link_->store->problem();
  log::warn(
      "the fleet's store is away: {}; until it is back changes are of this instance alone, and no rollout advances",
      why);
  events_.add("fleet_away", {{"reason", why}});
}

void Fleet::came_back() {
  if (std::exchange(up_, true)) return;
  if (!std::exchange(told_away_, false)) return;
  log::info("the fleet's store is back");
  events_.add("fleet_back", {});
}

}  // namespace headgate::traffic
