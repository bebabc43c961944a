// SPDX-License-Identifier: Apache-2.0
#include "upstream/names.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace headgate::upstream {
namespace {

std::string list_of(const std::vector<IpAddress>& addresses) {
  std::string text;
  for (const IpAddress& address : addresses) text += (text.empty() ? "" : ", ") + address.to_string();
  return text;
}

bool same(const config::Dns& a, const config::Dns& b) {
  return a.timeout == b.timeout && a.min_ttl == b.min_ttl && a.max_ttl == b.max_ttl &&
         std::equal(
             a.servers.begin(), a.servers.end(), b.servers.begin(), b.servers.end(),
             [](const config::Address& x, const config::Address& y) { return x.ip == y.ip && x.port == y.port; });
}

}  // namespace

/// A Name's task, as the Name sees it. The task may outlive the Name by one lookup.
struct Name::Follower {
  Follower(Loop& loop, Name& followed) : name(&followed), wake(loop), turn(loop) { followed.follower_ = this; }
  ~Follower() {
    if (name != nullptr) name->follower_ = nullptr;
  }
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;
  void cancel() {
    wake.cancel();
    turn.cancel();
  }
  Name* name;  // null: nobody follows it any more
  Event wake;  // due() is another
  Event turn;  // one of Names::kMaxAtOnce
};

Name::~Name() {
  if (names_ != nullptr) names_->names_.erase(host_);
  if (follower_ == nullptr) return;
  follower_->name = nullptr;
  follower_->cancel();
}

void Name::refresh() {
  if (names_ == nullptr || follower_ == nullptr || looking_) return;
  const TimePoint soonest = std::max(names_->loop_.now(), asked_ + names_->intervals_.between_looks);
  if (soonest >= due_) return;
  due_ = soonest;
  follower_->wake.set();
}

Names::Names(Loop& loop, NameResolver& resolver, const config::Dns& settings)
    : Names(loop, resolver, settings, Intervals()) {}

Names::Names(Loop& loop, NameResolver& resolver, const config::Dns& settings, Intervals intervals)
    : loop_(loop),
      resolver_(resolver),
      settings_(settings),
      intervals_(intervals),
      random_(std::random_device()()),
      tasks_(loop) {}

Names::~Names() {
  for (const auto& [host, name] : names_) name->names_ = nullptr;
}

NameRef Names::follow(std::string_view host) {
  std::string key(host);
  for (char& c : key) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const auto [entry, is_new] = names_.try_emplace(key, nullptr);
  if (!is_new) return NameRef(entry->second);
  const NameRef name(new Name(*this, std::move(key), loop_.now()));
  entry->second = name.get();
  if (!closing_) tasks_.spawn(keep(*name));
  return name;
}

void Names::configure(const config::Dns& settings) {
  if (same(settings, settings_)) return;
  settings_ = settings;
  for (const auto& [host, name] : names_) name->refresh();
}

Task<> Names::close() {
  closing_ = true;
  for (const auto& [host, name] : names_) {
    if (name->follower_ != nullptr) name->follower_->cancel();
  }
  co_await tasks_.join(kNoDeadline);
}

Task<> Names::keep(Name& name) {
  Name::Follower self(loop_, name);
  co_await loop_.yield();  // who follows has the Name before anybody is told of it
  while (self.name != nullptr && !closing_) {
    const bool my_turn = co_await take_turn(self);
    if (!my_turn) break;
    self.name->looking_ = true;
    self.name->asked_ = loop_.now();
    Task<Result<Answer>> lookup = resolver_.resolve(self.name->host_);
    Result<Answer> found = co_await lookup;
    give_turn();
    if (self.name == nullptr || closing_) break;
    self.name->looking_ = false;
    learn(*self.name, std::move(found));
    while (self.name != nullptr && !closing_ && loop_.now() < self.name->due_) {
      self.wake.clear();
      co_await self.wake.wait(self.name->due_);
    }
  }
}

Task<bool> Names::take_turn(Name::Follower& follower) {
  if (looking_ < kMaxAtOnce) {
    ++looking_;
    co_return true;
  }
  waiting_.push_back(&follower);
  follower.turn.clear();
  co_await follower.turn.wait(kNoDeadline);
  const auto place = std::find(waiting_.begin(), waiting_.end(), &follower);
  if (place != waiting_.end()) {  // cancelled
    waiting_.erase(place);
    co_return false;
  }
  if (follower.name != nullptr && !closing_) co_return true;
  give_turn();
  co_return false;
}

void Names::give_turn() {
  if (waiting_.empty()) {
    --looking_;
    return;
  }
  Name::Follower& next = *waiting_.front();
  waiting_.pop_front();
  next.turn.set();
}

void Names::learn(Name& name, Result<Answer> found) {
  const NameRef alive(&name);  // whoever is told of a change may let go of it
  if (found) {
    learn_addresses(name, *std::move(found));
  } else {
    learn_failure(name, found.error());
  }
}

void Names::learn_addresses(Name& name, Answer answer) {
  std::vector<IpAddress>& addresses = answer.addresses;
  // A half that was not answered says nothing against what it said the last time.
  for (const IpAddress& address : name.addresses_) {
    if (!(address.is_v4() ? answer.v4_known : answer.v6_known)) addresses.push_back(address);
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  if (addresses.size() > NameResolver::kMaxAddresses) addresses.resize(NameResolver::kMaxAddresses);

  const TimePoint now = loop_.now();
  Duration wait = std::clamp<std::chrono::milliseconds>(answer.ttl, settings_.min_ttl, settings_.max_ttl);
  if (!answer.v4_known || !answer.v6_known) wait = std::min(wait, intervals_.longest_retry);
  name.resolved_ = now;
  name.due_ = now + wait;
  name.back_off_ = Duration::zero();
  const bool differs = addresses != name.addresses_;
  if (differs || !name.error_.empty()) {
    log::info("{} is {}{}", name.host_, list_of(addresses),
              answer.left_out == 0 ? "" : " (" + std::to_string(answer.left_out) + " more are not used)");
  }
  name.error_ = {};
  if (!differs) return;
  name.addresses_ = std::move(addresses);
  if (changed_) changed_(name);
}

void Names::learn_failure(Name& name, const Error& error) {
  if (error.code == Errc::kCancelled) return;
  name.back_off_ = name.back_off_ == Duration::zero() ? intervals_.first_retry
                                                      : std::min(name.back_off_ * 2, intervals_.longest_retry);
  name.due_ = loop_.now() + jittered(name.back_off_);
  const std::string_view reason = error.reason;
  const bool first = name.error_.empty();
  if (first) {  // the state, not each try; reasons that take turns would be a line for each, too
    const std::string use = name.addresses_.empty() ? "it has no address yet"
                                                    : "its last good answer stays in use: " + list_of(name.addresses_);
    log::warn("{}: {}; {}", name.host_, in_words(reason), use);
  } else if (reason != name.error_) {
    log::debug("{}: {}", name.host_, in_words(reason));
  }
  name.error_ = reason;
  if (first && name.addresses_.empty() && changed_) changed_(name);
}

Duration Names::jittered(Duration wait) {
  return wait - wait / 1000 * std::uniform_int_distribution<int>(0, 200)(random_);
}

}  // namespace headgate::upstream
