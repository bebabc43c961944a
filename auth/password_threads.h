// SPDX-License-Identifier: Apache-2.0
// The threads that compare passwords with their hashes: bcrypt takes 50 ms and more, which no loop may lose. Two for
// the process, below everything else in priority, with a bounded queue. The same credentials asked about by several
// requests at once are compared once.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/event.h"
#include "base/ip.h"
#include "base/loop.h"
#include "tls/digest.h"

namespace headgate::auth {

/// Credentials and the hash that they are compared with, under a key that only this process has had: nothing of a
/// password can be told from it.
using CredentialsKey = tls::Sha256;

struct CredentialsKeyHash {
  std::size_t operator()(const CredentialsKey& key) const {
    std::size_t value = 0;
    std::memcpy(&value, key.data(), sizeof value);
    return value;
  }
};

/// One process has one. Any thread. The threads begin with the first question.
class PasswordThreads {
 public:
  static constexpr std::size_t kThreads = 2;
  /// Comparisons that wait for a thread. More than these, and the next one is not taken.
  static constexpr std::size_t kMostQueued = 64;
  /// Different credentials of one client's that are being compared or wait for it: who guesses, guesses slowly.
  static constexpr unsigned kMostOfClient = 4;

  struct Question {
    CredentialsKey key;
    std::string password;
    std::string hash;
    bool known = true;  ///< false: the hash is another one's, and the answer no
    IpAddress client;
  };

  /// Who waits for an answer, on its loop's thread.
  struct Waiter {
    explicit Waiter(Loop& l) : loop(l), answered(l) {}
    Loop& loop;
    Event answered;
    bool matches = false;  ///< once answered
  };
  using WaiterPtr = std::shared_ptr<Waiter>;

  PasswordThreads();
  /// `compare` in place of auth::matches: for tests.
  using Compare = bool (*)(const std::string& password, const std::string& hash);
  explicit PasswordThreads(Compare compare);
  ~PasswordThreads();  ///< nobody waits any more; a comparison under way is awaited
  PasswordThreads(const PasswordThreads&) = delete;
  PasswordThreads& operator=(const PasswordThreads&) = delete;

  /// Nothing, where OpenSSL makes no HMAC.
  std::optional<CredentialsKey> key_of(std::string_view user, std::string_view password, std::string_view hash,
                                       bool known) const;

  /// Null: there is too much to do, in all or for this client. Whoever does not wait until the answer calls leave().
  WaiterPtr ask(Loop& loop, Question question);

  /// From here on the waiter's loop is left alone; what nobody waits for, and no thread has begun, is not compared.
  void leave(const WaiterPtr& waiter);

  struct Figures {
    std::size_t queued = 0;
    std::size_t under_way = 0;
  };
  Figures figures() const;

 private:
  struct Job {
    Question question;
    std::vector<WaiterPtr> waiters;
    bool begun = false;
  };
  using JobPtr = std::shared_ptr<Job>;

  void run();
  void drop(const JobPtr& job);

  const Compare compare_;
  const std::string secret_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::vector<std::thread> threads_;
  std::deque<JobPtr> queue_;
  std::unordered_map<CredentialsKey, JobPtr, CredentialsKeyHash> jobs_;  // waiting or under way
  std::map<IpAddress, unsigned> clients_;                                // how many of jobs_ each has
  bool stopping_ = false;
};

}  // namespace headgate::auth
