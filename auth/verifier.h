// SPDX-License-Identifier: Apache-2.0
// Whether a user has a password, as one worker asks: what was proven in the last minutes is known at once, all else is
// compared by the process' PasswordThreads while the loop goes on.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>

#include "auth/credentials.h"
#include "auth/password_threads.h"
#include "auth/users_file.h"
#include "base/task.h"

namespace headgate::auth {

enum class Verdict : std::uint8_t {
  kProven,
  kWrong,
  kBusy,  ///< nobody had the time to find out
};

/// Credentials that were proven; failures are not kept. They are told apart by their key, and so by the hash: a user
/// who is taken out of the file, or gets another password, is not known any more. Loop thread only.
class ProvenCredentials {
 public:
  static constexpr std::size_t kMost = 4096;
  static constexpr Duration kFor = std::chrono::minutes(5);

  bool knows(const CredentialsKey& key, TimePoint now);
  void add(const CredentialsKey& key, TimePoint now);
  std::size_t size() const { return until_.size(); }

 private:
  void forget_until(TimePoint now);

  std::unordered_map<CredentialsKey, TimePoint, CredentialsKeyHash> until_;
  std::deque<CredentialsKey> oldest_first_;
};

/// One worker has one. Loop thread only; `threads` outlives it.
class Verifier {
 public:
  /// For how long a request waits for its turn.
  static constexpr Duration kPatience = std::chrono::seconds(5);

  Verifier(Loop& loop, PasswordThreads& threads) : loop_(loop), threads_(threads) {}

  /// Done at once where nothing has to be compared. An unknown user takes as long as a known one.
  Task<Verdict> verify(const Users& users, Credentials credentials, const IpAddress& client);

 private:
  Task<Verdict> compare(PasswordThreads::Question question);

  Loop& loop_;
  PasswordThreads& threads_;
  ProvenCredentials proven_;
};

}  // namespace headgate::auth
