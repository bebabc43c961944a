// SPDX-License-Identifier: Apache-2.0
#include "upstream/pool.h"

#include <algorithm>

namespace headgate::upstream {
namespace {

/// A returning server begins with this share of its weight, which grows in so many steps.
constexpr double kFirstShare = 0.1;
constexpr int kRampSteps = 20;
/// A trial waits this long for a request that can be repeated.
constexpr Duration kTrialPatience = std::chrono::seconds(1);
/// Slots that a request for a free place looks at besides those it has tried.
constexpr std::size_t kMostFull = 8;

bool contains(std::span<const std::uint32_t> slots, std::uint32_t slot) {
  return std::find(slots.begin(), slots.end(), slot) != slots.end();
}

}  // namespace

// --- Turn -----------------------------------------------------------------------------------------------------------

Turn::~Turn() {
  if (pool_ != nullptr) pool_->end(*this);
}

void Turn::succeeded(Duration until_head) {
  outcome_ = Outcome::kSucceeded;
  until_head_ = until_head;
  const auto& endpoint = pool_->members_[slot_].endpoint;
  row_ = endpoint->succeeded(pool_->side_.worker, pool_->side_.loop.now());
  const bool out = trial_ || pool_->roster_->rotation == Rotation::kPanic;
  if (out && endpoint->claim_report()) pool_->side_.monitor.report_alive(endpoint);
}

void Turn::failed(bool reached) {
  const auto before = std::exchange(outcome_, Outcome::kFailed);
  if (before == Outcome::kFailed) return;
  const auto& endpoint = pool_->members_[slot_].endpoint;
  auto& monitor = pool_->side_.monitor;
  const auto& rules = pool_->upstream_.ejection;
  const std::size_t worker = pool_->side_.worker;
  const TimePoint now = pool_->side_.loop.now();
  const auto grounds = before == Outcome::kSucceeded ? endpoint->broken_off(worker, now, rules, row_)
                                                     : endpoint->failed(worker, now, rules);
  if (!reached) monitor.report_unreachable(endpoint);
  if (trial_) {
    monitor.report_trial_failed(endpoint, rules);
  } else if (grounds && endpoint->claim_report()) {
    monitor.report(endpoint, grounds, rules);
  }
}

bool Turn::was_well() const {
  const auto recent = pool_->members_[slot_].endpoint->recent(pool_->side_.loop.now());
  return 2 * recent.failed <= recent.all;
}

// --- following the roster
// ---------------------------------------------------------------------------------------------

Pool::Pool(const config::Upstream& upstream, const config::Pool& config, std::shared_ptr<PoolWatch> watch,
           WorkerSide& side)
    : upstream_(upstream),
      config_(config),
      watch_(std::move(watch)),
      side_(side),
      sticky_(upstream.sticky ? std::optional<Sticky>(std::in_place, upstream.name, *upstream.sticky) : std::nullopt),
      // Workers that began at the same point of the same sequence would send their requests in step.
      balancer_(Balancer::make(upstream.balance.kind, 0x9e3779b97f4a7c15 * (side.worker + 1))),
      limited_(std::any_of(config.servers.begin(), config.servers.end(),
                           [](const auto& server) { return server.max_connections != 0; })) {
  follow();
}

void Pool::follow() {
  if (seen_ == side_.changes.count()) return;
  seen_ = side_.changes.count();
  auto roster = watch_->roster();
  if (roster == roster_) return;
  roster_ = std::move(roster);
  adopt();
}

void Pool::adopt() {
  for (auto& member : members_) member.present = member.wanted = false;
  if (trials_.empty()) trials_since_ = side_.loop.now();
  trials_.clear();
  next_ramp_ = kNoDeadline;
  for (const auto& entry : roster_->entries) {
    const std::uint32_t slot = slot_of(entry);
    Member& member = members_[slot];
    member.present = true;
    // Several of the configuration's servers may lead to one address: it serves when one of them does.
    member.wanted = member.wanted || entry.verdict.in_rotation;
    member.returned_at = entry.returned_at;
    if (entry.verdict.standing == Standing::kTrial) trials_.push_back(slot);
  }
  for (std::uint32_t slot = 0; slot < members_.size(); ++slot) {
    Member& member = members_[slot];
    // Everybody joins with the whole weight, from which ramp() then takes what slow start asks for.
    const bool joins = member.wanted && !member.in_rotation;
    if (joins) balancer_->set(slot, member.endpoint->id, member.config->weight);
    member.in_rotation = member.wanted;
    if (member.in_rotation) continue;
    if (member.endpoint) balancer_->set(slot, member.endpoint->id, 0);
    if (member.present || member.in_flight > 0 || !member.endpoint) continue;
    forget(slot);
  }
  const auto rotates = [](const Member& member) { return member.in_rotation; };
  const auto first = std::find_if(members_.begin(), members_.end(), rotates);
  const bool one = first != members_.end() && std::find_if(first + 1, members_.end(), rotates) == members_.end();
  only_ = one ? static_cast<std::uint32_t>(first - members_.begin()) : Balancer::kNone;
  ramp();
}

void Pool::forget(std::uint32_t slot) {
  slots_.erase(members_[slot].endpoint->id);
  tokens_.erase(members_[slot].token);
  members_[slot] = {};
}

std::uint32_t Pool::slot_of(const Roster::Entry& entry) {
  if (const auto known = slots_.find(entry.endpoint->id); known != slots_.end()) return known->second;
  const auto free = std::find_if(members_.begin(), members_.end(), [](const Member& m) { return !m.endpoint; });
  const auto slot = static_cast<std::uint32_t>(free - members_.begin());
  if (free == members_.end()) members_.emplace_back();
  const auto& server = config_.servers[entry.server];
  Member& member = members_[slot];
  member.endpoint = entry.endpoint;
  member.server = side_.servers.get(settings_of(upstream_, server, entry.endpoint->address));
  member.config = &server;
  member.index = entry.server;
  slots_.emplace(entry.endpoint->id, slot);
  if (sticky_) {
    member.token = sticky_->token(entry.endpoint->id);
    tokens_.emplace(member.token, slot);
  }
  return slot;
}

// --- slow start
// -------------------------------------------------------------------------------------------------------

double Pool::weight_of(const Member& member) const {
  const double whole = member.config->weight;
  const Duration ramp = upstream_.slow_start;
  if (ramp <= Duration::zero() || member.returned_at == TimePoint{}) return whole;
  const Duration past = side_.loop.now() - member.returned_at;
  if (past >= ramp) return whole;
  const double share = static_cast<double>(past.count()) / static_cast<double>(ramp.count());
  return whole * std::max(kFirstShare, share);
}

/// Everybody's share of now; the next step of those whose share is growing is due later.
void Pool::ramp() {
  next_ramp_ = kNoDeadline;
  for (std::uint32_t slot = 0; slot < members_.size(); ++slot) {
    const Member& member = members_[slot];
    if (!member.in_rotation) continue;
    const double weight = weight_of(member);
    balancer_->set(slot, member.endpoint->id, weight);
    if (weight < member.config->weight) next_ramp_ = side_.loop.now() + upstream_.slow_start / kRampSteps;
  }
}

// --- who is next
// ------------------------------------------------------------------------------------------------------

bool Pool::take_place(const Member& member) const {
  const std::uint32_t most = member.config->max_connections;
  return most == 0 || member.endpoint->take_place(most);
}

std::optional<Turn> Pool::begin(std::uint32_t slot, bool trial) {
  Member& member = members_[slot];
  if (limited_ && !take_place(member)) return std::nullopt;
  ++member.in_flight;
  const bool balanced = slot != only_;
  if (balanced) balancer_->began(slot);
  return Turn(*this, slot, trial, balanced);
}

void Pool::end(const Turn& turn) {
  Member& member = members_[turn.slot_];
  --member.in_flight;
  using Outcome = Turn::Outcome;
  if (turn.balanced_ && turn.outcome_ != Outcome::kNothing) {
    const bool well = turn.outcome_ == Outcome::kSucceeded;
    balancer_->measured(turn.slot_, well ? std::optional(turn.until_head_) : std::nullopt, side_.loop.now());
  }
  if (turn.balanced_) balancer_->ended(turn.slot_);
  // A trial that failed was the only one until the Monitor allows the next: it may not have heard of it yet.
  if (turn.trial_ && turn.outcome_ != Outcome::kFailed) member.endpoint->release_trial();
  if (limited_ && member.config->max_connections != 0) {
    member.endpoint->free_place();
    side_.place_freed();
  }
  if (!member.present && member.in_flight == 0) forget(turn.slot_);
}

/// A request that can be repeated is the one to risk; when none comes, any is.
std::optional<Turn> Pool::pick_trial(const Ask& ask) {
  if (!ask.but.empty()) return std::nullopt;
  if (!ask.repeatable && side_.loop.now() - trials_since_ < kTrialPatience) return std::nullopt;
  for (const auto slot : trials_) {
    if (!members_[slot].endpoint->claim_trial()) continue;
    if (auto turn = begin(slot, true)) return turn;
    members_[slot].endpoint->release_trial();
  }
  return std::nullopt;
}

std::optional<Turn> Pool::pick_sticky(const Ask& ask) {
  const auto known = tokens_.find(ask.token);
  if (known == tokens_.end()) return std::nullopt;
  const std::uint32_t slot = known->second;
  if (!members_[slot].in_rotation || contains(ask.but, slot)) return std::nullopt;
  return begin(slot, false);
}

Pool::Pick Pool::pick(const Ask& ask) {
  follow();
  if (next_ramp_ != kNoDeadline && side_.loop.now() >= next_ramp_) ramp();
  if (!trials_.empty()) {
    if (auto turn = pick_trial(ask)) return {std::move(turn)};
  }
  const bool unknown = roster_->resolving || roster_->rotation == Rotation::kUnknown;
  if (roster_->rotation == Rotation::kNone || roster_->rotation == Rotation::kUnknown) {
    if (unknown && ask.patient) return {std::nullopt, Missing::kUnknown};
  }
  if (ask.token != 0) {
    if (auto turn = pick_sticky(ask)) return {std::move(turn)};
  }
  return pick_among(ask);
}

/// Passes over servers whose places are all taken.
Pool::Pick Pool::pick_among(const Ask& ask) {
  if (only_ != Balancer::kNone && ask.but.empty()) {
    if (auto turn = begin(only_, false)) return {std::move(turn)};
  }
  std::uint32_t slot = balancer_->pick({ask.key, ask.but});
  if (slot == Balancer::kNone) return {std::nullopt, Missing::kNobody};
  if (auto turn = begin(slot, false)) return {std::move(turn)};
  std::vector<std::uint32_t> passed(ask.but.begin(), ask.but.end());
  while (passed.size() < ask.but.size() + kMostFull) {
    passed.push_back(slot);
    slot = balancer_->pick({ask.key, passed});
    if (slot == Balancer::kNone) break;
    if (auto turn = begin(slot, false)) return {std::move(turn)};
  }
  return {std::nullopt, Missing::kBusy};
}

bool Pool::has_other(std::span<const std::uint32_t> but) {
  follow();
  for (std::uint32_t slot = 0; slot < members_.size(); ++slot) {
    if (members_[slot].in_rotation && !contains(but, slot)) return true;
  }
  return false;
}

bool Pool::serving() {
  follow();
  const bool well = roster_->rotation == Rotation::kServing || roster_->rotation == Rotation::kBackup;
  return well && !roster_->doubtful;
}

}  // namespace headgate::upstream
