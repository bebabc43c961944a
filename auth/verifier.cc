// SPDX-License-Identifier: Apache-2.0
#include "auth/verifier.h"

#include <utility>

namespace headgate::auth {

void ProvenCredentials::forget_until(TimePoint now) {
  while (!oldest_first_.empty()) {
    const auto oldest = until_.find(oldest_first_.front());
    if (oldest->second > now && until_.size() < kMost) return;
    until_.erase(oldest);
    oldest_first_.pop_front();
  }
}

bool ProvenCredentials::knows(const CredentialsKey& key, TimePoint now) {
  const auto found = until_.find(key);
  return found != until_.end() && found->second > now;
}

void ProvenCredentials::add(const CredentialsKey& key, TimePoint now) {
  forget_until(now);
  // Two requests may have waited for the same answer: the first one's time counts.
  if (until_.emplace(key, now + kFor).second) oldest_first_.push_back(key);
}

Task<Verdict> Verifier::verify(const Users& users, Credentials credentials, const IpAddress& client) {
  const std::string* hash = users.find(credentials.user);
  const bool known = hash != nullptr;
  if (!known) hash = users.decoy();
  if (hash == nullptr) return Verdict::kWrong;
  const auto key = threads_.key_of(credentials.user, credentials.password, *hash, known);
  if (!key) return Verdict::kBusy;
  if (known && proven_.knows(*key, loop_.now())) return Verdict::kProven;
  return compare({*key, std::move(credentials.password), *hash, known, client});
}

Task<Verdict> Verifier::compare(PasswordThreads::Question question) {
  const CredentialsKey key = question.key;
  const auto waiter = threads_.ask(loop_, std::move(question));
  if (!waiter) co_return Verdict::kBusy;
  const Wake wake = co_await waiter->answered.wait(loop_.now() + kPatience);
  if (wake != Wake::kReady) {
    threads_.leave(waiter);
    co_return Verdict::kBusy;
  }
  if (!waiter->matches) co_return Verdict::kWrong;
  proven_.add(key, loop_.now());
  co_return Verdict::kProven;
}

}  // namespace headgate::auth
