// SPDX-License-Identifier: Apache-2.0
#include "auth/password_threads.h"

#include <algorithm>
#include <utility>

#include <sys/resource.h>
#include <unistd.h>

#include "auth/password_hash.h"

namespace headgate::auth {
namespace {

constexpr std::size_t kSecretSize = 32;
constexpr int kNiceness = 5;

void append_text(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}

}  // namespace

PasswordThreads::PasswordThreads() : PasswordThreads(&matches) {}

PasswordThreads::PasswordThreads(Compare compare) : compare_(compare), secret_(tls::random_bytes(kSecretSize)) {}

PasswordThreads::~PasswordThreads() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (auto& thread : threads_) thread.join();
}

std::optional<CredentialsKey> PasswordThreads::key_of(std::string_view user, std::string_view password,
                                                      std::string_view hash, bool known) const {
  std::string text(known ? "known:" : "unknown:");
  append_text(text, user);
  append_text(text, password);
  append_text(text, hash);
  return tls::hmac_sha256_of(secret_, text);
}

PasswordThreads::WaiterPtr PasswordThreads::ask(Loop& loop, Question question) {
  auto waiter = std::make_shared<Waiter>(loop);
  const std::lock_guard lock(mutex_);
  if (const auto same = jobs_.find(question.key); same != jobs_.end()) {
    same->second->waiters.push_back(waiter);
    return waiter;
  }
  const auto client = clients_.find(question.client);
  if (client != clients_.end() && client->second >= kMostOfClient) return nullptr;
  if (queue_.size() >= kMostQueued || stopping_) return nullptr;
  while (threads_.size() < kThreads) threads_.emplace_back([this] { run(); });
  auto job = std::make_shared<Job>();
  job->question = std::move(question);
  job->waiters.push_back(waiter);
  ++clients_[job->question.client];
  jobs_.emplace(job->question.key, job);
  queue_.push_back(std::move(job));
  work_.notify_one();
  return waiter;
}

void PasswordThreads::leave(const WaiterPtr& waiter) {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, job] : jobs_) {
    const auto found = std::find(job->waiters.begin(), job->waiters.end(), waiter);
    if (found == job->waiters.end()) continue;
    job->waiters.erase(found);
    if (job->waiters.empty() && !job->begun) {
      const JobPtr unwanted = job;
      std::erase(queue_, unwanted);
      drop(unwanted);
    }
    return;
  }
}

PasswordThreads::Figures PasswordThreads::figures() const {
  const std::lock_guard lock(mutex_);
  return {queue_.size(), jobs_.size() - queue_.size()};
}

/// With the lock.
void PasswordThreads::drop(const JobPtr& job) {
  jobs_.erase(job->question.key);
  const auto client = clients_.find(job->question.client);
  if (--client->second == 0) clients_.erase(client);
}

void PasswordThreads::run() {
  // Of this thread alone. Requests that need no password come first when the machine is busy.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness);
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const JobPtr job = std::move(queue_.front());
    queue_.pop_front();
    job->begun = true;
    lock.unlock();
    const bool same = compare_(job->question.password, job->question.hash);
    const bool matched = same && job->question.known;
    lock.lock();
    drop(job);
    // Under the lock, so that after leave() no loop is called any more.
    for (auto& waiter : job->waiters) {
      Loop& loop = waiter->loop;
      loop.post([waiter = std::move(waiter), matched] {
        waiter->matches = matched;
        waiter->answered.set();
      });
    }
    job->waiters.clear();
  }
}

}  // namespace headgate::auth
