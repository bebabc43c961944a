// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/shared_store.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/log.h"

namespace headgate::ratelimit {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kMillisecond = 1'000'000;
// How long a key that had run out is remembered as such, once it may be asked for again.
constexpr Nanos kRemembered = kSecond;
constexpr Nanos kLongestClosed = kSecond / 2;
constexpr std::uint64_t kMostWanted = 64;
constexpr std::uint64_t kLowWater = 4;  // more is fetched when a fourth of a lease is left

}  // namespace

/// Somebody's request, asleep until the store has answered. In the frame of take().
struct SharedStore::Waiter {
  explicit Waiter(Loop& loop) : done(loop) {}
  Event done;
  SharedVerdict verdict;
  bool failed = false;
};

class SharedStore::Question final : public TokenQuestion {
 public:
  Question(SharedStore& s, std::shared_ptr<const SharedRule> r, const KeyId& k, TokenRequest what)
      : TokenQuestion(std::move(what)), rule(std::move(r)), key(k), store_(s) {}
  void answered(const TokenAnswer* answer) override { store_.settle(*this, answer); }

  const std::shared_ptr<const SharedRule> rule;
  const KeyId key;
  Nanos valid_for = 0;         // of what is fetched ahead
  bool fetches_ahead = false;  // it has claimed that, until it is answered
  std::vector<Waiter*> waiters;

 private:
  SharedStore& store_;
};

// --- a rule ---------------------------------------------------------------------------------------------------------

SharedRule::SharedRule(const config::RateLimit& limit, const LimitId& limit_id)
    : name(limit.name),
      id(limit_id),
      pace(Pace::of(limit.rate, limit.burst)),
      lease(limit.lease),
      slack(limit.max_overshoot * static_cast<double>(limit.burst)),
      on_failure(limit.on_store_failure) {}

std::uint64_t SharedRule::lease_of(std::uint32_t instances) const {
  if (lease) return std::min(*lease, Leases::kMostTokens);
  const double share = slack / instances;
  const double tokens = trusts_the_first(instances) ? std::floor(share) - 1 : std::floor(share);
  return static_cast<std::uint64_t>(std::clamp(tokens, 1.0, static_cast<double>(Leases::kMostTokens)));
}

// --- stores ---------------------------------------------------------------------------------------------------------

SharedStore::SharedStore(Loop& loop, Stores& stores, ResolveHost resolve)
    : loop_(loop), stores_(stores), resolve_(std::move(resolve)), running_(loop) {}

SharedStore::~SharedStore() = default;

void SharedStore::configure(const config::Redis* settings) {
  std::vector<RedisShard*> next;
  std::vector<std::string> names;
  timeout_ = settings != nullptr ? Duration(settings->timeout) : Duration();
  for (const auto& text : settings != nullptr ? settings->urls : std::vector<std::string>()) {
    auto url = RedisUrl::parse(text);
    if (!url) continue;  // the reader has checked them
    names.push_back(url->name());
    const RedisShard::Settings wanted{settings->timeout, settings->connect_timeout, text, stores_.instance()};
    const auto known = std::find_if(current_.begin(), current_.end(),
                                    [&](const RedisShard* shard) { return shard->settings() == wanted; });
    if (known != current_.end()) {
      next.push_back(*known);
      continue;
    }
    auto& health = stores_.health_of(names.back());
    shards_.push_back(std::make_unique<RedisShard>(loop_, std::move(*url), wanted, health, resolve_));
    next.push_back(shards_.back().get());
    running_.spawn(next.back()->run());
  }
  for (auto* const shard : current_) {
    if (std::find(next.begin(), next.end(), shard) == next.end()) shard->stop();
  }
  std::erase_if(shards_, [](const auto& shard) { return shard->ended(); });
  current_ = std::move(next);
  ring_.reset();
  if (!names.empty()) ring_.emplace(names);
}

Task<> SharedStore::stop() {
  for (const auto& shard : shards_) shard->stop();
  co_await running_.join(kNoDeadline);
}

RedisShard* SharedStore::shard_of(std::string_view stored) const {
  return ring_ ? current_[ring_->of(stored)] : nullptr;
}

std::uint32_t SharedStore::instances() const {
  std::uint32_t most = 1;
  for (const auto* const shard : current_) {
    most = std::max(most, shard->health().instances.load(std::memory_order_relaxed));
  }
  return most;
}

// --- requests -------------------------------------------------------------------------------------------------------

namespace {

SharedVerdict passed(const Pace& pace, std::uint64_t remaining) {
  SharedVerdict verdict;
  verdict.what = SharedVerdict::What::kPassed;
  verdict.counted = true;
  verdict.remaining = std::min(remaining, pace.burst());
  verdict.until_full = static_cast<Nanos>(pace.burst() - verdict.remaining) * pace.interval;
  return verdict;
}

SharedVerdict refused(const Pace& pace, Nanos retry_after) {
  SharedVerdict verdict;
  verdict.what = SharedVerdict::What::kRefused;
  verdict.retry_after = std::max<Nanos>(retry_after, 1);
  verdict.until_full = pace.tolerance;
  return verdict;
}

}  // namespace

SharedVerdict SharedStore::try_take(const std::shared_ptr<const SharedRule>& rule, const KeyId& key, Nanos now,
                                    const KeyText& text) {
  auto entry = stores_.leases().of(key, now);
  std::uint64_t left = 0;
  if (entry.spend(now, left)) {
    if (entry.closed_until() <= now) fetch_ahead(rule, key, left, now, text);
    return passed(rule->pace, entry.remaining() + left);
  }
  if (entry.closed_until() > now) {
    entry.refused();
    return refused(rule->pace, entry.closed_until() - now);
  }
  const auto* const shard = shard_of(stored_key(rule->name, text.text()));
  if (shard == nullptr || !shard->accepts()) return without_store(*rule, key, now);
  const std::uint32_t count = instances();
  if (!entry.cold(now) || !rule->trusts_the_first(count)) return {};
  // A key that nobody has asked for lately is hardly out of tokens: it passes, and is charged without asking.
  entry.keep(now + kRemembered);
  refill(rule, key, {rule->lease_of(count) - 1, rule->pace.tolerance}, 1, text, now);
  return passed(rule->pace, rule->pace.burst() - 1);
}

void SharedStore::fetch_ahead(const std::shared_ptr<const SharedRule>& rule, const KeyId& key, std::uint64_t left,
                              Nanos now, const KeyText& text) {
  const std::uint64_t lease = rule->lease_of(instances());
  if (left > std::max(lease, kMostWanted) / kLowWater) return;  // the usual case
  const Lease wanted = lease_for(*rule, stores_.leases().of(key, now), now);
  if (wanted.tokens < 2 || left > wanted.tokens / kLowWater) return;
  refill(rule, key, {wanted.tokens - left, wanted.valid_for}, 0, text, now);
}

void SharedStore::refill(const std::shared_ptr<const SharedRule>& rule, const KeyId& key, const Lease& wanted,
                         std::int64_t spent, const KeyText& text, Nanos now) {
  auto entry = stores_.leases().of(key, now);
  if (!entry.claim_refill(now, now + std::chrono::nanoseconds(timeout_).count())) return;
  auto stored = stored_key(rule->name, text.text());
  auto* const shard = shard_of(stored);
  auto question = std::make_shared<Question>(*this, rule, key, TokenRequest{std::move(stored), rule->pace, spent, 0});
  question->request.wanted = static_cast<std::int64_t>(wanted.tokens);
  question->valid_for = wanted.valid_for;
  question->fetches_ahead = true;
  if (shard == nullptr || !shard->ask(std::move(question))) entry.end_refill();
}

/// Of a key that keeps running out while many ask for it more is fetched at a time, so that the store is asked less
/// often: half of what is wanted here while it is valid. That costs no accuracy. The store held less than a quarter of
/// the burst, which was at most a quarter of its refill ago; what is fetched is void after another quarter; and all
/// instances together hold no more than a quarter: whatever moment one begins to count at, there is one burst at most.
SharedStore::Lease SharedStore::lease_for(const SharedRule& rule, const Leases::Entry& entry, Nanos now) const {
  const std::uint32_t count = instances();
  const Lease usual{rule.lease_of(count), rule.pace.tolerance};
  const Nanos known = std::max(entry.closed_until(), entry.last_heard());
  const bool nearly_empty = entry.last_heard() != 0 && entry.remaining() < rule.pace.burst() / 4;
  if (rule.lease || !nearly_empty || now - known > std::min(kRemembered, rule.pace.tolerance / 8)) return usual;
  const Nanos valid_for = rule.pace.tolerance / 4;
  const double elapsed = static_cast<double>(std::max(now - entry.last_heard(), kMillisecond));
  const double demand = static_cast<double>(entry.last_granted() + entry.refused_since()) / elapsed;
  const double wanted = std::min(0.5 * demand * static_cast<double>(valid_for),
                                 static_cast<double>(std::min(kMostWanted, rule.pace.burst() / (4 * count))));
  if (wanted <= static_cast<double>(usual.tokens)) return usual;
  return {static_cast<std::uint64_t>(wanted), valid_for};
}

/// While a lease is on its way, whoever comes asks for himself alone: else the clients of a busy key that begin at once
/// would fetch a lease each, and empty the store.
std::shared_ptr<SharedStore::Question> SharedStore::open_question(const std::shared_ptr<const SharedRule>& rule,
                                                                  const KeyId& key, std::string stored, Nanos now) {
  auto entry = stores_.leases().of(key, now);
  const Lease wanted = lease_for(*rule, entry, now);
  auto question = std::make_shared<Question>(*this, rule, key, TokenRequest{std::move(stored), rule->pace, 0, 1});
  question->valid_for = wanted.valid_for;
  question->fetches_ahead = entry.claim_refill(now, now + std::chrono::nanoseconds(timeout_).count());
  if (question->fetches_ahead) question->request.wanted = static_cast<std::int64_t>(wanted.tokens);
  return question;
}

Task<SharedVerdict> SharedStore::take(std::shared_ptr<const SharedRule> rule, KeyId key, std::string text) {
  const Nanos now = nanos_of(loop_.now());
  auto stored = stored_key(rule->name, text);
  auto* const shard = shard_of(stored);
  if (shard == nullptr || !shard->accepts()) co_return without_store(*rule, key, now);
  Waiter waiter(loop_);
  std::shared_ptr<Question> question;
  if (const auto open = unsent_.find(key.hash); open != unsent_.end() && !open->second->sent) {
    question = open->second;
    ++question->request.wanted;
  } else {
    auto entry = stores_.leases().of(key, now);
    // Of a key that had run out one asks for all.
    const Nanos closed = entry.closed_until();
    const bool ran_out = closed != 0 && now - closed < kRemembered;
    if (ran_out && !entry.claim_question(now, now + std::chrono::nanoseconds(timeout_).count())) {
      entry.refused();
      co_return refused(rule->pace, std::max(entry.closed_until() - now, kMillisecond));
    }
    question = open_question(rule, key, std::move(stored), now);
    unsent_[key.hash] = question;
    if (!shard->ask(question)) {
      if (question->fetches_ahead) entry.end_refill();
      unsent_.erase(key.hash);
      co_return without_store(*rule, key, now);
    }
  }
  question->waiters.push_back(&waiter);
  const Wake wake = co_await waiter.done.wait(loop_.now() + timeout_);
  if (wake != Wake::kReady) {
    std::erase(question->waiters, &waiter);
    co_return without_store(*rule, key, nanos_of(loop_.now()));
  }
  if (waiter.failed) co_return without_store(*rule, key, nanos_of(loop_.now()));
  co_return waiter.verdict;
}

namespace {

/// How long a key that the store has run out of is left alone: until about as many as were wanted are there for this
/// instance, by the share of the rate that it got last, so that all instances together ask as seldom as leases allow.
Nanos pause_after(const SharedRule& rule, const Leases::Entry& entry, const TokenRequest& asked,
                  const TokenAnswer& answer, Nanos now) {
  if (rule.lease == std::uint64_t{1}) return answer.wait;
  const auto wanted = static_cast<double>(std::max<std::int64_t>(asked.wanted, 1));
  const auto elapsed = static_cast<double>(std::clamp(now - entry.last_heard(), kMillisecond, kSecond));
  const double pause = answer.granted == 0 ? 2 * elapsed : 0.8 * elapsed * wanted / static_cast<double>(answer.granted);
  const Nanos most = std::max(std::min(rule.pace.tolerance / 8, kLongestClosed), answer.wait);
  const auto least = static_cast<Nanos>(0.8 * wanted * static_cast<double>(rule.pace.interval));
  return std::clamp(static_cast<Nanos>(pause), std::clamp(least, answer.wait, most), most);
}

}  // namespace

void SharedStore::settle(Question& question, const TokenAnswer* answer) {
  if (const auto open = unsent_.find(question.key.hash); open != unsent_.end() && open->second.get() == &question) {
    unsent_.erase(open);  // the shard still holds it
  }
  const Nanos now = nanos_of(loop_.now());
  const SharedRule& rule = *question.rule;
  auto entry = stores_.leases().of(question.key, now);
  if (question.fetches_ahead) entry.end_refill();
  if (answer == nullptr) {
    entry.close(0);
    for (auto* const waiter : question.waiters) {
      waiter->failed = true;
      waiter->done.set();
    }
    question.waiters.clear();
    return;
  }
  Nanos closed_until = 0;
  if (answer->granted < question.request.wanted) {
    closed_until = now + pause_after(rule, entry, question.request, *answer, now);
  } else if (answer->wait > 0) {
    closed_until = now + answer->wait;
  }
  entry.close(closed_until);
  entry.keep(std::max(closed_until, now) + kRemembered);
  auto tokens = static_cast<std::uint64_t>(answer->granted);
  const auto remaining = static_cast<std::uint64_t>(answer->remaining);
  entry.heard(tokens, remaining, now);
  for (auto* const waiter : question.waiters) {
    if (tokens > 0) {
      --tokens;
      waiter->verdict = passed(rule.pace, remaining + tokens);
    } else {
      entry.refused();
      waiter->verdict = refused(rule.pace, std::max(closed_until - now, answer->wait));
    }
    waiter->done.set();
  }
  question.waiters.clear();
  entry.add(tokens, now + question.valid_for, now);
}

SharedVerdict SharedStore::without_store(const SharedRule& rule, const KeyId& key, Nanos now) {
  stores_.count_failure();
  SharedVerdict verdict;
  if (rule.on_failure == config::RateLimit::OnStoreFailure::kDeny) {
    verdict.what = SharedVerdict::What::kDenied;
    return verdict;
  }
  if (rule.on_failure == config::RateLimit::OnStoreFailure::kAllow) {
    verdict.what = SharedVerdict::What::kPassed;
    verdict.remaining = rule.pace.burst();
    return verdict;
  }
  const std::uint32_t count = instances();
  const Pace share = Pace::of(rule.pace.interval * count, rule.pace.burst() / count);
  const auto decision = stores_.local().take(key, share, now);
  verdict.what = decision.allowed ? SharedVerdict::What::kPassed : SharedVerdict::What::kRefused;
  verdict.remaining = decision.remaining;
  verdict.retry_after = decision.retry_after;
  verdict.until_full = decision.until_full;
  verdict.counted = decision.allowed;
  verdict.local = true;
  return verdict;
}

void SharedStore::give_back(const SharedRule& rule, const KeyId& key, bool local, Nanos now) {
  if (!local) {
    stores_.leases().of(key, now).add(1, now + rule.pace.tolerance, now);
    return;
  }
  const std::uint32_t count = instances();
  stores_.local().give_back(key, Pace::of(rule.pace.interval * count, rule.pace.burst() / count), now);
}

}  // namespace headgate::ratelimit
